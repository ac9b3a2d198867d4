"""How far a window is from normal ones, by statistics of normal windows: small arrays, no network.

`rms` asks how strongly each channel moves: the largest robust z of its log-RMS. It needs no learning and sees what gets
stronger or weaker. `mahalanobis` asks whether the features of a window go together as they normally do, and sees more.
A bundle's file may be anything, so its arrays are checked when they are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reflexd_models import features
from reflexd_models.base import ModelError
from reflexd_models.learners import reals

GAUSSIAN = 1.4826        # times the median absolute deviation is the standard deviation of Gaussian noise
STEADIEST = 0.004        # of log10: a channel that always moves alike may still move 1 % more or less
SHRINK = 0.1             # of the correlations is put down to chance. Source: Ledoit and Wolf, J. Multivariate Anal. 88, 2004
Arrays = dict[str, NDArray[Any]]


class Distance(Protocol):
    """Something that tells how far a window is from normal ones."""

    def of(self, window: NDArray[np.float32]) -> float:
        """Give 0 or more for a window (length, channels) in its units.

        Raises: ModelError.
        """
        ...


class Rms:
    """The largest robust z of log-RMS, over the channels."""

    numbers = staticmethod(features.log_rms)

    def __init__(self, arrays: Mapping[str, NDArray[Any]], channels: int) -> None:
        """Take the arrays. Raises: ValueError."""
        self._median, self._mad = reals(arrays, "median", (channels,)), reals(arrays, "mad", (channels,))
        if not (self._mad > 0).all():
            raise ValueError("mad has to be above 0")

    def of(self, window: NDArray[np.float32]) -> float:
        """Give the distance of a window."""
        return self.of_numbers(self.numbers(window))

    def of_numbers(self, numbers: features.Features) -> float:
        """Give the distance of a window's numbers."""
        return float((np.abs(numbers - self._median) / self._mad).max())

    @staticmethod
    def fit(table: features.Features) -> Arrays:
        """Give the arrays for the numbers (n, channels) of normal windows."""
        median = np.median(table, axis=0)
        return {"median": median, "mad": np.maximum(np.median(np.abs(table - median), axis=0) * GAUSSIAN, STEADIEST)}


class Mahalanobis:
    """The distance of a window's features from their mean, in units of how they vary together."""

    numbers = staticmethod(features.of)

    def __init__(self, arrays: Mapping[str, NDArray[Any]], channels: int) -> None:
        """Take the arrays. Raises: ValueError."""
        count = features.count(channels)
        self._mean, self._inverse = reals(arrays, "mean", (count,)), reals(arrays, "inverse", (count, count))

    def of(self, window: NDArray[np.float32]) -> float:
        """Give the distance of a window."""
        return self.of_numbers(self.numbers(window))

    def of_numbers(self, numbers: features.Features) -> float:
        """Give the distance of a window's numbers."""
        away = numbers - self._mean
        return float(np.sqrt(np.maximum(away @ self._inverse @ away, 0.0)))     # a damaged inverse may give less than 0

    @staticmethod
    def fit(table: features.Features) -> Arrays:
        """Give the arrays for the numbers (n, features) of normal windows."""
        mean, std = table.mean(0), table.std(0)
        std = np.maximum(std, 1e-6 * np.abs(mean) + features.QUIET)      # of what never changes, any change is far
        z = (table - mean) / std
        shrunk = (1 - SHRINK) * (z.T @ z / len(z)) + SHRINK * np.eye(len(mean))
        return {"mean": mean, "inverse": np.linalg.inv(shrunk) / np.outer(std, std)}


STATISTICS: dict[str, type[Rms] | type[Mahalanobis]] = {"rms": Rms, "mahalanobis": Mahalanobis}


def fit(method: str, windows: NDArray[np.float32]) -> Arrays:
    """Give the arrays of a bundle's file for normal windows (n, length, channels)."""
    return {"features": np.array(features.NAMES), **STATISTICS[method].fit(_table(method, windows))}


def distance(method: str, arrays: Mapping[str, NDArray[Any]], channels: int, where: str) -> Distance:
    """Take the statistics of a bundle's file.

    Raises: ModelError.
    """
    features.check_names(arrays, where)
    try:
        return STATISTICS[method](arrays, channels)
    except ValueError as problem:
        raise ModelError(f"{where}: {problem}; make it anew with reflexctl calibrate") from None


def apart(windows: NDArray[np.float32], method: str, parts: int = 5) -> NDArray[np.float64]:
    """Give the distance of each window from the normality of the others: float64 (n).

    Each part of the recording is measured with statistics of the other parts, since windows are nearer to what was made
    of themselves than any new window will be; neighbours overlap, so parts are stretches of time.
    """
    table, found = _table(method, windows), np.empty(len(windows))
    for part in np.array_split(np.arange(len(windows)), parts):
        others = STATISTICS[method](STATISTICS[method].fit(np.delete(table, part, axis=0)), windows.shape[2])
        found[part] = [others.of_numbers(table[at]) for at in part]
    return found


def _table(method: str, windows: NDArray[np.float32]) -> features.Features:
    """Give the numbers of windows: float64 (n, numbers)."""
    return np.stack([STATISTICS[method].numbers(window) for window in windows])
