"""Moments of a day as a configuration writes them: "22:00", "sunset", "sunrise+00:45"."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias, cast

Word: TypeAlias = Literal["", "sunrise", "sunset"]

NOON = 12 * 60
MIDNIGHT = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")     # in the order of datetime.weekday()
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_SUN = re.compile(r"(sunrise|sunset)(?:([+-])([0-9]{2}):([0-5][0-9]))?")


class Moment(NamedTuple):
    """A moment that comes once a day."""

    word: Word
    minutes: int       # after midnight; with a word, after what it stands for

    @property
    def late(self) -> bool:
        """Say whether it belongs to the second half of its day."""
        return self.word == "sunset" or (not self.word and self.minutes >= NOON)


def moment(text: str) -> Moment:
    """Read one. Raises: ValueError."""
    if _CLOCK.fullmatch(text):
        return Moment("", 60 * int(text[:2]) + int(text[3:]))
    found = _SUN.fullmatch(text)
    if found is None:
        raise ValueError('is no moment of a day; write "22:00", "sunset" or "sunrise-00:30"')
    word, sign, hours, minutes = found.groups()
    apart = 60 * int(hours or 0) + int(minutes or 0)
    if apart > NOON:
        raise ValueError(f"is more than 12 hours from {word}; write a shorter time after the {sign}")
    return Moment(cast("Word", word), -apart if sign == "-" else apart)


def ends_next_day(begin: Moment, end: Moment) -> bool:
    """Say whether what begins on a day ends on the one after it.

    Two clock times: where the end is not later. With a word of the sun, whose time differs from day to day: where it begins
    in the second half of a day and ends in the first one.
    """
    if not begin.word and not end.word:
        return end.minutes <= begin.minutes
    return begin.late and not end.late


def never(begin: Moment, end: Moment) -> bool:
    """Say whether a span is empty on every day."""
    return begin.word == end.word and (begin == end if not begin.word else end.minutes <= begin.minutes)
