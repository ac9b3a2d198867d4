"""reflexctl status: how the running daemon is doing, and why each output is where it is."""

from __future__ import annotations

import argparse
import json

from reflexd.ctl.reach import add_socket, ask_or_explain
from reflexd.report import lines

HELP = "how the running daemon is doing, and why each output is where it is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    report = ask_or_explain(args, "status")
    if report is None:
        return 1
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines(report)))
    return 0
