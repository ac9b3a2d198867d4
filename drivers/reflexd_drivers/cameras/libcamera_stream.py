"""A camera of picamera2 that streams: one request after another, copied and given back at once.

Every wait is bounded. A job that was asked for stays asked for when a read gives up, and the next read waits for the same one:
picamera2's capture_request(wait=N) would leave it behind, to swallow a buffer when its frame comes, and stop() would wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from reflexd_drivers.base import DriverError, SilentError, View
from reflexd_drivers.cameras.libcamera_frames import Layout, Stretch
from reflexd_drivers.cameras.libcamera_list import picamera2_library
from reflexd_drivers.cameras.libcamera_open import configure, explained, find

if TYPE_CHECKING:
    from reflexd_drivers.cameras.picamera2 import Settings

TRUSTED_NS = 5_000_000_000      # a time of libcamera's is believed if it is that young


class Stamp(NamedTuple):
    """When a frame was taken: by the camera's clock, or when it arrived."""

    sequence: int
    taken_at: int
    by_camera: bool


class Stream:
    """An open camera."""

    def __init__(self, settings: Settings, camera: Any, mapped: Any, arranged: frozenset[str]) -> None:   # noqa: ANN401  no types
        """Read a configured camera; `mapped` is picamera2's MappedArray, `arranged` what the camera carries out itself."""
        self.where = settings.where
        self.arranged = arranged
        self._camera, self._mapped = camera, mapped
        self._job: Any = None           # a frame that was asked for and has not come
        streams = camera.camera_configuration()
        self.layouts = {view: layout_of(self.where, streams[stream]) for view, stream in (("main", "main"), ("model", "lores"))
                        if streams.get(stream) is not None}
        self._stretch = Stretch() if in_video_range(streams) else None
        sizes = ", ".join(f"{view} {one.format} {one.width}x{one.height}" for view, one in self.layouts.items())
        self.about = f"{self.where}: {sizes} at {settings.hz:g} Hz"

    def ask(self, timeout_s: float) -> Any:      # noqa: ANN401
        """Give the next completed request, which has to be released. Raises: SilentError when none came in time; DriverError."""
        with explained(self.where):
            if self._job is None:
                self._job = self._camera.capture_request(wait=False)
            try:
                request = self._camera.wait(self._job, timeout=timeout_s)
            except TimeoutError:
                raise SilentError(f"{self.where}: no frame came in time; check the camera's rate_hz and its cable") from None
            self._job = None
            return request

    def fill(self, request: Any, views: Mapping[str, View]) -> Stamp:      # noqa: ANN401
        """Copy a request into a frame's buffers, and tell when it was taken. Raises: DriverError."""
        with explained(self.where):
            for view, layout in self.layouts.items():
                stream = "main" if view == "main" else "lores"
                with self._mapped(request, stream, reshape=False, write=False) as mapped:
                    layout.copy(mapped.array, views[view])
                if self._stretch is not None and layout.format == "yuv420":
                    self._stretch(views[view])
            return stamp(request)

    def close(self) -> None:
        """Stop and give the camera back. It may hang or end the process: libcamera does so for a camera that is gone."""
        self._camera.cancel_all_and_flush()
        if self._job is not None:
            with suppress(Exception):            # cancelled; or it came at last, and is a buffer to give back
                self._camera.wait(self._job, timeout=0).release()
        self._camera.close()


def stamp(request: Any) -> Stamp:       # noqa: ANN401
    """Take the kernel's number of the frame, and libcamera's time if it can be true, else that of the arrival.

    libcamera defines its time as that since boot, and gives the monotonic one; they differ once a computer has slept.
    """
    arrived_at = monotonic_ns()
    told = request.get_metadata().get("SensorTimestamp")
    sequence = int(next(iter(request.request.buffers.values())).metadata.sequence)
    if told is not None and 0 <= arrived_at - told <= TRUSTED_NS:
        return Stamp(sequence, int(told), True)
    return Stamp(sequence, arrived_at, False)


def in_video_range(configuration: Mapping[str, Any]) -> bool:
    """Say whether a camera was given full range, as it was asked for; each pipeline of libcamera may choose another."""
    space = configuration.get("colour_space")
    return space is not None and space.range == type(space).Range.Limited


def layout_of(where: str, stream: Mapping[str, Any]) -> Layout:
    """Say how a stream lies in memory. Raises: DriverError when it is of a format that is not read."""
    layout = Layout.of(stream)
    if layout is None:
        raise DriverError(f"{where}: the camera gives {stream['format']}, which is not read; "
                          "write another format, or use the driver usb for a camera at USB")
    return layout


def open_stream(settings: Settings) -> Stream:
    """Open the camera, configure it once and start it. Raises: DriverError."""
    picamera2, libcamera = picamera2_library()
    with explained(settings.where):
        camera = picamera2.Picamera2(find(picamera2.Picamera2, settings))
        try:
            stream = Stream(settings, camera, picamera2.MappedArray, configure(camera, libcamera, settings))
            camera.start()
        except BaseException:
            camera.close()
            raise
        return stream
