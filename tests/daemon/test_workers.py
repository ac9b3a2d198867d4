"""Inboxes, wakes and workers: what is kept, what is dropped, how a device comes back."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.jobs import ActuatorJob, CameraJob, Tally
from reflexd.looking import Looking
from reflexd.rules.items import Looked
from reflexd.workers import Inbox, Reports, State, Wake, Worker
from reflexd_drivers.base import (
    Camera,
    CameraSettings,
    DriverError,
    Frame,
    FramePool,
    NotYetError,
    SourceEndedError,
    View,
)
from tests.daemon.relays import Relay


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
    began = time.monotonic()
    assert wake.wait(5)
    assert time.monotonic() - began < 1
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


def test_a_device_is_opened_again_after_growing_pauses() -> None:
    job = Flaky(2)
    worker = Worker(job, Reports(Wake()))
    worker.start()
    time.sleep(1.8)
    worker.stop()
    assert worker.join(1)
    first, second = (after - before for before, after in zip(job.opened, job.opened[1:], strict=False))
    assert 0.4 < first < 0.9
    assert 0.9 < second < 1.4
    assert job.steps > 0
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
    assert worker.join(0.3)


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
