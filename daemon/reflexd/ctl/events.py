"""reflexctl events: what happened, read from the store; the daemon need not run."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.ctl.stored import add_store, count_from, span_s, store_of

if TYPE_CHECKING:
    from reflexd.history.reading import Told, Wanted

HELP = "what happened: rules that fired, and why, from the store of events"
AGAIN_S = 0.5
AGAIN = 32
NOTHING = "no such event is stored"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("-n", "--lines", type=count_from(1), metavar="N", help="the newest N; default 50, or all of --since")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--since", type=span_s, metavar="TIME", help="not longer ago than that, as 10m, 24h or 30d")
    parser.add_argument("--rule", metavar="NAME", help="of this rule")
    parser.add_argument("--kind", choices=("fired", "max-on", "all-safe", "permitted", "not-safe"), help="of this kind")
    parser.add_argument("--json", action="store_true", help="an object per line, with all that is known")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    from reflexd.history.reading import Wanted  # SQLite is loaded when it is needed

    path = store_of(args)
    newest = args.lines if args.lines or args.since is not None else 50
    wanted = Wanted(args.since, args.rule, args.kind, newest)
    found = 0
    for one in _following(path, wanted) if args.follow else _once(path, wanted):
        one["evidence"] = _evidence(path, one)
        print(json.dumps(one, ensure_ascii=False) if args.json else line(one), flush=args.follow)
        found += 1
    if not found:
        print(f"reflexctl: {NOTHING}", file=sys.stderr)
    return 0


def _evidence(store: Path, one: Told) -> str | None:
    """Say where its evidence is."""
    from reflexd.evidence.folders import evidence_of

    found = evidence_of(store, one["id"])
    return None if found is None else str(found)


def _once(path: Path, wanted: Wanted) -> list[Told]:
    from reflexd.history.reading import Reader

    with Reader(path) as reader:
        return reader.find(wanted)


def _following(path: Path, wanted: Wanted) -> Iterator[Told]:
    """Give what is there, then what comes; a store that was begun anew is followed from its first event.

    Of two that happened in one cycle the later one may be stored first, so a few are looked at again.
    """
    from reflexd.history.reading import Wanted

    seen = deque((one["seq"] for one in _once(path, Wanted(newest=AGAIN))), AGAIN)
    first, file = _once(path, wanted), path.stat().st_ino
    seen.extend(one["seq"] for one in first if one["seq"] > max(seen, default=-1))
    yield from first
    while True:
        time.sleep(AGAIN_S)
        if (now := path.stat().st_ino) != file:
            file, seen = now, deque(maxlen=AGAIN)
        for one in _once(path, Wanted(after=max(seen, default=0) - AGAIN)):
            if one["seq"] not in seen:
                seen.append(one["seq"])
                if wanted.rule in (None, one["rule"]) and wanted.kind in (None, one["kind"]):
                    yield one


def line(one: Told) -> str:
    """Write an event for a person: when, id, what, its outputs, why."""
    when = datetime.fromtimestamp(one["utc_ns"] / 1e9).astimezone()
    doubt = "?" if one["synchronised"] is False else " "
    rule = f'rule "{one["rule"]}"' if one["rule"] else ""
    what = rule if one["kind"] == "fired" else " of ".join(filter(None, (one["kind"], rule)))
    outputs = ", ".join(f"{name} {level}" for name, level in one["outputs"].items())
    spans = f" ({one['latency_ms']:.0f} ms after its frame)" if one["latency_ms"] is not None else ""
    held = f"; not driven: {one['held']}" if one["held"] else ""
    did = ": ".join(filter(None, (what, outputs)))
    evidence = " [evidence]" if one.get("evidence") else ""
    return f"{when:%Y-%m-%d %H:%M:%S}{doubt} {one['id']:<12}  {did}{spans}{held}: {one['why']}{evidence}"


def fields(one: Told) -> dict[str, Any]:
    """Give an event as a row of a table: nothing in it has parts."""
    return {key: json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
            for key, value in one.items()}
