"""Drivers that behave badly on demand, for the tests of the whole daemon in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.config.settings import Settings
from reflexd.journal import Journal
from reflexd.lifecycle import Daemon
from reflexd.notify import Notifier
from reflexd.reload import Reloader
from reflexd.wiring import build
from reflexd_drivers import registry
from tests.daemon.devices import DEVICES, Device, opener

OURS: dict[registry.Kind, dict[str, str]] = {
    "camera": {"bad-camera": "tests.daemon.devices:CameraDriver"},
    "sensor": {"bad-sensor": "tests.daemon.devices:SensorDriver"},
    "actuator": {
        "bad-actuator": "tests.daemon.devices:FastDriver",
        "slow-actuator": "tests.daemon.devices:SlowDriver",
        "serial-relay": "tests.daemon.devices:SerialDriver",
    },
}


class Running:
    """A daemon that works in a thread of the test."""

    def __init__(self, config: dict[str, Any], log: Path, notifier: Notifier | None = None, open_with: Any = None) -> None:
        self._file = log.open("wb")
        self._log = log
        self.journal = Journal(self._file.fileno())
        self.written = config
        self.daemon: Daemon = build(self.read(), self.journal, open_with=open_with or opener("model"), notifier=notifier)
        self.reloader = Reloader(self.read, self.read(), self.daemon)
        self.exit_status: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.exit_status = self.daemon.run()

    def read(self) -> Settings:
        return Settings.model_validate({"schema": 1, **_with_driver_settings(self.written)})

    def reload(self, config: dict[str, Any]) -> str:
        self.written = config
        return self.reloader.reload()

    def status(self) -> Any:
        """Ask between two cycles, as the control socket does; where the loop does not turn, nothing moves."""
        try:
            return self.daemon.loop.between_cycles(self.daemon.observer) if self._thread.is_alive() else self.daemon.observer()
        except TimeoutError:
            return self.daemon.observer()

    def stop(self) -> int | None:
        self.daemon.loop.stop("the test is done")
        return self.wait()

    def wait(self, timeout_s: float = 10) -> int | None:
        self._thread.join(timeout_s)
        return self.exit_status

    def log(self) -> str:
        self.journal.close(1)
        return self._log.read_text()

    def close(self) -> None:
        self.journal.close(1)
        self._file.close()


def _with_driver_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Refine each device's table by its driver, as loading a file does."""
    made = dict(config)
    for kind in OURS:
        tables = config.get(kind, {})
        made[kind] = {name: registry.load(kind, table["driver"]).Settings.model_validate(table) for name, table in tables.items()}
    return made


@pytest.fixture
def devices() -> Iterator[dict[str, Device]]:
    """Register the bad drivers, and let every call that hangs go on in the end."""
    for kind, ours in OURS.items():
        registry.DRIVERS[kind].update(ours)
    DEVICES.update({key: Device() for key in ("camera", "model", "sensor", "stop", "lamp", "fan")})
    yield DEVICES
    for device in DEVICES.values():
        if device.hangs is not None:
            device.hangs.set()
    for kind, ours in OURS.items():
        for name in ours:
            del registry.DRIVERS[kind][name]


@pytest.fixture
def start(tmp_path: Path, devices: dict[str, Device]) -> Iterator[Any]:
    """Give a function that starts a daemon from a configuration; what it started is stopped in the end."""
    running: list[Running] = []

    def begin(config: dict[str, Any], notifier: Notifier | None = None, open_with: Any = None) -> Running:
        running.append(Running(config, tmp_path / f"log{len(running)}", notifier, open_with))
        return running[-1]

    yield begin
    for one in running:
        for device in devices.values():
            if device.hangs is not None:
                device.hangs.set()
        if one.exit_status is None:
            one.stop()
        one.close()
