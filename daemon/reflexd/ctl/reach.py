"""How a verb finds the running daemon, and what it says when it cannot."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reflexd.protocol import CLIENT_S, ControlError, ask

DEFAULT_SOCKET = "/run/reflexd/control.sock"
ARMING_S = 10.0      # what was said is written to a card, which may take its time


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Accept --socket; REFLEXD_SOCKET is its default."""
    default = os.environ.get("REFLEXD_SOCKET", DEFAULT_SOCKET)
    shown = default.replace("%", "%%")       # argparse would put something in
    parser.add_argument("--socket", type=Path, default=Path(default), metavar="PATH", help=f"of the daemon, default {shown}")


def ask_or_explain(args: argparse.Namespace, verb: str, request: Mapping[str, object] | None = None,
                   timeout_s: float = CLIENT_S) -> Any:   # noqa: ANN401  what JSON gives
    """Ask the daemon; None after one line on stderr when that failed."""
    try:
        return ask(args.socket, verb, request, timeout_s)
    except ControlError as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return None


def ask_and_print(args: argparse.Namespace, verb: str, timeout_s: float = CLIENT_S,
                  request: Mapping[str, object] | None = None) -> int:
    """Ask for what is answered by a sentence, print it, and give the exit status."""
    told = ask_or_explain(args, verb, request, timeout_s)
    if told is None:
        return 1
    print(told)
    return 0
