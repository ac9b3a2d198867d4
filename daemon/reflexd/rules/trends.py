"""Conditions on how a value moves over a time: how fast, or not at all."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

from reflexd.rules.items import NS, written
from reflexd.rules.remembering import Timed, Valued, number
from reflexd.rules.sources import Source

PARTS = 32      # that the time of a rate is divided into: what is remembered does not grow with the sensor's own rate


class Rate(Valued):
    """The value rises by more (or less) than so much a second, over the last seconds.

    The rate is the slope of the straight line that fits best (least squares) the means of the parts into which the time is
    divided. Of two readings alone, the first and the last, one that is wrong by a step of the converter is wrong by all
    of that; here all readings count, and a sensor that speaks more often while something happens gets no more weight.
    """

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_first", "_last", "_parts", "_rate")

    def __init__(self, source: Source, threshold: float, sign: int, over_s: float) -> None:
        side = "above" if sign > 0 else "below"
        super().__init__(source, f"{source.name} rate {side} {threshold:g} a second over {over_s:g} s")
        self._threshold = threshold
        self._sign = sign
        self._over_ns = round(over_s * NS)
        self._part_ns = self._over_ns // PARTS
        self.forget()

    def forget(self) -> None:
        """Measure from the next number on."""
        self._first = self._last = -1
        self._parts: list[list[float]] = []       # [its number, readings in it, their mean time after it began, their mean]
        self._rate: float | None = None

    def see(self) -> None:
        """Take a number into account."""
        value = number(self.source.value)
        if value is None:
            return
        at = self.source.taken_at
        if at - self._last > self.source.max_age_ns:      # known of nothing for too long, although it was heard
            self.forget()
        self._first = at if self._first < 0 else self._first
        self._last = at
        self._add(at // self._part_ns, at % self._part_ns, value)
        self._rate = self._slope() if at - self._first >= self._over_ns else None

    def _add(self, part: int, within_ns: int, value: float) -> None:
        if not self._parts or self._parts[-1][0] != part:
            self._parts.append([part, 0, 0.0, 0.0])
        newest = self._parts[-1]
        newest[1] += 1
        for index, one in ((2, float(within_ns)), (3, value)):
            newest[index] += one / newest[1] - newest[index] / newest[1]      # in this order nothing grows beyond a float
        self._parts = [one for one in self._parts if one[0] >= part - PARTS]

    def _slope(self) -> float | None:
        """Fit a line. None where that is no number: fewer than two parts, or values beyond a float's range."""
        count, origin = len(self._parts), self._parts[0][0]
        times = [((one[0] - origin) * self._part_ns + one[2]) / NS for one in self._parts]
        values = [one[3] for one in self._parts]
        time, value = sum(times) / count, sum(values) / count
        spread = sum((one - time) ** 2 for one in times)
        if not spread:
            return None
        slope = sum((at - time) * (one - value) for at, one in zip(times, values, strict=True)) / spread
        return slope if isfinite(slope) else None

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Compare the rate; unknown until it was measured over the whole time."""
        if self._rate is not None:
            return self._rate * self._sign > self._threshold * self._sign, ""
        if number(self.source.value) is None:
            return None, "no number"
        heard = (self._last - self._first) / NS
        if heard * NS < self._over_ns:
            return None, f"heard for {heard:.1f} of {self._over_ns / NS:g} s"
        return None, "too few readings, or numbers too large"

    def observed(self) -> float | None:
        """Give the rate, in units a second."""
        return self._rate

    def threshold(self) -> float:
        """Give the rate that it is compared with."""
        return self._threshold

    def margin(self) -> float | None:
        """Compare with the threshold."""
        return None if self._rate is None else (self._rate - self._threshold) * self._sign


class Stuck(Timed):
    """The value has not changed for a time in which the source was heard.

    Before that time is over, and while no change was seen, nobody knows: that is not "it moves".
    """

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_value", "_since", "_moves")

    def __init__(self, source: Source, for_s: float) -> None:
        super().__init__(source, f"{source.name} stuck for {for_s:g} s")
        self._for_ns = round(for_s * NS)
        self.forget()

    def forget(self) -> None:
        """Know nothing of before the next item."""
        self._value: tuple[float | bool | str, int, int] | None = None
        self._since = -1
        self._moves = False        # whether a change was seen since

    def see(self) -> None:
        """Compare with the last value; a pulse that came and went in between is a change too."""
        if self.source.value is None:
            self.forget()
            return
        value = self.source.value, self.source.rises, self.source.falls
        if value != self._value:
            self._moves = self._value is not None
            self._value, self._since = value, self.source.taken_at

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say for how long it has been the same, up to the newest item."""
        same = self.source.taken_at - self._since
        if same >= self._for_ns:
            return True, f"{written(self.source.value)} all the time"
        return (False if self._moves else None), "" if self._moves else "no change was seen yet"

    def observed(self) -> float | None:
        """Give the seconds for which it has been the same."""
        return None if self._since < 0 else (self.source.taken_at - self._since) / NS

    def threshold(self) -> float:
        """Give the seconds that it takes."""
        return self._for_ns / NS

    def margin(self) -> float | None:
        """Give the seconds beyond."""
        return None if self._since < 0 else (self.source.taken_at - self._since - self._for_ns) / NS
