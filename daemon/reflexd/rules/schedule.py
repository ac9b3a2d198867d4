"""Conditions on the time of day. They know it from Clock items alone, so a record of those replays exactly.

Times are compared as a clock on the wall shows them: on the day on which clocks go forward an hour does not come, and
on the day on which they go back one comes twice.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from reflexd.config.conditions import TimeCondition
from reflexd.config.settings import PlaceSettings
from reflexd.config.times import DAYS, Moment, ends_next_day, moment
from reflexd.rules.remembering import Remembering
from reflexd.rules.sources import Source
from reflexd.rules.sun import DAY, local, sun_on

EPOCH = datetime(1970, 1, 1)     # noqa: DTZ001  what a clock on the wall shows has no zone
LONGEST_DAYS = 2                 # a span that is under way began so many days ago at most: "sunset+12:00" to the next "sunset"
AHEAD_DAYS = 8                   # the next one begins within a week


class Between(Remembering):
    """It is a time between two moments of a day, on some days of the week."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_inside", "_left_s", "_shown")

    def __init__(self, source: Source, condition: TimeCondition, place: PlaceSettings | None) -> None:
        super().__init__(source, _described(condition))
        self._days = frozenset(map(DAYS.index, condition.days or DAYS))
        self._begin, self._end = map(moment, condition.between or ("00:00", "24:00"))
        self._overnight = ends_next_day(self._begin, self._end)
        self._otherwise = condition.otherwise
        self._place = place
        if condition.asks_sun:
            import astral.sun  # noqa: F401  now, and not in the midst of a decision
        self.forget()

    def forget(self) -> None:
        """Wait for the next Clock."""
        self._inside: bool | None = None
        self._left_s: float | None = None       # until it ends; negative: until it begins
        self._shown = ""

    def see(self) -> None:
        """Compare the time, once for each Clock: rules are decided far more often."""
        self.forget()
        if self.source.value is None:
            return
        now = EPOCH + timedelta(seconds=float(self.source.value) + self.source.offset_s)
        self._shown = f"{DAYS[now.weekday()]} {now:%H:%M:%S}"
        self._inside = False
        for number in range(-LONGEST_DAYS, AHEAD_DAYS):
            begin, end = self._span(now.date() + number * DAY)
            if begin <= now < end:
                self._inside, self._left_s = True, (end - now).total_seconds()
                return
            if now < begin < end:        # one day's begin comes before the next one's, by the sun too
                self._left_s = (now - begin).total_seconds()
                return

    def _span(self, day: date) -> tuple[datetime, datetime]:
        """Give begin and end of the span that begins on a day; an empty one where that day has none."""
        if day.weekday() not in self._days:
            return EPOCH, EPOCH
        return self._at(self._begin, day), self._at(self._end, day + DAY if self._overnight else day)

    def _at(self, one: Moment, day: date) -> datetime:
        midnight = datetime(day.year, day.month, day.day)     # noqa: DTZ001  as EPOCH
        if not one.word:
            return midnight + timedelta(minutes=one.minutes)
        assert self._place is not None, "the configuration was checked"
        sun = sun_on(self._place, day, self.source.offset_s)
        at = sun.rises if one.word == "sunrise" else sun.sets
        return local(at, self.source.offset_s) + timedelta(minutes=one.minutes)

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say whether it is time."""
        if self._inside is None:
            counts = "" if self._otherwise is None else f", otherwise = {str(self._otherwise).lower()} counts"
            return self._otherwise, f"{self.source.trouble}{counts}"
        return self._inside, ""

    def observed(self) -> str | None:
        """Give what a clock on the wall shows."""
        return self._shown or None

    def margin(self) -> float | None:
        """Give the seconds until it ends; negative: until it begins."""
        return self._left_s


def _described(condition: TimeCondition) -> str:
    span = "" if condition.between is None else f" between {condition.between[0]} and {condition.between[1]}"
    days = "" if condition.days is None else f" on {', '.join(condition.days)}"
    return f"clock{span}{days}"
