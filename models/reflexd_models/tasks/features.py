"""One window of readings, one score per label, by a classic learner on features of the window: no network, no runtime."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import ClassVar, Literal

from reflexd_models import base, features, files, series
from reflexd_models.base import ModelError, Prediction, SeriesModel
from reflexd_models.bundle import Bundle, content_of
from reflexd_models.learners import Learner, learner

LARGEST = 16 * files.MIB


class Options(base.Options):
    """Nothing beyond the common keys."""

    watches: ClassVar[Literal["camera", "sensors"]] = "sensors"


class Featured:
    """A learner that gives a score to each label."""

    about = "numpy"            # evaluates it, no runtime of networks

    def __init__(self, labels: tuple[str, ...], shape: base.Shape, learned: Learner, where: str) -> None:
        """Take what was learned; `where` names its file in errors."""
        self.labels, self.shape, self.where = labels, shape, where
        self._learned = learned

    def predict(self, window: series.Samples, taken_at: int) -> Prediction:
        """Compute the features of a window, and their scores.

        Raises: ModelError.
        """
        series.check(window, self.shape, self.where)
        scores = self._learned.scores(features.of(window)).tolist()
        return Prediction(taken_at, series.told(self.labels, scores, self.where))


def build(bundle: Bundle, options: base.Options, watch: AbstractSet[str] | None) -> SeriesModel:
    """Make the model.

    Raises: ModelError.
    """
    window = series.window_of(bundle)
    if window.mean:
        raise ModelError(f"{bundle.where}: the task features takes windows in their units; leave mean and std out of [window]")
    series.check_labels(bundle)
    arrays = files.arrays(content_of(bundle), bundle.where, LARGEST, "the learner")
    features.check_names(arrays, bundle.where)
    learned = learner(arrays, features.count(len(window.channels)), len(bundle.labels), bundle.where)
    return Featured(bundle.labels, series.shape_of(window), learned, bundle.where)
