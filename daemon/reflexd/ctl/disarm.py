"""reflexctl disarm: set every output safe and drive none, also after a restart; rules go on in a dry run."""

from __future__ import annotations

import argparse

from reflexd.ctl.reach import ARMING_S, add_socket, ask_and_print

HELP = "set every output safe and drive none, also after a restart; rules go on in a dry run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    return ask_and_print(args, "disarm", timeout_s=ARMING_S)
