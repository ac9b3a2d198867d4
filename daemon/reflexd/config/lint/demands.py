"""What a rule demands of the value of one source at the moment in which it acts, and whether any value is like that.

A source has one value at a time. So everything that has to hold of it together is asked of one value: of those where an
answer may change, of those beside them and of those between them. If none of these will do, none does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import inf, nextafter
from typing import NamedTuple

from reflexd.config.conditions import ValueCondition
from reflexd.config.lint.facts import Facts, Term, shown
from reflexd.config.positions import Location
from reflexd.config.settings import SensorIs
from reflexd.rules.remembering import number
from reflexd.rules.sources import equals
from reflexd_drivers.base import Value
from reflexd_drivers.cameras.picture_state import STATES


class Demand(NamedTuple):
    """Something that a value has to be."""

    source: str
    words: str
    holds: Callable[[Value], bool]
    points: tuple[Value, ...]            # where `holds` may change
    location: Location | None = None     # where a file says it; None: the driver or the network is like that


def possible(demands: Sequence[Demand]) -> bool:
    """Say whether some value is all of that."""
    return any(all(one.holds(value) for one in demands) for value in _candidates(demands))


def culprits(demands: Sequence[Demand]) -> list[Demand]:
    """Give as few of them as already contradict one another, the first ones if there is a choice; none if they do not."""
    if possible(demands):
        return []
    kept = list(demands)
    for one in reversed(demands):
        without = [other for other in kept if other is not one]
        if not possible(without):
            kept = without
    return kept


def _candidates(demands: Sequence[Demand]) -> Iterator[Value]:
    points = [point for one in demands for point in one.points]
    yield from dict.fromkeys(one for one in points if isinstance(one, str))
    yield "\0"                           # any other text
    numbers = sorted({0.0, 1.0, *(float(one) for one in points if not isinstance(one, str) and abs(one) < inf)})
    for one in numbers:
        yield from (one, nextafter(one, inf), nextafter(one, -inf))
    yield from (a / 2 + b / 2 for a, b in pairwise(numbers))


def of_term(term: Term) -> Demand | None:
    """Say what a condition demands, so that the rule acts; None where that is nothing of the value of this moment."""
    condition = term.condition
    if not isinstance(condition, ValueCondition):
        return None
    wanted = not term.unless
    words = term.words if wanted else f"unless {term.words}"

    def demand(holds: Callable[[Value], bool], key: str, *points: Value | None) -> Demand:
        return Demand(term.source, words, holds, tuple(one for one in points if one is not None), (*term.location, key))

    if (is_ := condition.is_) is not None:
        return demand(lambda value: equals(value, is_) is wanted, "is", is_)
    if condition.above is not None:
        enter, leave = condition.above, condition.release_below
        return demand(_side(enter, leave, +1, wanted), "above", enter, leave)
    if condition.below is not None:
        enter, leave = condition.below, condition.release_above
        return demand(_side(enter, leave, -1, wanted), "below", enter, leave)
    return None


def _side(enter: float, leave: float | None, sign: int, wanted: bool) -> Callable[[Value], bool]:
    """Ask a number to be where the condition may be true (`wanted`: entered, or not left yet), or where it may be false."""
    def holds(value: Value) -> bool:
        found = number(value)
        if found is None:
            return False
        beyond = found * sign > enter * sign
        return (beyond or (leave is not None and found * sign >= leave * sign)) if wanted else not beyond
    return holds


def what_is_given(facts: Facts, source: str) -> Demand | None:
    """Say what the values of a source are, where that is certain."""
    kind, _, name = source.partition(".")
    if kind == "camera":
        return Demand(source, f"a picture is {', '.join(STATES)}", lambda value: value in STATES, STATES)
    if kind == "sensor":
        gives = facts.settings.sensor[name].gives
        if gives == "boolean":
            return Demand(source, f"{source} is true or false", lambda value: value in (0, 1), ())
        if gives == "text":
            return Demand(source, f"{source} is a text", lambda value: isinstance(value, str), ())
    bounds = bounds_of(facts, source)
    if bounds is None:
        return None
    least, greatest = bounds
    words = f"{source} is never less than {least:g}" + ("" if greatest == inf else f" nor more than {greatest:g}")
    return Demand(source, words, lambda value: not isinstance(value, str) and least <= value <= greatest, (least, greatest))


def bounds_of(facts: Facts, source: str) -> tuple[float, float] | None:
    """Give the least and the greatest number that a source can say, where that is certain."""
    kind, _, name = source.partition(".")
    if kind == "sensor":
        sensor = facts.settings.sensor[name]
        return sensor.bounds if sensor.gives == "number" else None
    return facts.settings.model[name].options.bounds if kind == "model" else None


def from_above(facts: Facts, rule: Sequence[Term]) -> Iterator[Demand]:
    """Say what has to hold for any rule to act, and for the networks of this one to run."""
    safety = facts.settings.safety
    if safety.stop is not None:
        yield _of_sensor(safety.stop, False, "[safety] stop keeps every output safe unless", ("safety", "stop"))
    if safety.arm is not None:
        yield _of_sensor(safety.arm, True, "[safety] arm keeps every output safe unless", ("safety", "arm"))
    models = dict.fromkeys(term.source.removeprefix("model.") for term in rule if term.source.startswith("model."))
    for name in models:
        for place, gate in enumerate(facts.settings.model[name].only_while):
            yield _of_sensor(gate, True, f"model.{name} rests unless", ("model", name, "only_while", place))


def _of_sensor(one: SensorIs, wanted: bool, because: str, location: Location) -> Demand:
    words = f"{because} sensor.{one.sensor} is {'' if wanted else 'other than '}{shown(one.is_)}"
    return Demand(f"sensor.{one.sensor}", words, lambda value: equals(value, one.is_) is wanted, (one.is_,), location)
