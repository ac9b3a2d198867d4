"""Recordings that are played: folders, videos, arrays."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from time import monotonic, monotonic_ns, sleep
from typing import Any

import cv2
import numpy as np
import pytest

from reflexd_drivers.base import DriverError, SilentError, SourceEndedError
from reflexd_drivers.cameras import replay
from tests.stopwatch import Stopwatch


def opened(path: Path, **table: Any) -> replay.Replay:
    return replay.connect(replay.Settings.model_validate({"driver": "replay", "path": path, **table}))


def arrays(folder: Path, count: int = 5, **more: Any) -> Path:
    path = folder / "frames.npz"
    pictures = np.zeros((count, 4, 6, 3), np.uint8)
    pictures[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    np.savez(path, x=pictures, **more)
    return path


def video(folder: Path, count: int = 5, rate_hz: float = 50) -> Path:
    path = folder / "frames.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (64, 48))
    for index in range(count):
        writer.write(np.full((48, 64, 3), (0, 0, 40 * index + 20), np.uint8))    # red, as BGR
    writer.release()
    return path


def pictures(folder: Path, *sizes: tuple[int, int]) -> Path:
    for index, (width, height) in enumerate(sizes):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((height, width, 3), (0, 0, index), np.uint8))
    return folder


def taken(camera: replay.Replay, count: int) -> list[tuple[int, list[int]]]:
    found = []
    for _ in range(count):
        frame = camera.read(2)
        found.append((frame.sequence, frame.views["main"].planes[0][0, 0].tolist()))
        frame.release()
    return found


def test_a_recording_ends_with_one_clear_error(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path, 2), pace="fast")
    taken(camera, 2)
    for _ in range(2):
        with pytest.raises(SourceEndedError, match=r"frames\.npz: it ended after 2 frames; loop = true repeats it"):
            camera.read(1)
    camera.close()


@pytest.mark.parametrize("make", [arrays, video])
def test_a_loop_starts_over_and_the_sequence_goes_on(make: Any, tmp_path: Path) -> None:
    camera = opened(make(tmp_path, 3), pace="fast", loop=True)
    found = taken(camera, 7)
    camera.close()
    assert [sequence for sequence, _ in found] == list(range(7))
    assert found[0][1] == found[3][1] == found[6][1] != found[1][1]


def test_a_set_rate_is_kept_on_one_schedule_however_late_a_reader_is(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path, 30), rate_hz=100)
    camera.read(1).release()
    began = monotonic()
    with Stopwatch() as took:
        for index in range(20):
            camera.read(1).release()
            if index == 5:
                sleep(0.06)
    passed = monotonic() - began
    camera.close()
    assert passed > 0.19
    assert took.seconds < 0.25


def test_the_times_in_an_npz_are_its_own_pace(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path, 3, taken_s=np.array([7.0, 7.15, 7.2])))
    stamps = []
    with Stopwatch() as took:
        for _ in range(3):
            frame = camera.read(1)
            stamps.append(frame.taken_at / 1e9)
            frame.release()
    camera.close()
    assert stamps[1] - stamps[0] > 0.13
    assert stamps[2] - stamps[0] > 0.18
    assert took.seconds < 0.3


def test_a_frame_that_is_not_due_yet_keeps_the_bound_and_comes_later(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path), rate_hz=5)
    camera.read(1).release()
    with pytest.raises(SilentError, match="not due yet"):
        camera.read(0.02)
    assert camera.read(1).sequence == 1
    camera.close()


def test_after_a_long_stop_frames_go_on_without_a_burst(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path, 200), rate_hz=50)
    camera.read(1).release()
    sleep(1.2)
    began = monotonic()
    for _ in range(4):
        camera.read(1).release()
    camera.close()
    assert monotonic() - began > 0.05


def test_arrays_are_served_without_a_copy_and_cannot_be_written(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path, 2), pace="fast", loop=True)
    first = camera.read(1)
    taken(camera, 1)
    again = camera.read(1)
    one, other = first.views["main"].planes[0], again.views["main"].planes[0]
    assert np.shares_memory(one, other)
    with pytest.raises(ValueError, match="read-only"):
        one[0, 0, 0] = 1
    camera.close()
    assert one.sum() == 0     # frames outlive their camera


def test_grey_arrays_give_a_grey_view(tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", other=np.zeros((2, 4, 6), np.uint8))
    camera = opened(tmp_path / "grey.npz", pace="fast")
    assert camera.read(1).views["main"].format == "grey"
    camera.close()


def test_a_video_comes_as_rgb_at_its_own_rate(tmp_path: Path) -> None:
    camera = opened(video(tmp_path, rate_hz=50))
    began = monotonic()
    with Stopwatch() as took:
        found = taken(camera, 5)
    assert monotonic() - began > 0.07
    assert took.seconds < 0.2
    red, green, blue = found[4][1]
    camera.close()
    assert red > 150
    assert green < 40
    assert blue < 40


def test_slots_of_a_video_are_used_over_and_over_without_new_memory(tmp_path: Path) -> None:
    camera = opened(video(tmp_path, 40), pace="fast", loop=True)
    taken(camera, 3)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    taken(camera, 20)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    camera.close()
    assert peak < 48 * 64 * 3


def test_a_reader_that_keeps_every_frame_gets_no_torn_one_but_a_reason(tmp_path: Path) -> None:
    camera = opened(video(tmp_path, 40), pace="fast")
    held = [camera.read(1) for _ in range(16)]
    values = [frame.views["main"].planes[0].copy() for frame in held]
    with pytest.raises(SilentError, match="readers hold every frame"):
        camera.read(0.05)
    assert all(np.array_equal(frame.views["main"].planes[0], value) for frame, value in zip(held, values, strict=True))
    held[0].release()
    assert camera.read(1).sequence == 16
    camera.close()


def test_pictures_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    camera = opened(pictures(tmp_path, (6, 4), (6, 4), (6, 4)), pace="fast")
    assert taken(camera, 3) == [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [2, 0, 0])]
    camera.close()


def test_pictures_of_two_sizes_are_refused_where_they_meet(tmp_path: Path) -> None:
    camera = opened(pictures(tmp_path, (6, 4), (8, 4)), pace="fast")
    taken(camera, 1)
    with pytest.raises(DriverError, match="frame 1 is 8x4 px, the first was 6x4"):
        camera.read(1)
    camera.close()


def test_fast_is_lossless_and_a_pace_is_not(tmp_path: Path) -> None:
    path = arrays(tmp_path)
    assert opened(path, pace="fast").lossless
    assert not opened(path, rate_hz=10).lossless


def test_taken_at_is_the_moment_of_delivery(tmp_path: Path) -> None:
    camera = opened(arrays(tmp_path), pace="fast")
    before = monotonic_ns()
    assert before <= camera.read(1).taken_at <= monotonic_ns()
    camera.close()


@pytest.mark.parametrize(("name", "content", "found"), [
    ("frames.npz", b"no zip", "cannot be read"),
    ("frames.npz", b"", "cannot be read"),
    ("frames.avi", b"no video", "no video that can be decoded"),
    ("frames.avi", b"", "no video that can be decoded"),
])
def test_a_file_that_is_no_recording_gives_one_clear_line(name: str, content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DriverError, match=found):
        opened(tmp_path / name, rate_hz=10)


@pytest.mark.parametrize(("content", "found"), [
    ({"x": np.zeros((2, 4, 6, 3), np.float32)}, "float32"),
    ({"x": np.zeros((4, 6), np.uint8)}, r"uint8 \(4, 6\)"),
    ({"x": np.zeros((0, 4, 6), np.uint8)}, r"\(0, 4, 6\)"),
    ({"x": np.zeros((2, 4, 6), np.uint8), "taken_s": np.array([1.0, 1.0])}, "rising times"),
    ({"x": np.array([{}], object)}, "cannot be read"),
    ({}, "no array"),
])
def test_an_npz_without_pictures_says_what_it_has(content: dict[str, Any], found: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "frames.npz", **content)
    with pytest.raises(DriverError, match=found):
        opened(tmp_path / "frames.npz")


def test_an_npz_without_a_pace_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="write rate_hz"):
        opened(arrays(tmp_path))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="has no pictures"):
        opened(tmp_path)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    camera = opened(tmp_path)
    with pytest.raises(DriverError, match=r"0\.png: this is no picture"):
        camera.read(1)
    camera.close()


def test_the_real_digits_can_be_played(shared: Path) -> None:
    camera = opened(shared / "data" / "meter_digits.npz", pace="fast")
    frame = camera.read(1)
    assert frame.views["main"].size_px == (20, 32)
    camera.close()
