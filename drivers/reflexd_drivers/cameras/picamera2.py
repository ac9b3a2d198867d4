"""A camera at a Pi's camera connector, by libcamera and picamera2.

Two views of each frame: "main", and where `model_px` is given "model", the same field of view at a network's size,
straight from the camera's own scaler. libcamera runs in a process of its own (libcamera_child.py tells why), which copies each
picture once, into memory that both share. Every wait here is bounded: a process that hangs is killed, one that
crashes is told, and in either case the worker opens the camera again, with a new process.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reflexd_drivers.base import CameraSettings, DriverError, Frame, SilentError, Slot, View, node
from reflexd_drivers.cameras import libcamera_child as child
from reflexd_drivers.cameras.libcamera_frames import Layout
from reflexd_drivers.cameras.libcamera_process import Process

OPEN_S = 25.0                   # to load picamera2 and start a sensor on the slowest Pi; opening may take 30 s in all
START_S = 3.0                   # the first frames of a sensor are dropped while exposure settles
EXPIRES = (1.0, 5.0)            # seconds, periods: the longer is libcamera's "dequeue timer" (pipeline/rpi, setCameraTimeout)

Even = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]     # colour has half the resolution


class Settings(CameraSettings):
    """What the configuration says of a camera behind libcamera."""

    rate_hz: float | None = Field(default=30, gt=0, le=240, description="frames a second, kept however dark it is")
    id: str | None = Field(
        default=None, min_length=1, description="libcamera's name of the camera, as reflexctl probe tells it; stays the same"
    )
    index: int = Field(default=0, ge=0, le=15, description="its number instead, as rpicam-hello --list-cameras counts")
    size_px: tuple[Even, Even] = Field(
        default=(640, 480), description="width and height of the main view, which snapshots show; even"
    )
    format: Literal["rgb", "yuv420"] = Field(default="rgb", description="of the main view; yuv420 is half as many bytes")
    model_px: tuple[Even, Even] | None = Field(
        default=None, description="width and height of a second view for networks, from the camera's own scaler, as yuv420"
    )
    exposure_us: int | None = Field(default=None, gt=0, le=10_000_000, description="fixed exposure; else automatic")
    gain: float | None = Field(default=None, ge=1, le=64, description="fixed analogue gain; else automatic")
    white_balance: Literal["auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"] | None = Field(
        default=None, description="kind of light; else what the camera does by itself"
    )
    autofocus: Literal["off", "once", "continuous"] | None = Field(
        default=None, description="of a lens that moves: once is when the camera is opened"
    )
    focus_dioptres: float | None = Field(default=None, ge=0, le=32, description='1 / distance in m, for autofocus = "off"')

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.model_px is not None and (self.model_px[0] > self.size_px[0] or self.model_px[1] > self.size_px[1]):
            raise ValueError("model_px is larger than size_px, and the camera scales down only; raise size_px")
        if self.exposure_us is not None and self.exposure_us > 1e6 / self.hz:
            raise ValueError(f"exposure_us is longer than a frame of {self.hz:g} Hz; lower rate_hz or exposure_us")
        if self.focus_dioptres is not None and self.autofocus != "off":
            raise ValueError('focus_dioptres holds only with autofocus = "off"; add that')
        return self

    def seen(self) -> object:
        """Look at the kernel's media devices: libcamera finds its cameras by them."""
        return [(str(path), node(path)) for path in sorted(Path("/dev").glob("media*"))]

    @property
    def hz(self) -> float:
        """Give the rate, which always has a value here."""
        return self.rate_hz or 30

    @property
    def where(self) -> str:
        """Name the camera in messages."""
        return self.id or f"camera {self.index}"


class Picamera2Camera:
    """A camera that streams."""

    lossless = False

    def __init__(self, settings: Settings, process: Process) -> None:
        told, file = process.first(OPEN_S)
        layouts = {name: Layout(**layout) for name, layout in told["layouts"].items()}
        try:
            memory = mmap.mmap(file, child.SLOTS * child.slot_bytes(layouts))
        finally:
            os.close(file)
        self.arranged = frozenset(told["arranged"])     # keys of the configuration that the camera itself carries out
        self.about = str(told["about"])
        self._process = process
        self._slots = [self._slot(number, views) for number, views in enumerate(child.slots(memory, layouts))]
        self._lock = threading.Lock()       # held by a read from begin to end: close() wakes it and then waits for it
        self._closed = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._asked = False
        self._clockless = 0                 # frames whose own time could not be believed
        least_s, periods = EXPIRES
        self._expires_s = max(least_s, periods / settings.hz)
        self._alive_at = monotonic() + START_S

    def _slot(self, number: int, views: Mapping[str, View]) -> Slot:
        def give_back(_slot: Slot) -> None:
            self._say(number)
        return Slot(views, give_back)

    def _say(self, byte: int) -> None:
        with suppress(OSError):      # it is closed, or the process is gone: the next read tells
            self._process.line.send(bytes([byte]), socket.MSG_DONTWAIT)

    def counters(self) -> dict[str, int]:
        """Count the frames whose own time could not be believed, and stand with that of their arrival."""
        return {"clockless": self._clockless}

    def read(self, timeout_s: float) -> Frame:
        """Give the newest frame.

        Raises: SilentError when none came in time; DriverError when libcamera gave the camera up.
        """
        with self._lock:
            if self._closed:
                raise DriverError(f"{self._process.where}: the camera was closed; open it again")
            if not self._asked:
                self._say(child.NEXT)
                self._asked = True
            files: list[int] = [self._process.line.fileno(), self._wake]
            ready = select.select(files, [], [], max(timeout_s, 0))[0]
            if self._wake in ready:
                raise DriverError(f"{self._process.where}: the camera was closed while it was read; open it again")
            if not ready:
                raise self._silence()
            return self._frame(self._process.receive()[0])

    def _silence(self) -> DriverError:
        """Say that no frame came, and whether there is hope of one: past its own timer libcamera starts no further frame."""
        where = self._process.where
        if monotonic() - self._alive_at < self._expires_s:
            return SilentError(f"{where}: no frame came in time; check the camera's rate_hz and its cable")
        return DriverError(f"{where}: no frame came for {self._expires_s:g} s, and libcamera gives up then; check its cable")

    def _frame(self, text: bytes) -> Frame:
        if len(text) != child.FRAME.size:
            self._process.read(text)
        number, by_camera, sequence, taken_at = child.FRAME.unpack(text)
        self._asked = False
        self._clockless += not by_camera
        self._alive_at = monotonic()
        slot = self._slots[number]
        slot.retain()
        return Frame(taken_at, sequence, slot)

    def close(self) -> None:
        """End a read that waits, and the process. Raises: DriverError when it cannot be ended."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._wake, 1)
        with self._lock:
            os.close(self._wake)
            self._slots = []        # the memory goes with the last frame that a reader holds
            self._process.close()


def connect(settings: Settings) -> Picamera2Camera:
    """Open the camera, configure it once and start it.

    Raises: DriverError.
    """
    process = Process(settings.where, settings.model_dump_json())
    try:
        return Picamera2Camera(settings, process)
    except BaseException:
        with suppress(DriverError):      # why it did not open says more
            process.close()
        raise
