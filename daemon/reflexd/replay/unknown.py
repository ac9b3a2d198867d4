"""What a recording cannot tell of another configuration: what was never asked of a network or a camera then, nobody knows now."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

from reflexd.config.conditions import CrossingCondition, ScoreCondition
from reflexd.config.settings import ModelSettings, RuleSettings, Settings
from reflexd.rules.asked import labels_of, subjects_of, watched_by
from reflexd.rules.items import CLOCK
from reflexd.rules.rule import Rule
from reflexd.rules.stage import Stage


def missing(then: Stage, now: Stage, asked: Set[str] = frozenset()) -> dict[str, list[str]]:
    """Tell for each rule what its decisions depend on and the recording does not have; rules that lack nothing are left out.

    Models that were `asked` about recorded frames say what they say now.
    """
    above = list(_above(then, now.settings))
    found = {rule.name: list(dict.fromkeys([*_of_rule(then, now, rule, asked), *above])) for rule in now.rules}
    return {name: reasons for name, reasons in found.items() if reasons}


def _above(then: Stage, settings: Settings) -> Iterator[str]:
    """Tell what keeps every output safe, since nobody knows whether it permits."""
    for by, guard in (("stop", settings.safety.stop), ("arm", settings.safety.arm)):
        if guard is not None and f"sensor.{guard.sensor}" not in then.sources:
            yield f"[safety] {by} asks for sensor {guard.sensor}, which the recording does not have"
    for section, tables in (("camera", settings.camera), ("sensor", settings.sensor)):
        before = getattr(then.settings, section)
        yield from (f"{section} {name} is required, and the recording does not have it"
                    for name, one in tables.items() if one.required and name not in before)


def _of_rule(then: Stage, now: Stage, rule: Rule, asked: Set[str]) -> Iterator[str]:
    for name in sorted({*rule.sources, *subjects_of(rule.settings)}):
        if name not in then.sources:
            yield _absent(name, then.settings)
        elif name.startswith("model."):
            yield from _of_model(name.removeprefix("model."), then, now.settings, asked)
    yield from _labels(rule.settings, then, asked)


def _absent(source: str, then: Settings) -> str:
    """Say so of a source as a whole."""
    if source == CLOCK:
        return "no rule asked for the time of day then, so the recording does not have it; one made by this configuration has"
    kind, _, name = source.partition(".")
    if kind == "camera" and name in then.camera:
        return f"no rule asked for the picture of camera {name} then, so the recording does not have its state"
    return f"the recording does not have {kind} {name}"


def _of_model(name: str, then: Stage, now: Settings, asked: Set[str]) -> Iterator[str]:
    before, after = then.settings.model[name], now.model[name]
    if difference := _differs(before, after, name in asked):
        yield f"model {name} {difference}; the recording has what it said then"
    for gate in after.only_while:
        if f"sensor.{gate.sensor}" not in then.sources:
            yield f"model {name} runs only while sensor {gate.sensor} says so, which the recording does not have"
    if any(gate not in after.only_while for gate in before.only_while):
        yield f"model {name} rested then while its only_while did not hold; what it would have seen meanwhile is not known"


def _differs(before: ModelSettings, after: ModelSettings, asked: bool) -> str:
    """Say in what a network says something else than it did, or than it said when it was asked again."""
    if not asked and Path(before.bundle).name != Path(after.bundle).name:
        return f"is another network ({Path(after.bundle).name}, and {Path(before.bundle).name} then)"
    if watched_by(before) != watched_by(after):
        return "watches something else"
    if (before.options != after.options and not asked) or before.window != after.window or before.rate_hz != after.rate_hz:
        return "has other options, a window or a rate of its own"
    return ""


def _labels(rule: RuleSettings, then: Stage, asked: Set[str]) -> Iterator[str]:
    for one in (*rule.when, *rule.unless):
        if isinstance(one, (ScoreCondition, CrossingCondition)) and one.model in then.settings.model.keys() - asked \
                and one.label not in labels_of(then.settings, one.model):
            yield (f"no rule asked model {one.model} for label {one.label} then, so the recording does not have its scores")
