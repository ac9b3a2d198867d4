"""The ring, what goes into it, and the cameras that it comes from: bounded, shared, and waited for by nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

import cv2
import numpy as np
import pytest

from reflexd.config.evidence import EvidenceSettings
from reflexd.evidence.jpeg import jpeg_of
from reflexd.evidence.keeper import Keeper
from reflexd.evidence.ring import EACH, Key, Ring
from reflexd.jobs import CameraJob
from reflexd.looking import Looking
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import View
from reflexd_drivers.cameras import pattern
from reflexd_drivers.cameras.arranged import arrange
from tests.stopwatch import within

NS = 1_000_000_000
HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def test_the_ring_keeps_frames_for_its_time_and_never_more_than_its_bytes(request: Any) -> None:
    frames = 1_000_000 if request.config.getoption("--long") else 100_000
    ring, sizes, most = Ring(5 * NS, 200_000), (3000, 30_000, 9000), 0
    jpegs = [bytes(size) for size in sizes]
    for number in range(frames):
        now = number * NS // 8
        ring.add(Key(now, "gate"), jpegs[number % 3], now)
        most = max(most, ring.bytes)
    assert most <= 200_000
    assert ring.bytes == sum(len(ring.get(key) or b"") + EACH for key in ring.between(0, 1 << 62))
    assert len(ring) == 14, "all that has room, of 40 in five seconds"
    assert ring.pushed_out > frames - 50
    small = Ring(5 * NS, 10 << 20)
    for number in range(1000):
        small.add(Key(number * NS, "gate"), jpegs[0], number * NS)
    assert [key.taken_at // NS for key in small.between(0, 1 << 62)] == [994, 995, 996, 997, 998, 999]
    assert small.pushed_out == 0


def test_what_waits_to_be_written_stays_as_long_as_there_is_room() -> None:
    ring = Ring(NS, 20_000)
    ring.wanted_since = 0
    for number in range(50):
        ring.add(Key(number * NS, "gate"), bytes(1000), number * NS)
    assert len(ring) == 16, "so many fit in"
    assert ring.pushed_out == 34, "and the others were wanted"
    ring.wanted_since = None
    ring.trim(50 * NS)
    assert [key.taken_at for key in ring.between(0, 1 << 62)] == [49 * NS]


def test_what_a_camera_that_left_has_seen_is_forgotten() -> None:
    ring = Ring(NS, 20_000)
    for name in ("gate", "yard"):
        ring.add(Key(1, name), bytes(1000), 1)
    ring.forget("gate")
    assert ring.between(0, 2) == [Key(1, "yard")]
    assert ring.bytes == 1000 + EACH
    ring.forget()
    assert (len(ring), ring.bytes) == (0, 0)


def bars(form: str, width: int = 320, height: int = 240, **more: Any) -> Mapping[str, View]:
    settings = pattern.Settings.model_validate(
        {"driver": "pattern", "scene": "bars", "format": form, "size_px": (width, height), "pace": "fast", **more})
    camera = arrange(pattern.connect(settings), settings)
    frame = camera.read(1)
    camera.close()
    return frame.views


@pytest.mark.parametrize("form", ["rgb", "grey", "yuv420"])
def test_a_kept_frame_shows_what_the_camera_saw_but_what_is_masked(form: str) -> None:
    view = bars(form, masks=(HALF,))["main"]
    seen = cv2.imdecode(np.frombuffer(jpeg_of(view, 160, 90), np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (120, 160, 3)
    assert seen[:, :72].max() < 12
    assert np.abs(seen[60, 88 : 90].mean(axis=0) - (BARS[form][0])).max() < 12
    assert np.abs(seen[60, 130].astype(float) - (BARS[form][1])).max() < 12


BARS = {form: [(255, 0, 255), (255, 0, 0)] for form in ("rgb", "yuv420")}        # BGR of the fifth and the seventh bar
BARS["grey"] = [(105, 105, 105), (29, 29, 29)]


@pytest.mark.parametrize(("width", "height", "size_px", "wanted"), [
    (320, 240, 640, (240, 320)), (640, 480, 100, (75, 100)), (240, 320, 100, (100, 75)), (4096, 8, 32, (1, 32))])
def test_it_is_scaled_down_and_never_up(width: int, height: int, size_px: int, wanted: tuple[int, int]) -> None:
    for form in ("rgb", "grey", "yuv420"):
        jpeg = jpeg_of(bars(form, width, height)["main"], size_px, 75)
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2] == wanted


Make = Callable[..., CameraJob]


def camera(pace: str = "fast", rate_hz: float = 200) -> CameraJob:
    settings = pattern.Settings.model_validate({"driver": "pattern", "size_px": (32, 24), "pace": pace, "rate_hz": rate_hz})
    job = CameraJob("gate", settings, lambda: pattern.connect(settings),
                    Looking("gate", settings, Inbox(8, Wake()), Reports(Wake())))
    job.open()
    return job


def test_a_camera_that_gives_every_frame_does_not_wait_for_a_guest_and_its_reader_misses_none() -> None:
    job, seen = camera(), []
    reader, guest = job.add_reader(Wake()), job.add_guest(Wake(), 1000)
    for _ in range(300):
        assert job.step(), "the guest takes nothing, and nobody waits"
        frame = reader.take()
        assert frame is not None
        seen.append(frame.sequence)
        frame.release()
    assert seen == list(range(300))
    assert guest.puts + guest.dropped > 1
    assert job._camera._pool.made <= 4, "the one that is read, the reader's, the guest's, and one more"      # type: ignore[union-attr]
    job.remove_reader(guest)
    assert len(guest) == 0
    job.close()


def test_no_more_frames_are_taken_than_are_kept_and_each_goes_back_to_its_camera() -> None:
    job, keeper = camera("rate"), Keeper()
    keeper.follow(EvidenceSettings(rate_hz=10), {"gate": job})
    ends = threading.Event()
    began = monotonic_ns()
    reading = threading.Thread(target=lambda: [job.step() for _ in iter(ends.is_set, True)])
    reading.start()
    within(20, lambda: keeper.encoded >= 15)
    spans_s = (monotonic_ns() - began) / NS
    assert keeper.encoded <= spans_s * 10 + 2
    tap = keeper._taps["gate"]
    assert tap.frames.puts <= spans_s * 10 + 2, "the camera itself leaves out the others"
    keeper.leave({"gate": job})
    within(10, lambda: len(keeper.ring) == 0)
    ends.set()
    reading.join()
    within(10, lambda: len(job._camera._pool._free) == job._camera._pool.made)      # type: ignore[union-attr]
    keeper.end()
    job.close()


def test_a_frame_that_cannot_be_encoded_costs_that_frame_only() -> None:
    job, keeper = camera("rate"), Keeper()
    keeper.follow(EvidenceSettings(rate_hz=30), {"gate": job})

    def fails(_view: View, _size_px: int, _quality: int) -> bytes:
        raise ValueError("no JPEG today")

    encode, keeper._encode = keeper._encode, fails
    within(20, lambda: job.step() and "camera.gate: a frame cannot be encoded: ValueError('no JPEG today')" in keeper.trouble)
    keeper._encode = encode
    within(20, lambda: job.step() and keeper.encoded > 0 and keeper.trouble == "")
    keeper.end()
    job.close()
