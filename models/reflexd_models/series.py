"""What the tasks that watch sensors share: which windows a bundle wants, and which are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reflexd_models.about import Window
from reflexd_models.base import ModelError, Shape
from reflexd_models.bundle import Bundle
from reflexd_models.quantize import share

Samples = NDArray[np.float32]


def window_of(bundle: Bundle) -> Window:
    """Give what the bundle says of its windows.

    Raises: ModelError.
    """
    if bundle.window is None:
        raise ModelError(f"{bundle.where}: the task {bundle.task} watches windows of readings, and nothing says which; "
                         "add [window] with channels, rate_hz and length to model.toml")
    return bundle.window


def check_labels(bundle: Bundle, count: int | None = None) -> None:
    """Refuse a bundle whose labels are not as many as its scores, or not apart.

    Raises: ModelError.
    """
    labels = bundle.labels
    if count is not None and count != len(labels):
        raise ModelError(f"{bundle.where}: there are {len(labels)} labels, and the network gives {count} scores; "
                         "list one label for each in model.toml, or it needs another task")
    if len(set(labels)) != len(labels) or not labels:
        raise ModelError(f"{bundle.where}: each score needs a label of its own, found {len(set(labels))} different labels "
                         f"of {len(labels)}; correct labels in model.toml")


def shape_of(window: Window) -> Shape:
    """Give the shape of a bundle's windows; where it names no hop, windows overlap by half."""
    return Shape(window.channels, window.rate_hz, window.length, window.hop or max(1, window.length // 2))


def check(window: NDArray[Any], shape: Shape, where: str) -> None:
    """Refuse what is no window of finite numbers.

    Raises: ModelError.
    """
    wanted = (shape.length, len(shape.channels))
    if window.shape != wanted:
        raise ModelError(f"{where}: takes windows of {list(wanted)} (samples, channels), found {list(window.shape)}; "
                         "give it the window that its bundle names")
    if not np.isfinite(window).all():
        raise ModelError(f"{where}: a window has a value that is no number (nan or inf); leave out windows with a gap")


def told(labels: tuple[str, ...], scores: list[float], where: str) -> dict[str, float]:
    """Give each label its score, held to 0 to 1: a quantized one may stand a step outside.

    Raises: ModelError when one is no number, or no share.
    """
    if any(math.isnan(score) for score in scores):
        raise ModelError(no_number(where))
    return {label: share(score, where) for label, score in zip(labels, scores, strict=True)}


def no_number(where: str) -> str:
    """Say that nothing was said of a window."""
    return (f"{where}: the network gave no number (nan) for a window; look at its sensors with reflexctl watch, "
            "and at mean and std in model.toml")


class Normal:
    """The real input of a network: (value - mean) / std of each channel, or the values as they are."""

    def __init__(self, window: Window) -> None:
        """Take mean and std of the bundle; there may be none."""
        self._shape = shape_of(window)
        self._mean = np.asarray(window.mean or 0.0, np.float32)
        self._std = np.asarray(window.std or 1.0, np.float32)
        self._kept = np.zeros((window.length, len(window.channels)), np.float32)

    def of(self, window: Samples, where: str) -> Samples:
        """Give the real input, in an array that the next call reuses.

        Raises: ModelError.
        """
        check(window, self._shape, where)
        np.subtract(window, self._mean, out=self._kept, casting="same_kind")
        return np.divide(self._kept, self._std, out=self._kept)
