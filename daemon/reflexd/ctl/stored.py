"""What the verbs share that read the store of events: where it is, and from when on."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reflexd.ctl.check import DEFAULT_CONFIG

EVENT_ID = re.compile("[0-9a-z]{6}-[0-9]{1,12}")
UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def add_store(parser: argparse.ArgumentParser) -> None:
    """Accept --store and --config."""
    parser.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE",
                        help=f"whose [daemon] state_dir has the store; default {DEFAULT_CONFIG}")
    parser.add_argument("--store", type=Path, metavar="PATH", help="the store itself, instead")


def recording_of(name: Path, store: Path | None) -> Path:
    """Give the folder with the evidence of an event, where `name` is an id and no file. Raises: TapeError."""
    from reflexd.evidence.folders import evidence_of
    from reflexd.replay.tape import TapeError

    if not EVENT_ID.fullmatch(str(name)) or name.exists():
        return name
    found = evidence_of(store_of(argparse.Namespace(store=store, config=DEFAULT_CONFIG)), str(name))
    if found is None:
        raise TapeError(f"{name}: has no evidence, or it may not be read by this user; use sudo, or see --store and [evidence]")
    return found


def span_s(text: str) -> float:
    """Read a time that may be long, as 90s, 10m, 24h or 30d."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        found = float(digits) * UNITS_S[text[len(digits):]]
    except (ValueError, KeyError):
        found = -1.0
    if not 0 <= found < 1e10:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write a number and its unit, as 90s, 10m, 24h or 30d")
    return found


def count_from(least: int) -> Callable[[str], int]:
    """Make what reads a whole number from there on."""
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 1 << 40:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)
    return read


def store_of(args: argparse.Namespace) -> Path:
    """Find the store. The configuration is not judged: what happened can be read whatever is wrong with it by now.

    Raises: OSError.
    """
    from reflexd.config.files import find_files
    from reflexd.history.store import FILE
    from reflexd.history.writer import USUAL_FOLDER

    if args.store is not None:
        return Path(args.store)
    main, folder = Path(args.config), USUAL_FOLDER
    for path in find_files(main)[0]:
        folder = str(_daemon_table(path).get("state_dir", folder))
    return main.absolute().parent / folder / FILE


def _daemon_table(path: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text()).get("daemon", {})
    except FileNotFoundError:
        return {}                 # a daemon that was removed leaves its events
    except ValueError as error:
        print(f"reflexctl: {path}: left out: {error}; or name the store with --store", file=sys.stderr)
        return {}
    return told if isinstance(told, dict) else {}
