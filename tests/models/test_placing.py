"""What is found in the picture that a network is given is found again in the frame, whatever border and scale lie between."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reflexd_models.image import Scaler
from reflexd_models.placing import Box, fit, placed
from reflexd_models.tasks.detect import in_frame
from tests.models.helpers import rgb

SIDES = st.integers(16, 300)


@settings(max_examples=300, deadline=None)
@given(wide=SIDES, high=SIDES, width=SIDES, height=SIDES)
def test_a_part_is_placed_in_the_middle_with_its_shape_and_touches_two_sides(wide, high, width, height):
    inside = fit(wide, high, width, height)
    assert inside.width == width or inside.height == height
    assert 0 <= inside.x <= (width - inside.width) / 2
    assert 0 <= width - inside.width - 2 * inside.x <= 1
    assert 0 <= height - inside.height - 2 * inside.y <= 1
    scale = min(width / wide, height / high)
    assert abs(inside.width - wide * scale) <= 1
    assert abs(inside.height - high * scale) <= 1


@settings(max_examples=300, deadline=None)
@given(wide=SIDES, high=SIDES, width=SIDES, height=SIDES, x=st.integers(0, 50), y=st.integers(0, 50))
def test_the_corners_of_what_is_shown_come_back_where_they_were(wide, high, width, height, x, y):
    shown, inside, frame = Box(x, y, wide, high), fit(wide, high, width, height), (x + wide + 9, y + high + 5)
    box = [inside.x / width, inside.y / height, (inside.x + inside.width) / width, (inside.y + inside.height) / height]
    back = in_frame(box, placed(frame, shown, inside, (width, height)))
    assert np.allclose(np.multiply(back, frame * 2), (x, y, x + wide, y + high), atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(wide=SIDES, high=SIDES, width=SIDES, height=SIDES, letterbox=st.booleans(),
       part=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.3, 0.6), st.floats(0.3, 0.6)),
       corner=st.tuples(st.floats(0.1, 0.5), st.floats(0.1, 0.5)), size=st.tuples(st.floats(0.3, 0.5), st.floats(0.3, 0.5)))
def test_a_rectangle_in_the_pixels_is_found_where_it_was_drawn(wide, high, width, height, letterbox, part, corner, size):
    x, y = (round((part[axis] + corner[axis] * part[2 + axis]) * side) for axis, side in enumerate((wide, high)))
    right, bottom = (round((part[axis] + (corner[axis] + size[axis]) * part[2 + axis]) * side)
                     for axis, side in enumerate((wide, high)))
    assume(right - x >= 4)
    assume(bottom - y >= 4)
    pixels = np.zeros((high, wide, 3), np.uint8)
    pixels[y:bottom, x:right] = 255
    scaler = Scaler(width, height, "rgb", part, letterbox)
    given_ = scaler.scale(rgb(pixels))
    bright = given_[:, :, 0] > 128
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assume(len(rows) > 1)
    assume(len(columns) > 1)
    box = [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height]
    back = np.multiply(in_frame(box, scaler.placed), (wide, high) * 2)
    one = np.maximum(1, (scaler.placed.width * wide / width, scaler.placed.height * high / height))     # the coarser pixel
    assert (np.abs(back - (x, y, right, bottom)) <= 1.01 * np.tile(one, 2)).all()
