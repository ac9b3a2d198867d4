"""A picture for people: what a camera sees, with what rules look for and what was found, and what each network is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd.drawing import Drawing
from reflexd_drivers.base import View

Pixels = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]     # BGR, as OpenCV writes
YELLOW = (0, 220, 255)
WHITE = (255, 255, 255)
BLACK = (0, 0, 0)
GREY = (170, 170, 170)
GREEN = (90, 220, 90)
ORANGE = (40, 160, 255)
RED = (80, 80, 255)
ARROW_PX = 22
TILE_PX = 96                 # height at which what a network is given is shown
GAP_PX = 8


def png_of(view: View, drawings: Mapping[str, Drawing], given: Mapping[str, Sequence[Pixels]]) -> bytes:
    """Draw everything into one PNG."""
    picture = to_bgr(view)
    for drawing in drawings.values():
        _draw(picture, drawing)
    rows = [picture]
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


def _draw(picture: Pixels, drawing: Drawing) -> Pixels:
    """Draw what belongs to one network into a picture."""
    pen = Pen(picture)
    for number, (x, y, w, h) in enumerate(drawing.regions, 1):
        pen.box((x, y, x + w, y + h), str(number), YELLOW)
    for mask in drawing.masks:
        pen.shade(mask)
        pen.polygon(mask, "mask", GREY)
    for name, zone in drawing.zones.items():
        pen.polygon(zone, name, GREEN)
    for name, line in drawing.lines.items():
        pen.line(line, name)
    for one in drawing.ignored:
        pen.box(one.box, f"{one.label} {one.score:.2f}", GREY)
    for seen in drawing.seen:
        number_of = "" if seen.track is None else f" #{seen.track.number}"
        pen.box(seen.box, f"{seen.label} {seen.score:.2f}{number_of}", ORANGE)
        pen.dot(seen.at, ORANGE)
    return picture


class Pen:
    """Draws into a picture by shares of its width and height."""

    def __init__(self, picture: Pixels) -> None:
        self._picture = picture
        self._height, self._width = picture.shape[:2]

    def _px(self, point: Sequence[float]) -> tuple[int, int]:
        return min(round(point[0] * self._width), self._width - 1), min(round(point[1] * self._height), self._height - 1)

    def _corners(self, polygon: Sequence[Sequence[float]]) -> NDArray[np.int32]:
        return np.array([self._px(corner) for corner in polygon], np.int32)

    def text(self, at: tuple[int, int], said: str, colour: Colour) -> None:
        """Write, dark around so that it can be read on anything."""
        where = (min(max(at[0], 1), max(self._width - 7 * len(said), 1)), min(max(at[1], 10), self._height - 3))
        for shade, thick in ((BLACK, 2), (colour, 1)):
            cv2.putText(self._picture, said, where, cv2.FONT_HERSHEY_SIMPLEX, 0.4, shade, thick, cv2.LINE_AA)

    def box(self, box: Sequence[float], said: str, colour: Colour) -> None:
        """Draw a box from left, top, right and bottom, and write above it."""
        corner = self._px(box[:2])
        cv2.rectangle(self._picture, corner, self._px(box[2:]), colour, 1)
        self.text((corner[0], corner[1] - 4), said, colour)

    def polygon(self, polygon: Sequence[Sequence[float]], name: str, colour: Colour) -> None:
        """Draw a polygon, and write its name inside its first corner."""
        corners = self._corners(polygon)
        cv2.polylines(self._picture, [corners], True, colour, 1, cv2.LINE_AA)
        self.text((int(corners[0][0]) + 4, int(corners[0][1]) + 13), name, colour)

    def shade(self, polygon: Sequence[Sequence[float]]) -> None:
        """Darken what is inside."""
        dark = self._picture // 2
        inside = np.zeros(self._picture.shape[:2], np.uint8)
        cv2.fillPoly(inside, [self._corners(polygon)], 1)
        np.copyto(self._picture, dark, where=inside[:, :, None] > 0)

    def line(self, line: Sequence[Sequence[float]], name: str) -> None:
        """Draw a line with an arrow that shows which way is forward."""
        (ax, ay), (bx, by) = (self._px(end) for end in line)
        cv2.line(self._picture, (ax, ay), (bx, by), RED, 2, cv2.LINE_AA)
        middle, length = ((ax + bx) // 2, (ay + by) // 2), max(hypot(bx - ax, by - ay), 1)
        tip = (round(middle[0] - (by - ay) / length * ARROW_PX), round(middle[1] + (bx - ax) / length * ARROW_PX))
        cv2.arrowedLine(self._picture, middle, tip, RED, 2, cv2.LINE_AA, tipLength=0.4)
        self.text((tip[0] + 4, tip[1] + 4), name, RED)

    def dot(self, at: Sequence[float], colour: Colour) -> None:
        """Mark where something stands."""
        cv2.circle(self._picture, self._px(at), 3, colour, -1, cv2.LINE_AA)


def _strip(name: str, tiles: Sequence[Pixels]) -> Pixels:
    """Put the pictures that a network is given side by side under its name, all of one height."""
    shown = [cv2.cvtColor(tile, cv2.COLOR_RGB2BGR) for tile in tiles]
    sized = [cv2.resize(tile, (max(1, tile.shape[1] * TILE_PX // tile.shape[0]), TILE_PX)) for tile in shown]
    row = np.hstack([cv2.copyMakeBorder(tile, 18, 0, 0, GAP_PX, cv2.BORDER_CONSTANT) for tile in sized])
    cv2.putText(row, f"{name} is given", (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, WHITE, 1)
    return np.asarray(row, np.uint8)
