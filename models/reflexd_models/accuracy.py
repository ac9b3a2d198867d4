"""How right a reader of digit wheels is. Numbers only: the training and reflexctl share it.

A digit's truth is 0 to 99 tenths of a digit: 35 stands between 3 and 4. Its class is the digit for the
last tenths 0 to 2, the next digit for 8 and 9 (0 after 9), and "between" for 3 to 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BETWEEN = 10
COVERED = 0.9        # an answer counts as covered from this score on
TENTHS = 100

Figures: TypeAlias = dict[str, float | int | None]


def class_of(tenths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the class of each truth: 0 to 9, or BETWEEN."""
    whole, rest = np.divmod(np.asarray(tenths, np.int64) % TENTHS, 10)
    return np.where(rest <= 2, whole, np.where(rest >= 8, (whole + 1) % 10, BETWEEN))


def figures(tenths: NDArray[np.integer], answers: NDArray[np.integer], scores: NDArray[np.floating]) -> Figures:
    """Judge answers (classes, 0 to 10) with their scores against the truth.

    strict: the answer is class(t). within_tenth: it is class(t-1), class(t) or class(t+1).
    within_tenth_covered: the same, of the covered answers only; None when there are none.
    coverage: share of answers with a score of at least COVERED. wrong_digit: share of all answers
    that are a plain digit and not within a tenth, the error that a meter's reading suffers from.
    """
    truth = np.asarray(tenths, np.int64)
    strict = answers == class_of(truth)
    near = strict | (answers == class_of(truth - 1)) | (answers == class_of(truth + 1))
    covered = np.asarray(scores) >= COVERED
    return {
        "strict": _share(strict),
        "within_tenth": _share(near),
        "within_tenth_covered": _share(near[covered]),
        "coverage": _share(covered),
        "wrong_digit": _share(~near & (answers != BETWEEN)),
        "count": len(truth),
    }


def by_group(
    tenths: NDArray[np.integer], answers: NDArray[np.integer], scores: NDArray[np.floating], groups: NDArray[np.str_]
) -> dict[str, Figures]:
    """Judge each kind of meter by itself, in the order of their names."""
    names: Iterable[str] = sorted({str(name) for name in groups})
    return {name: figures(tenths[groups == name], answers[groups == name], scores[groups == name]) for name in names}


def _share(hits: NDArray[np.bool_]) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None
