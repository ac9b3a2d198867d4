"""Faults of a camera in the whole daemon, on the usb driver and a device that behaves as the kernel's does.

A lamp follows what a network says of the frames: it has to go safe, and come on again by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from reflexd_drivers import registry
from reflexd_drivers.cameras import usb
from tests.daemon.devices import Device
from tests.daemon.test_faults import Devices, Start
from tests.drivers.fake_v4l2 import FakeCamera
from tests.stopwatch import within

FAKES: list[FakeCamera] = []


class UsbDriver:
    """The usb driver on the newest fake."""

    Settings = usb.Settings

    @staticmethod
    def connect(settings: usb.Settings) -> usb.UsbCamera:
        return usb.connect(settings, FAKES[-1].device)


@pytest.fixture
def fake() -> Iterator[FakeCamera]:
    registry.DRIVERS["camera"]["fake-usb"] = f"{__name__}:UsbDriver"
    FAKES.append(FakeCamera(("MJPG", "GREY"), (32, 24), rate_hz=50))
    yield FAKES[-1]
    FAKES.pop()
    del registry.DRIVERS["camera"]["fake-usb"]


def config(**camera: Any) -> dict[str, Any]:
    table = {"driver": "fake-usb", "device": "/dev/video0", "format": "GREY", "rate_hz": 50, "max_age_ms": 400, **camera}
    return {
        "camera": {"gate": table}, "model": {"person": {"bundle": "x", "camera": "gate"}},
        "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}},
        "rule": [{"name": "see", "when": [{"model": "person", "label": "person", "at_least": 0.5}],
                  "then": [{"actuator": "lamp", "set": "on", "follow": True}]}],
    }


def camera(daemon: Any) -> dict[str, Any]:
    return dict(daemon.status()["cameras"]["gate"])


def begun(start: Start, devices: Devices, **table: Any) -> Any:
    devices["model"].value = 0.9
    return start(config(**table))


def comes_on(lamp: Device, within_s: float = 10) -> None:
    within(within_s, lambda: lamp.level == 1.0)


def goes_safe(lamp: Device) -> None:
    within(5, lambda: lamp.level == 0.0)


@pytest.mark.fault("F01", bound="1 s", outcome="degraded; opened again after 0.5, 1, 2 … 30 s, for ever")
def test_f01_unplugged_and_plugged_in_again(start: Start, devices: Devices, fake: FakeCamera) -> None:
    daemon = begun(start, devices)
    comes_on(devices["lamp"])
    for _ in range(2):
        fake.plugged = False
        goes_safe(devices["lamp"])
        within(10, lambda: "there is no such camera" in camera(daemon)["why"])     # pauses between two openings grow
        fake.plugged = True
        comes_on(devices["lamp"], 15)
    assert fake.open == 1, "what was unplugged has been closed"


@pytest.mark.fault("F06", bound="frozen_after_s, 5 s", outcome="degraded until the picture changes")
def test_f06_a_usb_camera_that_repeats_its_picture(start: Start, devices: Devices, fake: FakeCamera) -> None:
    chance = np.random.default_rng(1)
    live = {number: chance.integers(0, 255, 32 * 24, np.uint8).tobytes() for number in range(20_000)}
    fake.contents = live
    daemon = begun(start, devices, frozen_after_s=0.5)
    comes_on(devices["lamp"])
    within(5, lambda: camera(daemon)["picture"] != "not known")
    fake.contents = dict.fromkeys(range(20_000), live[0])
    within(10, lambda: devices["lamp"].level == 0.0)
    assert "the picture is frozen" in camera(daemon)["why"]
    fake.contents = live
    comes_on(devices["lamp"], 15)


@pytest.mark.fault("F08", bound="max_age_ms", outcome="dropped and counted; rules take it for unknown")
def test_f08_frames_that_come_late_do_not_act(start: Start, devices: Devices, fake: FakeCamera) -> None:
    daemon = begun(start, devices)
    comes_on(devices["lamp"])
    fake.clock_offset_ns = -600_000_000
    goes_safe(devices["lamp"])
    within(5, lambda: daemon.status()["models"]["person"]["late"] > 3)
    assert camera(daemon)["state"] == "run"
    fake.clock_offset_ns = 0
    comes_on(devices["lamp"])


@pytest.mark.fault("F09", bound="the next frame", outcome="counted; nothing else changes")
def test_f09_frames_that_the_camera_lost_are_counted(start: Start, devices: Devices, fake: FakeCamera) -> None:
    fake.lost = {10, 11, 12, 20}
    daemon = begun(start, devices)
    comes_on(devices["lamp"])
    within(5, lambda: camera(daemon)["frames"] > 25)
    assert camera(daemon)["gaps"] >= 4
    within(5, lambda: camera(daemon)["state"] == "run")


@pytest.mark.fault("F10", bound="opening", outcome="degraded, with the formats that there are")
def test_f10_a_format_that_the_camera_does_not_have(start: Start, devices: Devices, fake: FakeCamera) -> None:
    daemon = begun(start, devices, format="NV12")
    within(5, lambda: "the camera sends MJPG, GREY, wanted was NV12" in camera(daemon)["why"])
    assert devices["lamp"].level == 0.0
    fake.codes = ["NV12"]
    comes_on(devices["lamp"])


@pytest.mark.fault("F11", bound="30 frames in a row", outcome="counted; degraded until good ones come")
def test_f11_nothing_but_corrupt_jpegs(start: Start, devices: Devices, fake: FakeCamera) -> None:
    daemon = begun(start, devices, format="MJPG")
    comes_on(devices["lamp"])
    fake.contents = dict.fromkeys(range(50_000), b"\xff\xd8 noise")
    goes_safe(devices["lamp"])
    within(5, lambda: camera(daemon)["corrupt"] > 0)
    fake.contents = {}
    comes_on(devices["lamp"], 15)


@pytest.mark.fault("F12", bound="the frame", outcome="skipped and counted")
def test_f12_buffers_that_the_kernel_flags(start: Start, devices: Devices, fake: FakeCamera) -> None:
    fake.bad = set(range(0, 50_000, 3))      # a busy machine may miss some frames altogether, but not every third
    daemon = begun(start, devices)
    comes_on(devices["lamp"])
    within(5, lambda: camera(daemon)["bad"] >= 4)
    within(5, lambda: camera(daemon)["state"] == "run")


@pytest.mark.fault("F13", bound="opening", outcome="degraded; names the holder, goes on once it is free")
def test_f13_a_camera_that_is_in_use(start: Start, devices: Devices, fake: FakeCamera) -> None:
    fake.busy = True
    daemon = begun(start, devices)
    within(5, lambda: "the camera is in use by" in camera(daemon)["why"])
    fake.busy = False
    comes_on(devices["lamp"])


@pytest.mark.fault("F14", bound="the next opening", outcome="found again by its id")
def test_f14_a_camera_that_comes_back_under_another_number(start: Start, devices: Devices, fake: FakeCamera,
                                                           tmp_path: Path) -> None:
    link = tmp_path / "usb-cam-index0"
    link.symlink_to(tmp_path / "video0")
    fake.path = str(tmp_path / "video0")
    begun(start, devices, device=str(link))
    comes_on(devices["lamp"])
    fake.plugged = False
    goes_safe(devices["lamp"])
    link.unlink()
    link.symlink_to(tmp_path / "video2")      # as udev does
    fake.path, fake.plugged = str(tmp_path / "video2"), True
    comes_on(devices["lamp"])


@pytest.mark.fault("F15", bound="3 periods, 200 ms at least", outcome="degraded until frames come; not opened anew for that")
def test_f15_a_camera_whose_first_frame_takes_its_time(start: Start, devices: Devices, fake: FakeCamera) -> None:
    fake.silent = True
    daemon = begun(start, devices)
    within(5, lambda: "no frame came in time" in camera(daemon)["why"])
    sleep(0.5)
    fake.silent = False
    comes_on(devices["lamp"])
    daemon.stop()
    assert daemon.log().count("camera.gate: run") == 1


@pytest.mark.fault("F16", bound="the frame", outcome="goes on; nothing is counted as lost")
def test_f16_a_sequence_that_begins_anew(start: Start, devices: Devices, fake: FakeCamera) -> None:
    fake.first = 1_000_000
    daemon = begun(start, devices)
    within(5, lambda: camera(daemon)["frames"] > 30)
    lost, frames = camera(daemon)["gaps"], camera(daemon)["frames"]
    fake.restart = True
    within(5, lambda: not fake.restart and camera(daemon)["frames"] > frames + 30)
    assert camera(daemon)["gaps"] - lost < 1000, "a jump back by a million is no loss of a million"
    assert camera(daemon)["state"] == "run"
    assert devices["lamp"].level == 1.0
