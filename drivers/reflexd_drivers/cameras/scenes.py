"""Scenes that are drawn: a function each, from the number of the frame to its pixels, into a buffer that is there already.

The same number and seed always give the same pixels. A picture is drawn as uint8 (height, width, 3) RGB or
(height, width) grey; nothing of a frame's size is allocated while drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import Plane

SceneName: TypeAlias = Literal["bars", "gradient", "moving", "noise", "stamped", "black", "white", "grey"]
Draw: TypeAlias = Callable[[Plane, int], None]

BARS = ((255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0))
LUMA = np.array([0.299, 0.587, 0.114])     # Source: ITU-R BT.601
NOISES = 8                                 # pictures of noise, drawn once and used in turn
EVEN = {"black": 0, "white": 255, "grey": 128}


def scene(name: SceneName, shape: tuple[int, ...], seed: int) -> Draw:
    """Give the function that draws a scene of that shape."""
    if name in EVEN:
        return lambda plane, _number: plane.fill(EVEN[name])
    if name == "noise":
        return noise(shape, seed)
    if name == "stamped":
        return stamp(shape)
    if name == "moving":
        return moving(shape, seed)
    still = bars(shape) if name == "bars" else gradient(shape)
    return lambda plane, _number: np.copyto(plane, still)


def bars(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw eight upright bars: white, yellow, cyan, green, magenta, red, blue, black."""
    colours = np.array(BARS, np.uint8)
    if len(shape) == 2:
        colours = np.round(colours @ LUMA).astype(np.uint8)
    row = colours[np.arange(shape[1]) * len(BARS) // shape[1]]
    return np.ascontiguousarray(np.broadcast_to(row, shape))


def gradient(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw grey that grows from black on the left to white on the right."""
    row = np.linspace(0, 255, shape[1]).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[:, None] if len(shape) == 3 else row, shape))


def noise(shape: tuple[int, ...], seed: int) -> Draw:
    """Draw noise, as of no camera; eight pictures in turn."""
    pictures = np.random.default_rng(seed).integers(0, 256, (NOISES, *shape), np.uint8)
    return lambda plane, number: np.copyto(plane, pictures[number % NOISES])


def moving(shape: tuple[int, ...], seed: int) -> Draw:
    """Draw a white block that wanders over a dark chequered ground, a pixel or two a frame, and bounces off the borders."""
    height, width = shape[:2]
    high, wide = max(height // 4, 1), max(width // 4, 1)
    begin_x, begin_y = (int(one) for one in np.random.default_rng(seed).integers(0, 10_000, 2))
    cells = (np.arange(height)[:, None] * 8 // height + np.arange(width) * 8 // width) % 2
    ground = (40 + 50 * cells).astype(np.uint8)
    ground = np.ascontiguousarray(np.broadcast_to(ground[:, :, None] if len(shape) == 3 else ground, shape))

    def draw(plane: Plane, number: int) -> None:
        x, y = _bounce(begin_x + 2 * number, width - wide), _bounce(begin_y + number, height - high)
        np.copyto(plane, ground)
        plane[y:y + high, x:x + wide] = 255

    return draw


def _bounce(way: int, room: int) -> int:
    """Say where something is that runs to and fro in [0, room]."""
    way %= max(2 * room, 1)
    return min(way, 2 * room - way)


def stamp(shape: tuple[int, ...]) -> Draw:
    """Write the frame's number into every row, over and over as four bytes: rows of two frames are never the same."""
    size = int(np.prod(shape[1:]))
    words = np.zeros(size // 4 + 1, "<u4")
    row = words.view(np.uint8)[:size].reshape(shape[1:])

    def draw(plane: Plane, number: int) -> None:
        words.fill(number & 0xFFFF_FFFF)
        np.copyto(plane, row)

    return draw


def stamp_of(plane: Plane) -> int | None:
    """Read the number that a stamped picture of at least 4 bytes a row carries; None when not every row says the same."""
    rows = plane.reshape(plane.shape[0], -1)
    said = int.from_bytes(rows[0, :4].tobytes(), "little")
    words = np.full(rows.shape[1] // 4 + 1, said, "<u4")
    return said if bool((rows == words.view(np.uint8)[: rows.shape[1]]).all()) else None
