"""The whole loop beside a line that chatters: nothing that counts is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from reflexd.config.settings import Settings
from reflexd.journal import Journal
from reflexd.wiring import build
from reflexd_drivers import gpio
from reflexd_drivers.actuators import gpio_output
from reflexd_drivers.cameras import replay
from reflexd_drivers.sensors import gpio_input
from reflexd_models.base import Prediction, View
from tests.drivers.storm import Storm


class Blink:
    """A network that says yes and no in turn."""

    labels = ("odd",)

    def __init__(self) -> None:
        self._seen = 0

    def predict(self, _view: View, taken_at: int) -> Prediction:
        self._seen += 1
        return Prediction(taken_at, {"odd": float(self._seen % 2)})


def settings(folder: Path) -> Settings:
    """A camera at 50 Hz whose every frame moves an output, a line that chatters, and a button."""
    np.savez(folder / "frames.npz", x=np.zeros((10, 24, 24, 3), np.uint8))
    camera = replay.Settings(driver="replay", path=folder / "frames.npz", loop=True, rate_hz=50, max_age_ms=5000)
    pins = {"factory": "mock", "chip": "buttons"}
    lamp = gpio_output.Settings.model_validate({"driver": "gpio-output", "pin": "GPIO17", "safe": "off", **pins})
    button = gpio_input.Settings.model_validate({"driver": "gpio-input", "pin": "GPIO5", "pull": "down", **pins})
    noisy = gpio_input.Settings.model_validate({"driver": "gpio-input", "pin": "GPIO4", "pull": "down", **pins, "chip": "storm"})
    return Settings.model_validate({
        "schema": 1, "camera": {"gate": camera}, "model": {"blink": {"bundle": "-", "camera": "gate"}},
        "actuator": {"lamp": lamp}, "sensor": {"button": button, "noisy": noisy},
        "rule": [{"name": "blink", "when": [{"model": "blink", "label": "odd", "at_least": 0.5}],
                  "then": [{"actuator": "lamp", "set": "on", "follow": True}]},
                 {"name": "noise", "when": [{"sensor": "noisy", "edge": "rise"}, {"sensor": "button", "is": True}],
                  "then": [{"actuator": "lamp", "set": "on", "for_s": 1}]}],
    })


@pytest.mark.fault("F20", bound="2 ms between two looks",
                   outcome="frames are decided and presses counted as ever; the storm is counted")
def test_a_storm_of_edges_costs_no_frame_and_no_press(tmp_path: Path) -> None:
    storm = Storm()
    gpio._headers["mock", "storm"] = storm.header()
    with (tmp_path / "log").open("wb") as log:
        journal = Journal(log.fileno())
        daemon = build(settings(tmp_path), journal, open_with=lambda *_: Blink())
        status: list[int] = []
        runner = threading.Thread(target=lambda: status.append(daemon.run()))
        runner.start()
        wait_for(lambda: daemon.loop.decided > 10)
        storm.begin()
        noisy = daemon.parts.sensors["noisy"]
        wait_for(lambda: noisy.counts.total().get("edges", 0) > 20_000)
        decided = daemon.loop.decided
        button = gpio.open_header("mock", "buttons").factory.pin("GPIO5")
        for _ in range(5):
            button.drive_high()
            button.drive_low()
        wait_for(lambda: daemon.loop.decided > decided + 50)
        happened, _ = storm.end()
        pressed = daemon.parts.sensors["button"].counts.total()
        counted = noisy.counts.total()
        gaps, late = daemon.parts.cameras["gate"].gaps, daemon.parts.models["blink"].frames_dropped
        daemon.loop.stop("measured")
        runner.join(10)
        journal.close(1)
    assert status == [0]
    assert pressed["edges"] == 10
    assert counted["storms"] >= 1
    assert 20_000 < counted["edges"] <= happened
    assert noisy.readings < counted["edges"] / 10, "the loop hears of a storm, not of its edges"
    assert gaps == 0
    assert late < daemon.loop.decided / 2, "a machine that is busy with others drops some anyway"


def wait_for(true: object) -> None:
    deadline = time.monotonic() + 60
    while not true():   # type: ignore[operator]
        assert time.monotonic() < deadline, "the daemon does not come on"
        time.sleep(0.01)
