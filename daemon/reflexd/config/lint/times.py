"""Times of day that never come: spans of a rule that have no minute in common, and those that `unless` covers.

A week has so many minutes, and each condition is true in some of them. When the sun rises and sets nobody knows here: such a
span may be true at any minute of the days on which it can be, and is not certain to be true at any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from reflexd.config.conditions import TimeCondition
from reflexd.config.lint.facts import MOST, Facts, Finding
from reflexd.config.messages import show
from reflexd.config.settings import PlaceSettings, RuleSettings
from reflexd.config.times import DAYS, MIDNIGHT, ends_next_day, moment
from reflexd.rules.sun import sun_on

WEEK = len(DAYS) * MIDNIGHT
SUN_DAYS = range(-1, 3)     # that a span of the sun can touch, from that on which it begins: 12 hours earlier, or later, or both
POLAR = 64.0                # degrees: nearer to the equator the sun rises and sets on every day
YEAR = date(2025, 1, 1)     # any one will do


def times_that_never_come(facts: Facts) -> Iterator[Finding]:
    """Find rules whose conditions on the time are never all as they have to be, the clock being known or not."""
    for index, rule in enumerate(facts.settings.rule):
        spans = [(("rule", index, group, place), one) for group, conditions in (("when", rule.when), ("unless", rule.unless))
                 for place, one in enumerate(conditions) if isinstance(one, TimeCondition)]
        alone = len(spans) == 1 and "when" in spans[0][0]      # no span is empty by itself, or it is an error
        if not spans or alone or len(rule.when) + len(rule.unless) > MOST or _acts_unknown(rule) or _some_minute(rule):
            continue
        location, last = spans[-1]
        others = "; and ".join(f"{_words(one, 'unless' in place)} ({facts.line_of(place)})" for place, one in spans[:-1])
        against = f", against {others}" if others else ""
        yield Finding(location, f"the rule never acts: {_words(last, 'unless' in location)}{against}", _words(last, False),
                      "correct one of them")


def _times(conditions: Iterable[object]) -> list[TimeCondition]:
    return [one for one in conditions if isinstance(one, TimeCondition)]


def _acts_unknown(rule: RuleSettings) -> bool:
    """Say whether it may act while the clock is not synchronised."""
    return all(one.otherwise is True for one in _times(rule.when)) and all(one.otherwise is False for one in _times(rule.unless))


def _some_minute(rule: RuleSettings) -> bool:
    """Say whether there may be a minute of the week in which it acts."""
    wanted, unwanted = _times(rule.when), _times(rule.unless)
    if any((one.between, one.days) == (other.between, other.days) for one in wanted for other in unwanted):
        return False           # the same span, whenever that is
    left = set(range(WEEK))
    for one in wanted:
        left &= _minutes(one)
    for one in unwanted:
        left -= set() if one.asks_sun else _minutes(one)
    return bool(left)


def _minutes(one: TimeCondition) -> set[int]:
    """Give the minutes of a week in which it may be true; of clock times alone, those in which it is."""
    begin, end = map(moment, one.between or ("00:00", "24:00"))
    days = [DAYS.index(day) for day in one.days or DAYS]
    if one.asks_sun:
        touched = {(day + more) % len(DAYS) for day in days for more in SUN_DAYS}
        return {day * MIDNIGHT + minute for day in touched for minute in range(MIDNIGHT)}
    length = end.minutes - begin.minutes + MIDNIGHT * ends_next_day(begin, end)
    return {(day * MIDNIGHT + begin.minutes + minute) % WEEK for day in days for minute in range(length)}


def _words(one: TimeCondition, unless: bool) -> str:
    span = [] if one.between is None else [f"between {one.between[0]} and {one.between[1]}"]
    days = [] if one.days is None else [f"on {', '.join(one.days)}"]
    return ("unless " if unless else "") + " ".join(span + days)


def polar_days(facts: Facts) -> Iterator[Finding]:
    """Find spans of the sun at a place where it does not rise on some days, or does not set."""
    place = facts.settings.place
    asked = next(((("rule", index, group, number, "between"), one.between) for index, rule in enumerate(facts.settings.rule)
                  for group, conditions in (("when", rule.when), ("unless", rule.unless))
                  for number, one in enumerate(conditions) if isinstance(one, TimeCondition) and one.asks_sun), None)
    if place is None or asked is None or abs(place.latitude) < POLAR:
        return
    nights, days = _whole(place)
    if nights or days:
        location, between = asked
        what = (f"at this place the sun does not set on {days} days of a year, and does not rise on {nights}: both are then at "
                "its lowest or its highest point")
        yield Finding(location, what, show(list(between or ())), "write times of the clock, where that is not meant")


def _whole(place: PlaceSettings) -> tuple[int, int]:
    """Count the days of a year that are all night, and all day."""
    year = [sun_on(place, YEAR + timedelta(days=day), 0) for day in range(365)]
    shines_s = [(one.sets - one.rises).total_seconds() for one in year]
    return sum(one < 1 for one in shines_s), sum(one > 86_000 for one in shines_s)
