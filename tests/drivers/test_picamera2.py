"""The picamera2 driver on stand-ins of its libraries that behave, and misbehave, like the real ones."""

from __future__ import annotations

import json
import os
import signal
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
from reflexd_drivers.base import DriverError, SilentError, View
from reflexd_drivers.cameras import libcamera_list, picamera2
from reflexd_drivers.cameras.libcamera_child import SLOTS, place, slot_bytes
from reflexd_drivers.cameras.libcamera_frames import Layout
from reflexd_drivers.cameras.libcamera_stream import Stamp, Stream, open_stream

from . import fake_picamera2

ID = "/base/i2c@1/imx708@1a"


@pytest.fixture
def libcamera() -> Iterator[Any]:
    """Give the stand-in of libcamera."""
    with fake_picamera2.stack() as module:
        yield module


@pytest.fixture
def sensor(libcamera: Any) -> Any:
    """Plug a camera in, for a stream within this process."""
    one = libcamera.SENSORS[ID] = libcamera.Sensor(ID)
    return one


@pytest.fixture
def world(tmp_path: Path) -> Iterator[fake_picamera2.World]:
    """Plug a camera in, for the driver with its own process."""
    one = fake_picamera2.World(tmp_path)
    one.plug(ID)
    yield one
    one.end()


def settings(**table: Any) -> picamera2.Settings:
    return picamera2.Settings.model_validate({"driver": "picamera2", "id": ID, "size_px": (16, 16), "rate_hz": 30, **table})


def streaming(**table: Any) -> Stream:
    return open_stream(settings(**table))


def opened(**table: Any) -> picamera2.Picamera2Camera:
    return picamera2.connect(settings(**table))


def take(stream: Stream, timeout_s: float = 1) -> tuple[Stamp, dict[str, View]]:
    """Give one frame of a stream, and give its buffer back."""
    request = stream.ask(timeout_s)
    size = slot_bytes(stream.layouts)
    views = place(np.zeros(size, np.uint8), stream.layouts)
    try:
        return stream.fill(request, views), views
    finally:
        request.release()


def fall_silent(stream: Stream, sensor: Any) -> None:
    """Let nothing come any more, and take what was on its way."""
    sensor.silent = True
    with suppress(SilentError):
        while True:
            take(stream, 0.05)


def until_silent(camera: picamera2.Picamera2Camera) -> None:
    """Read until nothing comes any more."""
    with suppress(SilentError):
        while True:
            camera.read(0.2).release()


def failure(camera: picamera2.Picamera2Camera) -> str:
    """Read through all silence, until the driver gives the camera up; give its words."""
    while True:
        try:
            camera.read(0.2).release()
        except SilentError:
            continue
        except DriverError as error:
            return str(error)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))     # noqa: PTH208


def children() -> list[str]:
    """Name the processes that were started here and are not gone."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_both_views_of_a_frame_hold_what_the_camera_wrote_without_its_padding(sensor: Any) -> None:
    sensor.padding = 5
    stream = streaming(size_px=(32, 16), model_px=(16, 16))
    (sequence, _, _), views = take(stream)
    main, model = views["main"], views["model"]
    assert (main.format, main.size_px, model.format, model.size_px) == ("rgb", (32, 16), "yuv420", (16, 16))
    rows = sequence + np.arange(16)[:, None] * (32 * 3 + 5) + np.arange(32 * 3)
    assert np.array_equal(main.planes[0].reshape(16, -1), rows.astype(np.uint8))
    assert [plane.shape for plane in model.planes] == [(16, 16), (8, 8), (8, 8)]
    stride = 16 + 5
    assert model.planes[1][0, 0] == (sequence + 16 * stride) % 256
    assert model.planes[2][1, 0] == (sequence + 16 * stride + 8 * (stride // 2) + stride // 2) % 256
    stream.close()


def test_a_main_view_in_yuv420_is_half_the_bytes(sensor: Any) -> None:
    stream = streaming(format="yuv420")
    _, views = take(stream)
    assert sum(plane.size for plane in views["main"].planes) == 16 * 16 * 3 // 2
    assert list(views) == ["main"]
    stream.close()


def test_a_camera_that_knows_only_the_video_range_is_stretched_to_the_full_one(sensor: Any) -> None:
    sensor.video_range = True
    stream = streaming(format="yuv420", size_px=(32, 16))
    (sequence, _, _), views = take(stream)
    luma, blue, _ = (plane.astype(int) for plane in views["main"].planes)
    wrote = (sequence + np.arange(32 * 16).reshape(16, 32)) % 256
    assert np.abs(luma - np.clip((wrote - 16) * 255 / 219, 0, 255)).max() <= 0.5     # Source: ITU-R BT.601
    wrote = (sequence + 32 * 16 + np.arange(8 * 16).reshape(8, 16)) % 256
    assert np.abs(blue - np.clip((wrote - 128) * 255 / 224 + 128, 0, 255)).max() <= 0.5
    stream.close()


def test_a_buffer_that_is_shorter_than_its_picture_is_refused() -> None:
    layout = Layout("yuv420", 16, 16, 16)
    with pytest.raises(ValueError, match="reshape"):
        layout.copy(np.zeros(16 * 16 + 7, np.uint8), layout.view(np.zeros(layout.size, np.uint8)))


@pytest.mark.parametrize("offset", [None, 3_600_000_000_000, -10_000_000_000])
def test_a_time_that_cannot_be_is_replaced_by_the_arrival(sensor: Any, offset: int | None) -> None:
    sensor.clock_offset_ns = offset
    stream = streaming()
    before = monotonic_ns()
    stamp, _ = take(stream)
    assert before <= stamp.taken_at <= monotonic_ns()
    assert not stamp.by_camera
    stream.close()


def test_the_cameras_own_time_is_kept(sensor: Any) -> None:
    sensor.clock_offset_ns = -200_000_000
    stream = streaming()
    before = monotonic_ns()
    stamp, _ = take(stream)
    assert stamp.taken_at < before - 100_000_000
    assert stamp.by_camera
    stream.close()


@pytest.mark.fault("F12", bound="the next good frame", outcome="never seen; the gap in the sequence is counted")
def test_frames_that_libcamera_flags_as_damaged_are_never_seen(sensor: Any) -> None:
    sensor.bad = {2, 3, 4}
    stream, seen = streaming(), []
    while not seen or seen[-1] < 8:
        seen.append(take(stream)[0].sequence)
    assert not sensor.bad & set(seen)
    stream.close()


def test_waits_that_gave_up_cost_no_buffer_and_do_not_keep_the_camera_open(sensor: Any) -> None:
    stream = streaming()
    fall_silent(stream, sensor)
    for _ in range(8):          # twice as many as there are buffers
        with pytest.raises(SilentError):
            take(stream, 0.02)
    sensor.silent = False
    for _ in range(8):
        take(stream)
    fall_silent(stream, sensor)
    stream.close()
    assert not sensor.acquired


def test_the_camera_is_told_of_rate_exposure_and_focus(sensor: Any) -> None:
    sensor.controls += ("AfMode", "LensPosition")
    stream = streaming(rate_hz=10, exposure_us=20_000, gain=2, white_balance="daylight", autofocus="off", focus_dioptres=0.5)
    assert stream._camera.camera_config["controls"] == {
        "FrameDurationLimits": (100_000, 100_000), "ExposureTime": 20_000, "AnalogueGain": 2.0, "AwbMode": 5, "AfMode": 0,
        "LensPosition": 0.5}
    stream.close()
    stream = streaming(autofocus="once")
    assert stream._camera.camera_config["controls"]["AfTrigger"] == 0
    stream.close()


def test_what_a_camera_does_not_have_is_named_with_its_key(sensor: Any) -> None:
    with pytest.raises(DriverError, match="this camera has no AfMode; remove autofocus"):
        streaming(autofocus="continuous")
    assert not sensor.acquired


@pytest.mark.parametrize(("rotate", "flip", "wanted"), [
    (0, "none", (0, 0)), (180, "none", (1, 1)), (0, "horizontal", (1, 0)), (180, "horizontal", (0, 1)), (180, "both", (0, 0)),
])
def test_the_camera_itself_turns_by_half_and_flips(sensor: Any, rotate: int, flip: str, wanted: tuple[int, int]) -> None:
    stream = streaming(rotate=rotate, flip=flip)
    transform = stream._camera.camera_config["transform"]
    assert (transform.hflip, transform.vflip) == wanted
    assert stream.arranged == {"rotate", "flip"}
    stream.close()


def test_what_the_camera_cannot_turn_is_left_to_software(sensor: Any) -> None:
    stream = streaming(rotate=90)
    assert stream.arranged == frozenset()
    stream.close()
    sensor.flips = False
    stream = streaming(rotate=180)
    assert stream.arranged == frozenset()
    stream.close()


def test_a_camera_that_gives_another_format_is_refused(sensor: Any) -> None:
    sensor.gives = "XBGR8888"
    with pytest.raises(DriverError, match="the camera gives XBGR8888, which is not read"):
        streaming()
    assert not sensor.acquired


def test_it_is_configured_once(sensor: Any) -> None:
    stream = streaming(model_px=(16, 16))
    assert sensor.configured == 1
    assert stream.about == f"{ID}: main rgb 16x16, model yuv420 16x16 at 30 Hz"
    stream.close()


@pytest.mark.parametrize("step", ["configure", "start"])
def test_a_camera_that_fails_while_it_is_opened_is_closed_again(sensor: Any, step: str) -> None:
    sensor.fails = step
    with pytest.raises(DriverError, match=rf"Failed to {step} camera: Input/output error\); check its cable"):
        streaming()
    assert not sensor.acquired


@pytest.mark.fault("F13", bound="at once", outcome="degraded; who holds the camera is named where it may be seen")
def test_a_busy_camera_names_its_holder(world: fake_picamera2.World) -> None:
    world.plug(ID, busy=True)
    with pytest.raises(DriverError, match=r"the camera is in use by .*; stop that program"):
        opened()


@pytest.mark.fault("F01", bound="3 periods, at least 200 ms", outcome="degraded; opened again after 0.5, 1, 2 … 30 s, for ever")
def test_libcamera_that_ends_its_process_over_a_camera_that_is_gone_does_no_harm(world: fake_picamera2.World) -> None:
    world.plug(ID, asserts=True)
    camera = opened()
    camera.read(1).release()
    world.unplug(ID)
    until_silent(camera)
    camera.close()
    with pytest.raises(DriverError, match=r"there is no such camera; found none; check its cable"):
        opened()
    world.plug(ID)
    camera = opened()
    camera.read(1).release()
    camera.close()
    assert children() == []


def test_a_process_that_crashes_is_told(world: fake_picamera2.World) -> None:
    camera = opened()
    camera.read(1).release()
    os.kill(int(children()[0]), signal.SIGSEGV)
    assert failure(camera) == f"{ID}: libcamera was ended by SIGSEGV, as it does when a camera vanishes; check its cable"
    camera.close()


@pytest.mark.fault("F03", bound="the bound of a read", outcome="degraded; the process around libcamera is killed and begun anew")
@pytest.mark.parametrize("step", ["capture", "close"])
def test_a_call_of_libcamera_that_never_returns_is_ended_within_a_bound(world: fake_picamera2.World, step: str) -> None:
    camera = opened()
    camera.read(1).release()
    world.plug(ID, jams=step)
    began = monotonic()
    if step == "capture":
        until_silent(camera)
    camera.close()
    assert monotonic() - began < 4
    assert children() == []


@pytest.mark.fault("F05", bound="1.5 s", outcome="the process around libcamera is killed; the camera is opened by another")
def test_a_camera_whose_close_hangs_can_be_opened_again(world: fake_picamera2.World) -> None:
    world.plug(ID, jams="close")
    for _ in range(2):
        camera = opened()
        camera.read(1).release()
        began = monotonic()
        camera.close()
        assert 0.9 < monotonic() - began < 3


def test_an_opening_that_hangs_is_ended_within_a_bound(world: fake_picamera2.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "OPEN_S", 2.0)
    world.plug(ID, jams="start")
    with pytest.raises(DriverError, match="libcamera did not open the camera within 2 s; check its cable"):
        opened()
    assert children() == []


@pytest.mark.fault("F02", bound="1 s or 5 periods", outcome="degraded; libcamera begins anew, each time in a process of its own")
def test_silence_beyond_libcameras_own_timer_opens_the_camera_again(world: fake_picamera2.World) -> None:
    camera = opened()
    camera.read(1).release()
    world.plug(ID, silent=True)
    assert failure(camera) == f"{ID}: no frame came for 1 s, and libcamera gives up then; check its cable"
    camera.close()


def test_the_newest_frame_comes_and_what_was_missed_shows_in_the_sequence(world: fake_picamera2.World) -> None:
    camera = opened()
    first = camera.read(1)
    sleep(0.8)
    second = camera.read(1)
    assert second.sequence >= first.sequence + 5
    assert monotonic_ns() - second.taken_at < 0.6e9, "the oldest that was not read is older"
    camera.close()


def test_readers_that_hold_every_frame_cost_none_for_ever_and_no_frame_is_ever_torn(world: fake_picamera2.World) -> None:
    camera = opened(size_px=(64, 48))
    held = [camera.read(1) for _ in range(SLOTS)]
    with pytest.raises(SilentError):
        camera.read(0.2)
    for frame in held:
        assert np.array_equal(frame.views["main"].planes[0].ravel(), (frame.sequence + np.arange(64 * 48 * 3)).astype(np.uint8))
        frame.release()
    assert camera.read(1).sequence > held[-1].sequence
    camera.close()


def test_a_frame_outlives_its_camera(world: fake_picamera2.World) -> None:
    camera = opened()
    frame = camera.read(1)
    camera.close()
    assert frame.views["main"].planes[0][0, 1, 0] == (frame.sequence + 3) % 256
    frame.release()


def test_a_read_that_waits_does_not_keep_close_waiting(world: fake_picamera2.World) -> None:
    camera = opened()
    camera.read(1).release()
    world.plug(ID, silent=True)
    caught: list[DriverError] = []

    def read() -> None:
        try:
            while True:
                camera.read(0.9).release()
        except DriverError as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    sleep(0.1)
    camera.close()
    reader.join(1)
    assert "was closed" in str(caught[0])


def test_nothing_grows_over_many_openings(world: fake_picamera2.World) -> None:
    opened().close()
    before = descriptors(), threading.active_count()
    for _ in range(5):
        camera = opened()
        camera.read(1).release()
        camera.close()
    assert (descriptors(), threading.active_count()) == before
    assert children() == []


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
    with pytest.raises(DriverError, match=r"picamera2: picamera2 is not installed; sudo apt install python3-picamera2"):
        opened()


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
