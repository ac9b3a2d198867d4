"""Real numbers ↔ the numbers that a quantized network takes and gives.

Pixels of 0 to 255 go into a quantized network as they are: into uint8 unchanged, into int8 less 128,
since its range was calibrated on pictures. Only a bundle that states mean and std gets another table.
A float network gets (pixel - mean) / std, and nothing is assumed: the two must be stated.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd_models.base import ModelError, Tensor
from reflexd_models.runtime import TensorInfo

Pixels: TypeAlias = NDArray[np.uint8]
Write: TypeAlias = Callable[[Pixels, Tensor], None]
Normal: TypeAlias = tuple[float, float]        # mean and std, in pixels

KINDS = ("uint8", "int8", "float32")
OUTSIDE = 0.5      # how far outside 0 to 1 a score is put down to quantization; a network without its softmax gives far more


def writer(info: TensorInfo, normal: Normal | None) -> Write:
    """Give the quickest way to write pixels (height, width, channels) into a tensor of the same shape.

    Raises: ValueError when the tensor's kind or its normalisation is not known.
    """
    kind = info.dtype.name
    if kind not in KINDS:
        raise ValueError(f"takes {kind}, and pictures can be given as {', '.join(KINDS)}")
    if normal is None:
        if kind == "float32":
            raise ValueError("takes floats and does not say how pixels become floats")
        return plain if kind == "uint8" else _signed
    return _by_table(table(info, normal))


def table(info: TensorInfo, normal: Normal) -> Tensor:
    """Compute what each of the 256 values of a pixel becomes in that tensor."""
    mean, std = normal
    wanted = (np.arange(256) - mean) / std
    if info.dtype.name == "float32":
        return wanted.astype(np.float32)
    bounds = np.iinfo(info.dtype)
    raw: Tensor = np.clip(np.rint(wanted / (info.scale or 1.0)) + info.zero_point, bounds.min, bounds.max)
    return raw.astype(info.dtype)


def least_raw(least: float, info: TensorInfo) -> float | int:
    """Give the raw output from which the real number is at least that much, so that only what passes is made real."""
    if not info.scale:
        return float(np.float32(least))
    return ceil(round(least / info.scale, 6)) + info.zero_point      # rounded: 0.5 / (1 / 256) may be a little more than 128


def real(raw: float, info: TensorInfo) -> float:
    """Give the real number behind one raw output, as a plain float."""
    return (float(raw) - info.zero_point) * info.scale if info.scale else float(raw)


def reals(raw: Tensor, info: TensorInfo) -> list[float]:
    """Give the real numbers behind raw outputs, flat, as plain floats."""
    values = raw.ravel().astype(np.float64)
    found: list[float] = ((values - info.zero_point) * info.scale if info.scale else values).tolist()
    return found


def check_real(info: TensorInfo, where: str) -> None:
    """Refuse an output of whole numbers that does not say which real numbers they are.

    Raises: ModelError.
    """
    if info.dtype.kind in "iu" and not info.scale:
        raise ModelError(f"{where}: the output {info.name} is {info.dtype} without a scale, so its scores mean nothing; "
                         "convert it anew, quantized or in floats")


def share(score: float, where: str) -> float:
    """Hold a score to 0 to 1: a quantized one may stand a step outside.

    Raises: ModelError when it is further outside: held to 1, what is no share would count as sure.
    """
    if not -OUTSIDE <= score <= 1 + OUTSIDE:
        raise ModelError(f"{where}: the network gave the score {score:g}, and scores are 0 to 1; "
                         "convert it with its softmax or sigmoid")
    return min(max(score, 0.0), 1.0)


def plain(pixels: Pixels, tensor: Tensor) -> None:
    np.copyto(tensor, pixels)


def _signed(pixels: Pixels, tensor: Tensor) -> None:
    np.bitwise_xor(pixels, 0x80, out=tensor.view(np.uint8))       # x - 128 in two's complement, without leaving bytes


def _by_table(values: NDArray[Any]) -> Write:
    found = np.ascontiguousarray(values).reshape(1, 256)

    def write(pixels: Pixels, tensor: Tensor) -> None:
        if pixels.shape[2] > 4:           # planes: OpenCV would take their rows for channels
            pixels, tensor = (array.reshape(-1, array.shape[2]) for array in (pixels, tensor))
        cv2.LUT(pixels, found, tensor)    # 2.4 times (floats) to 3.8 times (int8) as fast as np.take
    return write


def fill(tensor: Tensor, values: NDArray[Any], info: TensorInfo) -> None:
    """Write real numbers into a tensor of as many, rounded and held to its range where it is quantized."""
    if not info.scale:
        np.copyto(tensor, values.reshape(tensor.shape), casting="same_kind")
        return
    bounds = np.iinfo(info.dtype)
    raw = np.rint(values.reshape(tensor.shape) / info.scale) + info.zero_point
    np.copyto(tensor, np.clip(raw, bounds.min, bounds.max), casting="unsafe")
