"""A sensor that follows a timeline in a file: for laptops, demonstrations and tests.

Each line is `at_s,value`, or `at_s` and several numbers: from that second on, counted from when the sensor was
opened, they hold. Before the first line nothing is known; after the last it stays, or the timeline starts over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from time import monotonic_ns
from typing import Annotated

from pydantic import Field

from reflexd_drivers.base import ConfigPath, DriverError, NotYetError, Reading, SensorSettings, Value, ValueKind

NS = 1_000_000_000
AT_ONCE = 1000       # lines that were passed over and are remembered
WORDS: dict[str, Value] = {"true": True, "false": False}


class Settings(SensorSettings):
    """What the configuration says of a scripted sensor."""

    path: ConfigPath = Field(description="file with a line at_s,value for each change; # starts a comment")
    loop: bool = Field(default=False, description="start over at the time of the last line, instead of holding its value")
    columns: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), max_length=64, description='names of the numbers in each line after its time, where it has several, as '
                                               '["x", "y", "z"]')

    @property
    def channels(self) -> tuple[str, ...]:
        """Name the numbers of a line."""
        return self.columns or ("value",)

    @property
    def gives(self) -> ValueKind | None:
        """Say what every reading is, where there are columns."""
        return "number" if self.columns else None


@dataclass(frozen=True, slots=True)
class Step:
    """A value and when it begins, after the sensor was opened."""

    at_ns: int
    value: Value
    values: tuple[float, ...] = ()


class Scripted:
    """A timeline that is read."""

    def __init__(self, where: str, steps: list[Step], loop: bool) -> None:
        self._where = where
        self._steps = forever(steps) if loop else iter(steps)
        self._next = next(self._steps, None)
        self._opened_at = monotonic_ns()
        self._value: Value | None = None
        self._values: tuple[float, ...] = ()
        self._passed: deque[Reading] = deque(maxlen=AT_ONCE)
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
        self._passed.clear()
        while self._next is not None and (at := self._opened_at + self._next.at_ns) <= now:
            self._take(self._next)
            self._next = next(self._steps, None)
            if self._next is not None and self._opened_at + self._next.at_ns <= now:
                self._passed.append(self._reading(at))
        return self._reading(now)

    def passed_over(self) -> list[Reading]:
        """Give the lines whose time has come besides that of the last reading: of many the newest."""
        passed = list(self._passed)
        self._passed.clear()
        return passed

    def _reading(self, at: int) -> Reading:
        if self._value is None:
            raise NotYetError(f"{self._where}: the timeline has not begun; give it a line for second 0")
        return Reading(self._value, at, self._changed_at, self._rises, self._falls, self._values)

    def _take(self, step: Step) -> None:
        self._values = step.values
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
            yield replace(step, at_ns=step.at_ns + offset)
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
    steps = parse(settings.path, text, settings.columns)
    if settings.loop and steps[-1].at_ns == steps[0].at_ns:
        raise DriverError(f"{where}: one moment cannot be repeated; add a last line that says when the timeline starts over")
    return Scripted(where, steps, settings.loop)


def parse(path: Path, text: str, columns: tuple[str, ...] = ()) -> list[Step]:
    """Read the lines of a timeline.

    Raises: DriverError.
    """
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    header = ",".join(("at_s", *(columns or ("value",))))
    read = partial(parse_numbers, columns=columns) if columns else parse_line
    steps = [read(f"{path}:{number}", line) for number, line in lines if line and line.replace(" ", "") != header]
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


def parse_numbers(where: str, line: str, columns: tuple[str, ...]) -> Step:
    """Read `at_s` and a number for each column. Raises: DriverError."""
    found = [parse_number(part) for part in line.split(",")]
    at, *numbers = [one for one in found if one is not None] or [-1.0]
    if len(found) != 1 + len(columns) or len(numbers) != len(columns) or at < 0:
        raise DriverError(f'{where}: a line is at_s,{",".join(columns)} with a time from 0 on; found "{line}"; '
                          "correct it, or columns")
    return Step(round(at * NS), numbers[0], tuple(numbers))


def parse_number(text: str) -> float | None:
    """Read a finite number, or give None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
