"""Settings → open actuators, workers, rules, gate: the only place that builds things.

Actuators are connected here, each at its safe level; cameras, sensors and networks are opened by
their workers, so that one that hangs keeps nobody waiting. A reload builds what is new in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from reflexd.actuating import ActuatorJob, PluggedJob
from reflexd.arming import Arming
from reflexd.clock import WallClock
from reflexd.config.settings import ModelSettings, Settings
from reflexd.evidence.evidence import Evidence
from reflexd.history.incident import Incident, Run
from reflexd.history.recorder import Recorder
from reflexd.history.writer import Writer
from reflexd.jobs import CameraJob, ModelJob, SensorJob
from reflexd.journal import Journal
from reflexd.lifecycle import Daemon
from reflexd.looking import Looking
from reflexd.loop import Loop
from reflexd.networks import mark
from reflexd.notify import Notifier
from reflexd.output import Channel
from reflexd.outputs import Outputs
from reflexd.parts import Parts
from reflexd.rules.asked import labels_of, pace_of, watched_by
from reflexd.rules.items import Looked, Predicted, Rested, Sensed
from reflexd.series import SeriesJob, open_series, plan_of
from reflexd.status import Observer
from reflexd.workers import Inbox, Job, Reports, Wake, Worker
from reflexd_drivers import registry
from reflexd_drivers.base import Actuator, ActuatorSettings, Camera, CameraSettings, DriverError, ReadsBack, Replugs, Sensor
from reflexd_drivers.cameras.arranged import arrange
from reflexd_models.base import Model, SeriesModel
from reflexd_models.bundle import find_bundle, open_camera_model
from reflexd_models.noise import CHATTER, held_back

PREDICTIONS = 8
READINGS = 32
LOOKS = 8

Network: TypeAlias = Model | SeriesModel
Open: TypeAlias = Callable[[ModelSettings, Settings, frozenset[str]], Network]


class DirectChannel:
    """An actuator that does not block, driven by the main thread itself."""

    settled = True
    trouble = ""       # a write that fails keeps every output safe until a restart
    failures = 0

    def __init__(self, actuator: Actuator) -> None:
        self.set = actuator.set
        self.safe = actuator.safe
        self.check = actuator.check if isinstance(actuator, ReadsBack) else unseen


def unseen(now: int) -> None:
    """Stand for a look at the world where there is no way to see it."""


class Wiring:
    """Builds parts that report to one loop."""

    def __init__(self, open_network: Open) -> None:
        self.reports = Reports(Wake())
        self.open_network = open_network

    def connect(self, settings: Settings, names: Iterable[str]) -> Parts:
        """Claim these outputs, each at its safe level, or none. Raises: DriverError."""
        parts = Parts()
        try:
            for name in names:
                one = settings.actuator[name]
                if isinstance(one, Replugs):
                    self._connect_later(parts, name, one)
                    continue
                actuator = _actuator(one)
                parts.actuators[name] = actuator
                if actuator.blocking:
                    parts.blocking[name] = ActuatorJob(name, actuator, self.reports)
                    self._employ(parts, parts.blocking[name])
        except DriverError:
            for actuator in parts.actuators.values():
                with suppress(DriverError):     # it stands safe since it was connected; why the first failed says more
                    actuator.close()
            raise
        return parts

    def _connect_later(self, parts: Parts, name: str, settings: ActuatorSettings) -> None:
        """Leave an actuator that may be absent to its worker; until that has it open, every output is safe."""
        assert isinstance(settings, Replugs), "asked before"
        job = PluggedJob(name, lambda: _actuator(settings), settings, self.reports)
        parts.actuators[name] = parts.blocking[name] = job
        self._employ(parts, job)

    def make(self, settings: Settings, standing: Parts, networks: Mapping[str, Network]) -> Parts:
        """Describe what workers do for every source that does not stand yet; `networks` are loaded already."""
        parts = Parts()
        for name in missing(settings.camera, standing.cameras):
            parts.inboxes[f"camera.{name}"] = looks = Inbox[Looked](LOOKS, self.reports.wake)
            looking = Looking(name, settings.camera[name], looks, self.reports)
            parts.cameras[name] = CameraJob(name, settings.camera[name], lambda s=settings.camera[name]: _camera(s), looking)   # type: ignore[misc]
        for name in missing(settings.sensor, standing.sensors):
            parts.inboxes[f"sensor.{name}"] = said = Inbox[Sensed](READINGS, self.reports.wake)
            parts.sensors[name] = SensorJob(name, settings.sensor[name], lambda s=settings.sensor[name]: _sensor(s), said)   # type: ignore[misc]
        sources: dict[str, CameraJob | SensorJob] = {}
        for one in (standing, parts):
            sources |= {job.name: job for job in one.cameras.values()} | {job.name: job for job in one.sensors.values()}
        for name in missing(settings.model, standing.models):
            parts.inboxes[f"model.{name}"] = out = Inbox[Predicted | Rested](PREDICTIONS, self.reports.wake)
            parts.models[name] = self._model(name, settings, sources, networks.get(name), out)
        jobs: list[Job] = [*parts.models.values(), *parts.sensors.values(), *parts.cameras.values()]
        for job in jobs:
            self._employ(parts, job)
        return parts

    def _employ(self, parts: Parts, job: Job) -> None:
        parts.workers[job.name] = Worker(job, self.reports)

    def _model(self, name: str, settings: Settings, sources: Mapping[str, CameraJob | SensorJob], loaded: Network | None,
               out: Inbox[Predicted | Rested]) -> ModelJob | SeriesJob:
        model, watch, waiting = settings.model[name], labels_of(settings, name), [loaded]

        def load() -> Any:    # noqa: ANN401  a Model for a camera, a SeriesModel for sensors: open_network() sees to it
            return waiting.pop() if waiting and waiting[0] else self.open_network(model, settings, watch)

        watched: list[Any] = [sources[one] for one in watched_by(model)]
        if model.camera is not None:
            return ModelJob(name, settings.camera[model.camera], load, watch, watched[0], out, model.rate_hz)
        age_ns, _, _ = pace_of(settings, model)
        return SeriesJob(name, plan_of(model, settings), age_ns, load, watch, watched, out)


def missing(wanted: Iterable[str], there: Container[str]) -> list[str]:
    """Name what is wanted and not there, in its order."""
    return [name for name in wanted if name not in there]


def channels(settings: Settings, parts: Parts) -> dict[str, tuple[ActuatorSettings, Channel]]:
    """Give the gate what it drives."""
    return {name: (settings.actuator[name], parts.blocking.get(name) or DirectChannel(actuator))
            for name, actuator in parts.actuators.items()}


def open_network(model: ModelSettings, settings: Settings, watch: frozenset[str]) -> Network:
    """Load a bundle as the configuration names it. Raises: ModelError."""
    bundle = find_bundle(model.bundle, Path(settings.daemon.state_dir))
    with held_back(CHATTER):
        network = (open_series(bundle, model, plan_of(model, settings), watch) if model.camera is None else
                   open_camera_model(bundle, model.options, watch))
    mark(network, bundle)
    return network


def build(settings: Settings, journal: Journal, dry_run: bool = False, open_with: Open = open_network,
          notifier: Notifier | None = None) -> Daemon:
    """Wire a daemon. Raises: DriverError when an actuator cannot be claimed."""
    wiring = Wiring(open_with)
    notifier = notifier or Notifier(None)
    parts = wiring.connect(settings, settings.actuator)
    parts.join(wiring.make(settings, parts, {}))
    arming = Arming(settings.daemon, dry_run)
    outputs = Outputs(channels(settings, parts), arming.dry_run)
    clock = WallClock(settings.daemon.trust_clock)     # of the writer's own: the loop looks only while a rule asks for the time
    history = Writer(Run.begin(), settings.events, Path(settings.daemon.state_dir), trial=dry_run,
                     synchronised=lambda: clock.tell().utc_ns is not None)
    evidence = Evidence(Path(settings.daemon.state_dir), history, trial=dry_run)

    def put(incident: Incident) -> None:
        history.put(incident)
        evidence.put(incident)

    loop = Loop(settings, parts, outputs, journal, notifier, wiring.reports, Recorder(history.run, put))
    history.tell = lambda event, text: loop.ask(partial(loop.log, event, text))
    observer = Observer(loop, parts, journal, history, evidence)
    evidence.fetch = lambda number, since_s: loop.between_cycles(partial(observer.trace, number, since_s))
    return Daemon(loop, parts, wiring, journal, notifier, observer, arming, history, evidence)


def _actuator(settings: object) -> Actuator:
    return cast("Actuator", registry.load("actuator", getattr(settings, "driver", "")).connect(settings))


def _camera(settings: CameraSettings) -> Camera:
    return arrange(cast("Camera", registry.load("camera", settings.driver).connect(settings)), settings)


def _sensor(settings: object) -> Sensor:
    return cast("Sensor", registry.load("sensor", getattr(settings, "driver", "")).connect(settings))
