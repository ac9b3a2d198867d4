"""A sensor that follows a timeline in a file: for laptops, demonstrations and tests.

Each line is `at_s,value`: from that second on, counted from when the sensor was opened, the value
holds. Before the first line nothing is known; after the last it stays, or the timeline starts over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from time import monotonic_ns

from pydantic import Field

from reflexd_drivers.base import ConfigPath, DriverError, NotYetError, Reading, SensorSettings, Value

NS = 1_000_000_000
WORDS: dict[str, Value] = {"true": True, "false": False}


class Settings(SensorSettings):
    """What the configuration says of a scripted sensor."""

    path: ConfigPath = Field(description="file with a line at_s,value for each change; # starts a comment")
    loop: bool = Field(default=False, description="start over at the time of the last line, instead of holding its value")


@dataclass(frozen=True, slots=True)
class Step:
    """A value and when it begins, after the sensor was opened."""

    at_ns: int
    value: Value


class Scripted:
    """A timeline that is read."""

    def __init__(self, where: str, steps: list[Step], loop: bool) -> None:
        self._where = where
        self._steps = forever(steps) if loop else iter(steps)
        self._next = next(self._steps, None)
        self._opened_at = monotonic_ns()
        self._value: Value | None = None
        self._changed_at = self._rises = self._falls = 0
        self._closed = threading.Event()

    def read(self, timeout_s: float) -> Reading:
        """Give the value as soon as the timeline changes it, and the old one after timeout_s.

        Raises: NotYetError before the timeline's first line; DriverError when closed.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        until = deadline if self._next is None else min(deadline, self._opened_at + self._next.at_ns)
        if self._closed.wait(max(until - monotonic_ns(), 0) / NS):
            raise DriverError(f"{self._where}: the timeline was closed while it was read; open it again")
        now = monotonic_ns()
        while self._next is not None and self._opened_at + self._next.at_ns <= now:
            self._take(self._next)
            self._next = next(self._steps, None)
        if self._value is None:
            raise NotYetError(f"{self._where}: the timeline has not begun; give it a line for second 0")
        return Reading(self._value, now, self._changed_at, self._rises, self._falls)

    def _take(self, step: Step) -> None:
        if step.value == self._value:
            return
        if isinstance(step.value, bool) and self._value is not None:
            self._rises += step.value
            self._falls += not step.value
        self._value = step.value
        self._changed_at = self._opened_at + step.at_ns

    def close(self) -> None:
        """End a read that waits."""
        self._closed.set()


def forever(steps: list[Step]) -> Iterator[Step]:
    """Repeat a timeline; the time of its last line is the first line's again."""
    period, offset = steps[-1].at_ns - steps[0].at_ns, 0
    while True:
        for step in steps[:-1]:
            yield Step(step.at_ns + offset, step.value)
        offset += period


def connect(settings: Settings) -> Scripted:
    """Read the timeline.

    Raises: DriverError with the line that is wrong.
    """
    where = str(settings.path)
    try:
        text = settings.path.read_text("utf-8") if settings.path.is_file() else None
    except (OSError, ValueError) as error:
        raise DriverError(f"{where}: the timeline cannot be read: {error}; check its permissions and encoding") from error
    if text is None:
        raise DriverError(f"{where}: there is no such file; write a timeline with a line at_s,value for each change")
    steps = parse(settings.path, text)
    if settings.loop and steps[-1].at_ns == steps[0].at_ns:
        raise DriverError(f"{where}: one moment cannot be repeated; add a last line that says when the timeline starts over")
    return Scripted(where, steps, settings.loop)


def parse(path: Path, text: str) -> list[Step]:
    """Read the lines of a timeline.

    Raises: DriverError.
    """
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    steps = [parse_line(f"{path}:{number}", line) for number, line in lines if line and line.replace(" ", "") != "at_s,value"]
    if not steps:
        raise DriverError(f"{path}: the timeline is empty; write at least one line, as 0,false")
    for before, after in pairwise(steps):
        if after.at_ns < before.at_ns:
            raise DriverError(f"{path}: {after.at_ns / NS:g} s comes after {before.at_ns / NS:g} s; sort the lines by time")
        if type(after.value) is not type(before.value):
            raise DriverError(f"{path}: {after.value!r} follows {before.value!r}; use one kind of value, as true and false")
    return steps


def parse_line(where: str, line: str) -> Step:
    """Read `at_s,value`. Raises: DriverError."""
    at, comma, value = (part.strip() for part in line.partition(","))
    seconds = parse_number(at)
    if seconds is None or seconds < 0 or not comma or not value:
        raise DriverError(f'{where}: a line is at_s,value with a time from 0 on; found "{line}"; write it as 2.5,true')
    number = parse_number(value)
    return Step(round(seconds * NS), WORDS.get(value, value if number is None else number))


def parse_number(text: str) -> float | None:
    """Read a finite number, or give None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
