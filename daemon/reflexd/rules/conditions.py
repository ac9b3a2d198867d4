"""One condition of a rule each: what it remembers between items, and what it says now.

A condition is shown each new item of its source by observe() and asked by judge(). It says None,
unknown, whenever its source may not be used, and forgets what it remembered over a gap.
"""

from __future__ import annotations

from collections import deque
from math import isfinite, nan
from typing import Protocol

from reflexd.config.settings import Condition, ScoreCondition, ValueCondition
from reflexd.rules.items import NS, Verdict
from reflexd.rules.sources import Source, equals


class Test(Protocol):
    """What every kind of condition does."""

    source: Source

    def observe(self) -> None:
        """Look at the item that the source has just taken over."""
        ...

    def judge(self, now: int, moved: Source | None) -> Verdict:
        """Say what holds now; `moved` is the source whose item is being decided on."""
        ...


class Remembering:
    """The part that all conditions share: unknown while the source is, forgetful over a gap."""

    def __init__(self, source: Source, what: str) -> None:
        self.source = source
        self.what = what
        self._epoch = -1

    def forget(self) -> None:
        """Drop what was remembered."""

    def see(self) -> None:
        """Take the source's newest item into account."""

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Give the truth and a note, the source being usable."""
        raise TypeError(f"{type(self).__name__} says nothing")

    def observe(self) -> None:
        """Look at the newest item, after forgetting what lies behind a gap."""
        if self._epoch != self.source.epoch:
            self.forget()
            self._epoch = self.source.epoch
        self.see()

    def judge(self, now: int, moved: Source | None) -> Verdict:
        """Say what holds now."""
        trouble = self.source.unusable(now)
        if trouble or self._epoch != self.source.epoch:
            return Verdict(None, self.what, None, trouble or "starts anew")
        truth, note = self.says(now, moved is self.source)
        return Verdict(truth, self.what, self.observed(), note)

    def observed(self) -> float | bool | str | None:
        """Give the number behind the verdict."""
        return self.source.value


class Score(Remembering):
    """Enough of the last predictions were sure enough of a label."""

    def __init__(self, source: Source, condition: ScoreCondition) -> None:
        super().__init__(source, f"{source.name} {condition.label} at least {condition.at_least:g}")
        self._label = condition.label
        self._enter = condition.at_least
        self._leave = condition.at_least if condition.release_below is None else condition.release_below
        self._needed = condition.hits
        self._window = condition.window
        self._hits: deque[tuple[int, bool]] = deque(maxlen=condition.window)
        self._held = False

    def forget(self) -> None:
        """Start with no hits."""
        self._hits.clear()
        self._held = False

    def see(self) -> None:
        """Count a hit or a miss, with hysteresis."""
        score = self.source.scores.get(self._label)
        self._held = score is not None and score >= (self._leave if self._held else self._enter)
        self._hits.append((self.source.taken_at, self._held))

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Count the hits that are not too old: where predictions are missing, there is no hit."""
        if not isfinite(self.source.scores.get(self._label, nan)):
            return None, "the network gave no score for it"
        if self._window == 1:
            return self._held, ""
        oldest = now - self._window * 2 * self.source.period_ns
        hits = sum(held and taken_at >= oldest for taken_at, held in self._hits)
        return hits >= self._needed, f"{hits} of {self._window} hits, {self._needed} needed"

    def observed(self) -> float | None:
        """Give the last score."""
        return self.source.scores.get(self._label)


class Valued(Remembering):
    """A condition on a value, which is unknown while the source is unsure of it."""

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Pass on what the value says."""
        if self.source.value is None:
            return None, self.source.trouble or "no value"
        return self.holds(now, moved)

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Give the truth and a note, the value being known."""
        raise TypeError(f"{type(self).__name__} holds nothing")


def number(value: object) -> float | None:
    """Give a value as a number; a text is none."""
    return float(value) if isinstance(value, (int, float)) else None


class Is(Valued):
    """The value equals another one."""

    def __init__(self, source: Source, wanted: bool | float | str) -> None:
        super().__init__(source, f"{source.name} is {str(wanted).lower()}")
        self._wanted = wanted

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Compare."""
        truth = equals(self.source.value, self._wanted)
        return truth, "" if truth is not None else "values of two kinds"


class Beyond(Valued):
    """The value is above a threshold, or below it, with hysteresis."""

    def __init__(self, source: Source, enter: float, leave: float | None, sign: int) -> None:
        super().__init__(source, f"{source.name} {'above' if sign > 0 else 'below'} {enter:g}")
        self._enter = enter * sign
        self._leave = self._enter if leave is None else leave * sign
        self._strict_leave = leave is not None
        self._sign = sign
        self._held = False

    def forget(self) -> None:
        """Start as not beyond."""
        self._held = False

    def see(self) -> None:
        """Enter above the threshold, leave under the one for release."""
        value = number(self.source.value)
        if value is None:
            return
        value *= self._sign
        stays = self._held and self._strict_leave and value >= self._leave
        self._held = value > self._enter or stays

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say which side the value is on; a text is on neither."""
        return (self._held if number(self.source.value) is not None else None), ""


class Changed(Valued):
    """The value moved far enough since this was last true; true for the one item that did it."""

    def __init__(self, source: Source, step: float | bool) -> None:
        super().__init__(source, f"{source.name} changed" + ("" if step is True else f" by {step:g}"))
        self._step = 0.0 if step is True else float(step)
        self._from: float | bool | str | None = None
        self._moved = False

    def forget(self) -> None:
        """Compare with nothing older."""
        self._from, self._moved = None, False

    def see(self) -> None:
        """Compare with the value of the last change."""
        value = self.source.value
        if value is None:
            self._moved = False
            return
        self._moved = self._from is not None and self._far(value, self._from)
        if self._moved or self._from is None:
            self._from = value

    def _far(self, value: float | bool | str, before: float | bool | str) -> bool:
        new, old = number(value), number(before)
        if new is None or old is None or self._step == 0.0:
            return value != before
        return abs(new - old) >= self._step

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say so once."""
        return self._moved and moved, ""


class Rising(Valued):
    """The value has kept rising for a time, with no pause that is too long."""

    def __init__(self, source: Source, for_s: float, pause_s: float | None) -> None:
        super().__init__(source, f"{source.name} rising for {for_s:g} s")
        self._for_ns = round(for_s * NS)
        self._pause_ns = self._for_ns // 2 if pause_s is None else round(pause_s * NS)
        self._value: float | None = None
        self.forget()

    def forget(self) -> None:
        """Start with no rise."""
        self._value = None
        self._since = self._last = -1

    def see(self) -> None:
        """Note a rise; a fall ends the climb."""
        value = number(self.source.value)
        if value is None:
            return
        at = self.source.taken_at
        if self._value is not None and value > self._value:
            if self._since < 0 or at - self._last > self._pause_ns:
                self._since = at
            self._last = at
        elif self._value is not None and value < self._value:
            self._since = self._last = -1
        self._value = value

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say for how long it has been rising."""
        if self._since < 0 or self.source.taken_at - self._last > self._pause_ns:
            return False, "does not rise"
        climbed = self.source.taken_at - self._since
        return climbed >= self._for_ns, f"rising for {climbed / NS:.1f} s"


class Edge(Valued):
    """A sensor went on (or off) since the last look, however short it was."""

    def __init__(self, source: Source, edge: str) -> None:
        super().__init__(source, f"{source.name} {edge}")
        self._rise = edge == "rise"
        self._count: int | None = None
        self._new = 0

    def forget(self) -> None:
        """Count from the next reading on."""
        self._count, self._new = None, 0

    def see(self) -> None:
        """Compare the sensor's own count with the one of the last look."""
        count = self.source.rises if self._rise else self.source.falls
        self._new = 0 if self._count is None else max(0, count - self._count)
        self._count = count

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say so once for the reading that brought it."""
        return moved and self._new > 0, f"{self._new} new"


def build(condition: Condition, sources: dict[str, Source]) -> Test:
    """Make the condition that a line of the configuration asks for."""
    source = sources[source_of(condition)]
    if isinstance(condition, ScoreCondition):
        return Score(source, condition)
    return _of_value(source, condition)


def source_of(condition: Condition) -> str:
    """Name what a condition looks at, as "camera.gate"."""
    if isinstance(condition, ValueCondition) and condition.model is None:
        return f"sensor.{condition.sensor}" if condition.sensor is not None else f"camera.{condition.camera}"
    return f"model.{condition.model}"


def _of_value(source: Source, condition: ValueCondition) -> Test:
    if condition.above is not None:
        return Beyond(source, condition.above, condition.release_below, +1)
    if condition.below is not None:
        return Beyond(source, condition.below, condition.release_above, -1)
    if condition.changed is not None:
        return Changed(source, condition.changed)
    if condition.rising_for_s is not None:
        return Rising(source, condition.rising_for_s, condition.pause_s)
    if condition.edge is not None:
        return Edge(source, condition.edge)
    assert condition.is_ is not None, "the settings allow exactly one comparison"
    return Is(source, condition.is_)
