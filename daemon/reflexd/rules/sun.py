"""When the sun rises and sets: a function of the day and the place, and of nothing else.

The formulas are the library's, which is imported only here. A day is that of the sun: from one lowest point to the next,
with the highest point around its noon. Where the sun does not rise, both moments are at its highest point, so that there is
night only; where it does not set, they are at its lowest points, so that there is day only.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from reflexd.config.settings import PlaceSettings

HALF = timedelta(hours=12)
DAY = timedelta(days=1)
DEPTH = -0.833      # degrees of its centre when its upper edge is seen to rise, by astral's radius and refraction


class Sun(NamedTuple):
    """When it rises and sets on one day; UTC."""

    rises: datetime
    sets: datetime


def sun_on(place: PlaceSettings, day: date, offset_s: int) -> Sun:
    """Give both for a day of a calendar whose time is that much after UTC. Rather slow the first time: some 0.2 ms."""
    shift = round((place.longitude / 15 - offset_s / 3600) / 24)      # a calendar beyond the date line is a day off
    return _sun(place.latitude, place.longitude, day + timedelta(days=shift))


@lru_cache(maxsize=32)
def _sun(latitude: float, longitude: float, day: date) -> Sun:
    from astral import Observer, SunDirection
    from astral.sun import noon

    observer = Observer(latitude, longitude)
    before, at, after = (noon(observer, day + one) for one in (-DAY, timedelta(), DAY))
    first, last = before + (at - before) / 2, at + (after - at) / 2
    rises, sets = (_transit(observer, day, at, direction) for direction in (SunDirection.RISING, SunDirection.SETTING))
    shines = _shines(observer, first, at)
    return Sun(max(rises, first) if rises else first if shines else at, min(sets, last) if sets else last if shines else at)


def _transit(observer: object, day: date, noon: datetime, direction: object) -> datetime | None:
    """Find when the sun crosses the horizon in the half day before or after a noon; None when it does not.

    The library counts a crossing that is on another day in UTC to that day, or not: so it is asked for the days around too.
    """
    from astral import SunDirection
    from astral.sun import SUN_APPARENT_RADIUS, time_of_transit

    rising = direction is SunDirection.RISING
    for one in (day, day - DAY, day + DAY):
        try:
            at = time_of_transit(observer, one, 90.0 + SUN_APPARENT_RADIUS, direction)     # type: ignore[arg-type]
        except ValueError:         # of acos: it stays on one side of the horizon
            continue
        apart = noon - at if rising else at - noon
        if timedelta() <= apart <= HALF + timedelta(minutes=5):
            return at
    return None


def _shines(observer: object, lowest: datetime, highest: datetime) -> bool:
    """Say whether it is up all day, where it does not cross the horizon."""
    from astral.sun import elevation

    heights = [elevation(observer, one, with_refraction=False) for one in (lowest, highest)]    # type: ignore[arg-type]
    return sum(heights) / 2 > DEPTH


def local(moment: datetime, offset_s: int) -> datetime:
    """Give what a clock on the wall shows at a moment, which is in UTC."""
    return moment.replace(tzinfo=None) + timedelta(seconds=offset_s)
