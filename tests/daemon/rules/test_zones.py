"""Where a point is, and which way a step went, against ways of computing it that have nothing in common with ours."""

from __future__ import annotations

from fractions import Fraction
from math import atan2, cos, pi, sin

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.rules.zones import away, crossing, inside
from tests.daemon.rules.scenes import PATIENT

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
GRID = 64       # a share of the frame that float32 holds exactly, which is what OpenCV computes with
spot = st.tuples(st.integers(0, GRID), st.integers(0, GRID)).map(lambda p: (p[0] / GRID, p[1] / GRID))


@st.composite
def polygons(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """A star around a point, whose corners come in the order of their angle and so never cross."""
    corners = draw(st.lists(spot, min_size=3, max_size=12, unique=True))
    x, y = (sum(axis) / len(corners) for axis in zip(*corners, strict=True))
    corners.sort(key=lambda p: (atan2(p[1] - y, p[0] - x), p))
    return tuple(corners) if draw(st.booleans()) else tuple(reversed(corners))


@PATIENT
@given(polygons(), spot)
def test_a_point_is_inside_where_opencv_says_so(corners, point):
    contour = (np.array(corners, np.float32) * GRID).reshape(-1, 1, 2)
    apart = cv2.pointPolygonTest(contour, (point[0] * GRID, point[1] * GRID), measureDist=False)
    assert inside(corners, point) == (apart >= 0)


@pytest.mark.parametrize("point", [(0.25, 0.5), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75), (0.25, 0.25), (0.75, 0.75), (0.75, 0.25)])
def test_the_border_belongs_to_the_zone(point):
    assert inside(SQUARE, point)


@pytest.mark.parametrize("point", [(0.2, 0.25), (0.8, 0.75), (0.2, 0.75), (0.25, 0.8), (0.75, 0.2), (0.5, 0.76)])
def test_what_goes_on_past_a_side_does_not(point):
    assert not inside(SQUARE, point)


def cut(line, before, after):
    """Where exactly two ways cross, by their equations and in fractions: 0, or the sign of the turn from one to the other."""
    (ax, ay), (bx, by), (px, py), (qx, qy) = ([Fraction(value) for value in p] for p in (*line, before, after))
    turn = (bx - ax) * (qy - py) - (by - ay) * (qx - px)
    if turn == 0:
        return 0
    on_line = ((px - ax) * (qy - py) - (py - ay) * (qx - px)) / turn
    on_step = ((px - ax) * (by - ay) - (py - ay) * (bx - ax)) / turn
    if not (0 <= on_line <= 1 and 0 <= on_step <= 1):
        return 0
    if on_line in (0, 1) or on_step in (0, 1):
        return None       # they only touch
    return 1 if turn > 0 else -1


@PATIENT
@given(st.tuples(spot, spot).filter(lambda ends: ends[0] != ends[1]), spot, spot)
def test_a_step_crosses_a_line_where_the_equations_say_so(line, before, after):
    expected = cut(line, before, after)
    if expected is not None:
        assert crossing(line, before, after) == expected
        assert crossing((line[1], line[0]), before, after) == -expected
    assert crossing(line, after, before) == -crossing(line, before, after)


@PATIENT
@given(st.tuples(spot, spot).filter(lambda ends: ends[0] != ends[1]), st.lists(spot, min_size=1, max_size=20))
def test_whoever_comes_back_has_crossed_an_endless_line_as_often_each_way(line, path):
    (ax, ay), (bx, by) = line
    far = (1000 * (bx - ax), 1000 * (by - ay))
    parts = [((ax - far[0], ay - far[1]), line[0]), line, (line[1], (bx + far[0], by + far[1]))]
    steps = zip(path, [*path[1:], path[0]], strict=True)
    assert sum(crossing(part, *step) for step in steps for part in parts) == 0


@PATIENT
@given(spot, spot, st.floats(0, 2 * pi), st.floats(0, 1))
def test_a_point_is_as_far_from_a_line_as_it_was_moved_off_it(a, b, direction, far):
    length = ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5
    if length > 0.01:
        along = (cos(direction), sin(direction))
        normal = (-(b[1] - a[1]) / length, (b[0] - a[0]) / length)
        point = (a[0] + far * along[0], a[1] + far * along[1])
        assert away((a, b), point) == pytest.approx(abs(far * (along[0] * normal[0] + along[1] * normal[1])), abs=1e-9)
