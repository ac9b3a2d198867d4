"""Devices that behave badly on demand: drivers of their own, registered by the fixture `devices`.

A configuration names a device by `key`, and the test steers it through DEVICES[key].
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import serial

from reflexd_drivers.base import (
    ActuatorSettings,
    AfterDeath,
    CameraSettings,
    DriverError,
    Frame,
    FramePool,
    Reading,
    SensorSettings,
    SilentError,
    View,
)
from reflexd_models.base import ModelError, Prediction, Shape

Picture = Callable[[], Any]


@dataclass
class Device:
    """What the test sets, and what it may look at."""

    broken: bool = False            # gone: open and read fail, as after an unplug
    hangs: threading.Event | None = None    # a call waits here until the test sets it
    bug: bool = False               # raises what no driver may raise
    unclosable: bool = False
    closes_never: threading.Event | None = None    # close waits here until the test sets it
    after_death: AfterDeath = None
    silent: bool = False
    value: Any = False
    picture: Picture | None = None  # what a camera sees; None: black
    opened: int = 0
    closed: int = 0
    level: float = 0.0
    written: list[tuple[float, float]] = field(default_factory=list)


DEVICES: dict[str, Device] = {}


class CamSettings(CameraSettings):
    key: str


class SenseSettings(SensorSettings):
    key: str


class ActSettings(ActuatorSettings):
    key: str = ""
    port: str = ""


class Base:
    """The part that all fakes share: what goes wrong when."""

    def __init__(self, key: str) -> None:
        self.device = DEVICES[key]
        self.device.opened += 1
        self._misbehave("open")

    def _misbehave(self, what: str) -> None:
        if self.device.hangs is not None:
            self.device.hangs.wait(60)
        if self.device.bug:
            raise AttributeError("'NoneType' object has no attribute 'shape'")
        if self.device.broken:
            raise DriverError(f"/dev/fake: cannot {what}: no such device; plug it in")

    def close(self) -> None:
        self.device.closed += 1
        if self.device.closes_never is not None:
            self.device.closes_never.wait(60)
        if self.device.unclosable:
            raise DriverError("/dev/fake: cannot close: no such device; plug it in")


class Camera(Base):
    """Gives a grey frame each period."""

    lossless = False

    def __init__(self, settings: CamSettings) -> None:
        super().__init__(settings.key)
        self._period_s = 1 / (settings.rate_hz or 20)
        self._pool = FramePool(lambda: {"main": View("grey", (np.zeros((8, 8), np.uint8),))})
        self._sequence = 0

    def read(self, timeout_s: float) -> Frame:
        self._misbehave("read")
        if self.device.silent:
            time.sleep(timeout_s)
            raise SilentError("/dev/fake: no frame in time; check the cable")
        time.sleep(self._period_s)
        slot = self._pool.take()
        assert slot is not None, "every frame is released in the end"
        if self.device.picture is not None:
            slot.views["main"].planes[0][:] = self.device.picture()
        self._sequence += 1
        return Frame(time.monotonic_ns(), self._sequence, slot)


class Sensor(Base):
    """Says its value."""

    def __init__(self, settings: SenseSettings) -> None:
        super().__init__(settings.key)

    def read(self, timeout_s: float) -> Reading:
        self._misbehave("read")
        if self.device.silent:
            time.sleep(timeout_s)
            raise SilentError("/dev/fake: nothing came in time; check the cable")
        time.sleep(min(timeout_s, 0.02))
        now = time.monotonic_ns()
        return Reading(self.device.value, now, now)


class Actuator(Base):
    """Holds a level; slow ones get a worker."""

    def __init__(self, settings: ActSettings, blocking: bool) -> None:
        super().__init__(settings.key)
        self.blocking = blocking
        self._safe = settings.safe
        self.device.level = settings.safe

    def set(self, level: float) -> None:
        self._misbehave("write")
        self.device.level = level
        self.device.written.append((time.monotonic(), level))

    def safe(self) -> None:
        self.set(self._safe)

    def close(self) -> None:
        super().close()
        self.device.level = self._safe

    def after_death(self) -> AfterDeath:
        return self.device.after_death


class SerialRelay:
    """A relay on a serial line: blocks for real once nobody reads the other end."""

    blocking = True

    def __init__(self, settings: ActSettings) -> None:
        self._port = serial.Serial(settings.port, timeout=1)
        self._safe = settings.safe

    def set(self, level: float) -> None:
        self._port.write(b"x" * 100_000 if level else b"off\n")

    def safe(self) -> None:
        self.set(self._safe)

    def close(self) -> None:
        os.close(os.dup(self._port.fd))

    def after_death(self) -> AfterDeath:
        return None


@dataclass
class Network:
    """Says what the device's value is, as the score of "person"; can raise."""

    device: Device
    labels: tuple[str, ...] = ("person",)

    def predict(self, view: Any, taken_at: int) -> Prediction:
        if self.device.hangs is not None:
            self.device.hangs.wait(60)
        if self.device.broken:
            raise ModelError("fake: invoke failed: the output is not a number; replace the network")
        if self.device.bug:
            raise ZeroDivisionError("division by zero")
        return Prediction(taken_at, {"person": float(self.device.value)})

    def given(self, view: Any) -> list[Any]:
        return [np.zeros((8, 8, 3), np.uint8)]


@dataclass
class SeriesNetwork:
    """Says the mean of a window, as the score of "fault"; can raise."""

    device: Device
    labels: tuple[str, ...] = ("fault",)
    shape: ClassVar[Shape] = Shape(("value",), 50, 10, 5)

    def predict(self, window: Any, taken_at: int) -> Prediction:
        assert window.shape == (self.shape.length, len(self.shape.channels))
        if self.device.hangs is not None:
            self.device.hangs.wait(60)
        if self.device.broken:
            raise ModelError("fake: invoke failed: the output is not a number; replace the network")
        return Prediction(taken_at, {"fault": float(np.clip(window.mean(), 0, 1))})


def opener(key: str) -> Callable[..., Network | SeriesNetwork]:
    """Make what wiring calls to open a network."""
    def open_network(model: Any, *_: Any) -> Network | SeriesNetwork:
        DEVICES[key].opened += 1
        return SeriesNetwork(DEVICES[key]) if model.sensors else Network(DEVICES[key])
    return open_network


class CameraDriver:
    Settings = CamSettings
    connect = staticmethod(Camera)


class SensorDriver:
    Settings = SenseSettings
    connect = staticmethod(Sensor)


class FastDriver:
    Settings = ActSettings
    connect = staticmethod(lambda settings: Actuator(settings, blocking=False))


class SlowDriver:
    Settings = ActSettings
    connect = staticmethod(lambda settings: Actuator(settings, blocking=True))


class SerialDriver:
    Settings = ActSettings
    connect = staticmethod(SerialRelay)
