"""Settings → open actuators, workers, rules, gate: the only place that builds things.

Actuators are connected here, in the main thread, each at its safe level; cameras, sensors and
networks are opened by their workers, so that one that hangs keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from reflexd.config.settings import ModelSettings, Settings
from reflexd.health import Monitor
from reflexd.jobs import ActuatorJob, CameraJob, ModelJob, SensorJob
from reflexd.journal import Journal
from reflexd.lifecycle import Daemon
from reflexd.loop import Loop
from reflexd.notify import Notifier
from reflexd.outputs import Channel, Outputs
from reflexd.rules.items import Predicted, Rested, Sensed
from reflexd.rules.stage import Stage, labels_of
from reflexd.status import Observer
from reflexd.workers import Inbox, Job, Reports, Wake, Worker
from reflexd_drivers import registry
from reflexd_drivers.base import Actuator, Camera, Frame, Sensor
from reflexd_models.base import Model
from reflexd_models.bundle import find_bundle, open_model
from reflexd_models.noise import CHATTER, held_back

PREDICTIONS = 8
READINGS = 32

Open = Callable[[ModelSettings, Settings, frozenset[str]], Model]


class DirectChannel:
    """An actuator that does not block, driven by the main thread itself."""

    settled = True

    def __init__(self, actuator: Actuator) -> None:
        self.set = actuator.set
        self.safe = actuator.safe


class Wiring:
    """Collects the parts while they are built."""

    def __init__(self, settings: Settings, journal: Journal, open_network: Open) -> None:
        self.settings = settings
        self.journal = journal
        self.reports = Reports(Wake())
        self.wake = self.reports.wake
        self.open_network = open_network
        self.inboxes: list[Inbox[Predicted | Rested] | Inbox[Sensed]] = []
        self.cameras: dict[str, CameraJob] = {}
        self.models: dict[str, ModelJob] = {}
        self.sensors: dict[str, SensorJob] = {}
        self.actuators: dict[str, Actuator] = {}
        self.blocking: list[ActuatorJob] = []

    def connect_actuators(self) -> dict[str, Channel]:
        """Claim every output at its safe level. Raises: DriverError."""
        channels: dict[str, Channel] = {}
        for name, settings in self.settings.actuator.items():
            actuator = cast("Actuator", registry.load("actuator", settings.driver).connect(settings))
            self.actuators[name] = actuator
            if actuator.blocking:
                job = ActuatorJob(name, actuator, self.reports)
                self.blocking.append(job)
                channels[name] = job
            else:
                channels[name] = DirectChannel(actuator)
        return channels

    def make_jobs(self) -> list[Job]:
        """Describe what the workers do: cameras first, then what reads them."""
        for name, camera in self.settings.camera.items():
            self.cameras[name] = CameraJob(name, camera, lambda s=camera: _camera(s))   # type: ignore[misc]
        for name in self.settings.model:
            self.models[name] = self._model(name)
        for name, sensor in self.settings.sensor.items():
            out: Inbox[Sensed] = Inbox(READINGS, self.wake)
            self.inboxes.append(out)
            self.sensors[name] = SensorJob(name, sensor, lambda s=sensor: _sensor(s), out)   # type: ignore[misc]
        return [*self.blocking, *self.models.values(), *self.sensors.values(), *self.cameras.values()]

    def _model(self, name: str) -> ModelJob:
        settings = self.settings.model[name]
        out: Inbox[Predicted | Rested] = Inbox(PREDICTIONS, self.wake)
        self.inboxes.append(out)
        wake = Wake()
        frames: Inbox[Frame] = self.cameras[settings.camera].add_reader(wake)
        watch = labels_of(self.settings, name)
        camera = self.settings.camera[settings.camera]
        return ModelJob(name, camera, lambda: self.open_network(settings, self.settings, watch), frames, wake, out)


def open_network(model: ModelSettings, settings: Settings, watch: frozenset[str]) -> Model:
    """Load a bundle as the configuration names it. Raises: ModelError."""
    bundle = find_bundle(model.bundle, Path(settings.daemon.state_dir))
    with held_back(CHATTER):
        return open_model(bundle, model.options, watch)


def build(settings: Settings, journal: Journal, dry_run: bool = False, open_with: Open = open_network,
          notifier: Notifier | None = None) -> Daemon:
    """Wire a daemon. Raises: DriverError when an actuator cannot be claimed."""
    wiring = Wiring(settings, journal, open_with)
    notifier = notifier or Notifier(None)
    stage = Stage(settings)
    channels = wiring.connect_actuators()
    pairs = {name: (settings.actuator[name], channel) for name, channel in channels.items()}
    outputs = Outputs(pairs, dry_run or settings.daemon.dry_run)
    workers = [Worker(job, wiring.reports) for job in wiring.make_jobs()]
    resting = {name: job for name, job in wiring.models.items() if settings.model[name].only_while}
    loop = Loop(stage, outputs, Monitor(workers), wiring.inboxes, resting, journal, notifier, wiring.reports)
    for name, job in resting.items():
        job.resting = stage.gated(name, 0)
    observer = Observer(settings, loop, wiring.cameras, wiring.models, wiring.sensors, journal)
    return Daemon(loop, workers, wiring.actuators, wiring.blocking, journal, notifier, observer)


def _camera(settings: object) -> Camera:
    return cast("Camera", registry.load("camera", getattr(settings, "driver", "")).connect(settings))


def _sensor(settings: object) -> Sensor:
    return cast("Sensor", registry.load("sensor", getattr(settings, "driver", "")).connect(settings))
