"""A picture for people: what a camera sees, the regions drawn in, and below it what each network is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import View

Pixels = NDArray[np.uint8]
YELLOW = (0, 220, 255)       # BGR, as OpenCV writes
WHITE = (255, 255, 255)
TILE_PX = 96                 # height at which what a network is given is shown
GAP_PX = 8


def png_of(view: View, regions: Mapping[str, Sequence[Sequence[float]]], given: Mapping[str, Sequence[Pixels]]) -> bytes:
    """Draw everything into one PNG. Regions are (x, y, width, height) as shares of the view."""
    rows = [_with_regions(to_bgr(view), regions)]
    rows += [_strip(name, tiles) for name, tiles in given.items() if tiles]
    width = max(row.shape[1] for row in rows)
    sheet = np.vstack([cv2.copyMakeBorder(row, GAP_PX if number else 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT)
                       for number, row in enumerate(rows)])
    return bytes(cv2.imencode(".png", sheet)[1])


def to_bgr(view: View) -> Pixels:
    """Convert any view to uint8 (height, width, 3) BGR."""
    if view.format == "rgb":
        return np.asarray(cv2.cvtColor(view.planes[0], cv2.COLOR_RGB2BGR), np.uint8)
    if view.format == "grey":
        return np.asarray(cv2.cvtColor(view.planes[0], cv2.COLOR_GRAY2BGR), np.uint8)
    luma, blue, red = view.planes
    colours = [cv2.resize(plane, view.size_px, interpolation=cv2.INTER_LINEAR) for plane in (red, blue)]
    return np.asarray(cv2.cvtColor(cv2.merge([luma, *colours]), cv2.COLOR_YCrCb2BGR), np.uint8)     # full range, as View has it


def _with_regions(picture: Pixels, regions: Mapping[str, Sequence[Sequence[float]]]) -> Pixels:
    height, width = picture.shape[:2]
    for number, (x, y, w, h) in _numbered(regions):
        corner = (round(x * width), round(y * height))
        cv2.rectangle(picture, corner, (round((x + w) * width), round((y + h) * height)), YELLOW, 1)
        cv2.putText(picture, str(number), (corner[0], max(corner[1] - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, YELLOW, 1)
    return picture


def _numbered(regions: Mapping[str, Sequence[Sequence[float]]]) -> Iterator[tuple[int, Sequence[float]]]:
    for boxes in regions.values():
        yield from enumerate(boxes, 1)


def _strip(name: str, tiles: Sequence[Pixels]) -> Pixels:
    """Put the pictures that a network is given side by side under its name, all of one height."""
    shown = [cv2.cvtColor(tile, cv2.COLOR_RGB2BGR) for tile in tiles]
    sized = [cv2.resize(tile, (max(1, tile.shape[1] * TILE_PX // tile.shape[0]), TILE_PX)) for tile in shown]
    row = np.hstack([cv2.copyMakeBorder(tile, 18, 0, 0, GAP_PX, cv2.BORDER_CONSTANT) for tile in sized])
    cv2.putText(row, f"{name} is given", (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, WHITE, 1)
    return np.asarray(row, np.uint8)
