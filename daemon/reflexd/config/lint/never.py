"""Rules that can never act, whatever is seen and measured.

All conditions of a rule are asked at one moment: what one source says then is one value for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from reflexd.config.conditions import Condition, CrossingCondition, ScoreCondition, ValueCondition
from reflexd.config.lint.demands import Demand, culprits, from_above, of_term, possible, what_is_given
from reflexd.config.lint.facts import Facts, Finding, Term, Understood, is_moment, shown
from reflexd.config.messages import show


def contradictions(facts: Facts) -> Iterator[Finding]:
    """Find conditions of a rule on one source of which no value is all: with one another, with [safety] or with only_while."""
    for index, _, terms in facts.rules():
        asked = [demand for term in terms if (demand := of_term(term)) is not None]
        demands = [*from_above(facts, terms), *asked]
        for source in dict.fromkeys(one.source for one in demands):
            given = what_is_given(facts, source)
            found = culprits([*([given] if given else []), *(one for one in demands if one.source == source)])
            if found:
                yield _told(facts, index, found, asked)


def _told(facts: Facts, index: int, found: list[Demand], asked: list[Demand]) -> Finding:
    """Tell it at the last of the rule's own conditions that have to do with it, else at the rule."""
    own = next((one for one in reversed(found) if one in asked), None)
    others = "; and ".join(one.words + (f" ({facts.line_of(one.location)})" if one.location else "")
                           for one in found if one is not own)
    if own is None or own.location is None:
        return Finding(("rule", index), f"the rule never acts: {others}", "", "correct one of them")
    return Finding(own.location, f"the rule never acts: {own.words}, against {others}", shown(own.points[0]),
                   "correct one of them")


def suppressed_by_itself(facts: Facts) -> Iterator[Finding]:
    """Find what is true in `unless` whenever something is in `when`."""
    for _, _, terms in facts.rules():
        for unless in (term for term in terms if term.unless):
            for when in (term for term in terms if not term.unless):
                if implies(when.condition, _now(unless.condition)) and not _contradict(when, unless):
                    what = f"the rule never acts: this is true whenever {when.words} is ({facts.line_of(when.location)})"
                    yield Finding(unless.location, what, unless.words, "correct one of them, or remove this")
                    break


def _now(condition: Understood) -> Understood:
    """Leave out that it counts for a while: what is true now counts in any case."""
    return condition if condition.within_s is None else condition.model_copy(update={"within_s": None})


def _contradict(one: Term, other: Term) -> bool:
    """Say whether contradictions() tells of these two."""
    demands = [demand for term in (one, other) if (demand := of_term(term)) is not None]
    return len(demands) == 2 and not possible(demands)


def implies(one: Condition, other: Condition) -> bool:
    """Say whether the second is true whenever the first is, for certain; both have seen the same items."""
    if one == other:
        return True
    if isinstance(one, ScoreCondition) and isinstance(other, ScoreCondition):
        return _same(one, other, "model", "label") and _score_implies(one, other)
    if isinstance(one, CrossingCondition) and isinstance(other, CrossingCondition):
        ways = other.direction in ("either", one.direction)
        return _same(one, other, "model", "label", "crosses") and ways and other.at_least <= one.at_least
    if isinstance(one, ValueCondition) and isinstance(other, ValueCondition):
        return _same(one, other, "model", "sensor", "camera") and _value_implies(one, other)
    return False


def _same(one: Condition, other: Condition, *keys: str) -> bool:
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _score_implies(one: ScoreCondition, other: ScoreCondition) -> bool:
    """Compare where, how many, how sure and how often."""
    where = other.zone in (None, one.zone) and other.count <= one.count
    stays = other.dwell_s is None or (one.dwell_s is not None and other.dwell_s <= one.dwell_s)
    leave, leave_other = (each.at_least if each.release_below is None else each.release_below for each in (one, other))
    sure = other.at_least <= one.at_least and leave_other <= leave
    # one of the last is never too old, but a hit of several may be: a longer look back has them all, a single one the newest
    often = one.hits == one.window if other.window == 1 else 1 < one.window <= other.window and other.hits <= one.hits
    return where and stays and sure and often


def _value_implies(one: ValueCondition, other: ValueCondition) -> bool:
    """Compare two thresholds of one side, two climbs, two rates or two times without a change or a word."""
    if one.above is not None and other.above is not None:
        return _beyond_implies(one.above, one.release_below, other.above, other.release_below)
    if one.below is not None and other.below is not None:
        return _beyond_implies(-one.below, _minus(one.release_above), -other.below, _minus(other.release_above))
    if one.rising_for_s is not None and other.rising_for_s is not None:
        pause, pause_other = (each.rising_for_s / 2 if each.pause_s is None else each.pause_s
                              for each in (one, other) if each.rising_for_s is not None)
        return other.rising_for_s <= one.rising_for_s and pause_other >= pause
    if one.over_s is not None and one.over_s == other.over_s:
        return _at_most(other.rate_above, one.rate_above) or _at_most(one.rate_below, other.rate_below)
    return _at_most(other.stuck_for_s, one.stuck_for_s) or _at_most(other.silent_for_s, one.silent_for_s)


def _at_most(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one <= other


def _beyond_implies(enter: float, leave: float | None, enter_other: float, leave_other: float | None) -> bool:
    if enter_other > enter:
        return False
    return leave is None or leave > enter_other or (leave_other is not None and leave_other <= leave)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def two_moments(facts: Facts) -> Iterator[Finding]:
    """Find two conditions of different sources that are each true for one item only: items come one by one."""
    for _, _, terms in facts.rules():
        moments = [term for term in terms if not term.unless and is_moment(term.condition)]
        pair = next((pair for pair in combinations(moments, 2) if pair[0].source != pair[1].source), None)
        if pair is not None:
            first, second = pair
            what = (f"the rule never acts: {second.words} and {first.words} ({facts.line_of(first.location)}) are each true for "
                    "the one reading or prediction that brought it, and of two sources these never come at once")
            yield Finding(second.location, what, second.words, "replace one of them by what lasts (is, above, at_least)")


def labels_never_told(facts: Facts) -> Iterator[Finding]:
    """Find labels that stand for nothing: a network says no score of them, and what is unknown lets no rule act."""
    for term in facts.terms():
        if isinstance(term.condition, (ScoreCondition, CrossingCondition)):
            label = term.condition.label
            if label in facts.settings.model[term.condition.model].options.nobody:
                yield Finding((*term.location, "label"), f"the rule never acts: {show(label)} stands for no thing, and "
                              f"{term.source} says nothing of it", show(label), "name another label, or remove the condition")
