"""reflexctl log: what the service did, read back from journald.

This is where systemd-python serves: it reads the journal's binary files, with their fields, and here nobody waits for
it. The daemon itself writes without it; see journal.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol

from reflexd.events import ALL

HELP = "read what the service did from the journal, by output, rule, source or kind of event"
SERVICE = "reflexd.service"
SHOWN = ("MESSAGE", "PRIORITY", "REFLEXD_EVENT", "REFLEXD_OUTPUT", "REFLEXD_RULE", "REFLEXD_SOURCE", "REFLEXD_EVENT_ID")
WITHOUT = ("reading the journal needs systemd-python: apt-get install python3-systemd, in an environment that sees "
           "the system's packages; or ask journalctl: journalctl -x -u reflexd")
NOTHING = "nothing found; more may be there for a member of group systemd-journal, or with sudo"

Entry = Mapping[str, Any]


class Reader(Protocol):
    """What is used of systemd.journal.Reader."""

    def add_match(self, *matches: str) -> None:
        """Keep only entries with this field."""
        ...

    def seek_tail(self) -> None:
        """Go behind the last entry."""
        ...

    def get_previous(self, skip: int) -> Entry:
        """Go that many entries back."""
        ...

    def get_next(self) -> Entry:
        """Go on to the next entry; empty when there is none yet."""
        ...

    def get_catalog(self) -> str:
        """Explain the entry where the reader stands."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for entries."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="the newest N, default 50")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-x", "--explain", action="store_true", help="add what each kind means and what to do")
    parser.add_argument("--output", metavar="NAME", help="of this output")
    parser.add_argument("--rule", metavar="NAME", help="by this rule")
    parser.add_argument("--source", metavar="NAME", help='of this source, as "camera.gate"')
    parser.add_argument("--event", choices=sorted(one.name for one in ALL), metavar="KIND", help="as output or source-degraded")
    parser.add_argument("--json", action="store_true", help="an object per line, with its fields")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    try:
        journal = import_module("systemd.journal")      # "systemd" alone is a folder of every checkout
    except ImportError:
        print(f"reflexctl: {WITHOUT}", file=sys.stderr)
        return 1
    found = 0
    for text in told(journal.Reader(), args):
        print(text, flush=args.follow)
        found += 1
    if not found:
        print(f"reflexctl: {NOTHING}", file=sys.stderr)
    return 0


def told(reader: Reader, args: argparse.Namespace) -> Iterator[str]:
    """Give each entry as text; with --follow for ever."""
    reader.add_match(f"_SYSTEMD_UNIT={SERVICE}")
    for key in ("output", "rule", "source", "event"):
        if getattr(args, key) is not None:
            reader.add_match(f"REFLEXD_{key.upper()}={getattr(args, key)}")
    reader.seek_tail()
    first = reader.get_previous(max(args.lines, 1))
    if first:
        yield text_of(first, reader, args)
    for entry in _following(reader, args.follow):
        yield text_of(entry, reader, args)


def _following(reader: Reader, follow: bool) -> Iterable[Entry]:
    while True:
        while entry := reader.get_next():
            yield entry
        if not follow:
            return
        reader.wait(1.0)


def text_of(entry: Entry, reader: Reader, args: argparse.Namespace) -> str:
    """Write one entry: its time and its message, or its fields as JSON."""
    when = entry["__REALTIME_TIMESTAMP"]
    if args.json:
        fields = {name: _text(entry[name]) for name in SHOWN if name in entry}
        return json.dumps({"time": when.isoformat(), **fields}, ensure_ascii=False)
    event = f" [{_text(entry['REFLEXD_EVENT_ID'])}]" if "REFLEXD_EVENT_ID" in entry else ""
    lines = [f"{when:%Y-%m-%d %H:%M:%S}{event} {_text(entry.get('MESSAGE', ''))}"]
    if args.explain and "MESSAGE_ID" in entry:
        lines += [f"    {line}" for line in reader.get_catalog().splitlines() if line]
    return "\n".join(lines)


def _text(value: object) -> str:
    """Give a field as text; what is not UTF-8 comes as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
