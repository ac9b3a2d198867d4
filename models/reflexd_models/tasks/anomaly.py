"""One window of readings, one number: how far it is from normal ones, where 1 is the limit that was calibrated."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from typing import ClassVar, Literal

import numpy as np

from reflexd_models import base, files, series
from reflexd_models.base import ModelError, Prediction, SeriesModel
from reflexd_models.bundle import Bundle, content_of, load
from reflexd_models.normality import Distance, distance
from reflexd_models.recurrent import Whole, autoencoder

LARGEST = 16 * files.MIB
FARTHEST = 1e9           # limits; what is beyond is told as this


class Options(base.Options):
    """Nothing beyond the common keys."""

    gives_number: ClassVar[bool] = True
    watches: ClassVar[Literal["camera", "sensors"]] = "sensors"

    @property
    def bounds(self) -> tuple[float, float]:
        """Say that a distance is not negative."""
        return 0.0, FARTHEST


class Autoencoder:
    """The mean square of what a network that has learned normal windows gets wrong."""

    def __init__(self, network: Whole, normal: series.Normal, where: str) -> None:
        """Take a network with the way to make its input real."""
        self._network, self._normal, self._where = network, normal, where

    def of(self, window: series.Samples) -> float:
        """Give the distance: of real inputs, so in units of `std` squared.

        Raises: ModelError.
        """
        given = self._normal.of(window, self._where)
        wrong = np.asarray(self._network.read(given)) - given.ravel()
        return float(np.mean(wrong * wrong))


class Anomaly:
    """A distance with its limit."""

    labels: tuple[str, ...] = ()

    def __init__(self, shape: base.Shape, far: Distance, limit: float, where: str) -> None:
        """Count the distance `limit` as 1; `where` names the file in errors."""
        self.shape, self.where = shape, where
        self._distance, self._limit = far, limit
        self.about = "" if isinstance(far, Autoencoder) else "numpy"       # evaluates it; a network's runtime speaks for itself

    def predict(self, window: series.Samples, taken_at: int) -> Prediction:
        """Tell how far a window is from normal ones.

        Raises: ModelError.
        """
        series.check(window, self.shape, self.where)
        value = self._distance.of(window) / self._limit
        if math.isnan(value):
            raise ModelError(series.no_number(self.where))
        return Prediction(taken_at, {}, min(value, FARTHEST))


def distance_of(bundle: Bundle) -> Distance:
    """Load what a bundle measures with, whether it has a limit or not.

    Raises: ModelError.
    """
    window = series.window_of(bundle)
    if bundle.anomaly is None:
        raise ModelError(f"{bundle.where}: the task anomaly measures how far a window is from normal ones, and nothing says how; "
                         "add [anomaly] with method to model.toml, or make a bundle with reflexctl calibrate")
    if bundle.labels:
        raise ModelError(f"{bundle.where}: the task anomaly gives a number and no scores, found {len(bundle.labels)} labels; "
                         "leave labels out of model.toml")
    if bundle.anomaly.method == "autoencoder":
        network = autoencoder(load(bundle), series.shape_of(window))
        return Autoencoder(network, series.Normal(window), bundle.where)
    if window.mean:
        raise ModelError(f"{bundle.where}: the method {bundle.anomaly.method} takes windows in their units; "
                         "leave mean and std out of [window]")
    arrays = files.arrays(content_of(bundle), bundle.where, LARGEST, "the statistics")
    return distance(bundle.anomaly.method, arrays, len(window.channels), bundle.where)


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> SeriesModel:
    """Make the model.

    Raises: ModelError.
    """
    far = distance_of(bundle)
    assert bundle.anomaly is not None
    if bundle.anomaly.limit is None:
        how = f"--method {bundle.anomaly.method}{' --bundle BUNDLE' if bundle.anomaly.method == 'autoencoder' else ''}"
        raise ModelError(f"{bundle.where}: has no limit, so nobody can say what is too far; record at least 300 normal windows, "
                         f"and run reflexctl calibrate RECORDING {how} --as NAME")
    return Anomaly(series.shape_of(series.window_of(bundle)), far, bundle.anomaly.limit, bundle.where)
