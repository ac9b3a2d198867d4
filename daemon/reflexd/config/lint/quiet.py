"""What is asked of a source that is silent or stuck at the same moment, and rates that no value of it can have."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from reflexd.config.conditions import ValueCondition
from reflexd.config.lint.demands import bounds_of
from reflexd.config.lint.facts import Facts, Finding, Term, is_moment, shown

# In whole ranges over the time: a fitted line is no steeper than range / 2 * mean deviation / variance of the times. Of 33 of
# them, two of which are 0.46 of the time apart (half, less a part of the division in rules/trends.py), that is 7.3 at most.
STEEPEST = 8.0


def silent_and_heard(facts: Facts) -> Iterator[Finding]:
    """Find rules that want a source silent, and to know something of it: what is silent for long is unknown."""
    for _, _, terms in facts.rules():
        for silent in (term for term in terms if not term.unless and _silent_s(term) is not None):
            other = next((term for term in terms if term.source == silent.source and _silent_s(term) is None), None)
            if other is not None and (_silent_s(silent) or 0) * 1000 >= (_max_age_ms(facts, silent) or float("inf")):
                what = (f"the rule never acts: {other.words} ({facts.line_of(other.location)}) is unknown when {silent.source} "
                        "was silent for that long")
                yield Finding((*silent.location, "silent_for_s"), what, shown(_silent_s(silent)),
                              "write a rule of its own for what is silent")


def _silent_s(term: Term) -> float | None:
    return term.condition.silent_for_s if isinstance(term.condition, ValueCondition) else None


def _max_age_ms(facts: Facts, term: Term) -> int | None:
    """Give for how long what a source said counts; None where that is not one number."""
    kind, _, name = term.source.partition(".")
    if kind == "sensor":
        return facts.settings.sensor[name].max_age_ms
    camera = name if kind == "camera" else facts.settings.model[name].camera
    return None if camera is None else facts.settings.camera[camera].max_age_ms


def stuck_and_moving(facts: Facts) -> Iterator[Finding]:
    """Find rules that want a source stuck for a time, and something of it that only a change brings."""
    for _, _, terms in facts.rules():
        wanted = [term for term in terms if not term.unless and isinstance(term.condition, ValueCondition)]
        for stuck in wanted:
            other = next((term for term in wanted if term.source == stuck.source and _needs_change(term, stuck)), None)
            if other is not None:
                what = f"the rule never acts: {other.words} ({facts.line_of(other.location)}) comes with a change only"
                yield Finding((*stuck.location, "stuck_for_s"), what, shown(getattr(stuck.condition, "stuck_for_s", None)),
                              "correct one of them")


def _needs_change(one: Term, stuck: Term) -> bool:
    """Say whether a condition is true only when a change came less than so long ago."""
    if not isinstance(one.condition, ValueCondition) or not isinstance(stuck.condition, ValueCondition):
        return False
    for_s, rising_s, pause_s = stuck.condition.stuck_for_s, one.condition.rising_for_s, one.condition.pause_s
    if for_s is None:
        return False
    return is_moment(one.condition) or (rising_s is not None and for_s > (rising_s / 2 if pause_s is None else pause_s))


def rates_out_of_reach(facts: Facts) -> Iterator[Finding]:
    """Find rates that a source cannot have whose range is known, where no gap is so long that two readings say it all."""
    for term in facts.terms():
        one, bounds = term.condition, bounds_of(facts, term.source)
        if not isinstance(one, ValueCondition) or one.over_s is None or bounds is None or not all(map(isfinite, bounds)):
            continue
        age_ms = _max_age_ms(facts, term)
        if age_ms is None or age_ms * 2 > one.over_s * 1000:
            continue
        steepest = STEEPEST * (bounds[1] - bounds[0]) / one.over_s
        for key, rate in (("rate_above", one.rate_above), ("rate_below", None if one.rate_below is None else -one.rate_below)):
            if rate is not None and rate >= steepest:
                what = f"{term.so}: {term.source} says {bounds[0]:g} to {bounds[1]:g}, and moves by less in {one.over_s:g} s"
                yield Finding((*term.location, key), what, shown(getattr(one, key)), "correct it; a rate is a change in a second")
