"""What every look is given, and how a condition is written in a finding.

Conditions of a kind that is not known here, and those with a key that is not, are never shown to a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeGuard

from reflexd.config.conditions import Condition, CrossingCondition, ScoreCondition, ValueCondition
from reflexd.config.messages import show
from reflexd.config.positions import Location
from reflexd.config.settings import RuleSettings, Settings
from reflexd.rules.asked import subject_of
from reflexd_models.bundle import Bundle

Understood: TypeAlias = ScoreCondition | CrossingCondition | ValueCondition
MOST = 64        # conditions of a rule: more than anybody writes, and few enough to be held against one another
KNOWN: dict[type[object], frozenset[str]] = {
    ScoreCondition: frozenset({"model", "label", "at_least", "release_below", "hits", "of", "zone", "count", "dwell_s",
                               "within_s"}),
    CrossingCondition: frozenset({"model", "label", "crosses", "direction", "at_least", "within_s"}),
    ValueCondition: frozenset({"model", "sensor", "camera", "is_", "above", "below", "release_below", "release_above", "changed",
                               "rising_for_s", "pause_s", "edge", "rate_above", "rate_below", "over_s", "stuck_for_s",
                               "silent_for_s", "within_s"}),
}


class Finding(NamedTuple):
    """Something that can hardly be meant, at its place."""

    location: Location
    what: str
    found: str
    remedy: str


class Term(NamedTuple):
    """A condition of a rule, and where it stands."""

    location: Location
    condition: Understood
    unless: bool

    @property
    def source(self) -> str:
        """Name what it looks at, as "sensor.pir"."""
        return subject_of(self.condition)

    @property
    def words(self) -> str:
        """Write what it asks for."""
        return written(self.condition)

    @property
    def so(self) -> str:
        """Say what it means for the rule that this can never be true."""
        return "it never keeps the rule from acting" if self.unless else "the rule never acts"


@dataclass(frozen=True, slots=True)
class Facts:
    """A configuration without errors."""

    settings: Settings
    bundles: Mapping[str, Bundle]            # by the name of their model
    line_of: Callable[[Location], str]       # file and line of a location

    def rules(self) -> Iterator[tuple[int, RuleSettings, list[Term]]]:
        """Give each rule with those of its conditions that are understood, `when` before `unless`; of a huge one none."""
        for index, rule in enumerate(self.settings.rule):
            huge = len(rule.when) + len(rule.unless) > MOST
            yield index, rule, [] if huge else [
                Term(("rule", index, group, place), one, group == "unless")
                for group, conditions in (("when", rule.when), ("unless", rule.unless))
                for place, one in enumerate(conditions) if _understood(one)
            ]

    def terms(self) -> Iterator[Term]:
        """Give the conditions of all rules."""
        for _, _, terms in self.rules():
            yield from terms


Look: TypeAlias = Callable[[Facts], Iterator[Finding]]


def _understood(condition: Condition) -> TypeGuard[Understood]:
    known = KNOWN.get(type(condition))
    return known is not None and all(getattr(condition, name) == field.default
                                     for name, field in type(condition).model_fields.items() if name not in known)


def is_moment(condition: Understood) -> bool:
    """Say whether a condition is true for the one item that brought it only."""
    if isinstance(condition, ValueCondition):
        return condition.changed is not None or condition.edge is not None
    return isinstance(condition, CrossingCondition)


def shown(value: object) -> str:
    """Write a value as it may stand in a file, 5 and not 5.0."""
    return f"{value:g}" if isinstance(value, float) else show(value)


def written(condition: Understood) -> str:
    """Write what a condition asks for, as "sensor.pir is true"."""
    return _asked(condition) + ("" if condition.within_s is None else f" within {condition.within_s:g} s")


def _asked(condition: Understood) -> str:
    source = subject_of(condition)
    if isinstance(condition, CrossingCondition):
        return f"{source} {condition.label} crosses {condition.crosses}"
    if isinstance(condition, ScoreCondition):
        return f"{source} {condition.label} at least {condition.at_least:g}"
    for key in ("above", "below", "rising_for_s", "rate_above", "rate_below", "stuck_for_s", "silent_for_s"):
        if (value := getattr(condition, key)) is not None:
            return f"{source} {key} {value:g}"
    if condition.changed is not None:
        return f"{source} changed"
    return f"{source} {condition.edge}" if condition.edge is not None else f"{source} is {shown(condition.is_)}"
