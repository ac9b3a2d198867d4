"""What a snapshot draws: zones, masks and lines where the configuration has them, and what was found where it was."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from reflexd.drawing import Drawing, drawing_of
from reflexd.picture import GREEN, GREY, ORANGE, RED, png_of
from reflexd_drivers.base import View
from tests.daemon.rules.scenes import Scene, at

WIDTH, HEIGHT = 200, 100


def drawn(drawing: Drawing) -> Any:
    view = View("grey", (np.full((HEIGHT, WIDTH), 100, np.uint8),))
    return cv2.imdecode(np.frombuffer(png_of(view, {"person": drawing}, {}), np.uint8), cv2.IMREAD_COLOR)


def has(picture: Any, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Say whether that colour is within a pixel of a place."""
    column, row = round(x * WIDTH), round(y * HEIGHT)
    around = picture[max(row - 1, 0):row + 2, max(column - 1, 0):column + 2].astype(int)
    return bool((np.abs(around - colour).max(axis=2) < 40).any())


def test_zones_masks_and_lines_are_drawn_where_they_are() -> None:
    picture = drawn(Drawing(zones={"path": [(0.1, 0.3), (0.4, 0.3), (0.4, 0.9)]},
                            masks=[[(0.5, 0.5), (0.7, 0.5), (0.7, 0.9), (0.5, 0.9)]],
                            lines={"gate": ((0.8, 0.2), (0.8, 0.8))}))
    assert has(picture, 0.4, 0.6, GREEN)
    assert has(picture, 0.25, 0.6, GREEN)
    assert not has(picture, 0.3, 0.6, GREEN), "inside a zone everything is seen"
    assert (picture[80, 130] == 50).all(), "what a mask covers is dark"
    assert has(picture, 0.7, 0.7, GREY)
    assert has(picture, 0.8, 0.3, RED)
    # one who looks from the first end down to the second has left on the right of the picture
    assert has(picture, 0.74, 0.5, RED)
    assert not has(picture, 0.86, 0.5, RED)


def test_what_counts_is_told_apart_from_what_does_not() -> None:
    one = Scene({"at_least": 0.5, "dwell_s": 1}, masks=[[[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]]])
    one.finds(at(0.2, 0.9, 0.8), at(0.8, 0.9, 0.7))
    settings, source = one.stage.settings.model["person"], one.stage.sources["model.person"]
    drawing = drawing_of(settings, source, one.now)
    assert [(seen.label, seen.score, seen.track.number) for seen in drawing.seen if seen.track] == [("person", 0.8, 1)]
    assert [found.score for found in drawing.ignored] == [0.7]
    picture = drawn(drawing)
    assert has(picture, 0.2, 0.9, ORANGE), "a dot where it stands"
    assert has(picture, 0.4, 0.7, ORANGE), "its box"
    assert has(picture, 0.6, 0.7, GREY)
    late = drawing_of(settings, source, one.now + 10**9)
    assert (late.seen, late.ignored) == ((), ()), "nothing old is shown as if it were there"
