"""Windows of sensor readings for networks that were made for evenly spaced samples. Pure: every time is an argument.

Readings come when they come. Each sensor's are brought to one grid of samples, which begins where all of them are known:

- where they come about as often as samples or more seldom, a sample lies on the straight line between the two readings
  around it: to average there would take away what a network of vibration listens for;
- where they come at least twice as often, a sample is the average of that line over its period, half before and half
  after it. To pick single readings would let what is faster than half the rate appear as something slow (aliasing).

A pause that is longer than the gap, a reading that is no number, or a failure makes everything unknown: the window begins
anew, and there is none until it is whole again. Samples live in a ring that is allocated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import Reading

NS = 1_000_000_000
MS = 1_000_000
UNDERWAY_NS = 250 * MS
FAST = 2.0       # readings for each sample, from which on they are averaged


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows that are wanted."""

    widths: tuple[int, ...]      # how many numbers each sensor gives of a moment
    rate_hz: float
    length: int                  # samples
    hop: int                     # samples from one window to the next
    gap_ms: float

    @property
    def period_ns(self) -> float:
        """What lies between two samples."""
        return NS / self.rate_hz

    @property
    def gap_ns(self) -> int:
        """How long a pause between two readings may be."""
        return round(self.gap_ms * MS)

    @property
    def slack(self) -> int:
        """Samples by which one sensor can be ahead of another: nobody pauses for longer than the gap, and a sample waits."""
        return 2 * ceil(self.gap_ns / self.period_ns) + 4


def numbers_of(reading: Reading, width: int) -> tuple[float, ...] | None:
    """Give what a reading says, None where that is not as many finite numbers."""
    value = reading.value
    found = reading.values or ((float(value),) if isinstance(value, (int, float)) and not isinstance(value, bool) else ())
    return found if len(found) == width and all(map(isfinite, found)) else None


class Track:
    """One sensor's readings, brought to the grid."""

    def __init__(self, period_ns: float, columns: NDArray[np.float32]) -> None:
        """`columns` is this sensor's part of the ring: float32 (samples, numbers)."""
        width = columns.shape[1]
        self._period = period_ns
        self._columns = columns
        self._last = np.zeros(width)
        self._new = np.zeros(width)
        self._sum = np.zeros(width)      # over what has passed of the sample's period, times nanoseconds
        self._one = np.zeros(width)
        self._pace = 0.0                 # nanoseconds between readings, smoothed
        self.at: int | None = None       # of the newest reading
        self.filled = 0                  # samples that are known
        self.restart()

    def restart(self) -> None:
        """Know nothing; how often readings come is remembered."""
        self.at, self.filled = None, 0
        self._summed = 0.0               # nanoseconds that are in the sum
        self._origin = 0

    def begin(self, origin: int) -> None:
        """Let sample 0 be at a time that no reading so far is later than."""
        self._origin = origin
        self.filled, self._summed = 0, 0.0
        self._sum[:] = 0

    def hear(self, at: int, numbers: Sequence[float]) -> None:
        """Take the first reading, from which a line is drawn to the next."""
        self.at = at
        self._last[:] = numbers

    def draw(self, at: int, numbers: Sequence[float]) -> None:
        """Draw the line to a later reading, and fill every sample that it decides."""
        assert self.at is not None, "heard before"
        self._new[:] = numbers
        span = at - self.at
        self._pace += (span - self._pace) / 8 if self._pace else span
        fill = self._average if self._pace * FAST <= self._period else self._connect
        fill(self.at - self._origin, at - self._origin)
        self.at = at
        self._last[:] = self._new

    def pass_by(self, at: int, numbers: Sequence[float]) -> None:
        """Take a reading before it is known where sample 0 is."""
        assert self.at is not None, "heard before"
        span = at - self.at
        self._pace += (span - self._pace) / 8 if self._pace else span
        self.hear(at, numbers)

    def _connect(self, begin: int, end: int) -> None:
        """Fill the samples up to the end of a line with what the line says; the next may become an average, so it is begun."""
        if self.filled * self._period < begin and not self._finish(begin, end):
            return                      # readings became rarer while this one was being averaged, and it still is
        while (due := self.filled * self._period) <= end:
            self._put(self._on_line(due, begin, end))
        self._add(end, begin, end)

    def _average(self, begin: int, end: int) -> None:
        """Add a line to the sample's average; fill those whose period ends on it. The first has only its second half."""
        while self._finish(begin, end):
            pass

    def _finish(self, begin: int, end: int) -> bool:
        """Add a line to the sample's average, and fill the sample if its period ends on the line. Returns whether it did."""
        until = (self.filled + 0.5) * self._period
        self._add(min(until, end), begin, end)
        if until > end:
            return False
        self._put(self._sum / self._summed)
        return True

    def _add(self, until: float, begin: int, end: int) -> None:
        """Add a line up to some moment to the sum: what it says in the middle, times how long that is."""
        since = max(float(begin), (self.filled - 0.5) * self._period, 0.0)
        if until > since:
            self._sum += self._on_line((since + until) / 2, begin, end) * (until - since)
            self._summed += until - since

    def _on_line(self, at: float, begin: int, end: int) -> NDArray[np.float64]:
        np.subtract(self._new, self._last, out=self._one)
        self._one *= (at - begin) / (end - begin)
        self._one += self._last
        return self._one

    def _put(self, sample: NDArray[np.float64]) -> None:
        self._columns[self.filled % len(self._columns)] = sample
        self.filled += 1
        self._summed = 0.0
        self._sum[:] = 0


class Windows:
    """The windows of one model's sensors."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.gaps = 0                # how often a window that had begun was given up
        self.trouble = ""            # what was the reason last
        self.skipped = 0             # windows that a newer one replaced before they were asked for
        self._ring = np.zeros((plan.length + plan.hop + plan.slack, sum(plan.widths)), np.float32)
        self._window = np.zeros((plan.length, sum(plan.widths)), np.float32)
        ends = np.cumsum(plan.widths)
        self._tracks = [Track(plan.period_ns, self._ring[:, end - width:end])
                        for width, end in zip(plan.widths, ends, strict=True)]
        self._origin: int | None = None      # when sample 0 is; None until every sensor has spoken
        self._given = 0                      # windows of this run that were given or skipped

    @property
    def filled(self) -> int:
        """Count the samples that are known, at most a window's."""
        return min(self._known, self.plan.length)

    @property
    def _known(self) -> int:
        return 0 if self._origin is None else min(track.filled for track in self._tracks)

    @property
    def begun(self) -> bool:
        """Say whether anything is known."""
        return any(track.at is not None for track in self._tracks)

    def restart(self, why: str) -> None:
        """Forget every sample."""
        self.gaps += self.begun
        self.trouble = why
        self._origin, self._given = None, 0
        for track in self._tracks:
            track.restart()

    def add(self, place: int, reading: Reading) -> None:
        """Take a reading of the sensor at that place; one that is not newer than its last is a repetition.

        A text says why there is no number.
        """
        track, numbers = self._tracks[place], numbers_of(reading, self.plan.widths[place])
        if track.at is not None and reading.taken_at <= track.at:
            return
        if numbers is None:
            self.restart(reading.value if isinstance(reading.value, str) else
                         f"a reading is not {self.plan.widths[place]} finite numbers")
            return
        if track.at is not None and reading.taken_at - track.at > self.plan.gap_ns:
            self.restart(self._pause(reading.taken_at - track.at))
        if track.at is None:
            track.hear(reading.taken_at, numbers)
            self._begin()
        elif self._origin is None:
            track.pass_by(reading.taken_at, numbers)
        else:
            track.draw(reading.taken_at, numbers)
            if track.filled - self._known > self.plan.slack:
                self.restart("one sensor is far ahead of another")

    def _begin(self) -> None:
        """Put sample 0 where all sensors are known, once each has spoken."""
        times = [track.at for track in self._tracks if track.at is not None]
        if len(times) == len(self._tracks):
            self._origin = max(times)
            for track in self._tracks:
                track.begin(self._origin)

    def look(self, now: int) -> None:
        """Begin anew where a sensor has said nothing for longer than a gap; what it said may still be on its way."""
        oldest = min((track.at for track in self._tracks if track.at is not None), default=now)
        if now - oldest > self.plan.gap_ns + UNDERWAY_NS:
            self.restart(self._pause(now - oldest))

    def _pause(self, pause_ns: int) -> str:
        return f"no reading for {pause_ns / MS:.0f} ms, and gap_ms is {self.plan.gap_ms:g}"

    def take(self) -> tuple[NDArray[np.float32], int] | None:
        """Give the newest whole window that was not given yet, and when its last sample is; None where there is none.

        float32 (length, numbers), oldest first; it is written over by the next call.
        """
        length, hop = self.plan.length, self.plan.hop
        whole = (self._known - length) // hop + 1 if self._known >= length else 0
        if whole <= self._given or self._origin is None:
            return None
        self.skipped += whole - self._given - 1
        self._given = whole
        end = (whole - 1) * hop + length
        begin, size = (end - length) % len(self._ring), len(self._ring)
        first = min(length, size - begin)
        self._window[:first] = self._ring[begin:begin + first]
        self._window[first:] = self._ring[:length - first]
        return self._window, self._origin + round((end - 1) * self.plan.period_ns)
