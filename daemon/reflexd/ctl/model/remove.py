"""reflexctl model remove: take a bundle away that was added."""

from __future__ import annotations

import argparse

from reflexd.ctl.model.common import add_common, store_of, tell
from reflexd.ctl.model.use import add_config, users
from reflexd.ctl.reach import add_socket

HELP = "remove a bundle that was added; what a configuration names stays, unless --force"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("name", metavar="NAME", help="as reflexctl model list has it")
    parser.add_argument("--force", action="store_true",
                        help="although it is in use: a daemon that runs keeps its network until it ends")
    add_config(parser)
    add_common(parser)
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Remove it and say what is left. Raises: ModelError."""
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import shipped
    from reflexd_models.store import check_name

    store, name = store_of(args), check_name(args.name)
    there = [one.name for one in store.kept()]
    if name not in there:
        why = "it is shipped with reflexd and stays" if name in shipped() else f"added are {', '.join(there) or 'none'}"
        raise ModelError(f'bundle "{name}": there is none of that name in {store.folder}; {why}')
    using = users(args).get(name, [])
    if using and not args.force:
        raise ModelError(f'bundle "{name}": is used by {", ".join(using)}; change that first, or say --force')
    with store.alone():
        store.remove(name)
    left = f'the shipped "{name}" stands for that name again' if name in shipped() else "nothing stands for that name now"
    told = {"removed": name, "used_by": using, "shipped": name in shipped()}
    return tell(args, told, f"{name} is removed from {store.folder}; {left}")
