"""How right a network is on data that it never saw. Numbers only."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

BINS = 10
Figures: TypeAlias = dict[str, float]


class Judged(NamedTuple):
    """What was said of each input, and what is true."""

    truth: NDArray[np.int64]           # (n,), place of the label
    scores: NDArray[np.float64]        # (n, labels)
    group: NDArray[np.str_]            # (n,), what may only be held out whole
    labels: tuple[str, ...]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Tell which answers are right."""
        return self.scores.argmax(1) == self.truth


def figures(judged: Judged, of_float: Judged | None, size: int) -> Figures:
    """Judge a file.

    accuracy: share of right answers. worst_group: of the group with the fewest. calibration_error: how far scores are from
    the share of right answers, on average (expected calibration error, 10 bins). quantization_loss: accuracy of the float
    network less that of the file.
    """
    found = {
        "accuracy": float(judged.right.mean()), "worst_group": min(by_group(judged).values()),
        "calibration_error": calibration_error(judged), "size_bytes": float(size), "count": float(len(judged.truth)),
    }
    for place, label in enumerate(judged.labels):
        if (judged.truth == place).any():
            found[f"recall {label}"] = float(judged.right[judged.truth == place].mean())
    if of_float is not None:
        found["float_accuracy"] = float(of_float.right.mean())
        found["quantization_loss"] = found["float_accuracy"] - found["accuracy"]
    return {name: round(value, 4) for name, value in found.items()}


def by_group(judged: Judged) -> dict[str, float]:
    """Give the accuracy of each group, in the order of their names."""
    names, place = np.unique(judged.group, return_inverse=True)
    shares = np.bincount(place, judged.right) / np.bincount(place)
    return {str(name): float(share) for name, share in zip(names, shares, strict=True)}


def confusion(judged: Judged) -> NDArray[np.int64]:
    """Count answers: (truth, answer)."""
    many = len(judged.labels)
    return np.bincount(judged.truth * many + judged.scores.argmax(1), minlength=many * many).reshape(many, many)


def reliability(judged: Judged) -> list[tuple[float, float, int]]:
    """Give mean score, share of right answers and count of each tenth of the best score that has any."""
    best = judged.scores.max(1)
    place = np.minimum((best * BINS).astype(int), BINS - 1)
    chosen = [place == at for at in range(BINS)]
    return [(float(best[one].mean()), float(judged.right[one].mean()), int(one.sum())) for one in chosen if one.any()]


def calibration_error(judged: Judged) -> float:
    """Give the expected calibration error. Source: Guo et al., On Calibration of Modern Neural Networks, 2017."""
    return sum(abs(score - share) * count for score, share, count in reliability(judged)) / len(judged.truth)
