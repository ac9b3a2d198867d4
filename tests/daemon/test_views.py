"""A network is given the camera's view of its own size, and every reader sees the same colours in it."""

from __future__ import annotations

from typing import Any, Literal, cast

import cv2
import numpy as np
import pytest

from reflexd import picture
from reflexd.jobs import CameraJob, ModelJob
from reflexd.looking import Looking
from reflexd.rules.items import Looked, Predicted, Rested
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import Camera, CameraSettings, Frame, FramePool, View
from reflexd_drivers.cameras import pattern
from reflexd_drivers.cameras.scenes import BARS
from reflexd_models.base import Prediction
from reflexd_models.image import Scaler


class TwoViews:
    """A camera with a scaler of its own."""

    lossless = False

    def __init__(self) -> None:
        self._pool = FramePool(lambda: {"main": View("grey", (np.full((48, 64), 9, np.uint8),)),
                                        "model": View("grey", (np.full((24, 32), 7, np.uint8),))})
        self._sequence = 0

    def read(self, timeout_s: float) -> Frame:
        slot = self._pool.take()
        assert slot is not None
        self._sequence += 1
        return Frame(self._sequence, self._sequence, slot)

    def close(self) -> None:
        """Nothing is open."""


class Shown:
    """A network that says what it was shown."""

    labels = ("size",)

    def __init__(self, least_px: tuple[int, int]) -> None:
        self.least_px = least_px

    def predict(self, view: View, taken_at: int) -> Prediction:
        return Prediction(taken_at, {"size": float(view.planes[0][0, 0])})


def shown_to(network: Any) -> float:
    settings, reports = CameraSettings(driver="fake"), Reports(Wake())
    looking = Looking("gate", settings, Inbox[Looked](8, Wake()), reports)
    camera = CameraJob("gate", settings, lambda: cast("Camera", TwoViews()), looking)
    out = Inbox[Predicted | Rested](8, Wake())
    model = ModelJob("net", settings, lambda: network, frozenset(), camera, out)
    for job in (camera, model):
        job.open()
    camera.step()
    model.step()
    said = out.take()
    camera.close()
    assert isinstance(said, Predicted)
    return said.prediction.scores["size"]


def test_a_small_network_is_given_the_small_view_and_a_large_one_the_main_view() -> None:
    assert shown_to(Shown((32, 24))) == 7
    assert shown_to(Shown((33, 24))) == 9


def test_a_network_that_does_not_say_what_it_needs_is_given_the_main_view() -> None:
    network = Shown((1, 1))
    del network.least_px
    assert shown_to(network) == 9


Colours = Literal["rgb", "yuv420"]


def bars(kind: Colours) -> View:
    camera = pattern.connect(pattern.Settings(driver="pattern", scene="bars", format=kind, size_px=(160, 48)))
    try:
        return camera.read(1).views["main"]
    finally:
        camera.close()


@pytest.mark.parametrize("kind", ["rgb", "yuv420"])
def test_people_and_networks_see_the_colours_that_a_camera_gave(kind: Colours) -> None:
    view, middles = bars(kind), [10, 30, 50, 70, 90, 110, 130, 150]
    for_people = picture.to_bgr(view)[24, middles, ::-1].astype(int)
    for_networks = Scaler(160, 48, "rgb").scale(view)[24, middles].astype(int)
    assert np.abs(for_people - BARS).max() <= 3
    assert np.abs(for_networks - BARS).max() <= 3


def test_a_picture_with_odd_sides_can_be_shown() -> None:
    planes = (np.full((5, 7), 200, np.uint8), *np.full((2, 3, 4), 128, np.uint8))
    assert (picture.to_bgr(View("yuv420", planes)) == 200).all()


def test_a_picture_without_networks_ends_where_the_view_ends() -> None:
    png = picture.png_of(bars("rgb"), {}, {})
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (48, 160, 3), "a black bar below would look like a mask"
