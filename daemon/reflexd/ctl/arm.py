"""reflexctl arm: have outputs driven from now on, or in a while, also after a restart."""

from __future__ import annotations

import argparse

from reflexd.ctl.reach import ARMING_S, add_socket, ask_and_print
from reflexd.ctl.test import duration_ms

HELP = "have outputs driven from now on, also after a restart"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--in", dest="in_ms", type=duration_ms(1000, 3_600_000), metavar="TIME",
                        help="not now but in a while, as 30s; until then reflexctl disarm cancels it, and a restart forgets it")
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    return ask_and_print(args, "arm", ARMING_S, {} if args.in_ms is None else {"in_s": args.in_ms / 1000})
