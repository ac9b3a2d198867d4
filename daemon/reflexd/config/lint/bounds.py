"""What nothing ends, and what ends too soon."""

from __future__ import annotations

from collections.abc import Iterator

from reflexd.config.lint.facts import Facts, Finding, is_moment
from reflexd.config.positions import Location
from reflexd.config.settings import Action, LevelOf, RuleSettings
from reflexd_drivers.base import YEAR_S


def unbounded(facts: Facts) -> Iterator[Finding]:
    """Find outputs without max_on_s that a rule can keep away from their safe level for as long as its conditions last."""
    for name, actuator in facts.settings.actuator.items():
        moving = [(place, rule, action) for place, rule, action in _actions(facts)
                  if action.actuator == name and action.set != actuator.safe]
        if actuator.max_on_s is not None or not moving or (len(moving) == 1 and _ends(*moving[0][1:])):
            continue
        place, rule, action = next((one for one in moving if not _ends(*one[1:])), moving[0])
        over = "" if action.for_s is None else f": for_s = {action.for_s:g} starts over while they do"
        what = (f'nothing bounds how long it is active: rule "{rule.name}" keeps it so as long as its conditions last{over} '
                f"({facts.line_of(place)})")
        yield Finding(("actuator", name), what, "no max_on_s",
                      f"add max_on_s = 300, or as many seconds as it may be active; {YEAR_S} is a year, where that is meant")


def _actions(facts: Facts) -> Iterator[tuple[Location, RuleSettings, Action]]:
    for index, rule in enumerate(facts.settings.rule):
        for place, action in enumerate(rule.then):
            yield ("rule", index, "then", place), rule, action


def _ends(rule: RuleSettings, action: Action) -> bool:
    """Say whether an action is over before its rule can begin it anew."""
    return action.for_s is not None and rule.cooldown_s > action.for_s


def follows_a_moment(facts: Facts) -> Iterator[Finding]:
    """Find actions that follow what is true for one item only: the next one ends them."""
    for index, rule, terms in facts.rules():
        moment = next((term for term in terms if not term.unless and is_moment(term.condition)), None)
        for place, action in enumerate(rule.then):
            if moment is not None and action.follow:
                what = (f"it ends with the next reading or prediction that the rule is asked for: {moment.words} "
                        f"({facts.line_of(moment.location)}) is true for the one that brought it")
                yield Finding(("rule", index, "then", place, "follow"), what, "true", "write for_s = SECONDS instead")


def ends_on_the_way(facts: Facts) -> Iterator[Finding]:
    """Find actions that are over before the actuator has come to where they send it."""
    for place, _, action in _actions(facts):
        actuator = facts.settings.actuator[action.actuator]
        if action.for_s is None or isinstance(action.set, LevelOf):
            continue
        if action.for_s < (takes_s := actuator.way_s(action.set)):
            what = f"actuator.{action.actuator} takes {takes_s:g} s from its safe level to there, so it turns back on its way"
            yield Finding((*place, "for_s"), what, f"{action.for_s:g}", f"write for_s = {takes_s:g} or more")
