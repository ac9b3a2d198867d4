"""The picamera2 driver on stand-ins of its libraries that behave, and misbehave, like the real ones."""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, monotonic_ns, sleep
from typing import Any

import numpy as np
import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import DriverError, LostError, SilentError
from reflexd_drivers.cameras import libcamera_list, picamera2
from reflexd_drivers.cameras.libcamera_frames import Layout

from . import fake_picamera2

numbers = itertools.count()


@pytest.fixture
def libcamera() -> Iterator[Any]:
    """Give the stand-in of libcamera."""
    with fake_picamera2.stack() as module:
        yield module


@pytest.fixture
def sensor(libcamera: Any) -> Any:
    """Plug a camera in, of another name for each test: the driver remembers what it went through with each."""
    one = libcamera.Sensor(f"/base/i2c@{next(numbers)}/imx708@1a")
    libcamera.SENSORS[one.id] = one
    return one


def opened(sensor: Any, **table: Any) -> picamera2.Picamera2Camera:
    settings = {"driver": "picamera2", "id": sensor.id, "size_px": (16, 16), "rate_hz": 30, **table}
    return picamera2.connect(picamera2.Settings.model_validate(settings))


def expire(camera: picamera2.Picamera2Camera) -> DriverError:
    """Read until libcamera's own timer is over."""
    camera._alive_at -= 10
    with pytest.raises(DriverError) as caught:
        camera.read(0.01)
    assert not isinstance(caught.value, SilentError)
    return caught.value


def fall_silent(camera: picamera2.Picamera2Camera, sensor: Any) -> None:
    """Let nothing come any more, and take what was on its way."""
    sensor.silent = True
    with suppress(SilentError):
        while True:
            camera.read(0.02).release()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))     # noqa: PTH208


def test_both_views_of_a_frame_hold_what_the_camera_wrote_without_its_padding(sensor: Any) -> None:
    sensor.padding = 5
    camera = opened(sensor, size_px=(32, 16), model_px=(16, 16))
    frame = camera.read(1)
    main, model = frame.views["main"], frame.views["model"]
    assert (main.format, main.size_px, model.format, model.size_px) == ("rgb", (32, 16), "yuv420", (16, 16))
    rows = frame.sequence + np.arange(16)[:, None] * (32 * 3 + 5) + np.arange(32 * 3)
    assert np.array_equal(main.planes[0].reshape(16, -1), rows.astype(np.uint8))
    assert [plane.shape for plane in model.planes] == [(16, 16), (8, 8), (8, 8)]
    stride = 16 + 5
    assert model.planes[1][0, 0] == (frame.sequence + 16 * stride) % 256
    assert model.planes[2][1, 0] == (frame.sequence + 16 * stride + 8 * (stride // 2) + stride // 2) % 256
    frame.release()
    camera.close()


def test_a_main_view_in_yuv420_is_half_the_bytes(sensor: Any) -> None:
    camera = opened(sensor, format="yuv420")
    frame = camera.read(1)
    assert sum(plane.size for plane in frame.views["main"].planes) == 16 * 16 * 3 // 2
    assert list(frame.views) == ["main"]
    frame.release()
    camera.close()


def test_a_buffer_that_is_shorter_than_its_picture_is_refused() -> None:
    layout = Layout("yuv420", 16, 16, 16)
    with pytest.raises(ValueError, match="reshape"):
        layout.copy(np.zeros(16 * 16 + 7, np.uint8), layout.make())


@pytest.mark.parametrize("offset", [None, 3_600_000_000_000, -10_000_000_000])
def test_a_time_that_cannot_be_is_replaced_by_the_arrival_and_counted(sensor: Any, offset: int | None) -> None:
    sensor.clock_offset_ns = offset
    camera = opened(sensor)
    before = monotonic_ns()
    frame = camera.read(1)
    assert before <= frame.taken_at <= monotonic_ns()
    assert camera.counters() == {"clockless": 1}
    camera.close()


def test_the_cameras_own_time_is_kept(sensor: Any) -> None:
    sensor.clock_offset_ns = -200_000_000
    camera = opened(sensor)
    before = monotonic_ns()
    assert camera.read(1).taken_at < before - 100_000_000
    assert camera.counters() == {"clockless": 0}
    camera.close()


def test_the_newest_frame_comes_and_what_was_missed_shows_in_the_sequence(sensor: Any) -> None:
    camera = opened(sensor)
    first = camera.read(1).sequence
    sleep(0.2)
    assert camera.read(1).sequence >= first + 5
    camera.close()


@pytest.mark.fault("F12", bound="the next good frame", outcome="never seen; the gap in the sequence is counted")
def test_frames_that_libcamera_flags_as_damaged_are_never_seen(sensor: Any) -> None:
    sensor.bad = {2, 3, 4}
    camera = opened(sensor)
    seen = []
    while not seen or seen[-1] < 8:
        frame = camera.read(1)
        seen.append(frame.sequence)
        frame.release()
    assert not sensor.bad & set(seen)
    camera.close()


@pytest.mark.fault("F03", bound="the bound of the read", outcome="DEGRADED; the frame is still waited for, no buffer is lost")
def test_reads_that_gave_up_cost_no_buffer(sensor: Any) -> None:
    camera = opened(sensor)
    camera.read(1).release()
    fall_silent(camera, sensor)
    for _ in range(8):          # twice as many as there are buffers
        began = monotonic()
        with pytest.raises(SilentError):
            camera.read(0.02)
        assert monotonic() - began < 0.3
    sensor.silent = False
    for _ in range(8):
        camera.read(1).release()
    camera.close()


def test_readers_that_hold_every_frame_cost_no_buffer(sensor: Any) -> None:
    camera = opened(sensor)
    held = [camera.read(1) for _ in range(16)]
    done: list[int] = []
    waiting = threading.Thread(target=lambda: done.append(camera.read(1).sequence))
    waiting.start()
    sleep(0.1)
    assert done == []
    for frame in held:
        frame.release()
    waiting.join(1)
    assert done[0] > held[-1].sequence
    camera.close()


@pytest.mark.fault("F02", bound="1 s or 5 periods", outcome="DEGRADED, opened again; the third time status 70")
def test_three_openings_in_a_row_that_expire_are_lost_when_it_gave_frames_before(sensor: Any) -> None:
    camera = opened(sensor)
    camera.read(1).release()
    fall_silent(camera, sensor)
    assert not isinstance(expire(camera), LostError)
    camera.close()
    for lost in (False, True):
        camera = opened(sensor)
        with pytest.raises(SilentError):
            camera.read(0.01)
        assert isinstance(expire(camera), LostError) is lost
        camera.close()


def test_a_frame_in_between_begins_the_count_anew_and_a_camera_that_never_worked_is_not_worth_a_new_process(sensor: Any) -> None:
    sensor.silent = True
    for _ in range(5):
        camera = opened(sensor)
        assert "no frame came for 1 s and libcamera gives up then; check" in str(expire(camera))
        camera.close()
    sensor.silent = False
    camera = opened(sensor)
    camera.read(1).release()
    fall_silent(camera, sensor)
    assert not isinstance(expire(camera), LostError)
    camera.close()


@pytest.mark.fault("F01", bound="3 periods, at least 200 ms", outcome="DEGRADED; opened again after 0.5, 1, 2 … 30 s, for ever")
def test_a_camera_that_was_unplugged_is_found_again_though_picamera2_keeps_its_list(libcamera: Any, sensor: Any) -> None:
    camera = opened(sensor)
    camera.read(1).release()
    del libcamera.SENSORS[sensor.id]
    fall_silent(camera, sensor)
    expire(camera)
    camera.close()
    for _ in range(3):
        with pytest.raises(DriverError, match=r"there is no such camera; found none; check its cable"):
            opened(sensor)
    libcamera.SENSORS[sensor.id] = sensor
    sensor.silent = False
    camera = opened(sensor)
    camera.read(1).release()
    camera.close()


@pytest.mark.fault("F13", bound="at once", outcome="DEGRADED; who holds the camera is named where it may be seen")
def test_a_busy_camera_names_its_holder_and_no_descriptor_is_lost_over_it(sensor: Any) -> None:
    sensor.busy = True
    before = descriptors()
    for _ in range(10):
        with pytest.raises(DriverError, match=r"the camera is in use by .*; stop that program"):
            opened(sensor)
    assert descriptors() == before
    sensor.busy = False
    opened(sensor).close()


def test_nothing_grows_over_fifty_openings(sensor: Any) -> None:
    opened(sensor).close()
    files, threads = descriptors(), threading.active_count()
    gc.disable()
    try:
        for _ in range(50):
            camera = opened(sensor)
            camera.read(1).release()
            camera.close()
        assert (descriptors(), threading.active_count()) == (files, threads)
    finally:
        gc.enable()


@pytest.mark.parametrize("step", ["configure", "start"])
def test_a_camera_that_fails_while_it_is_opened_is_closed_again(sensor: Any, step: str) -> None:
    opened(sensor).close()
    sensor.fails = step
    before = descriptors(), threading.active_count()
    with pytest.raises(DriverError, match=rf"Failed to {step} camera: Input/output error\); check its cable"):
        opened(sensor)
    assert (descriptors(), threading.active_count()) == before
    assert not sensor.acquired


def test_a_camera_that_cannot_be_closed_is_lost(sensor: Any) -> None:
    camera = opened(sensor)
    sensor.fails = "close"
    with pytest.raises(LostError, match="could not be closed"):
        camera.close()
    sensor.fails = ""
    camera._camera.close()


def test_a_read_that_waits_does_not_keep_close_waiting(sensor: Any) -> None:
    camera = opened(sensor)
    camera.read(1).release()
    sensor.silent = True
    caught: list[DriverError] = []

    def read() -> None:
        try:
            while True:
                camera.read(5).release()
        except DriverError as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    sleep(0.05)
    began = monotonic()
    camera.close()
    assert monotonic() - began < 0.5
    reader.join(1)
    assert "was closed while it was read" in str(caught[0])


def test_the_camera_is_told_of_rate_exposure_and_focus(sensor: Any) -> None:
    sensor.controls += ("AfMode", "LensPosition")
    camera = opened(sensor, rate_hz=10, exposure_us=20_000, gain=2, white_balance="daylight", autofocus="off", focus_dioptres=0.5)
    assert camera._camera.camera_config["controls"] == {
        "FrameDurationLimits": (100_000, 100_000), "ExposureTime": 20_000, "AnalogueGain": 2.0, "AwbMode": 5, "AfMode": 0,
        "LensPosition": 0.5}
    camera.close()
    camera = opened(sensor, autofocus="once")
    assert camera._camera.camera_config["controls"]["AfTrigger"] == 0
    camera.close()


def test_what_a_camera_does_not_have_is_named_with_its_key(sensor: Any) -> None:
    with pytest.raises(DriverError, match="this camera has no AfMode; remove autofocus"):
        opened(sensor, autofocus="continuous")
    assert not sensor.acquired


@pytest.mark.parametrize(("rotate", "flip", "wanted"), [
    (0, "none", (0, 0)), (180, "none", (1, 1)), (0, "horizontal", (1, 0)), (180, "horizontal", (0, 1)), (180, "both", (0, 0)),
])
def test_the_camera_itself_turns_by_half_and_flips(sensor: Any, rotate: int, flip: str, wanted: tuple[int, int]) -> None:
    camera = opened(sensor, rotate=rotate, flip=flip)
    transform = camera._camera.camera_config["transform"]
    assert (transform.hflip, transform.vflip) == wanted
    assert camera.arranged == {"rotate", "flip"}
    camera.close()


def test_what_the_camera_cannot_turn_is_left_to_software(sensor: Any) -> None:
    camera = opened(sensor, rotate=90)
    assert camera.arranged == frozenset()
    camera.close()
    sensor.flips = False
    camera = opened(sensor, rotate=180)
    assert camera.arranged == frozenset()
    camera.close()


def test_a_camera_that_gives_another_format_is_refused(sensor: Any) -> None:
    sensor.gives = "XBGR8888"
    with pytest.raises(DriverError, match="the camera gives XBGR8888, which is not read"):
        opened(sensor)
    assert not sensor.acquired


def test_it_is_configured_once(sensor: Any) -> None:
    camera = opened(sensor, model_px=(16, 16), rotate=180)
    assert sensor.configured == 1
    assert camera.about == f"{sensor.id}: main rgb 16x16, model yuv420 16x16 at 30 Hz"
    camera.close()


@pytest.mark.parametrize(("table", "told"), [
    ({"model_px": (64, 16), "size_px": (32, 32)}, "model_px is larger than size_px"),
    ({"exposure_us": 40_000, "rate_hz": 30}, "exposure_us is longer than a frame of 30 Hz"),
    ({"focus_dioptres": 1}, 'only with autofocus = "off"'),
    ({"size_px": (641, 480)}, "multiple of 2"),
])
def test_settings_that_cannot_be_are_refused(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        registry.load("camera", "picamera2").Settings.model_validate({"driver": "picamera2", **table})


def test_without_picamera2_one_line_says_how_it_is_installed() -> None:
    settings = picamera2.Settings(driver="picamera2")
    with pytest.raises(DriverError, match=r"picamera2: picamera2 is not installed; sudo apt install python3-picamera2"):
        picamera2.connect(settings)


def test_cameras_are_listed_in_picamera2s_order_without_opening_them(libcamera: Any) -> None:
    for name in ("/base/soc/i2c@1/imx219@10", "/base/usb@1/webcam", "/base/soc/i2c@2/imx708@1a"):
        libcamera.SENSORS[name] = libcamera.Sensor(name, busy=True)
    found = libcamera_list.in_order(list(libcamera_list.describe(libcamera.CameraManager.singleton())))
    picamera2_module = __import__("picamera2")
    assert [one["id"] for one in found] == [one["Id"] for one in picamera2_module.Picamera2.global_camera_info()]
    assert found[0]["sizes"] == [(2304, 1296), (4608, 2592)]


def test_a_list_is_asked_for_in_a_process_of_its_own(libcamera: Any, tmp_path: Path) -> None:
    told = [{"id": "/base/soc/imx708", "model": "imx708", "sizes": [[2304, 1296]]},
            {"id": "/base/usb@1/x", "model": "x", "sizes": []}]
    (tmp_path / "tell").write_text(json.dumps(told))
    assert libcamera_list.found_cameras(("cat", str(tmp_path / "tell"))) == (
        libcamera_list.FoundSensor("/base/soc/imx708", 0, "imx708", ((2304, 1296),)),)
    assert libcamera_list.found_cameras((sys.executable, "-m", libcamera_list.__name__)) == ()      # no sensor in that process
    for command in (("false",), ("echo", "{}"), ("echo", "["), ("no-such-program",)):
        assert libcamera_list.found_cameras(command) == ()


def test_nothing_is_listed_where_picamera2_is_not_installed() -> None:
    assert not libcamera_list.installed()
    assert libcamera_list.found_cameras() == ()
