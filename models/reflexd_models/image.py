"""Crop and resample views to a network's size: antialiased where it shrinks, and without new memory.

resample.py shrinks. Colour is converted after scaling, on the few pixels that are left. Buffers are made at the
first frame of a size and reused; what scale() gives is valid until its next call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from reflexd_models.base import ModelError, View
from reflexd_models.placing import GREY, Box, Placed, fit, placed
from reflexd_models.resample import Pixels, Region, Step, crop, resampler

cv2.setNumThreads(1)      # cores are shared with other networks; two threads were up to four times slower there

Format: TypeAlias = Literal["rgb", "grey", "yuv420"]
Layout: TypeAlias = Literal["rgb", "bgr", "grey"]

WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1}
TO_LAYOUT: dict[tuple[str, str], int] = {
    ("rgb", "bgr"): cv2.COLOR_RGB2BGR, ("rgb", "grey"): cv2.COLOR_RGB2GRAY,
    ("grey", "rgb"): cv2.COLOR_GRAY2RGB, ("grey", "bgr"): cv2.COLOR_GRAY2BGR,
    ("yuv420", "rgb"): cv2.COLOR_YCrCb2RGB, ("yuv420", "bgr"): cv2.COLOR_YCrCb2BGR,
}


@dataclass(frozen=True, slots=True)
class Still:
    """A view that belongs to no camera: a picture from a file or a data set."""

    format: Format
    planes: tuple[Pixels, ...]


class Scaler:
    """Gives one region of views at one size and layout; used by one thread.

    `placed` says where what was given last lies in its frame.
    """

    def __init__(self, width: int, height: int, layout: Layout, region: Region = WHOLE, letterbox: bool = False) -> None:
        """Give pictures of uint8 (height, width, channels of the layout), stretched or with a border."""
        self.width, self.height, self.region, self.letterbox = width, height, region, letterbox
        self.layout: Layout = layout
        self.placed = Placed()
        self._bordered: Pixels | None = None      # with its border, and the part inside
        self._inside: Pixels | None = None
        self._key: tuple[object, ...] = ()
        self._steps: tuple[Step, ...] = ()
        self._finish: Callable[..., Pixels] = _as_is

    def scale(self, view: View, out: Pixels | None = None) -> Pixels:
        """Scale the region of a view, into `out` where that spares a copy; else the result may be a part of the view itself.

        Raises: ModelError.
        """
        key = (view.format, *[plane.shape for plane in view.planes])
        if key != self._key:
            self._prepare(view)
            self._key = key
        if self._bordered is not None:
            return self._fill_in(view)
        if out is not None and self._finish is _as_is:
            return self._steps[0](view.planes[0], out)
        # a grey network needs no colour: there are fewer steps than planes then
        return self._finish(*[step(plane, None) for step, plane in zip(self._steps, view.planes, strict=False)])

    def _fill_in(self, view: View) -> Pixels:
        assert self._bordered is not None
        assert self._inside is not None
        if self._finish is _as_is:
            part = self._steps[0](view.planes[0], self._inside)
        else:
            part = self._finish(*[step(plane, None) for step, plane in zip(self._steps, view.planes, strict=False)])
        if part is not self._inside:
            np.copyto(self._inside, part)
        return self._bordered

    def _prepare(self, view: View) -> None:
        check(view)
        used = view.planes[:1] if self.layout == "grey" else view.planes
        rows, columns = crop(used[0].shape, self.region)
        inside = Box(0, 0, self.width, self.height)
        if self.letterbox:
            inside = fit(columns.stop - columns.start, rows.stop - rows.start, self.width, self.height)
        plans = [resampler(plane.shape, self.region, inside.width, inside.height) for plane in used]
        self._steps = tuple(step for step, _ in plans)
        self.placed = placed(view.planes[0].shape[1::-1], plans[0][1], inside, (self.width, self.height))
        shape = (inside.height, inside.width, CHANNELS[self.layout])
        self._bordered = self._inside = None
        if shape[:2] != (self.height, self.width):
            self._bordered = np.full((self.height, self.width, shape[2]), GREY, np.uint8)
            self._inside = self._bordered[inside.y : inside.y + inside.height, inside.x : inside.x + inside.width]
        self._finish = _converter(view.format, self.layout, shape, self._inside)


def check(view: View) -> None:
    """Refuse a view whose planes do not fit its format.

    Raises: ModelError.
    """
    shapes = [plane.shape for plane in view.planes]
    wanted = {"rgb": [3], "grey": [2], "yuv420": [2, 2, 2]}.get(view.format)
    sound = all(plane.dtype == np.uint8 and plane.size for plane in view.planes)
    if [len(shape) for shape in shapes] != wanted or not sound or (view.format == "rgb" and shapes[0][2] != 3):
        raise ModelError(f"view: {shapes} are no planes of {view.format}; this is a fault of the camera's driver")


def _converter(found: str, wanted: Layout, shape: tuple[int, int, int], into: Pixels | None) -> Callable[..., Pixels]:
    """Plan how scaled planes become one picture of that shape in the wanted layout, in `into` where that can be."""
    if wanted == "grey" and found != "rgb":
        return _deepen
    if found == wanted:
        return _as_is
    code, kept = TO_LAYOUT[found, wanted], np.empty(shape, np.uint8) if into is None else into
    target = kept if shape[2] > 1 else kept[:, :, 0]

    def convert(*planes: Pixels) -> Pixels:
        cv2.cvtColor(planes[0], code, dst=target)
        return kept

    if found != "yuv420":
        return convert
    packed = np.empty((*shape[:2], 3), np.uint8)

    def join(luma: Pixels, blue: Pixels, red: Pixels) -> Pixels:
        cv2.merge((luma, red, blue), packed)
        return convert(packed)

    return join


def _as_is(picture: Pixels) -> Pixels:
    return picture


def _deepen(plane: Pixels) -> Pixels:
    return plane[:, :, np.newaxis]
