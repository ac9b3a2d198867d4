"""A frame as a JPEG file: scaled down first, converted then. What a camera's masks cover is black in the frame already."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import Plane, View


def jpeg_of(view: View, size_px: int, quality: int) -> bytes:
    """Encode any view, its longer side `size_px` at most.

    All of it happens in OpenCV, which lets other threads go on meanwhile.
    """
    width, height = view.size_px
    share = min(1.0, size_px / max(width, height))
    target = max(round(width * share), 1), max(round(height * share), 1)
    done, coded = cv2.imencode(".jpg", _bgr(view, target), (cv2.IMWRITE_JPEG_QUALITY, quality))
    assert done, "a picture of at least one pixel can be encoded"
    return coded.tobytes()


def _bgr(view: View, target: tuple[int, int]) -> NDArray[Any]:
    """Give it in that size as OpenCV writes it: BGR or grey."""
    if view.format == "rgb":
        return cv2.cvtColor(_scaled(view.planes[0], target), cv2.COLOR_RGB2BGR)
    if view.format == "grey":
        return _scaled(view.planes[0], target)
    luma, blue, red = (_scaled(plane, target) for plane in view.planes)
    return cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2BGR)     # full range, as View has it


def _scaled(plane: Plane, target: tuple[int, int]) -> NDArray[np.uint8]:
    if (plane.shape[1], plane.shape[0]) == target:
        return plane
    smaller = plane.shape[1] >= target[0]
    return np.asarray(cv2.resize(plane, target, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)
