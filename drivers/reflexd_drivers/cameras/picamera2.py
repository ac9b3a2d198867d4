"""A camera at a Pi's camera connector, by libcamera and picamera2.

Two views of each frame: "main", and where `model_px` is given "model", the same field of view at a network's size,
straight from the camera's own scaler. Configured once; each request goes back to libcamera as soon as it is copied.

Every wait for a frame is bounded: a job that was asked for stays asked for when a read gives up, and the next read
waits for the same one (given up for good it would swallow a buffer when its frame comes: picamera2's capture_request(wait=N)
does so). Opening, stop and close cannot be bounded from outside (picamera2 issues 1004, 1264): they run in the camera's worker,
and the daemon gives the process up when one exceeds its bound. Threads: two of picamera2's and some of libcamera's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, monotonic_ns, sleep
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from reflexd_drivers.base import CameraSettings, DriverError, Frame, FramePool, LostError, SilentError, Slot, View
from reflexd_drivers.cameras.libcamera_frames import Layout
from reflexd_drivers.cameras.libcamera_list import picamera2_library
from reflexd_drivers.cameras.libcamera_open import configure, explained, find, make, shut

SLICE_S = 0.1                   # how soon a read notices that it was closed
TRUSTED_NS = 5_000_000_000      # a time of libcamera's is believed if it is that young
START_S = 3.0                   # the first frames of a sensor are dropped while exposure settles
EXPIRES = (1.0, 5.0)            # seconds, periods: the longer is libcamera's "dequeue timer" (pipeline/rpi, setCameraTimeout)
EXPIRED_IN_A_ROW = 3

Even = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]     # colour has half the resolution


class Settings(CameraSettings):
    """What the configuration says of a camera behind libcamera."""

    rate_hz: float | None = Field(default=30, gt=0, le=240, description="frames a second, kept however dark it is")
    id: str | None = Field(default=None, min_length=1, description="libcamera's name of the camera, which stays the same")
    index: int = Field(default=0, ge=0, le=15, description="number of the camera, as rpicam-hello --list-cameras counts")
    size_px: tuple[Even, Even] = Field(default=(640, 480), description="width and height of the main view")
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

    @property
    def hz(self) -> float:
        """Give the rate, which always has a value here."""
        return self.rate_hz or 30

    @property
    def where(self) -> str:
        """Name the camera in messages."""
        return self.id or f"camera {self.index}"


class Past:
    """What this process went through with one camera, over every opening."""

    def __init__(self) -> None:
        self.gave_frames = False
        self.expired = 0            # openings in a row that ended without a further frame


PASTS: dict[str, Past] = {}         # by the camera's name; only its own worker touches it


class Picamera2Camera:
    """A camera that streams."""

    lossless = False

    def __init__(self, settings: Settings, camera: Any, mapped: Any, arranged: frozenset[str]) -> None:   # noqa: ANN401  no types
        """Read a configured camera; `mapped` is picamera2's MappedArray."""
        self.arranged = arranged        # keys of the configuration that the camera itself carries out
        self._where = settings.where
        self._camera, self._mapped = camera, mapped
        self._lock = threading.Lock()   # held by a read from begin to end: close() lets it see that and waits for it
        self._closed = False
        self._job: Any = None           # a frame that was asked for and has not come
        self._pool = FramePool(self._make_views)
        self._clockless = 0             # frames whose own time could not be believed
        self._past = PASTS.setdefault(self._where, Past())
        least_s, periods = EXPIRES
        self._expires_s = max(least_s, periods / settings.hz)
        self._alive_at = monotonic() + START_S
        streams = camera.camera_configuration()
        self._layouts = {view: layout_of(self._where, streams[stream]) for view, stream in (("main", "main"), ("model", "lores"))
                         if streams.get(stream) is not None}
        sizes = ", ".join(f"{view} {one.format} {one.width}x{one.height}" for view, one in self._layouts.items())
        self.about = f"{self._where}: {sizes} at {settings.hz:g} Hz"

    def counters(self) -> dict[str, int]:
        """Count the frames whose own time could not be believed, and stand with that of their arrival."""
        return {"clockless": self._clockless}

    def _make_views(self) -> Mapping[str, View]:
        return {name: layout.make() for name, layout in self._layouts.items()}

    def read(self, timeout_s: float) -> Frame:
        """Give the newest frame.

        Raises: SilentError when none came; DriverError when libcamera gave the camera up; LostError when that goes on.
        """
        with self._lock, explained(self._where):
            deadline = monotonic() + timeout_s
            while not self._closed:
                request = self._request(deadline)
                if request is None:
                    continue
                try:
                    frame = self._copy(request)
                finally:
                    request.release()
                if frame is not None:
                    return frame
                sleep(0.001)        # readers hold every frame: this one is lost
        raise DriverError(f"{self._where}: the camera was closed while it was read; open it again")

    def _request(self, deadline: float) -> Any:      # noqa: ANN401
        """Wait a little for the frame that was asked for; None when it has not come. Raises: DriverError."""
        if self._job is None:
            self._job = self._camera.capture_request(wait=False)
        try:
            request = self._camera.wait(self._job, timeout=max(min(deadline - monotonic(), SLICE_S), 0))
        except TimeoutError:
            if monotonic() >= deadline:
                self._give_up()
            return None
        self._job = None
        return request

    def _give_up(self) -> None:
        """Say that no frame came, and whether there is hope of one. Raises: DriverError."""
        if monotonic() - self._alive_at < self._expires_s:
            raise SilentError(f"{self._where}: no frame came in time; check the camera's rate_hz and its cable")
        self._past.expired += 1
        text = f"no frame came for {self._expires_s:g} s and libcamera gives up then; check the camera's cable"
        if self._past.gave_frames and self._past.expired >= EXPIRED_IN_A_ROW:
            raise LostError(f"{self._where}: {text}; it was opened {EXPIRED_IN_A_ROW} times in vain: beginning anew")
        raise DriverError(f"{self._where}: {text}")

    def _copy(self, request: Any) -> Frame | None:      # noqa: ANN401
        slot = self._pool.take()
        if slot is None:
            return None
        try:
            self._fill(request, slot)
            sequence, taken_at = self._stamp(request)
        except BaseException:
            slot.release()
            raise
        self._past.gave_frames, self._past.expired = True, 0
        self._alive_at = monotonic()
        return Frame(taken_at, sequence, slot)

    def _fill(self, request: Any, slot: Slot) -> None:      # noqa: ANN401
        for view, layout in self._layouts.items():
            stream = "main" if view == "main" else "lores"
            with self._mapped(request, stream, reshape=False, write=False) as mapped:
                layout.copy(mapped.array, slot.views[view])

    def _stamp(self, request: Any) -> tuple[int, int]:       # noqa: ANN401
        """Take the kernel's number of the frame, and libcamera's time if it can be true, else that of the arrival.

        libcamera defines its time as that since boot, and gives the monotonic one; they differ once a Pi has slept.
        """
        arrived_at = monotonic_ns()
        told = request.get_metadata().get("SensorTimestamp")
        buffer = next(iter(request.request.buffers.values()))
        if told is not None and 0 <= arrived_at - told <= TRUSTED_NS:
            return int(buffer.metadata.sequence), int(told)
        self._clockless += 1
        return int(buffer.metadata.sequence), arrived_at

    def close(self) -> None:
        """End a read that waits, stop the camera and give it back. Raises: LostError when picamera2 cannot."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            self._camera.cancel_all_and_flush()      # stop() would wait behind a job that waits for a frame
            if self._job is not None:
                with suppress(Exception):            # cancelled; or it came at last, and is a buffer to give back
                    self._camera.wait(self._job, timeout=0).release()
            shut(self._where, self._camera)


def layout_of(where: str, stream: Mapping[str, Any]) -> Layout:
    """Say how a stream lies in memory. Raises: DriverError when it is of a format that is not read."""
    layout = Layout.of(stream)
    if layout is None:
        raise DriverError(f"{where}: the camera gives {stream['format']}, which is not read; "
                          "write another format, or use the driver usb for a camera at USB")
    return layout


def connect(settings: Settings) -> Picamera2Camera:
    """Open the camera, configure it once and start it.

    Raises: DriverError.
    """
    picamera2, libcamera = picamera2_library()
    with explained(settings.where):
        camera = make(picamera2.Picamera2, find(picamera2.Picamera2, settings))
        try:
            arranged = configure(camera, libcamera, settings)
            device = Picamera2Camera(settings, camera, picamera2.MappedArray, arranged)
            camera.start()
        except BaseException:
            shut(settings.where, camera)
            raise
        return device
