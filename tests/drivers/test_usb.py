"""The usb camera on a device that behaves like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic_ns, sleep
from typing import Any

import numpy as np
import pytest

from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.cameras import usb
from reflexd_drivers.cameras.v4l2 import Format

from .fake_v4l2 import FakeCamera


def opened(camera: FakeCamera, **table: Any) -> usb.UsbCamera:
    settings = usb.Settings.model_validate({"driver": "usb", "device": "/dev/video0", **table})
    return usb.connect(settings, camera.device)


def pixel(frame: Any) -> list[int]:
    value = frame.views["main"].planes[0][0, 0].tolist()
    frame.release()
    return value


@pytest.mark.parametrize(("code", "view"), [("YUYV", "rgb"), ("MJPG", "rgb"), ("RGB3", "rgb"), ("BGR3", "rgb"), ("GREY", "grey")])
def test_each_format_becomes_pixels_in_a_slot(code: str, view: str) -> None:
    camera = opened(FakeCamera((code,), (16, 8)))
    frame = camera.read(1)
    plane = frame.views["main"].planes[0]
    assert frame.views["main"].format == view
    assert plane.shape[:2] == (8, 16)
    assert plane.dtype == np.uint8
    frame.release()
    camera.close()


def test_red_stays_red_in_each_order_of_bytes() -> None:
    red = {"RGB3": b"\xff\0\0", "BGR3": b"\0\0\xff"}
    for code, three in red.items():
        camera = FakeCamera((code,))
        camera.contents = dict.fromkeys(range(1000), three * 32)
        device = opened(camera)
        assert pixel(device.read(1)) == [255, 0, 0]
        device.close()


def test_padded_rows_are_understood() -> None:
    from reflexd_drivers.cameras.pixels import filler

    plane = np.zeros((2, 3, 3), np.uint8)
    rows = np.zeros((2, 12), np.uint8)
    rows[:, :9] = np.arange(18).reshape(2, 9)
    assert filler(Format("RGB3", 3, 2, 12))(memoryview(rows.tobytes()), plane)
    assert plane.ravel().tolist() == list(range(18))


def test_the_newest_frame_wins_and_the_gap_shows_in_the_sequence() -> None:
    camera = opened(FakeCamera(rate_hz=200))
    first = camera.read(1).sequence
    sleep(0.1)
    frame = camera.read(1)
    assert frame.sequence >= first + 3
    assert camera.read(1).sequence > frame.sequence
    camera.close()


def test_buffers_that_the_kernel_flags_are_skipped_and_counted() -> None:
    fake = FakeCamera()
    fake.bad = {1, 2, 3}
    camera = opened(fake)
    seen = [camera.read(1) for _ in range(4)]
    assert not {frame.sequence for frame in seen} & fake.bad
    assert camera.bad == 3
    camera.close()


def test_a_corrupt_jpeg_is_skipped_and_counted() -> None:
    fake = FakeCamera(("MJPG",), (64, 48))
    whole = fake.picture("MJPG", 7)
    fake.contents = {2: whole[: len(whole) // 2], 3: b"\0" * 500, 4: b"", 5: whole + b"\0" * 20}
    camera = opened(fake)
    seen = [camera.read(1) for _ in range(6)]
    assert not {frame.sequence for frame in seen} & {2, 3, 4}
    assert 1 <= camera.corrupt <= 3
    camera.close()


def test_nothing_but_corrupt_frames_is_a_fault_that_names_the_cable() -> None:
    fake = FakeCamera(("MJPG",), rate_hz=1000)
    fake.contents = dict.fromkeys(range(10_000), b"noise")
    camera = opened(fake)
    with pytest.raises(DriverError, match="30 frames in a row were corrupt; try another cable"):
        camera.read(5)
    camera.close()


def test_damage_that_lasts_does_not_stretch_a_read() -> None:
    fake = FakeCamera(rate_hz=50)
    fake.bad = set(range(10_000))
    camera = opened(fake)
    began = monotonic_ns()
    with pytest.raises(SilentError):
        camera.read(0.1)
    assert monotonic_ns() - began < 0.2e9
    camera.close()


def test_a_camera_that_says_nothing_is_silent_and_one_that_was_unplugged_is_gone() -> None:
    fake = FakeCamera()
    camera = opened(fake)
    camera.read(1).release()
    fake.silent = True
    with pytest.raises(SilentError):
        camera.read(0.05)
    fake.plugged = False
    with pytest.raises(DriverError, match="unplugged") as caught:
        camera.read(0.05)
    assert not isinstance(caught.value, SilentError)
    camera.close()


@pytest.mark.parametrize("offset", [None, 3_600_000_000_000, -10_000_000_000])
def test_a_time_of_another_clock_is_replaced_by_the_arrival(offset: int | None) -> None:
    fake = FakeCamera()
    fake.clock_offset_ns = offset
    camera = opened(fake)
    before = monotonic_ns()
    assert before <= camera.read(1).taken_at <= monotonic_ns()
    camera.close()


def test_the_kernels_own_time_is_kept() -> None:
    fake = FakeCamera()
    fake.clock_offset_ns = -200_000_000
    camera = opened(fake)
    before = monotonic_ns()
    assert camera.read(1).taken_at < before - 100_000_000
    camera.close()


def test_no_buffer_is_lost_while_readers_hold_every_slot() -> None:
    fake = FakeCamera(rate_hz=500)
    camera = opened(fake)
    held = [camera.read(1) for _ in range(16)]
    with pytest.raises(SilentError):
        camera.read(0.05)
    for frame in held:
        frame.release()
    camera.read(1).release()
    camera.close()


def test_small_pictures_travel_raw_and_large_ones_as_jpeg() -> None:
    both = FakeCamera(("MJPG", "YUYV", "RGB3"))
    assert opened(both).format.code == "YUYV"
    assert opened(both, size_px=(1280, 720)).format.code == "MJPG"
    assert opened(both, format="RGB3").format.code == "RGB3"
    with pytest.raises(DriverError, match="sends MJPG, YUYV, RGB3, wanted was GREY"):
        opened(both, format="GREY")


def test_what_was_agreed_on_can_be_logged() -> None:
    assert opened(FakeCamera(("YUYV",), (8, 4), 30)).about == "/dev/video0: YUYV 8x4 at 30 Hz"


def test_a_node_without_pictures_is_refused_and_closed() -> None:
    fake = FakeCamera()
    fake.metadata_only = True
    with pytest.raises(DriverError, match="index0"):
        opened(fake)
    assert fake.open == 0


def test_a_busy_camera_is_refused_and_closed() -> None:
    fake = FakeCamera()
    fake.busy = True
    with pytest.raises(DriverError, match="in use by"):
        opened(fake)
    assert fake.open == 0


def test_names_that_stay_the_same_are_offered_first(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert usb.cameras(tmp_path) == [str(tmp_path / "video0")]
    (tmp_path / "v4l" / "by-id").mkdir(parents=True)
    (tmp_path / "v4l" / "by-id" / "usb-cam-index0").touch()
    assert usb.cameras(tmp_path) == [str(tmp_path / "v4l" / "by-id" / "usb-cam-index0")]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/no-such-camera", os.devnull + "/x"])
def test_what_is_no_camera_gives_one_clear_line(path: str) -> None:
    settings = usb.Settings.model_validate({"driver": "usb", "device": path})
    with pytest.raises(DriverError, match=r"no such camera|this is no camera"):
        usb.connect(settings)


def test_the_kernels_structures_have_their_sizes() -> None:
    """Source: linux/videodev2.h on 64-bit; ioctl numbers as strace prints them."""
    from reflexd_drivers.cameras import v4l2

    assert v4l2.QUERYCAP == 0x80685600
    assert v4l2.ENUM_FMT == 0xC0405602
    assert v4l2.G_FMT == 0xC0D05604
    assert v4l2.REQBUFS == 0xC0145608
    assert v4l2.QBUF == 0xC058560F
    assert v4l2.STREAMON == 0x40045612
    assert v4l2.S_PARM == 0xC0CC5616
