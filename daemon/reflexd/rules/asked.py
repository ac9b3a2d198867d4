"""What the rules of a configuration ask: of which sources, how old that may be, which labels and which scores."""

from __future__ import annotations

from collections.abc import Mapping

from reflexd.config.conditions import Condition, CrossingCondition, ScoreCondition, TimeCondition, ValueCondition
from reflexd.config.settings import LevelOf, ModelSettings, RuleSettings, Settings
from reflexd.rules.items import CLOCK, NS
from reflexd.rules.levels import source_of_level
from reflexd.rules.sources import Source
from reflexd_drivers.base import CameraSettings

MS = 1_000_000
CLOCK_AGE_NS = 3 * NS
CLOCK_PERIOD_NS = NS


def sources_of(settings: Settings, standing: Mapping[str, Source]) -> dict[str, Source]:
    """Make a source for each sensor, each model and each camera that rules look at, where there is none yet."""
    found: dict[str, Source] = {}
    for name, sensor in settings.sensor.items():
        age = sensor.max_age_ms * MS
        found[f"sensor.{name}"] = standing.get(f"sensor.{name}") or Source(f"sensor.{name}", age, age // 2, expected_ns=age // 2)
    for name in looked_at(settings):
        age, period = _camera_pace(settings.camera[name])
        found[f"camera.{name}"] = standing.get(f"camera.{name}") or Source(
            f"camera.{name}", age, max(period, age // 2), expected_ns=max(period, age // 2))
    for name, model in settings.model.items():
        age, period, measured = pace_of(settings, model)
        gates = tuple((found[f"sensor.{one.sensor}"], one.is_) for one in model.only_while)
        found[f"model.{name}"] = standing.get(f"model.{name}") or Source(
            f"model.{name}", age, period, measured, period, gates=gates, zones=model.zones, lines=model.lines)
    if any(map(asks_clock, conditions_of(settings))) or any(rule.delay_s for rule in settings.rule):
        found[CLOCK] = standing.get(CLOCK) or Source(CLOCK, CLOCK_AGE_NS, CLOCK_PERIOD_NS, expected_ns=CLOCK_PERIOD_NS)
    return found


def watched_by(model: ModelSettings) -> tuple[str, ...]:
    """Name the sources that a model is given frames or readings of."""
    return (f"camera.{model.camera}",) if model.camera is not None else tuple(f"sensor.{name}" for name in model.sensors)


def pace_of(settings: Settings, model: ModelSettings) -> tuple[int, int, bool]:
    """Give how long a prediction counts, what lies between two, and whether that has to be measured.

    A window counts as long as the newest reading in it would, and until the next one is due.
    """
    if model.camera is not None:
        camera = settings.camera[model.camera]
        age, period = _camera_pace(camera)
        return age, period if model.rate_hz is None else max(period, round(NS / model.rate_hz)), camera.rate_hz is None
    hop = round(model.window.hop_s * NS)
    return min(settings.sensor[name].max_age_ms for name in model.sensors) * MS + hop, hop, False


def _camera_pace(camera: CameraSettings) -> tuple[int, int]:
    """Give how long a frame counts, and what lies between two."""
    age = camera.max_age_ms * MS
    return age, age if camera.rate_hz is None else round(NS / camera.rate_hz)


def conditions_of(settings: Settings) -> list[Condition]:
    """Collect every condition of every rule."""
    return [one for rule in settings.rule for one in (*rule.when, *rule.unless)]


def looked_at(settings: Settings) -> list[str]:
    """Name the cameras whose picture some rule asks about, each once."""
    return list(dict.fromkeys(one.camera for one in conditions_of(settings) if isinstance(one, ValueCondition) and one.camera))


def labels_of(settings: Settings, model: str) -> frozenset[str]:
    """Collect the labels of a model that some rule asks about: no other score is worth computing."""
    return frozenset(one.label for one in _about(settings, model))


def least_asked(settings: Settings, model: str) -> float:
    """Give the smallest score that some rule asks of a model, 1 where none asks."""
    asked = _about(settings, model)
    releases = [one.release_below for one in asked if isinstance(one, ScoreCondition) and one.release_below is not None]
    return min([*releases, *(one.at_least for one in asked)], default=1.0)


def followed_by(settings: Settings, model: str) -> frozenset[str]:
    """Collect the labels of a detector whose things some rule has to know again."""
    return frozenset(one.label for one in _about(settings, model)
                     if isinstance(one, CrossingCondition) or one.dwell_s is not None)


def subject_of(condition: Condition) -> str:
    """Name what a condition is about, as "camera.gate"; "clock" for the time itself."""
    if isinstance(condition, TimeCondition):
        return CLOCK
    if isinstance(condition, ValueCondition) and condition.model is None:
        return f"sensor.{condition.sensor}" if condition.sensor is not None else f"camera.{condition.camera}"
    return f"model.{condition.model}"


def subjects_of(rule: RuleSettings) -> set[str]:
    """Name what the conditions of a rule are about, and what its levels follow."""
    levels = {source_of_level(action.set) for action in rule.then if isinstance(action.set, LevelOf)}
    return levels | {subject_of(one) for one in (*rule.when, *rule.unless)}


def stands(rule: RuleSettings, old: Settings, new: Settings) -> bool:
    """Say whether a rule of a new configuration is one of the old one; what asks for the sun, at the same place."""
    asks_sun = any(isinstance(one, TimeCondition) and one.asks_sun for one in (*rule.when, *rule.unless))
    return rule in old.rule and (old.place == new.place or not asks_sun)


def asks_clock(condition: Condition) -> bool:
    """Say whether a condition is decided as time passes."""
    return isinstance(condition, TimeCondition) or (isinstance(condition, ValueCondition) and condition.silent_for_s is not None)


def asks_time(settings: Settings) -> bool:
    """Say whether some rule asks what time of day it is."""
    return any(isinstance(one, TimeCondition) for one in conditions_of(settings))


def _about(settings: Settings, model: str) -> list[ScoreCondition | CrossingCondition]:
    return [one for one in conditions_of(settings) if isinstance(one, (ScoreCondition, CrossingCondition)) and one.model == model]
