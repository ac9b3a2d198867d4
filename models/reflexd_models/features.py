"""Numbers that tell windows of readings apart: what a classic learner and a robust statistic are given.

The same code runs where a learner is fitted and on the device, a window at a time, so that both get the same numbers.
A bundle's file names the features that it was made with, and is refused when they are not these.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reflexd_models.base import ModelError

BANDS = 6
NAMES = ("mean", "rms", "std", "peak", "crest", "kurtosis", "step", *[f"band{at}" for at in range(1, BANDS + 1)])
QUIET = 1e-9       # added before a logarithm, in the sensor's unit: silence is -9, not minus infinity

Features = NDArray[np.float64]


def of(window: NDArray[Any]) -> Features:
    """Compute the features of a window (length, channels): float64 (channels * len(NAMES)), channel after channel.

    `mean`, `rms`, `std` are plain. `peak` is the greatest distance from the mean; `crest` is peak / std and `kurtosis`
    3 for Gaussian noise, both 0 for a channel that does not move. `step` is the mean absolute difference of neighbours.
    `band6` is log10 of the rms between 1/2 and 1 of the highest frequency (half the rate), each band below it is an
    octave lower, and `band1` has the rest down to 0.
    """
    x = np.asarray(window, np.float64).T           # a channel a row: sums run along memory
    x = np.ascontiguousarray(x)
    mean = x.mean(1)
    away = x - mean[:, None]
    square = away * away
    power = square.mean(1)
    std, peak = np.sqrt(power), np.abs(away).max(1)
    moves = power > QUIET * QUIET
    crest = np.divide(peak, std, out=np.zeros_like(std), where=moves)
    kurtosis = np.divide(np.einsum("ij,ij->i", square, square) / x.shape[1], power * power, out=np.zeros_like(std), where=moves)
    step = np.abs(np.diff(x, axis=1)).mean(1) if x.shape[1] > 1 else np.zeros_like(std)
    rms = np.sqrt(power + mean * mean)
    return np.column_stack((mean, rms, std, peak, crest, kurtosis, step, _bands(away))).ravel()


def table(windows: NDArray[Any]) -> Features:
    """Compute the features of windows (n, length, channels): float64 (n, features)."""
    return np.stack([of(window) for window in windows])


def log_rms(window: NDArray[Any]) -> Features:
    """Compute log10 of how much each channel of a window (length, channels) moves about its mean: float64 (channels)."""
    moved: Features = np.log10(np.asarray(window, np.float64).std(0) + QUIET)
    return moved


def count(channels: int) -> int:
    """Tell how many features a window of so many channels has."""
    return channels * len(NAMES)


def check_names(arrays: Mapping[str, NDArray[Any]], where: str) -> None:
    """Refuse a file that was made with other features.

    Raises: ModelError.
    """
    found = arrays.get("features")
    if found is None or found.dtype.kind != "U" or tuple(found.tolist()) != NAMES:
        raise ModelError(f"{where}: was made with other features than this reflexd computes ({', '.join(NAMES)}); fit it again")


def _bands(away: Features) -> Features:
    taper, bins = _spectrum(away.shape[1])
    power = np.abs(np.fft.rfft(away * taper)) ** 2
    logs: Features = np.log10(np.sqrt(power @ bins) + QUIET)
    return logs


@lru_cache(maxsize=8)
def _spectrum(length: int) -> tuple[Features, Features]:
    """Give Hann's window, and which share of each bin's power each band gets, so that all bands sum to the variance."""
    taper = np.hanning(length + 2)[1:-1]           # without its two zeros: they would waste samples
    frequency = np.linspace(0, 1, length // 2 + 1) if length > 1 else np.zeros(1)
    octave = np.clip(BANDS + np.floor(np.log2(np.maximum(frequency, 2.0**-BANDS)) - 1e-9), 0, BANDS - 1)
    bins = (octave[:, None] == np.arange(BANDS)).astype(np.float64)
    twice = np.full(len(frequency), 2.0)           # each bin stands for itself and its mirror image
    twice[0] = 1.0
    if length % 2 == 0:
        twice[-1] = 1.0
    bins *= (twice / (length * np.square(taper).sum()))[:, None]
    for kept in (taper, bins):
        kept.setflags(write=False)
    return taper, bins
