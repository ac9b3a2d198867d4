"""A camera at USB, or any other that the kernel shows as a V4L2 capture device.

The newest frame wins: what waits in older buffers goes back unread. Damaged frames are skipped and
counted. Frames carry the kernel's own sequence and time, so that a camera that stopped, repeats itself
or was unplugged is noticed (cv2.VideoCapture hides all three). No thread is started.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, monotonic_ns, sleep
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from reflexd_drivers.base import CameraSettings, DriverError, Frame, FramePool, SilentError, View, node
from reflexd_drivers.cameras import pixels
from reflexd_drivers.cameras.controls import set_controls
from reflexd_drivers.cameras.v4l2 import Control, Filled, Format, V4l2Device
from reflexd_drivers.holders import holder

BUFFERS = 4                     # one is being filled, one is ready, one is read, one to spare
TRUSTED_NS = 5_000_000_000      # a kernel time is believed if it is that young
CORRUPT_IN_A_ROW = 30
READS = ("YUYV", "MJPG", "NV12", "RGB3", "BGR3", "GREY")       # in the order of "auto" for small pictures
SHARED = {"YUYV": (2, 1), "NV12": (2, 2)}     # so many pixels, across and down, have one colour in common
Pixels = Annotated[int, Field(gt=0, le=10_000)]


class Settings(CameraSettings):
    """What the configuration says of a USB camera."""

    device: str = Field(min_length=1, description="path; /dev/v4l/by-id/… stays the same when devices are renumbered")
    size_px: tuple[Pixels, Pixels] | None = Field(default=None, description="width and height; else what the camera has")
    format: Literal["auto", "YUYV", "MJPG", "NV12", "RGB3", "BGR3", "GREY"] = Field(
        default="auto", description='how pixels travel; "auto" takes YUYV up to 640x480 and MJPG above, where it can'
    )
    controls: dict[str, bool | int | str] = Field(
        default_factory=dict, max_length=64,
        description="controls by the names of v4l2-ctl, set in this order: { auto_exposure = 1, brightness = 100 }; "
                    "of a menu the number or the name")

    def seen(self) -> object:
        """Look whether the node is there."""
        return node(self.device)


class Device(Protocol):
    """What is needed of the kernel: V4l2Device, or a stand-in that behaves like it."""

    def captures(self) -> bool: ...
    def codes(self) -> list[str]: ...
    def set_format(self, code: str, size_px: tuple[int, int] | None) -> Format: ...
    def set_rate(self, rate_hz: float | None) -> float | None: ...
    def controls(self) -> list[Control]: ...
    def set_control(self, control: Control, value: int) -> None: ...
    def start(self, buffers: int) -> None: ...
    def wait(self, timeout_s: float) -> Literal["ready", "silent", "woken", "gone"]: ...
    def dequeue(self) -> Filled | None: ...
    def requeue(self, index: int) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class UsbCamera:
    """A capture device that streams."""

    lossless = False

    def __init__(self, settings: Settings, device: Device) -> None:
        self._where = settings.device
        self._device = device
        self._lock = threading.Lock()   # held by a read from begin to end: close() wakes it and then waits for it
        self._closed = False
        self.bad = 0                    # buffers that the kernel flagged
        self.corrupt = 0                # frames that could not be decoded
        self._corrupt_in_a_row = 0
        if not device.captures():
            raise DriverError(f"{self._where}: this node gives no pictures; choose the camera's first node, as …-video-index0")
        self.format = self._negotiate(settings)
        self.rate_hz = device.set_rate(settings.rate_hz)
        set_controls(device, settings.device, settings.controls)
        self._pool = FramePool(lambda: make_views(self.format))
        self._fill = pixels.filler(self.format)
        device.start(BUFFERS)

    def counters(self) -> dict[str, int]:
        """Count frames that the kernel flagged as damaged, and those that could not be decoded."""
        return {"bad": self.bad, "corrupt": self.corrupt}

    @property
    def about(self) -> str:
        """Say what was agreed on with the camera."""
        rate = "" if self.rate_hz is None else f" at {self.rate_hz:g} Hz"
        return f"{self._where}: {self.format.code} {self.format.width}x{self.format.height}{rate}"

    def _negotiate(self, settings: Settings) -> Format:
        offered = self._device.codes()
        code = choose(offered, settings)
        got = self._device.set_format(code, settings.size_px)
        if got.code != code:
            raise DriverError(f"{self._where}: asked for {code}, the camera sends {got.code}; choose one of {few(offered)}")
        across, down = SHARED.get(code, (1, 1))
        if got.width % across or got.height % down:
            raise DriverError(f"{self._where}: the camera gives {code} of {got.width}x{got.height} px, "
                              "in which pixels share colour in pairs; write an even size_px, or another format")
        return got

    def read(self, timeout_s: float) -> Frame:
        """Give the newest frame.

        Raises: SilentError when none came; DriverError when the camera is gone or sends nothing but damage.
        """
        with self._lock:
            try:
                return self._read(monotonic() + timeout_s)
            except DriverError:
                raise
            except OSError as error:
                raise explain(self._where, error) from error

    def _read(self, deadline: float) -> Frame:
        while not self._closed:
            state = self._device.wait(deadline - monotonic())
            if state == "gone":
                raise DriverError(f"{self._where}: the camera was unplugged or failed; check its cable and power")
            if state == "silent":
                raise SilentError(f"{self._where}: no frame came in time; check the camera's rate_hz and its cable")
            filled = self._newest() if state == "ready" else None
            if filled is not None:
                frame = self._convert(filled)
                if frame is not None:
                    return frame
            if monotonic() >= deadline:
                damaged = self.corrupt + self.bad
                raise SilentError(f"{self._where}: no good frame came in time, {damaged} were damaged so far; check its cable")
        raise DriverError(f"{self._where}: the camera was closed while it was read; open it again")

    def _newest(self) -> Filled | None:
        """Take all buffers that are ready; hand all but the newest good one back."""
        newest: Filled | None = None
        while (filled := self._device.dequeue()) is not None:
            older = filled if filled.bad else newest
            self.bad += filled.bad
            newest = newest if filled.bad else filled
            if older is not None:
                self._device.requeue(older.index)
        return newest

    def _convert(self, filled: Filled) -> Frame | None:
        """Turn a buffer into a frame and hand the buffer back; None when it is damaged or no slot is free."""
        arrived_at = monotonic_ns()
        slot = self._pool.take()
        try:
            good = slot is not None and self._fill(filled.data, slot.views["main"].planes[0])
        finally:
            self._device.requeue(filled.index)
        if slot is None:        # readers hold every frame: this one is lost, the gap shows in the sequence
            sleep(0.001)
            return None
        if not good:
            slot.release()
            self._count_corrupt()
            return None
        self._corrupt_in_a_row = 0
        return Frame(trusted(filled.taken_at, arrived_at), filled.sequence, slot)

    def _count_corrupt(self) -> None:
        self.corrupt += 1
        self._corrupt_in_a_row += 1
        if self._corrupt_in_a_row >= CORRUPT_IN_A_ROW:
            raise DriverError(f"{self._where}: {CORRUPT_IN_A_ROW} frames in a row were corrupt; "
                              "try another cable or port, or a smaller size_px or rate_hz")

    def close(self) -> None:
        """End a read that waits, stop the stream and close the device."""
        if self._closed:
            return
        self._closed = True
        self._device.wake()
        with self._lock:
            self._device.close()


def choose(offered: list[str], settings: Settings) -> str:
    """Choose how pixels travel. Raises: DriverError."""
    width, height = settings.size_px or (640, 480)
    raw_first = width * height <= 640 * 480     # USB 2 carries YUYV of that size at 30 Hz; decoding JPEG costs 1 to 3 ms a frame
    ranked = ["YUYV", "MJPG"] if raw_first else ["MJPG", "YUYV"]
    wanted = [*ranked, *READS[2:]] if settings.format == "auto" else [settings.format]
    for code in wanted:
        if code in offered:
            return code
    raise DriverError(f"{settings.device}: the camera sends {few(offered)}, wanted was {' or '.join(wanted)}; "
                      'write format = "auto" or use another camera')


def few(codes: list[str]) -> str:
    """List formats for a message; some devices have sixty."""
    return ", ".join(codes[:8]) + (f" and {len(codes) - 8} more" if len(codes) > 8 else "") or "nothing"


def make_views(found: Format) -> Mapping[str, View]:
    """Make the buffer of a frame."""
    if found.code == "GREY":
        return {"main": View("grey", (np.empty((found.height, found.width), np.uint8),))}
    return {"main": View("rgb", (np.empty((found.height, found.width, 3), np.uint8),))}


def trusted(taken_at: int | None, arrived_at: int) -> int:
    """Take the kernel's time if it can be true, else that of the arrival."""
    return taken_at if taken_at is not None and 0 <= arrived_at - taken_at <= TRUSTED_NS else arrived_at


def explain(where: str, error: OSError) -> DriverError:
    """Say what an error of the kernel means for a camera."""
    texts: dict[int | None, Callable[[], str]] = {
        errno.ENODEV: lambda: "the camera was unplugged; plug it in, or check its power",
        errno.ENOENT: lambda: f"there is no such camera; found {found_cameras()}; plug it in or name another device",
        errno.EACCES: lambda: "permission denied; add the user to group video",
        errno.EBUSY: lambda: f"the camera is in use by {holder(where)}; stop that program",
        errno.EINVAL: lambda: f"this is no camera that can be used ({error.strerror}); choose one of {found_cameras()}",
    }
    same = {errno.ENXIO: errno.ENODEV, errno.ENOTDIR: errno.ENOENT, errno.EPERM: errno.EACCES, errno.ENOTTY: errno.EINVAL}
    text = texts.get(same.get(error.errno or 0, error.errno))
    failed = f"the camera failed: {error.strerror or error}; unplug it and plug it in again"
    return DriverError(f"{where}: {text() if text else failed}")


def found_cameras() -> str:
    """List cameras for a message."""
    return ", ".join(cameras()) or "none"


def cameras(folder: Path = Path("/dev")) -> list[str]:
    """List the names of cameras, those that stay the same first."""
    named = sorted(folder.glob("v4l/by-id/*-index0")) or sorted(folder.glob("v4l/by-path/*-index0"))
    return [str(path) for path in named or sorted(folder.glob("video*"))]


def connect(settings: Settings, open_device: Callable[[str], Device] = V4l2Device) -> UsbCamera:
    """Open the camera, agree on a format and start it.

    Raises: DriverError.
    """
    device: Device | None = None
    try:
        device = open_device(settings.device)
        return UsbCamera(settings, device)
    except OSError as error:
        text = error if isinstance(error, DriverError) else explain(settings.device, error)   # while a holder still holds it
        if device is not None:
            device.close()
        raise text from (None if text is error else error)
