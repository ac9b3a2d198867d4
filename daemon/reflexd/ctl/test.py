"""reflexctl test: drive one output for a moment, to see what moves; within all that bounds a rule."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from reflexd.ctl.reach import add_socket, ask_or_explain

HELP = "drive one output for a moment, after asking, to see what moves"
SPARE_S = 6.0        # beyond what the test lasts: the loop may be late, and an actuator that blocks is waited for
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
Asked = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("output", metavar="OUTPUT", help="name of the actuator in the configuration")
    parser.add_argument("--for", dest="for_ms", type=duration_ms(10, 10_000), default=200, metavar="TIME",
                        help="as 200ms or 2s; 10s at most and never longer than its max_on_s, default 200ms")
    parser.add_argument("--level", type=level, metavar="LEVEL",
                        help="on, off or a share from 0 to 1; default: away from its safe level")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_socket(parser)


def duration_ms(least: int, most: int) -> Callable[[str], int]:
    """Make what reads a time with its unit, between two bounds in milliseconds."""
    def read(text: str) -> int:
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
        try:
            found = round(float(digits) * UNITS_MS[text[len(digits):]])
        except (ValueError, OverflowError, KeyError):
            example = "200ms or 2s" if most < UNITS_MS["m"] else "90s, 10m or 2h"
            raise argparse.ArgumentTypeError(f"{text!r} is no time; write a number and its unit, as {example}") from None
        if not least <= found <= most:
            wrong = "short" if found < least else "long"
            raise argparse.ArgumentTypeError(f"{text} is too {wrong}; from {shown(least)} to {shown(most)}")
        return found
    return read


def shown(milliseconds: int) -> str:
    """Write a time as it is given."""
    unit = next(unit for unit in ("h", "s", "ms") if milliseconds % UNITS_MS[unit] == 0)
    return f"{milliseconds // UNITS_MS[unit]}{unit}"


def level(text: str) -> str | float:
    """Read a level; the daemon knows which of them its output has."""
    if text in ("on", "off"):
        return text
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no level; write on, off or a number from 0 to 1")
    return found


def run(args: argparse.Namespace) -> int:
    """Tell what would move, ask, and have it done."""
    wish = {"output": args.output, "for_ms": args.for_ms, **({} if args.level is None else {"level": args.level})}
    plan = ask_or_explain(args, "test", {**wish, "look": True})
    if plan is None:
        return 1
    if not args.yes and not agreed(plan):
        return 2 if not sys.stdin.isatty() else 1
    try:
        done = ask_or_explain(args, "test", wish, args.for_ms / 1000 + SPARE_S)
    except KeyboardInterrupt:
        ended = ask_or_explain(args, "test", {**wish, "end": True})
        print(f"reflexctl: {told_of_end(args.output, ended)}", file=sys.stderr)
        return 130
    return 1 if done is None else report(done)


def agreed(plan: Asked) -> bool:
    """Ask a person; nobody else can agree."""
    where = f" at {plan['at']}" if plan["at"] else ""
    print(f"{plan['output']} ({plan['driver']}{where}) goes {plan['level']} for {plan['for_ms']} ms, "
          f"then back to {plan['safe']}, its safe level.")
    if not sys.stdin.isatty():
        print("reflexctl: what hangs on it may move, and there is nobody to ask here; say --yes", file=sys.stderr)
        return False
    print("What hangs on it may move. Go on? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    print("nothing was driven")
    return False


def told_of_end(output: str, ended: Asked | None) -> str:
    """Say what became of a test that was broken off."""
    if ended is None:
        return f"the test of {output} could not be ended; it ends by itself when its time is over"
    return f"the test of {output} was ended" if ended["ended"] else f"the test of {output} was over already"


def report(done: Asked) -> int:
    """Say what was driven, and fail where that is not what was asked for."""
    print(f"{done['output']} was {done['level']} for {done['driven_ms']} ms, and is {done['now']} now")
    if done["why"]:
        print(f"reflexctl: not as asked for: {done['why']}", file=sys.stderr)
        return 1
    return 0
