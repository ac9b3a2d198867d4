"""reflexctl top: a screen of what the running daemon does, drawn anew twice a second.

rich draws it, and is imported when somebody looks: the daemon and every other verb do without.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from reflexd.ctl.reach import add_socket, ask_or_explain

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod, RenderableType

HELP = "live: sources, networks, rules with hits and margins, outputs, latency"
LOOK_S = 0.5
PATIENCE_S = 60.0         # with a daemon that is started anew meanwhile
LEAST_ROWS = 3            # that a table keeps where the screen is too small for all
PLAIN_COLUMNS = 160       # where the output is no terminal
WITHOUT = ("top draws with rich, which is not there: apt-get install python3-rich, or pip install 'reflexd[top]'; "
           "reflexctl status tells the same, once")
STYLES = {"RUN": "green", "run": "green", "acts": "bold green", "true": "green", "held back": "yellow", "waits": "yellow",
          "unknown": "yellow", "DEGRADED": "yellow", "degraded": "yellow", "SAFE": "bold red", "false": "red"}
Report: TypeAlias = Mapping[str, Any]
Row: TypeAlias = tuple[str, ...]


class Look(NamedTuple):
    """What the daemon said, and when."""

    at: float
    report: Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--once", action="store_true", help="print it once as plain text, as it is without a terminal")
    add_socket(parser)


def run(args: argparse.Namespace) -> int:
    """Draw until q or Ctrl-C."""
    if find_spec("rich") is None:
        print(f"reflexctl: {WITHOUT}", file=sys.stderr)
        return 1
    first = _look(args)
    if first is None:
        return 1
    try:
        return _live(args, first) if sys.stdout.isatty() and not args.once and not _is_dumb() else _once(args, first)
    except KeyboardInterrupt:
        return 0


def _is_dumb() -> bool:
    """Say whether the terminal cannot move its cursor: rich would draw nothing."""
    return os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")


def _look(args: argparse.Namespace) -> Look | None:
    report = ask_or_explain(args, "status")
    return None if report is None else Look(monotonic(), report)


def _once(args: argparse.Namespace, first: Look) -> int:
    """Look a second time, for the rates, and print."""
    from rich.console import Console

    sleep(LOOK_S)
    second = _look(args)
    if second is None:
        return 1
    console = Console(width=PLAIN_COLUMNS, color_system=None, highlight=False)
    with console.capture() as drawn:
        console.print(screen(second, first, console))
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))
    return 0


def _live(args: argparse.Namespace, before: Look) -> int:
    from rich.console import Console
    from rich.live import Live

    from reflexd.protocol import ControlError, ask

    now, trouble, console = before, "", Console(highlight=False)
    with _ended_by_signals(), _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while monotonic() < now.at + PATIENCE_S:
            live.update(screen(now, before, console, trouble), refresh=True)
            if pressed(LOOK_S):
                return 0
            try:
                before, now, trouble = now, Look(monotonic(), ask(args.socket, "status")), ""
            except ControlError as error:
                trouble = f"! this is {monotonic() - now.at:.0f} s old: {error}"
    print(f"reflexctl: it did not come back within {PATIENCE_S:.0f} s: {trouble.partition(': ')[2]}", file=sys.stderr)
    return 1


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have what ends this process give the terminal back first."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda got, _: sys.exit(128 + got)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _slept(seconds: float) -> bool:
    """Wait where nobody can press a key."""
    sleep(seconds)
    return False


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give what waits for so long, or until q is pressed; says whether it was."""
    if not sys.stdin.isatty():
        yield _slept
        return
    import select
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)

    def pressed(seconds: float) -> bool:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0] and sys.stdin.read(1) in ("q", "Q", ""):
                return True
        return False

    try:
        tty.setcbreak(sys.stdin)
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def screen(now: Look, before: Look, console: Console, trouble: str = "") -> RenderableType:
    """Draw it all, so that it fits a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    overflow: OverflowMethod = "ellipsis" if console.encoding.startswith("utf") else "crop"     # there may be no such sign

    def table(titles: Sequence[str], rows: list[Row]) -> Table:
        drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
        for title in titles:
            drawn.add_column(title, no_wrap=True, overflow=overflow, ratio=1 if title == titles[-1] else None,
                             max_width=max(console.width // 3, 12) if title == titles[0] and console.is_terminal else None)
        for row in rows:
            drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        return drawn

    above = [*([trouble] if trouble else []), *head(now.report)]
    parts: list[RenderableType] = [Text(line, style=STYLES.get(now.report["state"], "")) for line in above]
    tables = [(titles, rows) for titles, rows in (
        (("SOURCE", "STATE", "AGE", "A SECOND", "SAYS"), sources(now, before)),
        (("NETWORK", "P50", "P99", "A SECOND", "SAYS"), networks(now, before)),
        (("RULE", "SAYS", "HITS", "MARGIN", "FIRST"), rules(now.report)),
        (("OUTPUT", "LEVEL", "SINCE", "WHY"), outputs(now.report))) if rows]
    if console.is_terminal:
        fit([rows for _, rows in tables], console.height - sum(-(-len(line) // console.width) for line in above))
    for titles, rows in tables:
        parts += [Text(""), table(titles, rows)]
    return Group(*parts)


def fit(tables: Sequence[list[Row]], room: int) -> None:
    """Take the last rows from the longest tables until all fit so many lines, and say how many there are more."""
    left_out = [0] * len(tables)
    while sum(len(rows) + 2 + bool(more) for rows, more in zip(tables, left_out, strict=True)) > room:
        longest = max(range(len(tables)), key=lambda place: len(tables[place]))
        if len(tables[longest]) <= LEAST_ROWS:
            break
        tables[longest].pop()
        left_out[longest] += 1
    for rows, more in zip(tables, left_out, strict=True):
        rows.extend([(f"and {more} more",)] if more else [])


def head(report: Report) -> Iterator[str]:
    """Write how it is doing as a whole."""
    spans = report["latency_ms"]["frame_to_pin"]
    pin = f"p50 {spans['p50']:.2f} ms, p99 {spans['p99']:.2f} ms" if spans else "no frame yet"
    yield (f"reflexd {report['version']}: {report['state']} for {report['uptime_s']:.0f} s; frame to pin {pin}; "
           f"{report['log_lines_dropped']} log lines dropped")
    yield from ([f"! no output is driven: {report['dry_run']}"] if report["dry_run"] else [])
    yield from (f"! {why}" for why in report["inhibited"].values())


def sources(now: Look, before: Look) -> list[Row]:
    """List cameras and sensors: state, age, rate, and what they say."""
    rows: list[Row] = []
    for name, one in now.report["cameras"].items():
        rows.append((f"camera.{name}", one["state"], "", _rate(now, before, "cameras", name, "frames"),
                     one["why"] if one["state"] != "run" else f"picture {one['picture']}, {one['gaps']} lost"))
    for name, one in now.report["sensors"].items():
        rows.append((f"sensor.{name}", one["state"], _age(one), _rate(now, before, "sensors", name, "readings"), _says(one)))
    return rows


def networks(now: Look, before: Look) -> list[Row]:
    """List models: how long a frame takes, how many predictions a second, and the newest."""
    rows: list[Row] = []
    for name, one in now.report["models"].items():
        spans = one["latency_ms"]["frame_to_prediction"]
        p50, p99 = (f"{spans[share]:.1f} ms" if spans else "" for share in ("p50", "p99"))
        rows.append((f"model.{name}", p50, p99, _rate(now, before, "models", name, "predictions"), _says(one)))
    return rows


def rules(report: Report) -> list[Row]:
    """List rules: what they say, the hits and margins of their conditions, and what stopped them first."""
    rows: list[Row] = []
    for name, one in report["rules"].items():
        conditions = one["conditions"]
        hits = [f"{found['hits']}/{found['needed']}" for found in conditions if found["hits"] is not None]
        margins = [f"{found['margin']:+.2g} {found['unit']}".rstrip() for found in conditions if found["margin"] is not None]
        state = {True: "acts" if one["acts"] else "held back", False: "false", None: "unknown"}[one["truth"]]
        state = "waits" if "acts_in_s" in one else state
        first = one["reasons"][one["first"]] if one["first"] is not None else ""
        rows.append((name, state, " ".join(hits), " ".join(margins), "; ".join(part for part in (first, one["rests"]) if part)))
    return rows


def outputs(report: Report) -> list[Row]:
    """List outputs: their level, since when, and why."""
    return [(name, one["level"], "" if one["since_s"] is None else f"{one['since_s']:.1f} s",
             one["why"].removeprefix(f"{one['level']}: "))
            for name, one in report["outputs"].items()]


def _rate(now: Look, before: Look, kind: str, name: str, counter: str) -> str:
    """Count a second; nothing for what was not there before, or was opened anew."""
    was = before.report[kind].get(name)
    if was is None or now.at <= before.at or now.report[kind][name][counter] < was[counter]:
        return ""
    return f"{(now.report[kind][name][counter] - was[counter]) / (now.at - before.at):.1f}"


def _age(one: Report) -> str:
    return "" if one["age_ms"] is None else f"{one['age_ms']:.0f} ms"


def _says(one: Report) -> str:
    if one["unknown"]:
        return f"unknown: {one['unknown']}"
    scores = " ".join(f"{label} {score:.2f}" for label, score in one.get("scores", {}).items())
    value = one["value"]
    return scores if value is None else f"{value:.6g}" if isinstance(value, float) else str(value).lower()
