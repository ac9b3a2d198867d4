"""Where a point is: in a polygon, and on which side of a line it went. Points are shares of the frame, y downwards."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Line: TypeAlias = tuple[Point, Point]


def turn(a: Point, b: Point, p: Point) -> float:
    """Say on which hand of one who looks from a to b the point p lies: right is positive, left negative, 0 is ahead."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def inside(corners: Sequence[Point], p: Point) -> bool:
    """Say whether a point is in a polygon; its border belongs to it, so that feet on the frame's edge are in a zone up to there.

    Source: counting the sides that a ray from the point crosses, each with its upper end and without its lower one.
    """
    x, y = p
    odd = False
    ax, ay = corners[-1]
    for bx, by in corners:
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if side == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and (side > 0) == (by > ay):
            odd = not odd
        ax, ay = bx, by
    return odd


def crossing(line: Line, before: Point, after: Point) -> int:
    """Say how a step crossed a line from end to end: 1 from left to right, -1 from right to left, 0 not at all.

    What lies on the line counts as right of it, so that of two steps which meet there one crosses, and not both.
    The line's first end belongs to it, its second does not, so that of two lines which meet there one is crossed.
    """
    a, b = line
    was, is_ = turn(a, b, before) >= 0, turn(a, b, after) >= 0
    if was == is_:
        return 0
    left, right = (before, after) if is_ else (after, before)
    if not turn(left, right, a) >= 0 > turn(left, right, b):
        return 0
    return 1 if is_ else -1


def away(line: Line, p: Point) -> float:
    """Give how far a point is from a line that goes on past both ends."""
    a, b = line
    return abs(turn(a, b, p)) / hypot(b[0] - a[0], b[1] - a[1])
