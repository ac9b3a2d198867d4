"""Outputs of a detector → what was found. What has too small a score is left out before anything is made real.

A decoder keeps the buffers that it needs. It gives labels' places, scores, and boxes as left, top, right,
bottom in shares of the network's picture, the best first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd_models.base import ModelError, Tensor
from reflexd_models.quantize import check_real, least_raw
from reflexd_models.runtime import Network, TensorInfo
from reflexd_models.tasks.detect_layouts import IN_SHARES, Layout

Floats: TypeAlias = NDArray[np.float32]

NMS_BOXES: Any = cv2.dnn.NMSBoxes      # whose stub wants lists, and it takes arrays
FAR_OUTSIDE = 8.0           # shares: a box of a large thing may reach out of the picture, but no thing is that large
MOST_CANDIDATES = 1000      # anchors that are looked at: some ten say the same of each thing


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be found: labels by their places, their least score, how many, and from which overlap two are one."""

    labels: NDArray[np.bool_]
    least: float
    most: int
    iou: float


class Found(NamedTuple):
    """What was found: places of labels (n), scores (n) and boxes (n, 4), plain numbers; `cut`: there may be more."""

    labels: list[int]
    scores: list[float]
    boxes: list[list[float]]
    cut: bool = False


class Decoder(Protocol):
    """One way to read raw outputs."""

    def __call__(self, raw: Sequence[Tensor]) -> Found:
        """Find things. Raises: ModelError when the outputs make no sense."""
        ...


NOTHING = Found([], [], [])


def decoder(layout: Layout, network: Network, picture: tuple[int, int], wish: Wish) -> Decoder:
    """Make the decoder of a layout; `picture` is the width and height of what the network is given."""
    scale = np.tile(np.array(picture, np.float32), 2) if layout.pixels else np.ones(4, np.float32)
    kinds: dict[str, Callable[..., Decoder]] = {"ssd": _Ssd, "anchors": _Anchors, "end-to-end": _EndToEnd}
    return kinds[layout.kind](layout, network, scale, wish)


class _Decoder(ABC):
    def __init__(self, layout: Layout, network: Network, scale: Floats, wish: Wish) -> None:
        self._layout, self._network, self._scale, self._wish = layout, network, scale, wish
        self._infos = [network.outputs[place] for place in layout.roles]
        for info in self._infos[::2]:        # of four: boxes and scores; classes and count may be whole numbers
            check_real(info, network.where)
        self._prepare()

    def _prepare(self) -> None:      # noqa: B027 (not abstract: most kinds need nothing)
        """Make what one kind of decoder needs."""

    @abstractmethod
    def __call__(self, raw: Sequence[Tensor]) -> Found:
        """Find things."""

    def _labels(self, told: Floats) -> NDArray[np.intp]:
        """Give the labels' places of classes, each of which has to have one."""
        self._has_numbers(float(told.sum()))
        classes: NDArray[np.intp] = np.rint(told.clip(-1, 1e6)).astype(np.intp)
        places: NDArray[np.intp] = classes + self._layout.first_class
        if places.size and not 0 <= int(places.min()) <= int(places.max()) < len(self._wish.labels):
            raise ModelError(f"{self._network.where}: the network found class {int(classes.max())} and there are labels for "
                             f"{len(self._wish.labels) - self._layout.first_class}; the labels belong to another network, "
                             "or first_class in [detect] is wrong")
        return places

    def _told(self, labels: NDArray[np.intp], scores: Floats, boxes: Floats, cut: bool) -> Found:
        """Give the best of what is wanted, as plain numbers; `cut`: there may have been more than that."""
        order = np.argsort(-scores, kind="stable")
        order = order[self._wish.labels[labels[order]]]
        best = order[: self._wish.most]
        return Found(labels[best].tolist(), scores[best].tolist(), self._shares(boxes[best]).tolist(),
                     cut or len(best) < len(order))

    def _shares(self, boxes: Floats) -> Floats:
        """Measure boxes in shares; what cannot be what the layout says is refused rather than acted on."""
        largest = float(boxes[:, 2:].max(initial=0.0))
        self._has_numbers(float(boxes.sum()))
        if len(boxes) and (largest <= IN_SHARES if self._layout.pixels else largest > FAR_OUTSIDE):
            found, other = ("shares", "pixels")[:: -1 if self._layout.pixels else 1]
            raise ModelError(f"{self._network.where}: boxes reach to {largest:.3g}, so they are not measured in {found}; "
                             f'write boxes = "{other}" into [detect] of a bundle\'s model.toml')
        return boxes / self._scale

    def _has_numbers(self, best: float | int) -> None:
        if best != best:      # noqa: PLR0124 (only nan differs from itself)
            raise ModelError(f"{self._network.where}: the network gave no number (nan); "
                             "look at what it is given with reflexctl snapshot")


class _Ssd(_Decoder):
    """Four outputs, suppressed by the network; boxes are top, left, bottom, right."""

    def __call__(self, raw: Sequence[Tensor]) -> Found:
        boxes, classes, scores, count = map(_reals, (raw[place] for place in self._layout.roles), self._infos)
        self._has_numbers(float(count.ravel()[0]))
        some = scores.ravel()[: int(min(max(count.ravel()[0], 0), scores.size))]
        self._has_numbers(some.max(initial=0.0))
        hot = np.flatnonzero(some >= np.float32(self._wish.least))
        labels = self._labels(classes.ravel()[hot])
        return self._told(labels, some[hot], boxes.reshape(-1, 4)[hot][:, [1, 0, 3, 2]], len(hot) == scores.size)


class _EndToEnd(_Decoder):
    """Rows of left, top, right, bottom, score, class; suppressed by the network."""

    def __call__(self, raw: Sequence[Tensor]) -> Found:
        rows = _reals(raw[self._layout.roles[0]], self._infos[0]).reshape(-1, 6)
        self._has_numbers(rows[:, 4].max(initial=0.0))
        hot = rows[rows[:, 4] >= np.float32(self._wish.least)]
        return self._told(self._labels(hot[:, 5]), hot[:, 4], hot[:, :4], len(hot) == len(rows))


class _Anchors(_Decoder):
    """[4 + classes, anchors]: middle, width and height, and a score of each class; suppressed here."""

    def _prepare(self) -> None:
        info = self._infos[0]
        shape = info.shape[:0:-1] if self._layout.transposed else info.shape[1:]
        self._best, self._hot = np.empty(shape[1], info.dtype), np.empty(shape[1], np.bool_)
        self._least = least_raw(self._wish.least, info)
        wanted = np.flatnonzero(self._wish.labels)
        self._rows = None if len(wanted) == len(self._wish.labels) else [4 + int(place) for place in wanted]

    def __call__(self, raw: Sequence[Tensor]) -> Found:
        grid = raw[self._layout.roles[0]][0]
        columns = self._candidates(grid.T if self._layout.transposed else grid)
        if columns is None:
            return NOTHING
        labels = columns[4:].argmax(axis=0)       # each anchor is one thing: of the class that it is surest of
        scores = columns[4:].max(axis=0)
        order = np.argsort(-scores, kind="stable")
        order = order[self._wish.labels[labels[order]]]
        middles, halves = columns[:2, order].T, columns[2:4, order].T / np.float32(2)
        boxes = np.concatenate((middles - halves, middles + halves), axis=1).astype(np.float32, copy=False)
        kept = suppress(boxes, labels[order], scores[order], self._wish.iou)
        return self._told(labels[order[kept]], scores[order[kept]], boxes[kept], columns.shape[1] == MOST_CANDIDATES)

    def _candidates(self, grid: Tensor) -> Floats | None:
        """Give the real columns of those anchors that reach the least score for a label that is wanted."""
        best = self._best
        if self._rows is None:
            grid[4:].max(axis=0, out=best)
        elif not self._rows:
            return None
        else:
            np.copyto(best, grid[self._rows[0]])
            for row in self._rows[1:]:
                np.maximum(best, grid[row], out=best)
        highest = best.max().item()
        self._has_numbers(highest)
        if highest < self._least:
            return None
        hot = np.flatnonzero(np.greater_equal(best, self._least, out=self._hot))
        if len(hot) > MOST_CANDIDATES:
            hot = hot[np.argpartition(best[hot], -MOST_CANDIDATES)[-MOST_CANDIDATES:]]
        columns = _reals(grid[:, hot], self._infos[0])
        self._has_numbers(float(columns.sum()))
        return columns


def suppress(boxes: Floats, classes: NDArray[np.intp], scores: Floats, iou: float) -> NDArray[np.intp]:
    """Of boxes (n, 4) that share more than `iou` of their union keep the best of each class; give their places, best first."""
    if not len(boxes):
        return np.empty(0, np.intp)
    # Classes are laid side by side, so that no two of them meet. OpenCV's loop took an eighth of the time of one in numpy.
    span = float(boxes.max() - boxes.min()) + 1
    apart = np.empty((len(boxes), 4))
    np.add(boxes[:, :2], classes[:, np.newaxis] * span, out=apart[:, :2])
    np.subtract(boxes[:, 2:], boxes[:, :2], out=apart[:, 2:])
    return np.asarray(NMS_BOXES(apart, scores, 0.0, iou), np.intp).ravel()


def _reals(raw: Tensor, info: TensorInfo) -> Floats:
    values = raw.astype(np.float32)
    return (values - np.float32(info.zero_point)) * np.float32(info.scale) if info.scale else values
