"""reflexctl watch: what one source says, look by look, as a running daemon knows it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import deque
from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any

from reflexd.ctl.reach import add_socket, ask_or_explain
from reflexd.ctl.test import duration_ms

HELP = "live values of one sensor, network or camera, with a sparkline"
LOOK_S = 0.15
BARS = "▁▂▃▄▅▆▇█"
WITHOUT = "start it with systemctl start reflexd; reflexctl probe shows what is plugged in without it"
Look = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("source", metavar="SENSOR", help='its name, or another source as "model.gate" or "camera.gate"')
    parser.add_argument("--for", dest="for_ms", type=duration_ms(100, 86_400_000), metavar="TIME",
                        help="as 500ms or 10s; default: until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="an object per look, for programs")
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Look until the time is up or somebody has seen enough."""
    seen = Seen()
    live = sys.stdout.isatty() and not args.json
    try:
        status = follow(args, seen, live)
    except KeyboardInterrupt:
        status = 0
    if seen.looks and not args.json:
        print(("\n" if live else "") + seen.summary())
    return status


def follow(args: argparse.Namespace, seen: Seen, live: bool) -> int:
    """Print look after look and give the exit status."""
    until = None if args.for_ms is None else monotonic() + args.for_ms / 1000
    while until is None or monotonic() < until:
        look = ask_or_explain(args, "watch", {"source": args.source})
        if look is None:
            if not args.socket.exists():
                print(f"reflexctl: {WITHOUT}", file=sys.stderr)
            return 1
        seen.take(look)
        if args.json:
            print(json.dumps(look, ensure_ascii=False), flush=True)
        else:
            print(f"\r\x1b[K{fitted(look, seen)}" if live else line(look, seen), end="" if live else "\n", flush=True)
        sleep(LOOK_S)
    return 0


class Seen:
    """What was seen so far: the last values to draw, and what is to be said in the end."""

    def __init__(self) -> None:
        self.looks = self.unknown = 0
        self.least, self.greatest, self._sum, self._numbers = float("inf"), float("-inf"), 0.0, 0
        self.values: deque[float | None] = deque(maxlen=200)      # None: unknown, or nothing that can be drawn
        self._last = self._first = (0, 0)

    def take(self, look: Look) -> None:
        """Add a look."""
        value = number(look)
        self._last = (look.get("rises", 0), look.get("falls", 0))
        self._first = self._first if self.looks else self._last
        self.looks += 1
        self.unknown += bool(trouble(look))
        self.values.append(value)
        if value is not None:
            self.least, self.greatest = min(self.least, value), max(self.greatest, value)
            self._sum, self._numbers = self._sum + value, self._numbers + 1

    @property
    def range(self) -> str:
        """Write least, mean and greatest; empty where no number was seen."""
        if not self._numbers:
            return ""
        return f"min {self.least:.4g} mean {self._sum / self._numbers:.4g} max {self.greatest:.4g}"

    @property
    def edges(self) -> str:
        """Write the rises and falls since the first look; a reopened sensor counts from 0 again."""
        rises, falls = (max(now - then, 0) for now, then in zip(self._last, self._first, strict=True))
        return f"{rises} rises {falls} falls" if rises or falls else ""

    def summary(self) -> str:
        """Write what was seen in all."""
        unknown = f"{self.unknown} of them unknown" if self.unknown else ""
        return ", ".join(part for part in (f"{self.looks} looks", unknown, self.range, self.edges) if part)


def number(look: Look) -> float | None:
    """Give what can be drawn of a look: its value, the greatest score, or the frames of a camera."""
    value = look.get("value", look.get("frames"))
    if trouble(look):
        return None
    if value is None:
        value = max(look.get("scores", {}).values(), default=None)
    return float(value) if isinstance(value, (int, float)) else None


def trouble(look: Look) -> str:
    """Say why nothing is known; empty where something is. A source that runs tells in `why` what was agreed on with it."""
    if "unknown" in look:
        return str(look["unknown"] or "")
    return "" if look["state"] == "run" else str(look["why"])


def said(look: Look) -> str:
    """Write the value, or why there is none."""
    if why := trouble(look):
        return f"unknown: {why}"
    if "frames" in look:
        return f"{look['frames']} frames, {look['gaps']} lost, picture {look['picture']}"
    value = look["value"]
    scores = " ".join(f"{label} {score:.2f}" for label, score in look.get("scores", {}).items())
    shown = f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value).lower()
    return " ".join(part for part in (shown, scores) if part) or "no label is watched"


def line(look: Look, seen: Seen) -> str:
    """Write a look: where, what, how old, and what was seen so far."""
    age = f"{look['age_ms']:.0f} ms ago" if look.get("age_ms") is not None else ""
    state = "" if look["state"] == "run" else str(look["state"])
    return "  ".join(part for part in (look["source"], said(look), age, state, seen.range, seen.edges) if part)


def fitted(look: Look, seen: Seen) -> str:
    """Write a look with its sparkline, in one line of the terminal."""
    width = shutil.get_terminal_size().columns - 1
    text = line(look, seen)
    drawn = sparkline(list(seen.values)[-max(min(width - len(text) - 2, 60), 0):], seen)
    return f"{text}  {drawn}"[:width]


def sparkline(values: list[float | None], seen: Seen) -> str:
    """Draw numbers between the least and the greatest seen; a gap where nothing was known."""
    span = seen.greatest - seen.least
    steps = len(BARS) - 1
    return "".join(" " if one is None else BARS[round((one - seen.least) / span * steps) if span > 0 else 0] for one in values)
