"""reflexctl prune: remove stored events and their evidence, by the daemon where it runs."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from reflexd.ctl.reach import add_socket
from reflexd.ctl.stored import add_store, count_from, span_s, store_of

HELP = "remove stored events and their evidence, after asking"
ASK_S = 35.0       # the daemon's own bound is 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=span_s, metavar="TIME", help="what happened longer ago, as 30d")
    which.add_argument("--keep", type=count_from(0), metavar="N", help="all but the newest N")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_socket(parser)
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and remove them."""
    from reflexd.protocol import ControlError, NobodyError, ask

    if not args.yes and not agreed(args):
        return 2 if not sys.stdin.isatty() else 1
    try:
        if args.store is not None:
            raise NobodyError("the store was named")
        gone = ask(args.socket, "prune", {"older_than_s": args.older_than, "keep": args.keep}, ASK_S)["removed"]
    except NobodyError:
        gone = directly(store_of(args), args.older_than, args.keep)
    except ControlError as error:
        print(f"reflexctl: {error}", file=sys.stderr)
        return 1
    if gone is None:
        return 1
    print(f"{gone} events removed")
    return 0


def agreed(args: argparse.Namespace) -> bool:
    """Ask a person; nobody else can agree."""
    which = f"all but the newest {args.keep}" if args.keep is not None else f"older than {args.older_than / 86_400:g} days"
    if not sys.stdin.isatty():
        print("reflexctl: nobody can be asked here; say --yes", file=sys.stderr)
        return False
    print(f"Stored events are removed for good: {which}. Go on? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def directly(path: Path, older_than_s: float | None, keep: int | None) -> int | None:
    """Remove events without the daemon; None after one line on stderr when that failed."""
    import sqlite3

    from reflexd.evidence.orphans import prune
    from reflexd.history.reading import Reader
    from reflexd.history.store import DamagedError, Store
    from reflexd.history.wording import explained

    Reader(path).close()          # says what is wrong with it, and makes none where there is none
    before = None if older_than_s is None else time.time_ns() - round(older_than_s * 1e9)
    try:
        store = Store(path)
        try:
            gone = store.prune(before, keep)
        finally:
            store.close()
        prune(path)
        return gone
    except DamagedError as error:
        print(f"reflexctl: {path}: {error}; start the daemon, which begins a new one", file=sys.stderr)
        return None
    except sqlite3.Error as error:
        print(f"reflexctl: {explained(error, path)}", file=sys.stderr)
        return None
