"""Frames as files hold them: each plane of each view is a picture of its own. As PNG, the very same pixels come back.

What is decoded may come from anybody: how large it will be is read from its head before anything is taken for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast, get_args

import cv2
import numpy as np

from reflexd_drivers.base import Format, Plane, View

Form: TypeAlias = Literal["png", "jpeg"]
FORMS: tuple[Form, ...] = get_args(Form)
ENDINGS: Mapping[str, tuple[str, list[int]]] = {       # OpenCV's own PNG level: others took longer for less
    "png": (".png", []), "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 90])}
PLANES = {"rgb": 1, "grey": 1, "yuv420": 3}
MOST_PX = 1 << 25           # of a plane: 33 megapixels, more than any sensor of a Pi camera has
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD = struct.Struct(">II")                 # width and height behind a PNG's signature, and the head of its first chunk
SIZED = frozenset({*range(0xC0, 0xD0)}) - {0xC4, 0xC8, 0xCC}      # JPEG's segments that tell the size; Source: T.81, table B.1


def encoded(view: View, form: Form) -> list[memoryview]:
    """Write the planes of a view. Holds the interpreter's lock only between two of them."""
    ending, options = ENDINGS[form]
    planes = [_turned(view.planes[0], cv2.COLOR_RGB2BGR)] if view.format == "rgb" else view.planes
    return [cv2.imencode(ending, plane, options)[1].data.cast("B") for plane in planes]


def decoded(kind: str, planes: Sequence[bytes]) -> View:
    """Make a view of what encoded() wrote. Raises: ValueError."""
    if kind not in PLANES or len(planes) != PLANES[kind]:
        raise ValueError(f"there is no view of {kind[:20]} with {len(planes)} planes")
    found = tuple(_plane(one, coloured=kind == "rgb") for one in planes)
    height, width = found[0].shape[:2]
    if any(one.shape != (height // 2, width // 2) for one in found[1:]):
        raise ValueError("the planes of colours are not half as large as the plane of light")
    return View(cast("Format", kind), found)


def _plane(raw: bytes, coloured: bool) -> Plane:
    width, height = size_of(raw)
    if not 0 < width * height <= MOST_PX:
        raise ValueError(f"a picture of {width}x{height} is too large")
    try:
        plane = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR if coloured else cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise ValueError(f"no picture: {error.err}") from None
    if plane is None:
        raise ValueError("a picture is damaged")
    return _turned(cast("Plane", plane), cv2.COLOR_BGR2RGB) if coloured else cast("Plane", plane)


def _turned(plane: Plane, how: int) -> Plane:
    return cast("Plane", cv2.cvtColor(cast("Any", plane), how))


def size_of(raw: bytes) -> tuple[int, int]:
    """Read how wide and high a PNG or JPEG says it is. Raises: ValueError."""
    try:
        if raw.startswith(SIGNATURE):
            width, height = HEAD.unpack_from(raw, 16)
            return width, height
        place = 2 if raw.startswith(b"\xff\xd8") else len(raw)
        while raw[place + 1] not in SIZED:
            place += 2 + int.from_bytes(raw[place + 2:place + 4])
        height, width = struct.unpack_from(">HH", raw, place + 5)
    except (struct.error, IndexError):
        raise ValueError("neither a PNG nor a JPEG") from None
    return width, height
