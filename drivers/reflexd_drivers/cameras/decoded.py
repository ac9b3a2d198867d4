"""Recordings that cv2 decodes: a folder of pictures and a video file.

Each frame is decoded as BGR and turned into RGB in a slot of a pool. A video is decoded into the same
scratch picture over and over; cv2 has no way to decode a picture file into a given one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reflexd_drivers.base import DriverError, FramePool, Plane, Slot, View

PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}


class Steady:
    """The time of frames that come at one rate."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self.index = -1

    def seconds(self) -> float:
        """Tell when the frame was taken; a product and not a sum, so that it does not drift."""
        return self.index / self._rate_hz

    def period_s(self) -> float:
        """Tell how long a frame lasts."""
        return 1 / self._rate_hz


class Decoded(Steady):
    """Pictures that cv2 decodes as BGR and that are turned into RGB in a slot of a pool."""

    def __init__(self, where: str, rate_hz: float) -> None:
        super().__init__(rate_hz)
        self._where = where
        self._pool: FramePool | None = None
        self._shape: tuple[int, ...] = ()

    def into_slot(self, picture: Plane) -> Slot | None:
        """Convert into a free slot, if there is one. Raises: DriverError when the size changed."""
        import cv2

        if self._pool is None:
            self._shape = shape = picture.shape
            self._pool = FramePool(lambda: rgb_views(shape))
        if picture.shape != self._shape:
            raise DriverError(f"{self._where}: frame {self.index} is {_px(picture.shape)} px, the first was {_px(self._shape)}; "
                              "record all frames at one size")
        slot = self._pool.take()
        if slot is not None:
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=slot.views["main"].planes[0])
        return slot


def rgb_views(shape: tuple[int, ...]) -> Mapping[str, View]:
    """Make the buffer of a frame."""
    return {"main": View("rgb", (np.empty(shape, np.uint8),))}


def _px(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


class Pictures(Decoded):
    """The pictures of a folder, in the order of their names."""

    def __init__(self, folder: Path, rate_hz: float) -> None:
        super().__init__(str(folder), rate_hz)
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
        if not self._paths:
            raise DriverError(f"{folder}: the folder has no pictures; put .png, .jpg or .bmp files there")
        self._picture: Plane | None = None

    def advance(self) -> bool:
        """Decode the next picture."""
        import cv2

        self.index += 1
        if self.index >= len(self._paths):
            return False
        path = self._paths[self.index]
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DriverError(f"{path}: this is no picture that can be decoded; replace it or take it out of the folder")
        self._picture = picture.view(np.uint8)
        return True

    def slot(self) -> Slot | None:
        """Give the picture."""
        assert self._picture is not None, "advance() came first"
        return self.into_slot(self._picture)

    def rewind(self) -> None:
        """Go back to before the first picture."""
        self.index = -1

    def close(self) -> None:
        """Nothing is open."""


class Video(Decoded):
    """A video file, at the rate that it says."""

    def __init__(self, path: Path, rate_hz: float | None) -> None:
        import cv2

        self._path = path
        self._capture = self._open()
        own = self._capture.get(cv2.CAP_PROP_FPS)
        if rate_hz is None and not 0 < own <= 1000:
            self._capture.release()
            raise DriverError(f"{path}: the video does not say its rate (found {own:g}); write rate_hz")
        super().__init__(str(path), rate_hz or own)
        self._picture: Plane | None = None

    def _open(self) -> Any:   # noqa: ANN401  cv2.VideoCapture; kept out of this module's imports
        import cv2

        # One decoding thread: more would compete with the networks for the cores.
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise DriverError(f"{self._path}: this is no video that can be decoded; use MJPEG in .avi or H.264 in .mp4")
        return capture

    def advance(self) -> bool:
        """Go to the next frame; it is decoded by slot()."""
        self.index += 1
        if self._capture.grab():
            return True
        if self.index == 0:
            raise DriverError(f"{self._path}: the video has no frame that can be decoded; record it again")
        return False

    def slot(self) -> Slot | None:
        """Decode into the same scratch picture each time, and convert."""
        good, picture = self._capture.retrieve(self._picture)
        if not good:
            raise DriverError(f"{self._path}: frame {self.index} cannot be decoded; cut the video before it")
        self._picture = picture
        return self.into_slot(picture)

    def rewind(self) -> None:
        """Open the file again: seeking is not exact in every container."""
        self._capture.release()
        self._capture = self._open()
        self.index = -1

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
