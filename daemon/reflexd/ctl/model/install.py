"""reflexctl model install: put a bundle in place, and have the running daemon take it between two frames."""

from __future__ import annotations

import argparse
from pathlib import Path

from reflexd.ctl.model.common import add_common, add_reading, add_swapping, bare
from reflexd.ctl.model.placing import place

HELP = "install a bundle, or a file that is made into one, and exchange it on the running daemon"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("bundle", metavar="FOLDER|FILE.tflite|NAME",
                        help="a folder with a model.toml, a bare file, or the name of a bundle, to have the daemon take it anew")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the name to install it under; default its own")
    add_reading(parser)
    add_common(parser)
    add_swapping(parser)


def run(args: argparse.Namespace) -> int:
    """Install it. Raises: ModelError."""
    from reflexd_models import about, making, store
    from reflexd_models.base import ModelError
    from reflexd_models.bundle import ABOUT, find_bundle

    if args.bundle.endswith(".tflite"):
        bundle = bare(Path(args.bundle), args)
        name = store.check_name(args.name or bundle.name)
        return place(args, name, making.made(bundle, name))
    if args.labels is not None or args.mean is not None:
        raise ModelError(f"{args.bundle}: is a bundle and says its labels and input itself; leave --labels, --mean and --std")
    folder = Path(args.bundle)
    if "/" not in args.bundle and not (folder / ABOUT).is_file():
        folder = find_bundle(args.bundle, args.state_dir).path.parent
    content = store.packed(folder)
    name = args.name or (about.read(folder / ABOUT).name if "/" in args.bundle or folder.name.startswith(".") else args.bundle)
    return place(args, store.check_name(name), content)
