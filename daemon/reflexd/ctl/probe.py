"""reflexctl probe: what is plugged in, as a text that can be pasted into the configuration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexd.found import Item

HELP = "show what is plugged in, with what to write for it in the configuration"
TITLES = {"camera": "Cameras", "gpio": "GPIO chips and who uses their lines", "serial": "Serial ports and what they say",
          "sensor": "What the kernel measures: IIO, hwmon, 1-wire, thermal", "pwm": "PWM channels"}
NOTHING = "nothing was found here"
SCHEMA = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--listen", dest="listen", action="store_const", const="always", default="free",
                       help="open serial ports also where this user cannot see who holds them; opening restarts many boards")
    which.add_argument("--no-listen", dest="listen", action="store_const", const="never",
                       help="open no serial port; by default those that nobody holds are listened to for some seconds")


def run(args: argparse.Namespace) -> int:
    """Look and print."""
    from reflexd.found import everything, unseen

    with redirect_stdout(sys.stderr):       # a library that is broken talks; what is pasted stays clean
        items, hidden = list(everything(args.listen)), unseen()
    if args.json:
        print(json.dumps({"schema": SCHEMA, "found": [as_json(one) for one in items], "unseen": hidden}, indent=2,
                         ensure_ascii=False, default=str))
    else:
        print("\n".join(lines(items, hidden)))
    return 0


def as_json(item: Item) -> dict[str, object]:
    """Give all of a device."""
    return {"kind": item.kind, "where": item.where, "about": item.about, **item.fields, "toml": toml(item)}


def toml(item: Item) -> str:
    """Write the tables of a device."""
    return "\n\n".join(map(str, item.tables))


def lines(items: list[Item], hidden: list[str]) -> Iterator[str]:
    """Write all as one configuration, in which comments tell what each is."""
    for kind, title in TITLES.items():
        yield comment(title) + ("" if any(one.kind == kind for one in items) else ": none")
        for item in (one for one in items if one.kind == kind):
            first, *rest = item.about
            yield comment(f"  {item.where}: {first}")
            yield from (comment(f"    {one}") for one in rest)
            if item.tables:
                yield f"{toml(item)}\n"
    if hidden:
        yield comment("Not seen by this user")
        yield from (comment(f"  {one}") for one in hidden)


def comment(text: str) -> str:
    """Write a line that TOML passes over; what a device says of itself may hold anything."""
    return "# " + "".join(one if one.isprintable() else "?" for one in text)
