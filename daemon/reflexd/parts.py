"""What stands open, by name: a reload takes some of it out and puts other things in, and leaves the rest alone.

Only the main thread changes what the daemon's own `Parts` hold, between two cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from typing import TypeVar

from reflexd.actuating import ActuatorJob
from reflexd.config.settings import RuleSettings, Settings
from reflexd.jobs import CameraJob, ModelJob, SensorJob
from reflexd.rules.asked import labels_of, stands, subjects_of
from reflexd.rules.items import CLOCK, Looked, Predicted, Rested, Sensed
from reflexd.series import SeriesJob
from reflexd.workers import Inbox, Worker
from reflexd_drivers.base import Actuator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stays:
    """The names, by section, of what two configurations have in common and what depends on nothing that changes."""

    camera: frozenset[str] = frozenset()
    model: frozenset[str] = frozenset()
    sensor: frozenset[str] = frozenset()
    actuator: frozenset[str] = frozenset()
    rule: frozenset[str] = frozenset()


@dataclass(slots=True)
class Parts:
    """Devices, networks and workers; inboxes and workers go by "camera.NAME", "model.NAME" and so on."""

    cameras: dict[str, CameraJob] = field(default_factory=dict)
    models: dict[str, ModelJob | SeriesJob] = field(default_factory=dict)
    sensors: dict[str, SensorJob] = field(default_factory=dict)
    actuators: dict[str, Actuator] = field(default_factory=dict)
    blocking: dict[str, ActuatorJob] = field(default_factory=dict)     # the actuators that have a worker
    inboxes: dict[str, Inbox[Predicted | Rested] | Inbox[Sensed] | Inbox[Looked]] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)

    def names(self) -> Stays:
        """Say what is here."""
        return Stays(frozenset(self.cameras), frozenset(self.models), frozenset(self.sensors), frozenset(self.actuators))

    def split(self, stays: Stays) -> Parts:
        """Take out and give everything that does not stay."""
        left = Parts()
        for section, names in (("cameras", stays.camera), ("models", stays.model), ("sensors", stays.sensor),
                               ("actuators", stays.actuator), ("blocking", stays.actuator)):
            _move(getattr(self, section), getattr(left, section), names)
        kept = {f"{one.name}.{name}" for one in fields(Stays) for name in getattr(stays, one.name)}
        _move(self.inboxes, left.inboxes, kept)
        _move(self.workers, left.workers, kept)
        return left

    def join(self, others: Parts) -> None:
        """Put others in."""
        for one in fields(Parts):
            getattr(self, one.name).update(getattr(others, one.name))

    def direct(self) -> dict[str, Actuator]:
        """Give the actuators that have no worker of their own to close them."""
        return {name: one for name, one in self.actuators.items() if name not in self.blocking}


def _move(source: dict[str, T], target: dict[str, T], kept: Iterable[str]) -> None:
    for name in source.keys() - set(kept):
        target[name] = source.pop(name)


def what_stays(old: Settings, new: Settings, models: Mapping[str, ModelJob | SeriesJob],
               renewed: AbstractSet[str] = frozenset()) -> Stays:
    """Compare two configurations part by part. A model goes with what it watches and its gates, a rule with all it names.

    `renewed` names the models whose bundle is another one by now.
    """
    camera, sensor = _same(old.camera, new.camera), _same(old.sensor, new.sensor)
    model = {
        name for name in _same(old.model, new.model)
        if name not in renewed and new.model[name].camera in {None, *camera}
        and sensor.issuperset((*new.model[name].sensors, *(one.sensor for one in new.model[name].only_while)))
        and labels_of(new, name) <= models[name].watch       # of other labels no score is computed
    }
    actuator = _same(old.actuator, new.actuator)
    sections = {"camera": camera, "sensor": sensor, "model": model, "actuator": actuator}
    there = {CLOCK, *(f"{section}.{name}" for section, names in sections.items() for name in names)}
    rule = {name for name, one in _rules(new).items() if stands(one, old, new) and _needs(one) <= there}
    return Stays(frozenset(camera), frozenset(model), frozenset(sensor), frozenset(actuator), frozenset(rule))


def only(settings: Settings, stays: Stays) -> Settings:
    """Give what is left of a configuration when all but that is closed."""
    sections = {
        section: {name: one for name, one in getattr(settings, section).items() if name in getattr(stays, section)}
        for section in ("camera", "model", "sensor", "actuator")
    }
    rules = tuple(rule for rule in settings.rule if rule.name in stays.rule)
    return settings.model_copy(update={**sections, "rule": rules})


def _same(old: Mapping[str, object], new: Mapping[str, object]) -> set[str]:
    return {name for name in old.keys() & new.keys() if old[name] == new[name]}


def _rules(settings: Settings) -> dict[str, RuleSettings]:
    return {rule.name: rule for rule in settings.rule}


def _needs(rule: RuleSettings) -> set[str]:
    """Name what a rule looks at and what it drives."""
    return {*(f"actuator.{action.actuator}" for action in rule.then), *subjects_of(rule)}
