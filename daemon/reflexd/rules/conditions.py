"""One condition of a rule each: what it remembers between items, and what it says now.

Those on a value stand here and in trends.py, those on what a network says of a label in scores.py, those on the time in
schedule.py and silence.py.
"""

from __future__ import annotations

from typing import ClassVar

from reflexd.config.conditions import Condition, CrossingCondition, ScoreCondition, TimeCondition, ValueCondition
from reflexd.config.settings import PlaceSettings
from reflexd.rules.asked import subject_of
from reflexd.rules.items import CLOCK, NS, written
from reflexd.rules.remembering import Remembering, Test, Timed, Valued, new, number
from reflexd.rules.schedule import Between
from reflexd.rules.scores import Crossing, about_label
from reflexd.rules.silence import Silent, Within
from reflexd.rules.sources import Source, equals
from reflexd.rules.trends import Rate, Stuck


class Is(Valued):
    """The value equals another one."""

    def __init__(self, source: Source, wanted: bool | float | str) -> None:
        super().__init__(source, f"{source.name} is {written(wanted)}")
        self._wanted = wanted

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Compare."""
        truth = equals(self.source.value, self._wanted)
        return truth, "" if truth is not None else "values of two kinds"

    def threshold(self) -> float | None:
        """Give the number that is wanted."""
        return None if isinstance(self._wanted, bool) else number(self._wanted)

    def margin(self) -> float | None:
        """Give the distance of two numbers."""
        value, wanted = number(self.source.value), self.threshold()
        return None if value is None or wanted is None else -abs(value - wanted)


class Beyond(Valued):
    """The value is above a threshold, or below it, with hysteresis."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_held",)

    def __init__(self, source: Source, enter: float, leave: float | None, sign: int) -> None:
        super().__init__(source, f"{source.name} {'above' if sign > 0 else 'below'} {enter:g}")
        self._enter = enter * sign
        self._leave = self._enter if leave is None else leave * sign
        self._strict_leave = leave is not None
        self._sign = sign
        self.forget()

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

    def threshold(self) -> float:
        """Give the one to begin, or to go on."""
        return (self._leave if self._held else self._enter) * self._sign

    def margin(self) -> float | None:
        """Compare with the threshold that counts."""
        value = number(self.source.value)
        return None if value is None else (value - self.threshold()) * self._sign


class Changed(Valued):
    """The value moved far enough since this was last true; true for the one item that did it."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_from", "_moved", "_by", "_moved_at")

    def __init__(self, source: Source, step: float | bool) -> None:
        super().__init__(source, f"{source.name} changed" + ("" if step is True else f" by {step:g}"))
        self._step = 0.0 if step is True else float(step)
        self.forget()

    def forget(self) -> None:
        """Compare with nothing older."""
        self._from: float | bool | str | None = None
        self._moved = False
        self._by: float | None = None       # by how much it has moved since, or did with the newest item
        self._moved_at = -1

    def see(self) -> None:
        """Compare with the value of the last change."""
        value = self.source.value
        if value is None:
            self._moved = False
            return
        before = value if self._from is None else self._from
        now, old = number(value), number(before)
        self._by = None if now is None or old is None or not self._step else abs(now - old)
        self._moved = value != before if self._by is None else self._by >= self._step
        if self._moved:
            self._moved_at = self.source.taken_at
        if self._moved or self._from is None:
            self._from = value

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say so once."""
        if self._by is None:
            return self._moved and moved, new(int(self._moved and moved), self._moved_at, now)
        return self._moved and moved, "not new" if self._moved and not moved else ""

    def observed(self) -> float | bool | str | None:
        """Give the distance, where one is asked for."""
        return self.source.value if self._by is None else self._by

    def threshold(self) -> float | None:
        """Give the distance that it takes."""
        return None if self._by is None else self._step

    def margin(self) -> float | None:
        """Compare the distances."""
        return None if self._by is None else self._by - self._step


class Rising(Timed):
    """The value has kept rising for a time, with no pause that is too long."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_value", "_since", "_last", "_began")

    def __init__(self, source: Source, for_s: float, pause_s: float | None) -> None:
        super().__init__(source, f"{source.name} rising for {for_s:g} s")
        self._for_ns = round(for_s * NS)
        self._pause_ns = self._for_ns // 2 if pause_s is None else round(pause_s * NS)
        self.forget()

    def forget(self) -> None:
        """Start with no rise."""
        self._value: float | None = None
        self._since = self._last = -1
        self._began: int | None = -1      # the first number; None once it is known that no climb goes on from before it

    def see(self) -> None:
        """Note a rise; a fall ends the climb."""
        value = number(self.source.value)
        if value is None:
            return
        at = self.source.taken_at
        if self._began is not None:
            self._began = at if self._began < 0 else self._began
            if (self._value is not None and value < self._value) or at - max(self._began, self._last) > self._pause_ns:
                self._began = None
        if self._value is not None and value > self._value:
            if self._since < 0 or at - self._last > self._pause_ns:
                self._since = at
            self._last = at
        elif self._value is not None and value < self._value:
            self._since = self._last = -1
        self._value = value

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say for how long it has been rising."""
        climbed = self._climbed_ns()
        no = None if self.unwanted and self._began is not None else False
        return (no, "does not rise") if climbed is None else (climbed >= self._for_ns or no, "")

    def _climbed_ns(self) -> int | None:
        """Give how long it has been rising, up to the newest item; None where it is not."""
        if self._since < 0 or self.source.taken_at - self._last > self._pause_ns:
            return None
        return self.source.taken_at - self._since

    def observed(self) -> float:
        """Give the seconds for which it has been rising."""
        return (self._climbed_ns() or 0) / NS

    def threshold(self) -> float:
        """Give the seconds that it takes."""
        return self._for_ns / NS

    def margin(self) -> float:
        """Give the seconds beyond."""
        return ((self._climbed_ns() or 0) - self._for_ns) / NS


class Edge(Valued):
    """A sensor went on (or off) since the last look, however short it was."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_count", "_new", "_new_at")

    def __init__(self, source: Source, edge: str) -> None:
        super().__init__(source, f"{source.name} {edge}")
        self._rise = edge == "rise"
        self.forget()

    def forget(self) -> None:
        """Count from the next reading on."""
        self._count: int | None = None
        self._new = 0
        self._new_at = -1       # when the newest reading was taken that brought one

    def see(self) -> None:
        """Compare the sensor's own count with the one of the last look."""
        count = self.source.rises if self._rise else self.source.falls
        self._new = 0 if self._count is None else max(0, count - self._count)
        self._count = count
        if self._new:
            self._new_at = self.source.taken_at

    def holds(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say so once for the reading that brought it."""
        return moved and self._new > 0, new(self._new if moved else 0, self._new_at, now)


def build(condition: Condition, sources: dict[str, Source], place: PlaceSettings | None = None, unwanted: bool = False) -> Test:
    """Make the condition that a line of the configuration asks for; `place` is where the sun is asked for.

    What is `unwanted` stands in `unless`, and has to be known to be false.
    """
    if isinstance(condition, TimeCondition):
        return Between(sources[CLOCK], condition, place)
    test = _build(condition, sources)
    if isinstance(test, Remembering):
        test.unwanted = unwanted
    return test if condition.within_s is None else Within(test, condition.within_s)


def _build(condition: ScoreCondition | CrossingCondition | ValueCondition, sources: dict[str, Source]) -> Test:
    source = sources[subject_of(condition)]
    if isinstance(condition, ScoreCondition):
        return about_label(source, condition)
    if isinstance(condition, CrossingCondition):
        return Crossing(source, condition)
    if condition.silent_for_s is not None:
        return Silent(sources[CLOCK], source, condition.silent_for_s)
    return _of_value(source, condition)


def _of_value(source: Source, condition: ValueCondition) -> Test:
    if condition.above is not None:
        return Beyond(source, condition.above, condition.release_below, +1)
    if condition.below is not None:
        return Beyond(source, condition.below, condition.release_above, -1)
    if condition.edge is not None:
        return Edge(source, condition.edge)
    if condition.is_ is not None:
        return Is(source, condition.is_)
    return _of_past(source, condition)


def _of_past(source: Source, condition: ValueCondition) -> Test:
    """Make one that compares a value with those before it."""
    if condition.changed is not None:
        return Changed(source, condition.changed)
    if condition.rising_for_s is not None:
        return Rising(source, condition.rising_for_s, condition.pause_s)
    if condition.stuck_for_s is not None:
        return Stuck(source, condition.stuck_for_s)
    assert condition.over_s is not None, "the settings allow exactly one comparison"
    return _rate(source, condition, condition.over_s)


def _rate(source: Source, condition: ValueCondition, over_s: float) -> Rate:
    if condition.rate_above is not None:
        return Rate(source, condition.rate_above, +1, over_s)
    assert condition.rate_below is not None, "the settings want one of them with over_s"
    return Rate(source, condition.rate_below, -1, over_s)
