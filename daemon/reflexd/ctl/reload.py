"""reflexctl reload: have the running daemon take its configuration over anew."""

from __future__ import annotations

import argparse

from reflexd.ctl.reach import add_socket, ask_and_print

HELP = "have the running daemon take its configuration over anew"
TIMEOUT_S = 55.0       # devices that close and open take their time; systemd waits for 60 s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for it and say what changed; the old configuration runs on when that fails."""
    return ask_and_print(args, "reload", TIMEOUT_S)
