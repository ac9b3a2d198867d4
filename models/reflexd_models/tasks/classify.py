"""One frame, one score per label. Only the labels that are watched are turned into numbers."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet

import numpy as np

from reflexd_models import base
from reflexd_models.base import Model, ModelError, Prediction, Tensor, View
from reflexd_models.bundle import Bundle, load
from reflexd_models.quantize import real, reals
from reflexd_models.resample import Pixels
from reflexd_models.runtime import Network
from reflexd_models.sight import Sight, intake_for


class Options(base.Options):
    """Nothing beyond the common keys."""


class Classifier:
    """A network that gives a score to each label."""

    def __init__(self, sight: Sight, labels: tuple[str, ...], watch: AbstractSet[str] | None) -> None:
        """Watch some labels; a label that stands twice counts with its higher score."""
        self.labels, self._sight = labels, sight
        self._info = sight.network.outputs[0]
        self._watched = None if watch is None else [(at, label) for at, label in enumerate(labels) if label in watch]

    def predict(self, view: View, taken_at: int) -> Prediction:
        """Run the network on the whole view.

        Raises: ModelError.
        """
        return Prediction(taken_at, self._scores(self._sight.look(view)))

    @property
    def least_px(self) -> base.Size:
        """Give the size of the smallest view by which nothing is lost."""
        return self._sight.least_px

    def given(self, view: View) -> list[Pixels]:
        """Draw what the network is given."""
        return self._sight.given(view)

    def _scores(self, raw: Tensor) -> dict[str, float]:
        if self._watched is None:
            pairs = list(zip(self.labels, reals(raw, self._info), strict=True))
        else:
            pairs = [(label, real(raw.item(at), self._info)) for at, label in self._watched]
        scores: dict[str, float] = {}
        for label, score in pairs:
            scores[label] = max(share(score, self._sight.network.where), scores.get(label, 0.0))
        return scores


def share(score: float, where: str) -> float:
    """Hold a score to 0 to 1: a quantized one may stand a step outside.

    Raises: ModelError when it is no number.
    """
    if math.isnan(score):
        raise ModelError(f"{where}: the network gave no number (nan); look at what it is given with reflexctl snapshot")
    return min(max(score, 0.0), 1.0)


def check_labels(bundle: Bundle, network: Network) -> None:
    """Refuse a network whose outputs and labels are not as many.

    Raises: ModelError.
    """
    count = int(np.prod(network.outputs[0].shape)) if network.outputs else 0
    if not bundle.labels:
        raise ModelError(f"{bundle.path}: has no labels inside, and gives {count} scores; "
                         "name a file with --labels, or write a bundle")
    if len(network.outputs) != 1 or count != len(bundle.labels):
        raise ModelError(f"{bundle.path}: there are {len(bundle.labels)} labels, and the network gives {count} scores in "
                         f"{len(network.outputs)} outputs; the labels belong to another network, or it needs another task")


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> Model:
    """Make the model.

    Raises: ModelError.
    """
    network = load(bundle)
    intake = intake_for(bundle, network)
    check_labels(bundle, network)
    return Classifier(Sight(network, intake), bundle.labels, watch)
