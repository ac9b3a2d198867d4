"""What rules do, against what their outputs can do: levels, patterns, times, and two that want two things.

Errors are what could never work or would be unsafe; warnings are what is hardly meant.
"""

from __future__ import annotations

from itertools import combinations

from reflexd.config.messages import show
from reflexd.config.parts import Draft
from reflexd.config.positions import Location
from reflexd.config.settings import Action, LevelOf
from reflexd_drivers.base import ActuatorSettings, SensorSettings
from reflexd_models import tasks


def judge_actions(draft: Draft) -> None:
    """Report what does not fit."""
    _judge_conflicts(draft)
    _judge_repeats(draft)
    for index, rule in draft.rules.items():
        for place, action in enumerate(rule.then):
            actuator = draft.devices["actuator"].get(action.actuator)
            if isinstance(actuator, ActuatorSettings):
                location: Location = ("rule", index, "then", place)
                _judge_level(draft, location, action, actuator)
                _judge_times(draft, location, action, actuator)
                _judge_pattern(draft, location, action, actuator)


def _judge_conflicts(draft: Draft) -> None:
    wants: list[tuple[Location, int, Action]] = [
        (("rule", index, "then", place, "set"), rule.priority, action)
        for index, rule in draft.rules.items() for place, action in enumerate(rule.then)
    ]
    told: set[Location] = set()
    for (first, one, a), (second, other, b) in combinations(wants, 2):
        if a.actuator == b.actuator and one == other and not _agree(a, b) and second not in told:
            told.add(second)
            same = first[1] == second[1]
            other_one = "pattern" if a.set == b.set and not isinstance(a.set, LevelOf) else "level"
            what = (f"{a.actuator} is set to another {other_one} at {draft.merged.line_of(first)}, "
                    + ("by the same rule" if same else f"by {draft.merged.write(first[:2])} with the same priority"))
            remedy = "keep one of them" if same else "give the rule that has to win a higher priority"
            draft.merged.report(second, what, remedy=remedy)


def _judge_repeats(draft: Draft) -> None:
    """Find an output that a rule wants twice: it has one claim there, so one action would end or cut off the other."""
    for index, rule in draft.rules.items():
        names = [action.actuator for action in rule.then]
        for place, action in enumerate(rule.then):
            before = rule.then[:place]
            if action.actuator in names[:place] and all(_agree(one, action) for one in before if one.actuator == action.actuator):
                draft.merged.report(("rule", index, "then", place, "actuator"),
                                    f"a rule has one claim on {action.actuator}, and this is its second action there",
                                    found=show(action.actuator), remedy="keep one of them, or write a second rule with the other")


def _agree(one: Action, other: Action) -> bool:
    """Say whether both want the same. Two that follow a value do not: each goes by what it saw since it began."""
    return not isinstance(one.set, LevelOf) and (one.set, one.pattern, one.times) == (other.set, other.pattern, other.times)


def _judge_level(draft: Draft, location: Location, action: Action, actuator: ActuatorSettings) -> None:
    if isinstance(action.set, LevelOf):
        _judge_function(draft, (*location, "set"), action.set, actuator)
    elif actuator.on_off and action.set not in (0.0, 1.0):
        draft.merged.report((*location, "set"), f"a {actuator.driver} is on or off", found=f"{action.set:g}",
                            remedy='write set = "on" or set = "off"')


def _judge_function(draft: Draft, location: Location, level: LevelOf, actuator: ActuatorSettings) -> None:
    """Find a value that is no number, and an actuator that has no level between on and off."""
    if actuator.on_off:
        draft.merged.report(location, f"a {actuator.driver} is on or off, and nothing in between", absent=True,
                            remedy="use above or below in a condition, with set = \"on\"")
    sensor = draft.devices["sensor"].get(level.sensor or "")
    if isinstance(sensor, SensorSettings) and sensor.gives not in (None, "number"):
        draft.merged.report((*location, "sensor"), f"this {sensor.driver} gives no number", found=show(level.sensor),
                            remedy="name a sensor that does")
    bundle = draft.bundles.get(level.model or "")
    if bundle is not None and not tasks.load(bundle.task).Options.gives_number:
        draft.merged.report((*location, "model"), f"the task {bundle.task} of this model gives scores and no value",
                            found=show(level.model), remedy="name a model that reads a number")


def _judge_times(draft: Draft, location: Location, action: Action, actuator: ActuatorSettings) -> None:
    longest = actuator.max_on_s
    if action.for_s is not None and longest is not None and action.for_s > longest and action.levels != (actuator.safe,):
        draft.merged.report((*location, "for_s"), f"{action.actuator} ends after its max_on_s = {longest:g}",
                            found=f"{action.for_s:g}", severity="warning", remedy="lower for_s, or raise max_on_s")


def _judge_pattern(draft: Draft, location: Location, action: Action, actuator: ActuatorSettings) -> None:
    """Find a pattern that nobody can see, that is cut off, or that wears out what min_off_s is there to spare."""
    if action.pattern is None:
        return
    if action.levels == (actuator.safe,):
        draft.merged.report((*location, "set"), "a pattern goes to and fro between set and the safe level, and both are the same",
                            found=f"{actuator.safe:g}", remedy=f'write set = "{"off" if actuator.safe else "on"}"')
    if min(action.pattern[1::2]) < actuator.min_off_s:
        draft.merged.report((*location, "pattern"), f"min_off_s = {actuator.min_off_s:g} of {action.actuator} counts from the "
                            "end of a pattern, and its pauses are shorter", found=f"{min(action.pattern[1::2]):g}",
                            severity="warning", remedy="make the pauses longer, or lower min_off_s")
    if action.times is not None:
        lasts = sum(action.pattern) * action.times - action.pattern[-1]
        for key, bound in (("for_s", action.for_s), ("max_on_s", actuator.max_on_s)):
            if bound is not None and bound < lasts:
                draft.merged.report((*location, "times"), f"it takes {lasts:g} s, and {key} = {bound:g} ends it before",
                                    found=str(action.times), severity="warning", remedy=f"raise {key}, or lower times")
