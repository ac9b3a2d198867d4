"""Inboxes, wakes and workers: what is kept, what is dropped, how a device comes back."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.actuating import ActuatorJob
from reflexd.health import Monitor
from reflexd.jobs import CameraJob, Tally
from reflexd.looking import Looking
from reflexd.rules.items import Looked
from reflexd.workers import BACKOFF_S, Inbox, Reports, State, Wake, Worker
from reflexd_drivers.base import (
    AfterDeath,
    Camera,
    CameraSettings,
    DriverError,
    Frame,
    FramePool,
    NotYetError,
    SilentError,
    SourceEndedError,
    View,
)
from tests.daemon.relays import Relay
from tests.stopwatch import Stopwatch


def test_an_inbox_keeps_the_newest_and_counts_the_rest() -> None:
    dropped: list[int] = []
    inbox: Inbox[int] = Inbox(3, Wake(), dropped.append)
    for number in range(10):
        inbox.put(number)
    assert list(inbox.drain()) == [7, 8, 9]
    assert dropped == list(range(7))
    assert inbox.dropped == 7


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=60), st.integers(1, 5))
def test_nothing_is_lost_unseen(steps: list[int | None], bound: int) -> None:
    inbox: Inbox[int] = Inbox(bound, Wake())
    taken = 0
    for step in steps:
        if step is None:
            taken += inbox.take() is not None
        else:
            inbox.put(step)
        assert len(inbox) <= bound
        assert inbox.dropped == inbox.puts - taken - len(inbox)


def test_draining_leaves_what_arrives_meanwhile() -> None:
    inbox: Inbox[int] = Inbox(8, Wake())
    inbox.put(1)
    seen = []
    for item in inbox.drain():
        seen.append(item)
        inbox.put(item + 1)
    assert seen == [1]


def test_a_wake_wakes_at_once_and_only_once() -> None:
    wake = Wake()
    threading.Timer(0.05, wake.set).start()
    with Stopwatch() as took:
        assert wake.wait(5)
    assert took.seconds < 1
    wake.set()
    wake.set()
    assert wake.wait(0)
    assert not wake.wait(-3), "a deadline that is past does not block"


def test_between_two_threads_every_item_arrives_or_is_counted() -> None:
    wake = Wake()
    inbox: Inbox[int] = Inbox(4, wake)
    threading.Thread(target=lambda: [inbox.put(number) for number in range(20_000)]).start()
    last, taken = -1, 0
    while last != 19_999:
        wake.wait(1)
        for item in inbox.drain():
            assert item > last, "in order"
            last, taken = item, taken + 1
    assert taken + inbox.dropped == 20_000


class Flaky:
    """A job that fails to open a number of times, then steps until it is told to fail."""

    name = "camera.flaky"
    about = ""
    slow_ns = bound_ns = 1_000_000_000

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.opened: list[float] = []
        self.steps = 0
        self.ended = False

    def open(self) -> None:
        self.opened.append(time.monotonic())
        if len(self.opened) <= self.failures:
            raise DriverError("not there; plug it in")

    def step(self) -> bool:
        if self.ended:
            raise SourceEndedError("the recording ended")
        self.steps += 1
        time.sleep(0.005)
        return True

    def close(self) -> None:
        pass


def test_a_device_that_is_seen_to_come_is_opened_without_further_delay() -> None:
    class Unplugged(Flaky):
        there: object = None

        def seen(self) -> object:
            return self.there

        def open(self) -> None:
            self.failures = 0 if self.there else 99
            super().open()

    job = Unplugged(99)
    worker = Worker(job, Reports(Wake()))
    worker._attempt = 5       # it is away for long: the next pause lasts 16 s
    worker.start()
    time.sleep(0.6)
    assert len(job.opened) == 1, "as long as nothing is seen the pause lasts"
    plugged_at, job.there = time.monotonic(), "/dev/video0"
    while worker.state is not State.RUN:
        assert time.monotonic() - plugged_at < 5
        time.sleep(0.01)
    worker.stop()
    assert worker.join(1)


def test_a_device_is_opened_again_after_growing_pauses() -> None:
    job = Flaky(2)
    worker = Worker(job, Reports(Wake()))
    worker.start()
    until(lambda: job.steps > 0)
    worker.stop()
    assert worker.join(1)
    first, second = (after - before for before, after in zip(job.opened, job.opened[1:], strict=False))
    assert 0.4 < first < 3, "0.5 s; a busy machine makes it longer, never shorter"
    assert 0.9 < second < 5
    assert worker.state is State.RUN


def test_a_recording_that_ended_is_not_opened_again() -> None:
    job = Flaky(0)
    job.ended = True
    worker = Worker(job, Reports(Wake()))
    worker.start()
    assert worker.join(2)
    assert (worker.state, worker.why, len(job.opened)) == (State.ENDED, "the recording ended", 1)


def test_a_worker_ends_at_once_while_it_waits_to_open_again() -> None:
    worker = Worker(Flaky(99), Reports(Wake()))
    worker.start()
    time.sleep(0.1)
    worker.stop()
    with Stopwatch() as took:
        assert worker.join(5)
    assert took.seconds < 0.3


def test_a_blocking_actuator_whose_write_failed_is_not_settled_until_one_succeeds() -> None:
    relay = Relay()
    job = ActuatorJob("lamp", relay, Reports(Wake()))
    relay.broken = True
    job.safe()
    job.step()
    assert not job.settled, "an interlocked partner has to wait: nobody knows where this one stands"
    relay.broken = False
    job.safe()
    job.step()
    assert job.settled


def test_a_lossless_camera_waits_for_its_busy_readers_together() -> None:
    pool = FramePool(lambda: {"main": View("grey", (np.zeros((2, 2), np.uint8),))})
    slot = pool.take()
    assert slot is not None
    camera = SimpleNamespace(lossless=True, read=lambda _s: Frame(time.monotonic_ns(), 0, slot), close=lambda: None)
    settings = CameraSettings(driver="replay", rate_hz=30)
    looking = Looking("gate", settings, Inbox[Looked](8, Wake()), Reports(Wake()))
    job = CameraJob("gate", settings, lambda: cast("Camera", camera), looking)
    for _ in range(4):
        job.add_reader(Wake())
    job.open()
    assert job.step()
    began = time.monotonic_ns()
    assert not job.step(), "nobody has taken the first frame yet"
    assert time.monotonic_ns() - began < job.slow_ns, "readers that are busy are no trouble of the camera"


@pytest.mark.fault("F16", bound="at once", outcome="goes on; nothing is counted as lost")
@pytest.mark.fault("F09", bound="one period", outcome="counted as lost by the camera")
def test_gaps_of_the_sequence_are_counted_and_a_count_that_begins_anew_is_none() -> None:
    pool = FramePool(lambda: {"main": View("grey", (np.zeros((2, 2), np.uint8),))})
    sequences = iter([7, 8, 11, 0, 1, 2])

    def read(_s: float) -> Frame:
        slot = pool.take()
        assert slot is not None
        return Frame(time.monotonic_ns(), next(sequences), slot)

    camera = SimpleNamespace(lossless=False, read=read, close=lambda: None)
    settings = CameraSettings(driver="replay", rate_hz=30)
    looking = Looking("gate", settings, Inbox[Looked](8, Wake()), Reports(Wake()))
    job = CameraJob("gate", settings, lambda: cast("Camera", camera), looking)
    job.open()
    for _ in range(6):
        assert job.step()
    assert (job.frames, job.gaps) == (6, 2)


def test_a_timeline_that_begins_late_is_not_begun_anew_while_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reflexd.workers.REOPEN_AFTER_NS", 100_000_000)

    class Waiting(Flaky):
        def step(self) -> bool:
            time.sleep(0.02)
            if time.monotonic() - self.opened[-1] < 0.5:
                raise NotYetError("the timeline has not begun")
            return True

    job = Waiting(0)
    worker = Worker(job, Reports(Wake()))
    worker.start()
    time.sleep(1)
    worker.stop()
    assert worker.join(1)
    assert (len(job.opened), worker.state) == (1, State.RUN)


class Fickle(Flaky):
    """A job that says something else each time it fails: at reading, at opening, by its silence."""

    def __init__(self) -> None:
        super().__init__(0)
        self.gone = False
        self.words = 0

    def open(self) -> None:
        self.opened.append(time.monotonic())
        if self.gone and len(self.opened) % 3:
            raise self.fault(DriverError)

    def step(self) -> bool:
        if not self.gone:
            return super().step()
        if len(self.opened) % 2:
            time.sleep(0.005)
            raise self.fault(SilentError)
        raise self.fault(DriverError)

    def fault(self, kind: type[DriverError]) -> DriverError:
        self.words += 1
        return kind(f"/dev/fake: reason {self.words}; plug it in")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses short."""
    monkeypatch.setattr("reflexd.workers.BACKOFF_S", (0.005, 0.01))
    monkeypatch.setattr("reflexd.workers.REOPEN_AFTER_NS", 20_000_000)


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("fast")
def test_reasons_that_change_write_one_line_in_and_one_out_and_are_counted() -> None:
    job = Fickle()
    worker = Worker(job, Reports(Wake()))
    monitor = Monitor([worker])
    said: list[str] = []

    def look() -> None:
        said.extend(text for _, text, _ in monitor.poll(time.monotonic_ns())[1])

    worker.start()
    for times in (1, 2):
        until(lambda: look() or worker.state is State.RUN)
        look()
        job.words, job.gone = 0, True
        until(lambda: look() or job.words > 30)
        told = monitor.states(time.monotonic_ns())["camera.flaky"]
        assert (told["state"], told["failures"], told["recoveries"]) == ("degraded", times, times - 1)
        assert told["openings"] > 5
        job.gone = False
        until(lambda: look() or worker.state is State.RUN)
        look()
        assert str(worker.last_error).startswith("/dev/fake: reason "), "what it was is still known"
    worker.stop()
    assert worker.join(2)
    told = monitor.states(time.monotonic_ns())["camera.flaky"]
    assert (told["state"], told["failures"], told["recoveries"], told["down_s"]) == ("run", 2, 2, 0.0)
    assert [re.sub(r"[0-9]+([.][0-9]+)?", "N", line) for line in said] == [
        "camera.flaky: run",
        *["camera.flaky: degraded: /dev/fake: reason N; plug it in", "camera.flaky: run: back after N s, opened N times"] * 2]


@pytest.mark.usefixtures("fast")
def test_a_device_is_opened_again_for_ever_at_the_longest_pause() -> None:
    job = Flaky(40)
    worker = Worker(job, Reports(Wake()))
    worker.start()
    until(lambda: worker.state is State.RUN)
    worker.stop()
    assert worker.join(2)
    assert worker.openings == len(job.opened) == 41
    assert (BACKOFF_S[0], BACKOFF_S[-1]) == (0.5, 30.0), "imported before it was made short"


class Counting:
    """A device that counts."""

    def __init__(self, garbled: int) -> None:
        self.garbled = garbled

    def counters(self) -> dict[str, int]:
        return {"garbled": self.garbled}


def test_what_a_device_counts_is_added_up_over_each_time_that_it_is_opened() -> None:
    tally = Tally()
    assert tally.total() == {}
    tally.follow(Counting(3))
    tally.follow(second := Counting(0))
    second.garbled = 4
    assert tally.total() == {"garbled": 7}
    tally.follow(object())
    assert tally.total() == {"garbled": 7}, "a device that counts nothing loses nothing"


class Slider:
    """An actuator that needs ten steps of 5 ms from one end to the other."""

    blocking = True

    def __init__(self) -> None:
        self.level = self.target = 0.0
        self.passed: list[float] = []
        self.broken = False

    def set(self, level: float) -> None:
        self.target = level

    def safe(self) -> None:
        self.set(0.0)

    def advance(self) -> float | None:
        if self.broken:
            raise DriverError("the slider does not answer; check its wiring")
        self.level = round(self.level + max(-0.1, min(0.1, self.target - self.level)), 6)
        self.passed.append(self.level)
        return None if self.level == self.target else 0.005

    def close(self) -> None:
        self.level = self.target = 0.0

    def after_death(self) -> AfterDeath:
        return None


def moved(job: ActuatorJob, steps: int = 1000) -> None:
    """Let the job work until it has settled."""
    for _ in range(steps):
        job.step()
        if job.settled:
            return
    pytest.fail("it never settles")


def test_a_movement_is_brought_to_its_end_and_settled_only_then() -> None:
    slider = Slider()
    reports = Reports(Wake())
    job = ActuatorJob("slider", slider, reports)
    job.set(1.0)
    job.step()
    assert (slider.level, job.settled, reports.settled) == (0.1, False, False)
    moved(job)
    assert slider.passed == [tenth / 10 for tenth in range(1, 11)]
    assert reports.settled


def test_a_newer_command_takes_the_place_of_a_movement_and_safe_wins() -> None:
    slider = Slider()
    job = ActuatorJob("slider", slider, Reports(Wake()))
    job.set(1.0)
    for _ in range(3):
        job.step()
    far = slider.level
    job.set(0.5)
    job.safe()
    moved(job)
    assert 0.1 <= far < 0.5
    assert slider.level == 0
    assert max(slider.passed) == far, "it turned round at once"


def test_a_movement_that_fails_is_told_and_ends() -> None:
    slider = Slider()
    reports = Reports(Wake())
    job = ActuatorJob("slider", slider, reports)
    job.set(1.0)
    job.step()
    slider.broken = True
    while not reports.failed_writes:
        job.step()
    assert list(reports.failed_writes) == [("slider", "the slider does not answer; check its wiring")]
    assert not job.settled
    slider.broken = False
    job.safe()
    moved(job)
    assert slider.level == 0


@pytest.mark.fault("F27", bound="sense_within_ms and 0.1 s", outcome="of an actuator that blocks, its worker looks")
def test_the_worker_of_an_actuator_that_blocks_looks_whether_the_world_followed() -> None:
    relay, reports = Relay(), Reports(Wake())
    job = ActuatorJob("lamp", relay, reports)
    job.set(1.0)
    job.step()
    relay.stuck_at = 0.0
    job.step()
    assert list(reports.astray) == [("lamp", "the contact does not move; look at the relay")]
