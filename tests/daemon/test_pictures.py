"""States of a picture in the whole daemon: told once, acted on, and a frozen camera that is opened again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from reflexd.workers import Wake
from tests.daemon.devices import Device, Picture
from tests.daemon.test_faults import Devices, Start
from tests.stopwatch import within

PATTERN: dict[str, Any] = {"driver": "pattern", "rate_hz": 50, "size_px": (64, 48), "max_age_ms": 300}
ALARM: dict[str, Any] = {"name": "alarm", "when": [{"camera": "gate", "is": "black"}],
                         "then": [{"actuator": "lamp", "set": "on", "follow": True}]}


def config(rule: dict[str, Any] = ALARM, **camera: Any) -> dict[str, Any]:
    return {"camera": {"gate": {**PATTERN, **camera}}, "rule": [rule],
            "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}}}


def picture(daemon: Any) -> str:
    return str(daemon.status()["cameras"]["gate"]["picture"])


@pytest.mark.fault("F07", bound="2 s", outcome="a log line and a state that rules may use")
def test_f07_a_black_picture_is_told_once_and_acted_on(start: Start, devices: Devices) -> None:
    daemon = start(config(script=[[0, "moving"], [3, "black"], [6.5, "moving"]]))
    within(10, lambda: picture(daemon) == "normal")
    within(10, lambda: devices["lamp"].level == 1.0)
    assert picture(daemon) == "black"
    within(10, lambda: devices["lamp"].level == 0.0)
    within(10, lambda: picture(daemon) == "normal")
    daemon.stop()
    log = daemon.log()
    assert log.count("camera.gate: the picture is black") == 1
    assert log.count("camera.gate: the picture is normal again") == 1
    troubles = [line for line in log.splitlines() if "camera.gate: degraded" in line]
    assert [line for line in troubles if "a call has not returned" not in line] == []      # that is a busy machine's


def test_a_new_rule_finds_the_state_of_a_camera_that_stays_open(start: Start, devices: Devices) -> None:
    never = {**ALARM, "when": [{"camera": "gate", "is": "moved"}]}
    daemon = start({**config(never, scene="black"), "rule": []})
    within(10, lambda: picture(daemon) == "black")
    frames = daemon.status()["cameras"]["gate"]["frames"]
    daemon.reload(config(scene="black"))
    within(5, lambda: devices["lamp"].level == 1.0)
    assert daemon.status()["cameras"]["gate"]["frames"] > frames, "it was not opened anew"
    daemon.reload(config(scene="black", seed=4))
    within(5, lambda: devices["lamp"].level == 0.0)
    within(10, lambda: devices["lamp"].level == 1.0)


def test_the_picture_of_a_camera_that_is_gone_is_unknown_and_nothing_acts_on_what_it_was(start: Start, devices: Devices) -> None:
    unless = {"name": "open", "when": [{"sensor": "door", "is": True}], "unless": [{"camera": "gate", "is": "black"}],
              "then": [{"actuator": "fan", "set": "on", "follow": True}]}
    devices["sensor"].value = True
    daemon = start({
        "camera": {"gate": {"driver": "bad-camera", "key": "camera", "rate_hz": 50, "max_age_ms": 500}}, "rule": [ALARM, unless],
        "sensor": {"door": {"driver": "bad-sensor", "key": "sensor"}},
        "actuator": {name: {"driver": "bad-actuator", "key": name, "safe": "off"} for name in ("lamp", "fan")}})
    within(10, lambda: devices["lamp"].level == 1.0)
    devices["camera"].broken = True
    within(5, lambda: devices["lamp"].level == 0.0)
    assert picture(daemon) == "not known"
    devices["camera"].broken = False
    within(20, lambda: devices["lamp"].level == 1.0)
    assert not any(level for _, level in devices["fan"].written), "it was never known that the picture is not black"


SEES: dict[str, Any] = {
    "camera": {"gate": {"driver": "bad-camera", "key": "camera", "rate_hz": 50, "max_age_ms": 500, "frozen_after_s": 0.5}},
    "model": {"person": {"bundle": "x", "camera": "gate"}},
    "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"},
                 "fan": {"driver": "bad-actuator", "key": "fan", "safe": "off"}},
    "rule": [
        {"name": "see", "when": [{"model": "person", "label": "person", "at_least": 0.5}],
         "then": [{"actuator": "lamp", "set": "on", "follow": True}]},
        {"name": "alarm", "when": [{"camera": "gate", "is": "frozen"}], "then": [{"actuator": "fan", "set": "on", "for_s": 60}]},
    ],
}


def detailed(numbers: Callable[[], int]) -> Picture:
    """A picture with detail, that differs with each number."""
    ground = np.random.default_rng(5).integers(0, 255, (8, 8), np.uint8)
    return lambda: np.roll(ground, numbers(), axis=1)


@pytest.mark.fault("F06", bound="frozen_after_s, 5 s", outcome="degraded until the picture changes")
def test_f06_a_frozen_camera_is_degraded_and_stays_so_until_its_picture_changes(start: Start, devices: Devices) -> None:
    numbers = count()
    alive, frozen = detailed(lambda: next(numbers)), detailed(lambda: 0)
    devices["camera"].picture, devices["model"].value = alive, 0.9
    daemon = start(SEES)
    within(5, lambda: devices["lamp"].level == 1.0)
    within(10, lambda: picture(daemon) != "not known")
    devices["camera"].picture = frozen
    within(5, lambda: devices["lamp"].level == 0.0)
    within(5, lambda: devices["fan"].level == 1.0)
    opened, writes = devices["camera"].opened, len(devices["lamp"].written)
    within(20, lambda: devices["camera"].opened >= opened + 2)
    assert daemon.status()["cameras"]["gate"]["state"] == "degraded"
    assert len(devices["lamp"].written) == writes, "no frame of a frozen camera acts, however often it is opened"
    devices["camera"].picture = alive
    within(20, lambda: devices["lamp"].level == 1.0)
    daemon.stop()
    log = daemon.log()
    assert log.count("camera.gate: degraded: bad-camera: the picture is frozen, the same bit for bit for 0.5 s") == 1
    assert log.count("camera.gate: run") == 2


def test_a_camera_whose_scene_stands_still_can_be_told_to_be_well(start: Start, devices: Devices) -> None:
    devices["camera"].picture, devices["model"].value = detailed(lambda: 0), 0.9
    daemon = start({**SEES, "camera": {"gate": {**SEES["camera"]["gate"], "frozen_after_s": 0}}})
    within(6, lambda: picture(daemon) != "not known")
    begun = daemon.status()["cameras"]["gate"]["frames"]
    within(6, lambda: daemon.status()["cameras"]["gate"]["frames"] > begun + 60)
    assert daemon.status()["cameras"]["gate"]["state"] == "run"
    assert isinstance(devices["lamp"], Device)
    assert devices["lamp"].level == 1.0


def test_a_mask_hides_from_a_snapshot_of_any_driver_what_it_covers(start: Start, devices: Devices) -> None:
    devices["camera"].picture = lambda: np.full((8, 8), 200, np.uint8)
    left = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    daemon = start({"camera": {"gate": {**SEES["camera"]["gate"], "masks": [left]}}})
    job = daemon.daemon.parts.cameras["gate"]
    wake = Wake()
    with job.showing(wake) as inbox:
        assert wake.wait(5)
        frame = inbox.take()
        assert frame is not None
        shown = frame.views["main"].planes[0].copy()
        frame.release()
    assert not shown[:, :4].any()
    assert (shown[:, 5:] == 200).all()

