"""A network is given the camera's view of its own size, whatever the main view is."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from reflexd.jobs import CameraJob, ModelJob
from reflexd.looking import Looking
from reflexd.rules.items import Looked, Predicted, Rested
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import Camera, CameraSettings, Frame, FramePool, View
from reflexd_models.base import Prediction


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
