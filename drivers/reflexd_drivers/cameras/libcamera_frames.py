"""How libcamera lays pictures into memory, and how they get into a frame: one copy, row padding left behind.

libcamera names formats by the order of bits in a word: its "BGR888" has the bytes R, G, B in memory, "RGB888" has B, G, R.
Source: libcamera's formats.yaml (DRM fourccs, little endian), picamera2's manual, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reflexd_drivers.base import Plane, View

CODES: dict[str, Literal["rgb", "yuv420"]] = {"BGR888": "rgb", "YUV420": "yuv420"}


@dataclass(frozen=True, slots=True)
class Layout:
    """One stream's pictures: `stride` bytes from one row of the first plane to the next."""

    format: Literal["rgb", "yuv420"]
    width: int
    height: int
    stride: int

    @classmethod
    def of(cls, stream: Mapping[str, Any]) -> Layout | None:
        """Take it from a stream of picamera2's camera_configuration(); None where the format is none that is read."""
        code, (width, height) = CODES.get(stream["format"]), stream["size"]
        return None if code is None else cls(code, width, height, stream["stride"])

    @property
    def size(self) -> int:
        """How many bytes the picture has without any padding."""
        return self.width * self.height * 3 // (1 if self.format == "rgb" else 2)

    def view(self, data: Plane) -> View:
        """Make a view of contiguous planes in uint8 (size,)."""
        return View(self.format, Layout(self.format, self.width, self.height, self.row).planes(data))

    @property
    def row(self) -> int:
        """How long a row of the first plane is without padding."""
        return self.width * (3 if self.format == "rgb" else 1)

    def planes(self, data: Plane) -> tuple[Plane, ...]:
        """Find the planes in a buffer, uint8 (bytes,); nothing is copied. Raises: ValueError when it is too short."""
        high, wide = self.height, self.width
        if self.format == "rgb":
            return (_rows(data, 0, high, self.stride)[:, : wide * 3].reshape(high, wide, 3),)
        half, luma = self.stride // 2, self.stride * high
        chroma = half * (high // 2)
        return (_rows(data, 0, high, self.stride)[:, :wide],
                _rows(data, luma, high // 2, half)[:, : wide // 2],
                _rows(data, luma + chroma, high // 2, half)[:, : wide // 2])

    def copy(self, data: Plane, view: View) -> None:
        """Copy a buffer into a frame. Raises: ValueError when it is too short."""
        for plane, target in zip(self.planes(data), view.planes, strict=True):
            np.copyto(target, plane)


class Stretch:
    """Makes full range of the video range, in which Y is 16 to 235 and colours are 16 to 240. Source: ITU-R BT.601."""

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2
        levels = np.arange(256)
        luma, chroma = (levels - 16) * 255 / 219, (levels - 128) * 255 / 224 + 128
        self._luma, self._chroma = (np.clip(np.round(one), 0, 255).astype(np.uint8) for one in (luma, chroma))

    def __call__(self, view: View) -> None:
        """Stretch the planes of a yuv420 view where they are."""
        for number, plane in enumerate(view.planes):
            self._cv2.LUT(plane, self._chroma if number else self._luma, dst=plane)


def _rows(data: Plane, start: int, rows: int, stride: int) -> Plane:
    return data[start : start + rows * stride].reshape(rows, stride)
