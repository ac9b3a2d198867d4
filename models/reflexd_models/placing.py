"""Where a frame lies in the picture that a network is given, and the way back from there.

A network of squares that was trained on whole frames wants them unstretched, with a border: a letterbox.
"""

from __future__ import annotations

from typing import NamedTuple

GREY = 114       # of the border. Source: Ultralytics' LetterBox, which those networks were trained with


class Box(NamedTuple):
    """A part of a picture in pixels."""

    x: int
    y: int
    width: int
    height: int


class Placed(NamedTuple):
    """Where the whole picture that a network is given lies in the frame, as shares of it; a border lies outside 0 to 1."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


def fit(wide: int, high: int, width: int, height: int) -> Box:
    """Place a part of wide x high pixels in the middle of width x height, as large as it goes with its shape kept."""
    scale = min(width / wide, height / high)
    inner_wide, inner_high = (max(1, min(round(wide * scale), width)), max(1, min(round(high * scale), height)))
    return Box((width - inner_wide) // 2, (height - inner_high) // 2, inner_wide, inner_high)


def placed(frame: tuple[int, int], shown: Box, inside: Box, given: tuple[int, int]) -> Placed:
    """Say where a given picture lies in a frame, both (width, height), of which `shown` became `inside` of it."""
    across, down = shown.width / inside.width, shown.height / inside.height       # pixels of the frame for one that is given
    return Placed((shown.x - inside.x * across) / frame[0], (shown.y - inside.y * down) / frame[1],
                  given[0] * across / frame[0], given[1] * down / frame[1])
