"""reflexctl dump: put the whole state into the log, as SIGUSR1 does."""

from __future__ import annotations

import argparse

from reflexd.ctl.reach import add_socket, ask_and_print

HELP = "put the state of the running daemon into its log"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it."""
    return ask_and_print(args, "dump")
