"""Of boxes that overlap, keep the best: greedy, class by class, as detectors without an operator for it need it.

Measured against cv2.dnn.NMSBoxesBatched in tests/models/tasks/test_suppression.py's docstring figures: see docs/tasks/detect.md.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


def suppress(boxes: Floats, classes: NDArray[np.intp], iou: float, most: int) -> list[int]:
    """Keep at most `most` of the boxes (n, 4) left, top, right, bottom, which come best first; give their places.

    A box is dropped when it shares more than `iou` of the union with a better one of its class.
    """
    # Classes are laid side by side, so that one pass does all of them and no two of them meet.
    span = float(boxes.max(initial=0.0) - boxes.min(initial=0.0)) + 1.0
    apart = boxes.astype(np.float64) + (classes * span)[:, np.newaxis]
    areas = np.maximum(apart[:, 2] - apart[:, 0], 0) * np.maximum(apart[:, 3] - apart[:, 1], 0)
    left = np.arange(len(apart))
    kept: list[int] = []
    while left.size and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(apart[best, :2], apart[left, :2])
        sides = np.minimum(apart[best, 2:], apart[left, 2:])
        sides -= low
        np.maximum(sides, 0, out=sides)
        shared = sides[:, 0] * sides[:, 1]
        left = left[shared <= iou * (areas[best] + areas[left] - shared)]
    return kept
