"""One window of readings, one score per label, by a network: of the whole window, or sample by sample with a state."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import ClassVar, Literal

import numpy as np

from reflexd_models import base, series
from reflexd_models.base import Prediction, SeriesModel
from reflexd_models.bundle import Bundle, load
from reflexd_models.recurrent import Reads, reader


class Options(base.Options):
    """Nothing beyond the common keys."""

    watches: ClassVar[Literal["camera", "sensors"]] = "sensors"


class Sequence:
    """A network that gives a score to each label."""

    def __init__(self, labels: tuple[str, ...], shape: base.Shape, normal: series.Normal, network: Reads, where: str) -> None:
        """Take a network with the way to make its input real; `where` names its file in errors."""
        self.labels, self.shape, self.where = labels, shape, where
        self._normal, self._network = normal, network

    def predict(self, window: series.Samples, taken_at: int) -> Prediction:
        """Let the network read a window from its beginning.

        Raises: ModelError.
        """
        scores = self._network.read(self._normal.of(window, self.where))
        return Prediction(taken_at, series.told(self.labels, scores, self.where))


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> SeriesModel:
    """Make the model.

    Raises: ModelError.
    """
    window = series.window_of(bundle)
    shape = series.shape_of(window)
    network = reader(load(bundle), shape, window.state)
    series.check_labels(bundle, int(np.prod(network.told.shape)))
    return Sequence(bundle.labels, shape, series.Normal(window), network, bundle.where)
