"""reflexctl arm: have outputs driven from now on, also after a restart."""

from __future__ import annotations

import argparse

from reflexd.ctl.reach import ARMING_S, add_socket, ask_and_print

HELP = "have outputs driven from now on, also after a restart"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    return ask_and_print(args, "arm", timeout_s=ARMING_S)
