"""What lies between a frame and a network's outputs: scale a region, write it into the input, infer, copy.

One Sight serves all regions of one network; the cost beside the inference is a few microseconds where the
camera gives the network's own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from reflexd_models.base import ModelError, Size, Tensor, View
from reflexd_models.image import CHANNELS, WHOLE, Layout, Pixels, Region, Scaler, Still
from reflexd_models.quantize import Normal, plain, writer
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


def intake_for(bundle: Bundle, network: Network) -> Intake:
    """Say how the network wants its pictures: as its tensor is, and as the bundle's [input] tells beside.

    Raises: ModelError when it takes no picture, or the two contradict.
    """
    said, shape = bundle.input, network.inputs[0].shape if len(network.inputs) == 1 else ()
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3) or not all(1 <= size <= 8192 for size in shape[1:]):
        found = ", ".join(str(list(info.shape)) for info in network.inputs)
        raise ModelError(f"{network.where}: a network of pictures takes [1, height, width, 1 or 3], found {found}; "
                         "another task has to read it")
    layout = said.layout or ("rgb" if shape[3] == 3 else "grey")
    if CHANNELS[layout] != shape[3] or said.width not in (None, shape[2]) or said.height not in (None, shape[1]):
        raise ModelError(f"{network.where}: [input] of the bundle does not fit: the network takes {shape[2]} x {shape[1]} px, "
                         f"{shape[3]} channels; correct layout, width or height")
    return Intake(shape[2], shape[1], layout, _normal(bundle, network.inputs[0]))


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
        """Infer on one region; give the raw first output, flat and ours, until the next look.

        Raises: ModelError.
        """
        self._view, self._scaler = view, self._scalers[region]
        return self.network.run(self._fill)[0]

    def given(self, view: View) -> list[Pixels]:
        """Draw each region as the network is given it: uint8 (height, width, 3) RGB, new arrays."""
        return [_as_rgb(scaler.scale(view), self.intake.layout) for scaler in self._new_scalers()]

    def _fill(self, tensor: Tensor) -> None:
        target = tensor[0]
        pixels = self._scaler.scale(self._view, target if self._write is plain else None)
        if pixels is not target:
            self._write(pixels, target)

    def _new_scalers(self) -> list[Scaler]:
        wanted = self.intake
        return [Scaler(wanted.width, wanted.height, wanted.layout, region) for region in self.regions]


def _ceil(pixels: float) -> int:
    return ceil(pixels - 1e-6)      # 48 / 0.16 is a little more than 300


def _as_rgb(picture: Pixels, layout: Layout) -> Pixels:
    if layout == "grey":
        return np.repeat(picture, 3, axis=2)
    shown = picture[:, :, ::-1] if layout == "bgr" else picture
    return np.array(shown, np.uint8, order="C")
