"""A network that looks at fewer frames, and several networks on one camera of which one rests."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.jobs import CameraJob, ModelJob
from reflexd.looking import Looking
from reflexd.pace import Pace
from reflexd.rules.items import Looked, Predicted, Rested
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import Camera, CameraSettings, Frame, FramePool, View
from reflexd_models.base import Prediction
from tests.daemon.devices import Device
from tests.daemon.rules.scenes import PATIENT
from tests.daemon.test_faults import CONFIG, Start, within

S = 1_000_000_000


def picked(rate_hz: float, times: list[int]) -> list[int]:
    pace = Pace(rate_hz)
    return [taken_at for taken_at in times if pace.picks(taken_at)]


@PATIENT
@given(st.floats(0.2, 100), st.lists(st.integers(1, 3 * S), min_size=1, max_size=60))
def test_no_span_has_more_than_its_share_of_predictions(rate_hz, steps):
    times = list(np.cumsum(steps))
    chosen = picked(rate_hz, times)
    assert chosen[0] == times[0]
    for first, start in enumerate(chosen):
        for last in range(first, len(chosen)):
            assert last - first <= (chosen[last] - start) / S * rate_hz + 2 + 1e-6


@pytest.mark.parametrize(("camera_hz", "rate_hz", "wanted"), [(30, 10, 10), (30, 29, 29), (30, 20, 20), (30, 7, 7), (30, 30, 30),
                                                            (30, 60, 30), (5, 2, 2), (90, 0.5, 0.5)])
def test_the_rate_is_met_on_average_whatever_the_cameras_is(camera_hz, rate_hz, wanted):
    lot = np.random.default_rng(1)
    times = [round(number * S / camera_hz + lot.uniform(-0.1, 0.1) * S / camera_hz) + S for number in range(camera_hz * 60)]
    assert len(picked(rate_hz, times)) / 60 == pytest.approx(wanted, rel=0.04)


def test_nothing_is_caught_up_with_after_a_pause():
    times = [0, S, 2 * S, 20 * S, *(20 * S + number * S // 30 for number in range(1, 61))]
    assert picked(1, times) == [0, S, 2 * S, 20 * S, 21 * S, 22 * S]


class Frames:
    """A camera of which each frame is 100 ms younger than the one before."""

    lossless = False

    def __init__(self) -> None:
        self.pool = FramePool(lambda: {"main": View("grey", (np.zeros((8, 8), np.uint8),))}, limit=1)
        self.sequence = 0

    def read(self, timeout_s: float) -> Frame:
        slot = self.pool.take()
        assert slot is not None, "every frame that was taken came back"
        self.sequence += 1
        return Frame(self.sequence * S // 10, self.sequence, slot)

    def close(self) -> None:
        """Nothing is open."""


class Looks:
    """A network that notes what it was shown."""

    labels = ("person",)

    def __init__(self) -> None:
        self.shown: list[int] = []

    def predict(self, view: View, taken_at: int) -> Prediction:
        self.shown.append(taken_at * 10 // S)
        return Prediction(taken_at, {"person": 0.5})


@pytest.mark.parametrize("required", [False, True])
def test_frames_between_go_back_unread_and_a_required_camera_is_known_to_be_there(required):
    settings = CameraSettings(driver="fake", required=required, rate_hz=10)
    source, network, out = Frames(), Looks(), Inbox[Predicted | Rested](100, Wake())
    camera = CameraJob("gate", settings, lambda: cast("Camera", source),
                       Looking("gate", settings, Inbox[Looked](8, Wake()), Reports(Wake())))
    model = ModelJob("net", settings, lambda: network, frozenset(), camera, out, rate_hz=2.5)
    for job in (camera, model):
        job.open()
    for _ in range(20):
        camera.step()
        assert model.step()
    said: list[Any] = list(out.drain())
    assert network.shown == [1, 5, 9, 13, 17]
    assert [one.prediction.taken_at * 10 // S for one in said if isinstance(one, Predicted)] == network.shown
    assert [one.taken_at * 10 // S for one in said if isinstance(one, Rested)] == (
        [n for n in range(1, 21) if n not in network.shown] if required else [])
    assert model.predictions == len(network.shown) == model.spans.inference.count
    assert set(model.spans.percentiles_ms()) == {"frame_to_prediction", "inference"}


def test_of_two_networks_on_a_camera_the_gated_one_rests_alone(start: Start, devices: dict[str, Device]) -> None:
    gate = {"bundle": "x", "camera": "gate"}
    daemon = start({**CONFIG, "model": {"person": gate, "gated": {**gate, "only_while": [{"sensor": "button", "is": True}]}}})
    within(5, lambda: daemon.status()["models"]["person"]["predictions"] > 5)
    gated = daemon.status()["models"]["gated"]
    assert (gated["predictions"], gated["resting"], gated["unknown"]) == (0, True, "gated by only_while")
    devices["sensor"].value = True
    within(5, lambda: daemon.status()["models"]["gated"]["predictions"] > 5)
    told = daemon.status()["models"]
    assert [told[name]["resting"] for name in ("person", "gated")] == [False, False]
    for one in told.values():
        for spans in one["latency_ms"].values():
            assert 0 <= spans["p50"] <= spans["p90"] <= spans["p99"] <= spans["max"]
        assert one["latency_ms"]["inference"]["max"] <= one["latency_ms"]["frame_to_prediction"]["max"]
