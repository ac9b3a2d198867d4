"""How the bytes of a capture buffer become pixels in a frame: one function per format, without new memory of a frame's size
where cv2 allows it (it has no way to decode a JPEG into a given picture).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reflexd_drivers.base import Plane
from reflexd_drivers.cameras.v4l2 import Format

Fill = Callable[[memoryview, Plane], bool]
START, END = b"\xff\xd8", b"\xff\xd9"


def filler(found: Format) -> Fill:
    """Give the function that fills a frame from a buffer; it returns False when the buffer is damaged."""
    if found.code == "MJPG":
        return Jpeg()
    return Raw(found)


class Raw:
    """Rows of pixels as they are, or to be converted; a buffer that is too short is damaged."""

    def __init__(self, found: Format) -> None:
        import cv2

        self._cv2 = cv2
        # NV12 becomes rgb at once: cameras send it in the video range, networks take a yuv420 view for full range, and to stretch
        # its planes costs more than to convert them (640x480: 140 us against 113)
        codes = {"YUYV": cv2.COLOR_YUV2RGB_YUYV, "BGR3": cv2.COLOR_BGR2RGB, "NV12": cv2.COLOR_YUV2RGB_NV12}
        self._convert = codes.get(found.code)
        depth = {"YUYV": 2, "GREY": 1, "NV12": 1}.get(found.code, 3)
        self._row = found.width * depth
        self._stride = max(found.stride, self._row)
        rows = found.height * 3 // 2 if found.code == "NV12" else found.height   # below Y come U and V in turn
        self._shape = (rows, found.width) if depth == 1 else (rows, found.width, depth)

    def __call__(self, data: memoryview, plane: Plane) -> bool:
        """Fill the plane."""
        height = self._shape[0]
        if len(data) < self._stride * (height - 1) + self._row:
            return False
        rows = np.lib.stride_tricks.as_strided(np.frombuffer(data, np.uint8), (height, self._row), (self._stride, 1))
        pixels = rows.reshape(self._shape)    # a view, unless the driver pads its rows
        if self._convert is None:
            np.copyto(plane, pixels)
        else:
            self._cv2.cvtColor(pixels, self._convert, dst=plane)
        return True


class Jpeg:
    """A picture in JPEG. A cut one decodes to half a picture, so its end is looked for."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._has_ends = False     # some cameras never write the end mark

    def __call__(self, data: memoryview, plane: Plane) -> bool:
        """Decode into the plane."""
        if bytes(data[:2]) != START:
            return False
        whole = bytes(data[-64:]).rstrip(b"\0").endswith(END)    # some cameras pad with zeros
        if self._has_ends and not whole:
            return False
        self._has_ends = self._has_ends or whole
        try:
            picture = self._cv2.imdecode(np.frombuffer(data, np.uint8), self._cv2.IMREAD_COLOR)
        except self._cv2.error:
            return False
        if picture is None or picture.shape != plane.shape:
            return False
        self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2RGB, dst=plane)
        return True
