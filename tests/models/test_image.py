"""Resampling is antialiased, right in every format, and takes no new memory."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd_models.base import ModelError
from reflexd_models.image import Scaler, Still
from tests.models.helpers import noise, rgb


def test_a_view_of_the_networks_size_is_not_copied():
    pixels = noise(96, 96)
    assert np.shares_memory(Scaler(96, 96, "rgb").scale(rgb(pixels)), pixels)


def test_shrinking_is_close_to_an_area_filter():
    smooth = cv2.GaussianBlur(noise(480, 640), (0, 0), 3)
    wanted = cv2.resize(smooth, (96, 96), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(Scaler(96, 96, "rgb").scale(rgb(smooth)).astype(int) - wanted).max() <= 6


def test_a_fine_pattern_becomes_grey_instead_of_a_false_one():
    checks = np.zeros((512, 512, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255
    shrunk = Scaler(64, 64, "rgb").scale(rgb(checks))
    assert shrunk.min() >= 126
    assert shrunk.max() <= 129


@given(height=st.integers(1, 90), width=st.integers(1, 90), high=st.integers(1, 40), wide=st.integers(1, 40),
       x=st.floats(0, 0.9), y=st.floats(0, 0.9), share=st.floats(0.01, 1), layout=st.sampled_from(["rgb", "bgr", "grey"]))
def test_any_region_of_any_size_comes_out_in_shape_and_between_the_pixels(height, width, high, wide, x, y, share, layout):
    pixels = noise(height, width) // 2 + 40
    scaler = Scaler(wide, high, layout, (x, y, min(share, 1 - x), min(share, 1 - y)))
    for _ in range(2):
        found = scaler.scale(rgb(pixels))
        assert found.shape == (high, wide, 1 if layout == "grey" else 3)
        assert pixels.min() - 1 <= found.min() <= found.max() <= pixels.max() + 1


def test_a_region_shows_only_its_own_pixels():
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[20:60, 50:100] = (10, 200, 90)
    found = Scaler(20, 32, "rgb", (0.25, 0.2, 0.25, 0.4)).scale(rgb(pixels))
    assert (found == (10, 200, 90)).all()


def test_bgr_is_rgb_backwards():
    pixels = noise(64, 48)
    swapped = Scaler(24, 32, "bgr").scale(rgb(pixels)).copy()
    assert (swapped[:, :, ::-1] == Scaler(24, 32, "rgb").scale(rgb(pixels))).all()


def test_yuv_gives_the_colours_of_the_same_picture_in_rgb():
    pixels = cv2.resize(noise(6, 8), (320, 240), interpolation=cv2.INTER_CUBIC)
    y, red, blue = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    half = [cv2.resize(plane, (160, 120), interpolation=cv2.INTER_AREA) for plane in (blue, red)]
    found = Scaler(60, 60, "rgb").scale(Still("yuv420", (y, *half))).astype(int)
    assert np.abs(found - Scaler(60, 60, "rgb").scale(rgb(pixels))).mean() < 3


def test_grey_and_colour_meet_in_the_brightness():
    plane = noise(120, 160)[:, :, 0].copy()
    grey = Scaler(40, 30, "grey").scale(Still("grey", (plane,))).copy()
    assert grey.shape == (30, 40, 1)
    assert (Scaler(40, 30, "rgb").scale(Still("grey", (plane,))) == grey).all()
    yuv = Still("yuv420", (plane, np.full((60, 80), 9, np.uint8), np.full((60, 80), 9, np.uint8)))
    assert (Scaler(40, 30, "grey").scale(yuv) == grey).all()


def test_no_memory_of_a_frames_size_is_taken_per_frame():
    views = [rgb(noise(480, 640)), rgb(noise(480, 640, seed=2))]
    scaler = Scaler(96, 96, "rgb", (0.1, 0.1, 0.8, 0.8))
    scaler.scale(views[0])
    tracemalloc.start()
    for view in views * 5:
        scaler.scale(view)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4096


def test_a_camera_that_changes_its_size_is_followed():
    scaler = Scaler(20, 32, "rgb")
    for height, width in ((480, 640), (100, 70), (480, 640)):
        assert scaler.scale(rgb(np.full((height, width, 3), 7, np.uint8))).mean() == 7


@pytest.mark.parametrize("view", [
    Still("rgb", (np.zeros((4, 4), np.uint8),)),
    Still("rgb", (np.zeros((4, 4, 4), np.uint8),)),
    Still("rgb", (np.zeros((0, 4, 3), np.uint8),)),
    Still("grey", (np.zeros((4, 4), np.float32),)),
    Still("yuv420", (np.zeros((4, 4), np.uint8),)),
    Still("nv12", (np.zeros((4, 4), np.uint8),)),
])
def test_planes_that_do_not_fit_their_format_are_refused(view):
    with pytest.raises(ModelError, match="no planes of"):
        Scaler(2, 2, "rgb").scale(view)
