"""A stand-in for libcamera's Python binding, as far as picamera2's stand-in and the driver look at it.

The sensors of the world are in SENSORS; a test makes, unplugs, starves and jams them. In the driver's own process they are
what the file that REFLEXD_FAKE_SENSORS names says at the moment.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import weakref
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@dataclass
class Transform:
    hflip: int = 0
    vflip: int = 0
    transpose: int = 0


@dataclass(frozen=True)
class Property:
    name: str


class ColorSpace:
    class Range(Enum):
        Full = 0
        Limited = 1

    def __init__(self, name: str, range_: ColorSpace.Range) -> None:
        self.name = name
        self.range = range_

    @staticmethod
    def Sycc() -> ColorSpace:
        return ColorSpace("sYCC", ColorSpace.Range.Full)

    @staticmethod
    def Smpte170m() -> ColorSpace:
        return ColorSpace("SMPTE170M", ColorSpace.Range.Limited)


class StreamRole:
    Raw = "raw"


@dataclass
class Sensor:
    """A camera that is plugged in, and what it does."""

    id: str
    model: str = "imx708"
    rate_hz: float = 100
    controls: tuple[str, ...] = ("FrameDurationLimits", "ExposureTime", "AnalogueGain", "AwbMode")
    flips: bool = True
    padding: int = 0                            # bytes at the end of each row
    video_range: bool = False                   # it has no full range
    gives: str | None = None                    # another format than was asked for
    busy: bool = False
    silent: bool = False                        # no request completes any more
    bad: set[int] = field(default_factory=set)  # sequences whose buffers are flagged as damaged
    clock_offset_ns: int | None = 0             # None: no SensorTimestamp in the metadata
    jams: str = ""                              # "start", "capture" or "close" never returns
    asserts: bool = False                       # stopping it when it is gone ends the process, as libcamera does
    fails: str = ""                             # "configure", "start" or "close" raises
    let_go: threading.Event = field(default_factory=threading.Event)
    acquired: bool = False
    configured: int = 0
    sequence: int = 0

    def meet(self, step: str) -> None:
        refresh()
        if step == "close" and self.asserts and SENSORS.get(self.id) is not self:
            os.kill(os.getpid(), signal.SIGABRT)
        if self.jams == step:
            self.let_go.wait()
        if self.fails == step:
            raise RuntimeError(f"Failed to {step} camera: Input/output error")


SENSORS: dict[str, Sensor] = {}
WORLD = "REFLEXD_FAKE_SENSORS"


LOCKS: list[int] = []


def locked(name: str) -> bool:
    """Take the camera for this process, as long as it lives; libcamera locks its media device."""
    if WORLD not in os.environ:
        return True
    file = os.open(f"{os.environ[WORLD]}.{name.replace('/', '_')}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    LOCKS.append(file)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def refresh() -> None:
    """Take over what the file says of the world."""
    path = os.environ.get(WORLD)
    if not path:
        return
    told = json.loads(Path(path).read_text())
    for gone in set(SENSORS) - set(told):
        del SENSORS[gone]
    for name, table in told.items():
        sensor = SENSORS.setdefault(name, Sensor(name))
        for key, value in table.items():
            setattr(sensor, key, value)


class Camera:
    """What a manager saw when it looked; it may be gone by now."""

    def __init__(self, sensor: Sensor, manager: CameraManager) -> None:
        self.sensor, self._manager = sensor, manager       # a camera keeps its manager
        self.id = sensor.id
        self.properties = {Property("Model"): sensor.model, Property("Rotation"): 0}

    def acquire(self) -> None:
        if self.sensor.busy or self.sensor.acquired or not locked(self.id):
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.sensor.acquired = True

    def release(self) -> None:
        self.sensor.acquired = False

    def generate_configuration(self, _roles: list[str]) -> Any:
        sizes = [SimpleNamespace(width=4608, height=2592), SimpleNamespace(width=2304, height=1296)]
        return SimpleNamespace(size=1, at=lambda _at: SimpleNamespace(formats=SimpleNamespace(
            pixel_formats=["SRGGB10"], sizes=lambda _code: sizes)))


class CameraManager:
    """It looks once, when it is made; as long as anybody holds it, everybody gets the same."""

    _only: Any = staticmethod(lambda: None)

    def __init__(self) -> None:
        refresh()
        self._seen = list(SENSORS.values())

    @property
    def cameras(self) -> list[Camera]:
        return [Camera(sensor, self) for sensor in self._seen]

    @classmethod
    def singleton(cls) -> CameraManager:
        manager = cls._only()
        if manager is None:
            manager = cls()
            cls._only = weakref.ref(manager)
        return manager
