"""Suppression, and what is decoded from anchors, is what a plain loop gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd_models.about import Detect
from reflexd_models.base import ModelError
from reflexd_models.metadata import Metadata
from reflexd_models.runtime import TensorInfo
from reflexd_models.tasks.detect_decode import Wish, decoder, suppress
from reflexd_models.tasks.detect_layouts import Layout, layout_of


def shared_part(one: np.ndarray, other: np.ndarray) -> float:
    """Give what two boxes share of their union."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = wide * high if wide > 0 and high > 0 else 0.0
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both
    return float(both / union) if union > 0 else 0.0


def plainly(boxes: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    kept: list[int] = []
    for at in range(len(boxes)):
        if all(classes[at] != classes[better] or shared_part(boxes[at], boxes[better]) <= iou for better in kept):
            kept.append(at)
    return kept


def boxes_of(count: int, seed: int) -> np.ndarray:
    corners = np.random.default_rng(seed).integers(0, 12, (count, 2, 2)) / 12      # coarse, so that many overlap a lot
    return np.concatenate((corners.min(axis=1), corners.max(axis=1) + 1 / 24), axis=1).astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(count=st.integers(0, 40), seed=st.integers(0, 1 << 30), kinds=st.integers(1, 4),
       iou=st.sampled_from([0.0, 0.3, 0.47, 0.71, 1.0]), far=st.sampled_from([0.0, -3.0, 900.0]))
def test_the_best_of_each_class_stay_wherever_they_are(count, seed, kinds, iou, far):
    boxes, classes = boxes_of(count, seed) + np.float32(far), np.random.default_rng(seed).integers(0, kinds, count)
    exact = boxes.astype(np.float64)
    close = any(abs(shared_part(one, other) - iou) < 1e-4 for at, one in enumerate(exact) for other in exact[:at])
    if not close:        # where rounding decides, either is right
        scores = np.linspace(0.9, 0.1, count, dtype=np.float32)
        assert suppress(boxes, classes, scores, iou).tolist() == plainly(exact, classes, iou)


CLASSES = 3


def network(shape: tuple[int, ...], kind: str = "float32", scale: float = 0.0, zero_point: int = 0) -> Any:
    return SimpleNamespace(where="x", outputs=(TensorInfo(0, "out", shape, np.dtype(kind), scale, zero_point),))


def decode(grid: np.ndarray, labels: list[bool], kind: str, transposed: bool, least: float) -> list[tuple[Any, ...]]:
    """Decode (7, n) real numbers as an output of that kind."""
    raw = (grid.T if transposed else grid)[np.newaxis]
    scale, zero = (1 / 255, -128) if kind == "int8" else (0.0, 0)
    if scale:
        raw = np.clip(np.rint(raw / scale) + zero, -128, 127)
    raw = np.ascontiguousarray(raw.astype(kind))
    found = decoder(Layout("anchors", transposed=transposed), network(raw.shape, kind, scale, zero), (64, 64),
                    Wish(np.array(labels), least, 300, 0.5))([raw])
    return [(label, round(score, 5), tuple(box)) for label, score, box in zip(*found, strict=True)]


def decoded_plainly(grid: np.ndarray, least: float) -> list[tuple[int, float]]:
    classes, scores = grid[4:].argmax(axis=0), grid[4:].max(axis=0)
    order = [at for at in np.argsort(-scores, kind="stable") if scores[at] >= least]
    x, y, wide, high = grid[:4, order]
    boxes = np.stack((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), axis=1)
    return [(int(classes[order[at]]), float(scores[order[at]])) for at in plainly(boxes, classes[order], 0.5)]


@settings(max_examples=150, deadline=None)
@given(count=st.integers(8, 60), seed=st.integers(0, 1 << 30), kind=st.sampled_from(["float32", "int8"]),
       transposed=st.booleans(), least=st.sampled_from([0.1, 0.5, 0.8]),
       watched=st.lists(st.booleans(), min_size=CLASSES, max_size=CLASSES))
def test_anchors_are_decoded_as_by_a_plain_loop_and_watched_ones_are_a_part(count, seed, kind, transposed, least, watched):
    rng = np.random.default_rng(seed)
    grid = rng.random((4 + CLASSES, count)) * 0.98
    grid[4:] = np.stack([rng.permutation(count) for _ in range(CLASSES)]) / 61 + [[0], [0.004], [0.008]]     # all differ
    if kind == "int8":
        grid = np.rint(grid * 255) / 255
    grid = grid.astype(np.float32).astype(np.float64)
    every = decode(grid, [True] * CLASSES, kind, transposed, least)
    wanted = decoded_plainly(grid, least)
    assert [label for label, _, _ in every] == [label for label, _ in wanted]
    assert np.allclose([score for _, score, _ in every], [score for _, score in wanted], atol=1e-4)
    assert decode(grid, watched, kind, transposed, least) == [one for one in every if watched[one[0]]]


def test_a_thousand_anchors_at_once_are_bounded_and_the_best_are_among_them():
    grid = np.zeros((4 + CLASSES, 5000))
    grid[:2], grid[2:4], grid[4] = np.random.default_rng(1).random((2, 5000)), 0.001, np.linspace(0.5, 0.9, 5000)
    found = decode(grid, [True] * CLASSES, "float32", False, 0.3)
    assert len(found) == 300
    assert found[0][1] == pytest.approx(0.9, abs=1e-4)
    assert found[-1][1] == pytest.approx(0.9 - 0.4 * 299 / 4999, abs=1e-4)


@pytest.mark.parametrize("place", [(4, 0), (1, 3)])
def test_what_is_no_number_is_an_error(place):
    grid = np.full((4 + CLASSES, 8), 0.5)
    grid[place] = np.nan
    with pytest.raises(ModelError, match="the network gave no number"):
        decode(grid, [True] * CLASSES, "float32", False, 0.3)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_what_is_no_number_is_an_error_in_each_of_four_outputs(place):
    shapes = ((1, 2, 4), (1, 2), (1, 2), (1,))
    four: Any = SimpleNamespace(where="x", outputs=tuple(TensorInfo(0, "o", one, np.dtype("float32"), 0.0, 0) for one in shapes))
    read = decoder(Layout("ssd", (0, 1, 2, 3)), four, (64, 64), Wish(np.ones(3, bool), 0.3, 20, 0.5))
    raw = [np.full(one, value, np.float32) for one, value in zip(shapes, (0.5, 1, 0.9, 2), strict=True)]
    assert read(raw).labels == [1, 1]
    raw[place].flat[0] = np.nan
    with pytest.raises(ModelError, match="the network gave no number"):
        read(raw)


@pytest.mark.parametrize(("kind", "scale", "zero_point", "said", "inside", "pixels"), [
    ("int8", 1 / 255, -128, {}, Metadata(), False),
    ("int8", 640 / 255, -128, {}, Metadata(ultralytics="detect"), True),       # its range reaches to 640
    ("float32", 0.0, 0, {}, Metadata(), False),
    ("float32", 0.0, 0, {"boxes": "pixels"}, Metadata(ultralytics="detect"), True),
])
def test_what_boxes_are_measured_in_is_told_by_bundle_range_and_maker(kind, scale, zero_point, said, inside, pixels):
    bundle: Any = SimpleNamespace(labels=("a", "b", "c"), detect=Detect(**said))
    assert layout_of(bundle, network((1, 7, 99), kind, scale, zero_point), (), inside).pixels is pixels


@pytest.mark.parametrize(("inside", "pixels"), [(Metadata(), True), (Metadata(ultralytics="detect"), False)])
def test_an_end_to_end_network_tells_pixels_unless_ultralytics_made_it(inside, pixels):
    bundle: Any = SimpleNamespace(labels=("a", "b"), detect=Detect(layout="end-to-end"))
    layout = layout_of(bundle, network((1, 300, 6)), (), inside)
    assert (layout.kind, layout.pixels) == ("end-to-end", pixels)
