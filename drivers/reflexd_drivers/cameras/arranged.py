"""What all cameras have in common between the driver and the first reader: turned, mirrored, cropped, masked.

Every view of a frame is arranged in the same way, into buffers of a pool of its own; the driver's frame
goes back at once. So nothing behind it (network, snapshot, evidence) ever sees what a mask covers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

import numpy as np

from reflexd_drivers.base import (
    Camera,
    CameraSettings,
    Counts,
    DriverError,
    Format,
    Frame,
    FramePool,
    Plane,
    Point,
    SilentError,
    Slot,
    View,
)

NS = 1_000_000_000
RETRY_S = 0.001                # while readers hold every buffer
MIRRORS = {"none": (False, False), "horizontal": (True, False), "vertical": (False, True), "both": (True, True)}
BLACK = {"rgb": (0, 0, 0), "grey": (0,), "yuv420": (0, 128, 128)}      # of each plane; of rgb each channel
SUBPIXEL = 8                   # bits of a polygon's corner after the point, as cv2 takes them

Turn = tuple[bool, bool, bool]      # transposed?, then mirrored left to right?, top to bottom?
Fill = Callable[[Plane], None]


def arrange(camera: Camera, settings: CameraSettings) -> Camera:
    """Give a camera whose frames are as the settings want them; the camera itself where nothing is left to do."""
    turn = what_is_left(settings, getattr(camera, "arranged", frozenset()))
    if turn == (False, False, False) and settings.crop is None and not settings.masks:
        return camera
    return Arranged(camera, settings, turn)


def what_is_left(settings: CameraSettings, done: frozenset[str]) -> Turn:
    """Say what is left to do of turning and mirroring after what the camera does itself."""
    rotate, flip = settings.rotate, settings.flip
    if "flip" in done and "rotate" not in done and flip in ("horizontal", "vertical"):
        rotate = -rotate % 360      # type: ignore[assignment]  # mirrored first and turned then is turned the other way round
    transposed, across, down = {0: (False, False, False), 90: (True, True, False), 180: (False, True, True),
                                270: (True, False, True)}[0 if "rotate" in done else rotate]
    mirrored = MIRRORS["none" if "flip" in done else flip]
    return transposed, across is not mirrored[0], down is not mirrored[1]


class Arranged:
    """A camera and what is done to each of its frames."""

    def __init__(self, camera: Camera, settings: CameraSettings, turn: Turn) -> None:
        self.lossless = camera.lossless
        self._camera = camera
        self._where = settings.driver
        self._settings = settings
        self._turn = turn
        self._plans: Mapping[str, tuple[Plan, ...]] = {}
        self._pool = FramePool(dict)
        self._closed = threading.Event()
        self._waiting: Frame | None = None     # of a lossless camera, while readers hold every buffer
        self._lock = threading.Lock()          # around `_waiting` and `_closed`; never held while reading or copying

    @property
    def about(self) -> str:
        """Say what was agreed on with the camera."""
        return str(getattr(self._camera, "about", ""))

    def counters(self) -> Mapping[str, int]:
        """Pass on what the camera counts."""
        return self._camera.counters() if isinstance(self._camera, Counts) else {}

    def read(self, timeout_s: float) -> Frame:
        """Give the next frame, arranged.

        Raises: SilentError when none came in time, or readers hold every buffer; what the camera raises.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        with self._lock:
            given, self._waiting = self._waiting, None
        given = given or self._camera.read(timeout_s)
        try:
            slot = self._take(given, deadline)
            if slot is not None:
                self._fill(given.views, slot)
        except BaseException:
            given.release()
            raise
        if slot is None:
            raise self._keep(given)
        given.release()
        return Frame(given.taken_at, given.sequence, slot)

    def _take(self, given: Frame, deadline: int) -> Slot | None:
        if not self._plans:
            self._plan(given.views)
        slot = self._pool.take()
        while slot is None and monotonic_ns() < deadline and not self._closed.wait(RETRY_S):
            slot = self._pool.take()
        return slot

    def _keep(self, given: Frame) -> DriverError:
        """Keep a frame that must not be lost for the next read; give the error of this one."""
        with self._lock:
            if self.lossless and not self._closed.is_set():
                self._waiting = given
            else:
                given.release()
        if self._closed.is_set():
            return DriverError(f"{self._where}: the camera was closed while it was read; open it again")
        return SilentError(f"{self._where}: readers hold every frame; release() each frame after use")

    def _plan(self, views: Mapping[str, View]) -> None:
        """Plan each plane, and a pool whose slots fit. Raises: DriverError when nothing is left of a plane."""
        plans = {name: tuple(Plan(self._settings, self._turn, view, number) for number in range(len(view.planes)))
                 for name, view in views.items()}
        for name, each in plans.items():
            if any(0 in plan.after for plan in each):
                size = "{}x{}".format(*views[name].size_px)
                raise DriverError(f"{self._where}: a frame of {size} px cannot be {each[0].format}; open it with a larger size")
        self._plans = plans
        self._pool = FramePool(lambda: {
            name: View(each[0].format, tuple(np.empty(plan.after, np.uint8) for plan in each)) for name, each in plans.items()})

    def _fill(self, views: Mapping[str, View], slot: Slot) -> None:
        try:
            for name, plans in self._plans.items():
                planes = views[name].planes if name in views else ()
                for plan, plane, target in zip(plans, planes, slot.views[name].planes, strict=True):
                    plan.copy(plane, target)
        except (DriverError, ValueError) as error:
            slot.release()
            if isinstance(error, DriverError):
                raise DriverError(f"{self._where}: {error}") from None
            raise DriverError(f"{self._where}: a frame has other views than the first one; open it again") from None

    def close(self) -> None:
        """End a read that waits and close the camera."""
        with self._lock:
            self._closed.set()
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.release()
        self._camera.close()


class Plan:
    """What is done to one plane of a view: which part is taken, how it is turned, what is painted over."""

    def __init__(self, settings: CameraSettings, turn: Turn, view: View, number: int) -> None:
        import cv2

        self._cv2: Any = cv2
        self.format: Format = view.format
        self._before = view.planes[number].shape
        self._transposed, across, down = turn
        self._mirror = {(True, False): 1, (False, True): 0, (True, True): -1}.get((across, down))     # as cv2.flip has it
        width, height = view.size_px[::-1] if self._transposed else view.size_px
        halved = 1 + (view.format == "yuv420" and number > 0)
        box = box_of(settings.crop, width, height)        # of the whole picture, as it is kept
        x, y, w, h = (side // halved for side in unturned(box, turn, width, height))
        self._part = (slice(y, y + h), slice(x, x + w))
        self.after = (box[3] // halved, box[2] // halved, *self._before[2:])
        self._black = BLACK[view.format] if view.format != "yuv420" else (BLACK["yuv420"][number],)
        self._masks = [corners(mask, self.after[1], self.after[0]) for mask in settings.masks]

    def copy(self, plane: Plane, target: Plane) -> None:
        """Fill the target from the plane. Raises: DriverError when the camera changed its size."""
        if plane.shape != self._before:
            raise DriverError(f"a frame is {_px(plane.shape)} px, the first was {_px(self._before)}; open the camera again")
        part = plane[self._part]
        if self._transposed:
            self._cv2.transpose(part, target)
            if self._mirror is not None:
                self._cv2.flip(target, self._mirror, target)
        elif self._mirror is not None:
            self._cv2.flip(part, self._mirror, target)
        else:
            np.copyto(target, part)
        for mask in self._masks:       # one by one: together, where two overlap would stay open
            self._cv2.fillPoly(target, mask, self._black, shift=SUBPIXEL)


def box_of(crop: tuple[float, float, float, float] | None, width: int, height: int) -> tuple[int, int, int, int]:
    """Give x, y, width and height of a crop in pixels; even ones, so that planes of half the size fit."""
    if crop is None:
        return 0, 0, width, height
    x, right = _span(crop[0], crop[2], width)
    y, bottom = _span(crop[1], crop[3], height)
    return x, y, right - x, bottom - y


def _span(start: float, share: float, size: int) -> tuple[int, int]:
    first = min(round(start * size / 2), max(size // 2 - 1, 0)) * 2
    return first, min(max(round((start + share) * size / 2) * 2, first + 2), size)


def unturned(box: tuple[int, int, int, int], turn: Turn, width: int, height: int) -> tuple[int, int, int, int]:
    """Say where a box of the turned picture, of that size, is in the picture as the camera gives it."""
    x, y, w, h = box
    transposed, across, down = turn
    x, y = (width - x - w if across else x), (height - y - h if down else y)
    return (y, x, h, w) if transposed else (x, y, w, h)


def corners(mask: tuple[Point, ...], width: int, height: int) -> list[Any]:
    """Give a polygon in pixels, as cv2.fillPoly takes it. The border itself is painted too."""
    scale = np.array([width, height]) * (1 << SUBPIXEL)
    half = 1 << (SUBPIXEL - 1)          # the centre of pixel 0 lies at half a pixel from the edge of the picture
    return [np.round(np.array(mask) * scale - half).astype(np.int32)]


def _px(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
