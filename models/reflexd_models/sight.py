"""What lies between a frame and a network's outputs: scale a region, write it into the input, infer, copy.

One Sight serves all regions of one network; the cost beside the inference is a few microseconds where the
camera gives the network's own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reflexd_models.base import ModelError, Size, Tensor, View
from reflexd_models.image import CHANNELS, WHOLE, Layout, Scaler, Still
from reflexd_models.placing import Placed
from reflexd_models.quantize import Normal, plain, writer
from reflexd_models.resample import Pixels, Region
from reflexd_models.runtime import Network, TensorInfo

if TYPE_CHECKING:
    from reflexd_models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Intake:
    """How a network wants its pictures."""

    width: int
    height: int
    layout: Layout
    normal: Normal | None = None
    planar: bool = False         # channels before rows (NCHW)
    letterbox: bool = False


def picture(shape: Sequence[int]) -> tuple[int, int, int, bool] | None:
    """Take an input's shape for a picture's: width, height, channels, and whether these come first; None when it is none."""
    if len(shape) != 4 or shape[0] != 1 or not all(1 <= size <= 8192 for size in shape[1:]):
        return None
    if shape[3] in (1, 3):
        return shape[2], shape[1], shape[3], False
    return (shape[3], shape[2], shape[1], True) if shape[1] in (1, 3) else None


def intake_for(bundle: Bundle, network: Network, letterbox: bool = False) -> Intake:
    """Say how the network wants its pictures: as its tensor is, and as the bundle's [input] tells beside.

    Raises: ModelError when it takes no picture, or the two contradict.
    """
    said, taken = bundle.input, picture(network.inputs[0].shape) if len(network.inputs) == 1 else None
    if taken is None:
        found = ", ".join(str(list(info.shape)) for info in network.inputs)
        raise ModelError(f"{network.where}: a network of pictures takes [1, height, width, 1 or 3] or "
                         f"[1, 1 or 3, height, width], found {found}; another task has to read it")
    width, height, channels, planar = taken
    layout = said.layout or ("rgb" if channels == 3 else "grey")
    if CHANNELS[layout] != channels or said.width not in (None, width) or said.height not in (None, height):
        raise ModelError(f"{network.where}: [input] of the bundle does not fit: the network takes {width} x {height} px, "
                         f"{channels} channels; correct layout, width or height")
    return Intake(width, height, layout, _normal(bundle, network.inputs[0]), planar, letterbox)


def _normal(bundle: Bundle, info: TensorInfo) -> Normal | None:
    """Take mean and std; those inside a bare file are meant for its float original, not for quantized inputs."""
    said = bundle.input
    if said.mean is None or said.std is None or (bundle.sha256 is None and info.dtype.kind != "f"):
        return None
    return said.mean, said.std


class Sight:
    """A network with what it is shown; used by one thread, but for `given`."""

    def __init__(self, network: Network, intake: Intake, regions: Sequence[Region] = (WHOLE,)) -> None:
        """Prepare for each region.

        Raises: ModelError.
        """
        self.network, self.intake, self.regions = network, intake, tuple(regions)
        self._scalers = self._new_scalers()
        self._scaler = self._scalers[0]
        self._view: View = Still("grey", (np.zeros((1, 1), np.uint8),))
        shape = (CHANNELS[intake.layout], intake.height, intake.width)
        self._planes = np.empty(shape, np.uint8) if intake.planar else None
        try:
            self._write = writer(network.inputs[0], intake.normal)
        except ValueError as problem:
            raise ModelError(f"{network.where}: the network {problem}; state input.mean and input.std in a bundle") from None

    @property
    def least_px(self) -> Size:
        """Give the size of the smallest view of which no region has to be enlarged."""
        wanted = self.intake
        return (max(_ceil(wanted.width / region[2]) for region in self.regions),
                max(_ceil(wanted.height / region[3]) for region in self.regions))

    def look(self, view: View, region: int = 0) -> Tensor:
        """Infer on one region; give the raw first output, ours, until the next look.

        Raises: ModelError.
        """
        return self.see(view, region)[0]

    def see(self, view: View, region: int = 0) -> tuple[Tensor, ...]:
        """Infer on one region; give all raw outputs, ours, until the next look.

        Raises: ModelError.
        """
        self._view, self._scaler = view, self._scalers[region]
        return self.network.run(self._fill)

    @property
    def placed(self) -> Placed:
        """Say where the picture that was seen last lies in its frame."""
        return self._scaler.placed

    def given(self, view: View) -> list[Pixels]:
        """Draw each region as the network is given it: uint8 (height, width, 3) RGB, new arrays."""
        return [_as_rgb(scaler.scale(view), self.intake.layout) for scaler in self._new_scalers()]

    def _fill(self, tensor: Tensor) -> None:
        target = tensor[0]
        if self._planes is not None:
            planes = target if self._write is plain else self._planes
            cv2.split(self._scaler.scale(self._view), list(planes))     # into those planes, five times as fast as a copy
            if planes is not target:
                self._write(planes, target)
            return
        pixels = self._scaler.scale(self._view, target if self._write is plain else None)
        if pixels is not target:
            self._write(pixels, target)

    def _new_scalers(self) -> list[Scaler]:
        wanted = self.intake
        return [Scaler(wanted.width, wanted.height, wanted.layout, region, wanted.letterbox) for region in self.regions]


def _ceil(pixels: float) -> int:
    return ceil(pixels - 1e-6)      # 48 / 0.16 is a little more than 300


def _as_rgb(picture: Pixels, layout: Layout) -> Pixels:
    if layout == "grey":
        return np.repeat(picture, 3, axis=2)
    shown = picture[:, :, ::-1] if layout == "bgr" else picture
    return np.array(shown, np.uint8, order="C")
