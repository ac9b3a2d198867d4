"""reflexctl model: bring networks, look at them, install and remove them, and try them without a camera or a daemon."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

HELP = "bring networks, install and remove them, look at them, try them"
VERBS = {     # file by name: two of the names cannot be a module's
    "get": "get", "add": "add", "install": "install", "list": "listing", "inspect": "inspect", "remove": "remove",
    "try": "trying", "evaluate": "evaluate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the verbs of this verb."""
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, module in VERBS.items():
        verb = import_module(f"reflexd.ctl.model.{module}")
        one = verbs.add_parser(name, help=verb.HELP, description=verb.HELP)
        verb.add_arguments(one)
        one.set_defaults(do=verb.run)


def run(args: argparse.Namespace) -> int:
    """Do it; 1 with one line on stderr when it fails."""
    from reflexd_models.base import ModelError

    try:
        return int(args.do(args))
    except ModelError as problem:
        print("reflexctl:", " ".join(str(problem).split()), file=sys.stderr)      # a path may have a line break in it
        return 1
