"""The time of day against tables of minutes, and the sun against the library and against its own height."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from astral import Observer
from astral.sun import elevation, sunrise, sunset

from reflexd.config.settings import PlaceSettings
from reflexd.config.times import DAYS
from reflexd.rules.sun import sun_on
from tests.daemon.rules.story import FOLLOW, Story, acts

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)      # at 2:00 and 3:00 there
MINUTE = timedelta(minutes=1)


class Calendar(Story):
    """A story that knows a place and its zone."""

    def __init__(self, zone: ZoneInfo, place: tuple[float, float] | None = None, **condition: Any) -> None:
        where = {} if place is None else {"place": {"latitude": place[0], "longitude": place[1]}}
        super().__init__({"when": [condition], "then": FOLLOW}, **where)
        self._zone = zone

    def at(self, moment: datetime) -> bool | None:
        """Say what holds then; each look is a second after the one before, whatever the wall clock says."""
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None
        self.wait(1).tells(moment.timestamp(), round(offset.total_seconds()))
        return self.verdict().truth


def minutes(text: str) -> int:
    return 60 * int(text[:2]) + int(text[3:])


def table(begin: str, end: str, days: set[str], moment: datetime) -> bool:
    """Say by the minute of the day, and by the day before where the span goes over midnight."""
    today, yesterday = DAYS[moment.weekday()], DAYS[(moment.weekday() - 1) % 7]
    minute, first, last = 60 * moment.hour + moment.minute, minutes(begin), minutes(end)
    if first < last:
        return today in days and first <= minute < last
    return (today in days and minute >= first) or (yesterday in days and minute < last)


@pytest.mark.parametrize("day", [date(2026, 2, 27), FORWARD, BACK, date(2027, 12, 31)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_a_span_is_what_a_table_of_minutes_says(day: date, seed: int) -> None:
    chance = random.Random(f"{day} {seed}")
    begin, end = (f"{chance.randrange(24):02}:{chance.randrange(60):02}" for _ in range(2))
    days = set(chance.sample(DAYS, chance.randrange(1, 8)))
    one = Calendar(BERLIN, between=[begin, end], days=sorted(days))
    start, seen = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1), set()
    for number in range(0, 4 * 24 * 60, 3):
        moment = start + number * MINUTE
        expected = table(begin, end, days, moment.astimezone(BERLIN))
        assert one.at(moment) is expected, (begin, end, days, moment)
        seen.add(expected)
    assert len(seen) == 2 or len(days) < 4


def test_an_hour_that_comes_twice_counts_twice_and_one_that_is_left_out_does_not_come() -> None:
    one = Calendar(BERLIN, between=["02:15", "02:45"])
    for day, expected in ((FORWARD, 0), (BACK, 60), (date(2026, 6, 1), 30)):
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
        assert sum(bool(one.at(start + number * MINUTE)) for number in range(24 * 60)) == expected


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    one = Calendar(ZoneInfo("UTC"), between=["22:00", "06:30"], days=["fri", "sat"])
    friday = datetime(2026, 5, 1, tzinfo=UTC)
    hours = [hour for hour in range(24 * 7) if one.at(friday + timedelta(hours=hour))]
    assert hours == [*range(22, 24), *range(24, 31), *range(46, 48), *range(48, 55)]


def test_whole_days_and_an_end_at_midnight() -> None:
    saturday = datetime(2026, 5, 2, tzinfo=UTC)
    whole = Calendar(ZoneInfo("UTC"), days=["sat", "sun"])
    evening = Calendar(ZoneInfo("UTC"), between=["18:00", "24:00"])
    assert [hour for hour in range(-24, 96) if whole.at(saturday + timedelta(hours=hour))] == list(range(48))
    assert [hour for hour in range(24) if evening.at(saturday + timedelta(hours=hour))] == list(range(18, 24))


def test_the_margin_is_the_time_until_it_ends_or_begins() -> None:
    one = Calendar(ZoneInfo("UTC"), between=["22:00", "06:30"], days=["fri"])
    friday = datetime(2026, 5, 1, tzinfo=UTC)
    for hours, expected in ((21.5, -1800), (22, 8.5 * 3600), (29.5, 3600), (30.5, -(7 * 24 - 8.5) * 3600)):
        one.at(friday + timedelta(hours=hours))
        assert one.verdict().margin == expected
    assert str(one.verdict()) == "clock between 22:00 and 06:30 on fri: sat 06:30:00"
    days = Calendar(ZoneInfo("UTC"), days=["sat", "sun"])
    days.at(friday)
    assert str(days.verdict()) == "clock on sat, sun: fri 00:00:00"


def test_where_the_sun_does_not_rise_the_next_day_is_not_told() -> None:
    day = Calendar(ZoneInfo("Europe/Oslo"), (69.65, 18.96), between=["sunrise", "sunset"])
    assert day.at(datetime(2026, 12, 20, tzinfo=UTC)) is False
    assert day.verdict().margin is None


@pytest.mark.parametrize("otherwise", [None, True, False])
def test_what_counts_while_the_clock_is_not_synchronised(otherwise: bool | None) -> None:
    one = Story({"when": [{"between": ["00:00", "12:00"], "otherwise": otherwise}], "then": FOLLOW})
    commands = one.tells()
    assert one.verdict().truth is otherwise
    assert acts(commands) is (otherwise is True)
    counts = "" if otherwise is None else f", otherwise = {'true' if otherwise else 'false'} counts"
    assert one.verdict()[1:5] == ("clock between 00:00 and 12:00", None, f"the clock is not synchronised{counts}", None)
    one.wait(1).tells(3600)
    assert one.verdict().truth is True
    one.wait(1).tells(13 * 3600)
    assert one.verdict().truth is False
    one.wait(1).tells()
    assert one.verdict().truth is otherwise


PLACES = {      # latitude, longitude, zone
    "Berlin": (52.52, 13.40, "Europe/Berlin"), "Quito": (-0.18, -78.47, "America/Guayaquil"),
    "Sydney": (-33.87, 151.21, "Australia/Sydney"), "Honolulu": (21.31, -157.86, "Pacific/Honolulu"),
    "Apia": (-13.83, -171.76, "Pacific/Apia"), "Suva": (-18.14, 178.44, "Pacific/Fiji"), "Urumqi": (43.83, 87.6, "Asia/Shanghai"),
    "Oslo": (59.91, 10.75, "Europe/Oslo"),
}


@pytest.mark.parametrize("name", PLACES)
def test_sunrise_and_sunset_are_those_of_the_library(name: str) -> None:
    latitude, longitude, zone_name = PLACES[name]
    zone, observer = ZoneInfo(zone_name), Observer(latitude, longitude)
    for number in range(0, 366, 5):
        day = date(2026, 1, 1) + timedelta(days=number)
        offset = datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()
        assert offset is not None
        found = sun_on(PlaceSettings(latitude=latitude, longitude=longitude), day, round(offset.total_seconds()))
        for ours, theirs in zip(found, (sunrise, sunset), strict=True):
            assert abs(ours - theirs(observer, day, tzinfo=zone)) < timedelta(seconds=1), (day, ours)


@pytest.mark.parametrize("latitude", [-90, -78, -66.6, -35, 0, 35, 52, 65.8, 67, 69.65, 80, 89.9])
@pytest.mark.parametrize("longitude", [-179.5, -60, 18.96, 150])
def test_it_is_day_while_the_sun_is_above_the_horizon(latitude: float, longitude: float) -> None:
    """Without zones, by the height of the sun; where it creeps along the horizon a third of a degree is left open."""
    chance = random.Random(f"{latitude} {longitude}")
    observer = Observer(latitude, longitude)
    day = Calendar(ZoneInfo("UTC"), (latitude, longitude), between=["sunrise", "sunset"])
    night = Calendar(ZoneInfo("UTC"), (latitude, longitude), between=["sunset", "sunrise"])
    for _ in range(60):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(366 * 86_400))
        height = elevation(observer, moment, with_refraction=False) + 0.833
        said = day.at(moment)
        assert night.at(moment) is not said, moment
        if abs(height) > (0.33 if abs(latitude) < 89 else 0.6):      # the library takes 89.8 for what is nearer to a pole
            assert said is (height > 0), (moment, height)


@pytest.mark.parametrize("latitude", [-89.8, -88, 88, 89.8])
def test_around_the_equinox_of_a_pole_a_day_is_whole_or_none_where_noon_and_midnight_are_alike(latitude: float) -> None:
    observer, seen = Observer(latitude, 0), set()
    for start in (date(2026, 3, 5), date(2026, 9, 8)):
        for number in range(30):
            day = start + timedelta(days=number)
            sun = sun_on(PlaceSettings(latitude=latitude, longitude=0), day, 0)
            heights = [elevation(observer, datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour),
                                 with_refraction=False) + 0.833 for hour in (-0.5, 0, 0.5, 11.5, 12, 12.5, 23.5, 24, 24.5)]
            if min(heights) > 0.02 or max(heights) < -0.02:
                whole = min(heights) > 0
                assert abs(sun.sets - sun.rises - timedelta(days=whole)) < MINUTE, (day, heights)
                seen.add(whole)
    assert seen == {True, False}


@pytest.mark.parametrize("name", PLACES)
def test_by_a_clock_of_that_place_it_is_day_while_the_sun_is_above_the_horizon(name: str) -> None:
    latitude, longitude, zone = PLACES[name]
    chance, seen = random.Random(name), set()
    day = Calendar(ZoneInfo(zone), (latitude, longitude), between=["sunrise", "sunset"])
    for _ in range(30):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(366 * 86_400))
        height = elevation(Observer(latitude, longitude), moment, with_refraction=False) + 0.833
        if abs(height) > 0.1:
            assert day.at(moment) is (height > 0), (moment, height)
            seen.add(height > 0)
    assert seen == {True, False}


def test_the_last_night_before_a_polar_day_ends_when_the_sun_is_at_the_horizon() -> None:
    day = date(2026, 5, 8)      # for that day itself the library finds no rise
    rises = sun_on(PlaceSettings(latitude=71.939, longitude=50.11), day, 0).rises
    assert rises.date() == day - timedelta(days=1)
    assert abs(elevation(Observer(71.939, 50.11), rises, with_refraction=False) + 0.833) < 0.1


def test_where_the_sun_does_not_set_there_is_no_night_and_where_it_does_not_rise_no_day() -> None:
    night = Calendar(ZoneInfo("Europe/Oslo"), (69.65, 18.96), between=["sunset", "sunrise"])
    for month, expected in ((6, False), (12, True)):
        start = datetime(2026, month, 20, tzinfo=UTC)
        assert {night.at(start + number * 5 * MINUTE) for number in range(3 * 24 * 12)} == {expected}


def spans(one: Calendar, day: date, hours: int = 48) -> list[str]:
    """Give the moments at which it begins and ends to be true, by the wall clock, from the noon before a day on."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=12)
    found, before = [], one.at(start)
    for number in range(1, hours * 60):
        if (said := one.at(start + number * MINUTE)) is not before:
            before = said
            found.append(f"{start + number * MINUTE:%d %H:%M}")
    return found


@pytest.mark.parametrize(("between", "summer", "winter"), [      # at Greenwich, by UTC: 3:43 to 20:21, and 8:04 to 15:53
    (["sunset-00:30", "23:00"], ["20 19:52", "20 23:00", "21 19:52", "21 23:00"],
     ["20 15:23", "20 23:00", "21 15:24", "21 23:00"]),
    (["06:30", "sunrise"], [], ["21 06:30", "21 08:04", "22 06:30", "22 08:05"]),
    (["20:00", "sunset"], ["20 20:00", "20 20:22", "21 20:00", "21 20:22"], []),
    (["sunset", "02:00"], ["20 20:22", "21 02:00", "21 20:22", "22 02:00"], ["20 15:53", "21 02:00", "21 15:54", "22 02:00"]),
    (["22:00", "sunrise+00:15"], ["20 22:00", "21 03:58", "21 22:00", "22 03:58"],
     ["20 22:00", "21 08:19", "21 22:00", "22 08:20"]),
    (["sunrise", "10:00"], ["21 03:43", "21 10:00", "22 03:43", "22 10:00"], ["21 08:04", "21 10:00", "22 08:05", "22 10:00"]),
])
def test_a_word_of_the_sun_beside_a_clock_time(between: list[str], summer: list[str], winter: list[str]) -> None:
    one = Calendar(ZoneInfo("UTC"), (51.48, 0.0), between=between)
    for month, expected in ((6, summer), (12, winter)):
        found = spans(one, date(2026, month, 21))
        assert len(found) == len(expected), found
        for ours, theirs in zip(found, expected, strict=True):
            apart = datetime.strptime(f"2026 {ours}", "%Y %d %H:%M") - datetime.strptime(f"2026 {theirs}", "%Y %d %H:%M")     # noqa: DTZ007
            assert abs(apart) <= 2 * MINUTE, (found, expected)
