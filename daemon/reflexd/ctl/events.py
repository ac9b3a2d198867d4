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
        print(f"reflexctl: {nothing(path, args.rule)}", file=sys.stderr)
    return 0


def nothing(path: Path, rule: str | None) -> str:
    """Say that nothing was found, and of which rules there is something."""
    from reflexd.config.messages import suggest
    from reflexd.history.reading import Reader

    with Reader(path) as reader:
        known = reader.rules()
    hint = suggest(rule, known) if rule is not None and rule not in known else ""
    return f'{NOTHING} of rule "{rule}"; {hint}' if hint else NOTHING


def _evidence(store: Path, one: Told) -> str | None:
    """Say where its evidence is."""
    from reflexd.evidence.folders import evidence_of

    found = evidence_of(store, one["id"])
    return None if found is None else str(found)


def _once(path: Path, wanted: Wanted) -> Iterator[Told]:
    from reflexd.history.reading import Reader

    with Reader(path) as reader:
        yield from reader.each(wanted)


def _following(path: Path, wanted: Wanted) -> Iterator[Told]:
    """Give what is there, then what comes; a store that was begun anew is followed from its first event.

    Of two that happened in one cycle the later one may be stored first, so a few are looked at again.
    """
    from reflexd.history.reading import Wanted

    seen = deque((one["seq"] for one in _once(path, Wanted(newest=AGAIN))), AGAIN)
    newest, file, told = max(seen, default=0), path.stat().st_ino, ""
    for one in _once(path, wanted):
        if one["seq"] > newest:
            seen.append(one["seq"])
        yield one
    while True:
        time.sleep(AGAIN_S)
        try:
            file, seen = _same(path, file, seen)
            found = list(_once(path, Wanted(after=max(seen, default=0) - AGAIN)))
        except OSError as error:        # the store is set aside, or another program holds it; nobody has to start this again
            if str(error) != told:
                told = str(error)
                print(f"reflexctl: {told}; waiting for it", file=sys.stderr)
            continue
        told = ""
        for one in found:
            if one["seq"] not in seen:
                seen.append(one["seq"])
                if wanted.rule in (None, one["rule"]) and wanted.kind in (None, one["kind"]):
                    yield one


def _same(path: Path, file: int, seen: deque[int]) -> tuple[int, deque[int]]:
    """Say what was seen of the store that is there now: nothing, where it was begun anew."""
    from reflexd.history.reading import Wanted

    last = next(iter(_once(path, Wanted(newest=1))), None)
    now = path.stat().st_ino                  # which may be given to a new file
    same = now == file and (last is None or last["seq"] >= max(seen, default=0))
    return now, seen if same else deque(maxlen=AGAIN)


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
    told = f"{when:%Y-%m-%d %H:%M:%S}{doubt} {one['id']:<12}  {did}{spans}{held}: {one['why']}{evidence}"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in told)      # a device may say anything


def fields(one: Told) -> dict[str, Any]:
    """Give an event as a row of a table: nothing in it has parts."""
    return {key: json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
            for key, value in one.items()}
