"""The usb camera on a device that behaves like the kernel's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns, sleep
from typing import Any

import cv2
import numpy as np
import pytest

from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.cameras import usb
from reflexd_drivers.cameras.v4l2 import Format
from tests.stopwatch import Stopwatch

from .fake_v4l2 import FakeCamera


def opened(camera: FakeCamera, **table: Any) -> usb.UsbCamera:
    settings = usb.Settings.model_validate({"driver": "usb", "device": "/dev/video0", **table})
    return usb.connect(settings, camera.device)


def pixel(frame: Any) -> list[int]:
    value = frame.views["main"].planes[0][0, 0].tolist()
    frame.release()
    return value


@pytest.mark.parametrize(("code", "view"), [("YUYV", "rgb"), ("MJPG", "rgb"), ("NV12", "rgb"), ("RGB3", "rgb"), ("BGR3", "rgb"),
                                            ("GREY", "grey")])
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


@pytest.mark.parametrize(("code", "size_px"), [("YUYV", (7, 4)), ("NV12", (7, 4)), ("NV12", (8, 5))])
@pytest.mark.fault("F10", bound="opening", outcome="degraded, with a remedy")
def test_f10_a_size_that_a_format_cannot_have_is_told_at_opening(code: str, size_px: tuple[int, int]) -> None:
    width, height = size_px
    with pytest.raises(DriverError, match=rf"the camera gives {code} of {width}x{height} px, .* write an even size_px"):
        opened(FakeCamera((code,), size_px))


def test_nv12_keeps_its_colours_also_where_rows_are_padded() -> None:
    from reflexd_drivers.cameras.pixels import filler

    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :4], rgb[:, 4:] = (255, 0, 0), (0, 0, 255)
    planar = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    rows = np.zeros((12, 16), np.uint8)                                  # 8 of pixels, 8 of padding
    rows[:8, :8] = planar[:8]
    rows[8:, :8:2], rows[8:, 1:8:2] = planar[8:10].reshape(4, 4), planar[10:].reshape(4, 4)
    plane = np.zeros((8, 8, 3), np.uint8)
    fill = filler(Format("NV12", 8, 8, 16))
    assert fill(memoryview(rows.tobytes()), plane)
    assert np.abs(plane.astype(int) - rgb).max() < 12
    assert not fill(memoryview(rows.tobytes()[:-16]), plane), "its colours are cut off"


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


def photograph(width: int = 320, height: int = 240) -> np.ndarray[Any, Any]:
    """Soft colours and some noise, which is what a JPEG encoder is for; uint8 (height, width, 3) BGR."""
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 4, height))
    soft = np.stack([np.sin(x + y), np.cos(x * 2), np.sin(y * 3)], axis=2) * 90 + 128
    return np.clip(soft + np.random.default_rng(4).normal(0, 4, soft.shape), 0, 255).astype(np.uint8)


SAMPLINGS = {"420": 0x221111, "422": 0x211111, "440": 0x121111, "444": 0x111111}     # cv2.IMWRITE_JPEG_SAMPLING_FACTOR_…


def encoded(quality: int = 80, sampling: str = "420", **more: int) -> bytes:
    """A picture from libjpeg-turbo, the encoder of OpenCV."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    for name, value in more.items():
        options += [getattr(cv2, f"IMWRITE_JPEG_{name.upper()}"), value]
    return cv2.imencode(".jpg", photograph(), options)[1].tobytes()


@pytest.mark.parametrize("more", [{}, {"optimize": 1}, {"progressive": 1}, {"rst_interval": 4}])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("quality", [20, 50, 80, 95])
def test_frames_of_a_real_encoder_are_decoded(quality: int, sampling: str, more: dict[str, int]) -> None:
    fake = FakeCamera(("MJPG",), (320, 240))
    fake.contents = dict.fromkeys(range(1000), encoded(quality, sampling, **more))
    camera = opened(fake)
    frame = camera.read(1)
    error = np.abs(frame.views["main"].planes[0].astype(int) - photograph()[:, :, ::-1]).mean()
    assert error < (12 if quality == 20 else 6)
    assert camera.corrupt == 0
    frame.release()
    camera.close()


@pytest.mark.fault("F11", bound="the frame; 30 in a row", outcome="skipped and counted; degraded when none is good")
def test_f11_frames_of_a_real_encoder_that_were_cut_are_never_taken() -> None:
    fake = FakeCamera(("MJPG",), (320, 240), rate_hz=1000)
    whole = encoded()
    cuts = [whole[:round(len(whole) * share)] for share in np.linspace(0, 0.999, 25)]
    fake.contents = dict.fromkeys(range(5000), whole) | {2 * number + 2: cut for number, cut in enumerate(cuts)}
    camera = opened(fake)
    wanted = None
    for _ in range(60):
        frame = camera.read(1)
        wanted = frame.views["main"].planes[0].copy() if wanted is None else wanted
        assert np.array_equal(frame.views["main"].planes[0], wanted)
        frame.release()
    camera.close()


def test_damage_in_the_middle_of_a_jpeg_never_gets_past_the_read() -> None:
    """Bits that flip inside may still decode to a picture; never to an error that is none of ours."""
    chance, whole = np.random.default_rng(6), encoded()
    fake = FakeCamera(("MJPG",), (320, 240), rate_hz=1000)
    for number in range(1, 300):
        broken = bytearray(whole)
        for at in chance.integers(2, len(whole) - 2, 20):
            broken[at] = int(chance.integers(0, 256))
        fake.contents[number] = bytes(broken)
    camera = opened(fake)
    for _ in range(40):
        with suppress(DriverError):
            camera.read(0.1).release()
    camera.close()
    assert fake.open == 0


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
    with Stopwatch() as took, pytest.raises(SilentError):
        camera.read(0.1)
    assert took.seconds < 0.2
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
    assert v4l2.SET_CONTROL == 0xC008561C
    assert v4l2.QUERY_CONTROL == 0xC0445624
    assert v4l2.QUERY_MENU == 0xC02C5625


def test_controls_are_spelt_as_v4l2_ctl_does() -> None:
    """Source: what v4l2-ctl --list-ctrls says of these."""
    from reflexd_drivers.cameras.v4l2 import spelt

    names = {"White Balance, Automatic": "white_balance_automatic", "Exposure Time, Absolute": "exposure_time_absolute",
             "LED1 Mode": "led1_mode", "Focus (absolute)": "focus_absolute", "Brightness": "brightness"}
    assert {spelt(name) for name in names} == set(names.values())


def test_controls_are_set_in_order_by_number_and_by_name() -> None:
    fake = FakeCamera()
    wanted = {"auto_exposure": "manual mode", "exposure_time_absolute": 100, "white_balance_automatic": False, "brightness": 255}
    opened(fake, controls=wanted).close()
    assert list(fake.set.items()) == [("auto_exposure", 1), ("exposure_time_absolute", 100), ("white_balance_automatic", 0),
                                      ("brightness", 255)]


@pytest.mark.parametrize(("controls", "says"), [
    ({"exposure_auto": 1}, r'has no control exposure_auto; did you mean "auto_exposure"\?'),
    ({"zoom": 1}, "has no control zoom; it has auto_exposure, exposure_time_absolute, brightness, white_balance_automatic"),
    ({"brightness": 256}, r"brightness = 256 cannot be; write a whole number from 0 to 255 \(it comes with 128\)"),
    ({"brightness": "bright"}, "cannot be; write a whole number from 0 to 255"),
    ({"auto_exposure": 2}, r'auto_exposure = 2 cannot be; write 1 \("Manual Mode"\) or 3 \("Aperture Priority Mode"\)'),
    ({"white_balance_automatic": 2}, "cannot be; write true or false"),
    ({"exposure_time_absolute": 100, "auto_exposure": 1}, r"refuses exposure_time_absolute = 100 \(Permission denied"),
])
def test_a_control_that_cannot_be_set_gives_one_line_with_what_there_is(controls: dict[str, Any], says: str) -> None:
    fake = FakeCamera()
    with pytest.raises(DriverError, match=says) as caught:
        opened(fake, controls=controls)
    assert "\n" not in str(caught.value)
    assert fake.open == 0


@pytest.mark.fault("F14", bound="the next opening", outcome="found again by its id")
def test_f14_a_camera_that_was_renumbered_is_found_again_by_its_id(tmp_path: Path) -> None:
    fake = FakeCamera()
    fake.path = str(tmp_path / "video0")
    link = tmp_path / "usb-cam-index0"
    link.symlink_to(fake.path)
    settings = usb.Settings.model_validate({"driver": "usb", "device": str(link)})
    usb.connect(settings, fake.device).close()
    fake.path = str(tmp_path / "video2")
    with pytest.raises(DriverError, match="no such camera"):
        usb.connect(settings, fake.device)
    link.unlink()
    link.symlink_to(fake.path)      # as udev does
    camera = usb.connect(settings, fake.device)
    camera.read(1).release()
    camera.close()


def test_a_camera_is_seen_by_its_node(tmp_path: Path) -> None:
    settings = usb.Settings(driver="usb", device=str(tmp_path / "video0"))
    assert settings.seen() is None
    (tmp_path / "video0").touch()
    there = settings.seen()
    assert there is not None
    assert settings.seen() == there
