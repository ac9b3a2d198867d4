"""reflexctl export: the store of events as a table or as lines of JSON, for other programs."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from reflexd.ctl.events import fields
from reflexd.ctl.stored import add_store, span_s, store_of

if TYPE_CHECKING:
    from reflexd.history.reading import Told

HELP = "write the stored events into a file, as CSV or as lines of JSON"
COLUMNS: tuple[str, ...] = (
    "id", "time", "kind", "rule", "why", "outputs", "held", "frame_age_ms", "latency_ms", "synchronised", "utc_ns",
    "monotonic_ns", "boot", "config", "models", "verdicts", "version")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--csv", action="store_true", help="a table with a head; what has parts stands as JSON in its field")
    kind.add_argument("--jsonl", action="store_true", help="an object per line")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--since", type=span_s, metavar="TIME", help="not longer ago than that, as 10m, 24h or 30d")
    parser.add_argument("--rule", metavar="NAME", help="of this rule")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Write them."""
    from reflexd import durable
    from reflexd.history.reading import Reader, Wanted

    with Reader(store_of(args)) as reader:
        found = reader.each(Wanted(args.since, args.rule))
        if args.file is None:
            write(found, sys.stdout, args.csv)
            return 0
        with durable.writing(args.file) as file:
            text = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="")
            count = write(found, text, args.csv)
            text.detach()
    print(f"{args.file}: {count} events", file=sys.stderr)
    return 0


def write(found: Iterable[Told], to: IO[str], as_table: bool) -> int:
    """Write events as CSV or as lines of JSON, and count them. Source: RFC 4180."""
    count = 0
    table = csv.DictWriter(to, COLUMNS, extrasaction="ignore")
    if as_table:
        table.writeheader()
    for count, one in enumerate(found, 1):      # noqa: B007  counted
        if as_table:
            table.writerow(fields(one))
        else:
            to.write(json.dumps(one, ensure_ascii=False) + "\n")
    return count
