"""Resample planes: antialiased where they shrink, and into buffers that are made once.

Exact 2x2 boxes halve a plane until it is less than twice the size, then linear interpolation does the
rest: close to an area filter at a sixth of its cost. Linear alone is a fast and a wrong one: it misses
the person that every antialiased filter finds (facts in docs/models.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reflexd_models.placing import Box

Pixels: TypeAlias = NDArray[np.uint8]
Region: TypeAlias = tuple[float, float, float, float]      # x, y, width, height as shares of width and height
Step: TypeAlias = Callable[[Pixels, Pixels | None], Pixels]     # what to scale, and where to if that is wanted

ALONG = 1.5      # a side that is that much too long is halved along with one that has to be: both ways at once is the fast way


def crop(shape: tuple[int, ...], region: Region) -> tuple[slice, slice]:
    """Give the rows and columns of a region, at least one of each."""
    return _span(shape[0], region[1], region[3]), _span(shape[1], region[0], region[2])


def _span(size: int, start: float, share: float) -> slice:
    first = min(round(start * size), size - 1)
    return slice(first, min(max(round((start + share) * size), first + 1), size))


def resampler(shape: tuple[int, ...], region: Region, width: int, height: int) -> tuple[Step, Box]:
    """Plan the way of one plane to its size, with the buffers that it needs; give it, and what it shows of the plane."""
    rows, columns = crop(shape, region)
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    depth = shape[2:]
    pixels_high = pixels_wide = 1       # of the plane, in one after halving
    halvings: list[Step] = []
    while high >= 2 * height or wide >= 2 * width:
        by_rows, by_columns = 1 + (high >= ALONG * height), 1 + (wide >= ALONG * width)
        halvings.append(_boxes(high // by_rows, wide // by_columns, by_rows, by_columns, depth))
        high, wide = high // by_rows, wide // by_columns
        pixels_high, pixels_wide = pixels_high * by_rows, pixels_wide * by_columns
    shown = Box(columns.start, rows.start, wide * pixels_wide, high * pixels_high)
    if (high, wide) != (height, width):
        halvings.append(_linear(height, width, depth))

    *before, last = halvings or [_untouched]

    def resample(plane: Pixels, out: Pixels | None) -> Pixels:
        part = plane[rows, columns]
        for step in before:
            part = step(part, None)
        return last(part, out)

    return resample, shown


def _boxes(high: int, wide: int, by_rows: int, by_columns: int, depth: tuple[int, ...]) -> Step:
    """Average boxes of by_rows x by_columns pixels; an odd last row or column is left out."""
    kept = np.empty((high, wide, *depth), np.uint8)
    # halving one way only, the linear step is the same average, and four times as fast as the area one
    how = cv2.INTER_AREA if by_rows == by_columns else cv2.INTER_LINEAR

    def halve(part: Pixels, out: Pixels | None) -> Pixels:
        target = kept if out is None else out
        cv2.resize(part[: high * by_rows, : wide * by_columns], (wide, high), dst=target, interpolation=how)
        return target

    return halve


def _linear(height: int, width: int, depth: tuple[int, ...]) -> Step:
    kept = np.empty((height, width, *depth), np.uint8)

    def resize(part: Pixels, out: Pixels | None) -> Pixels:
        target = kept if out is None else out
        cv2.resize(part, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
        return target

    return resize


def _untouched(part: Pixels, out: Pixels | None) -> Pixels:
    return part
