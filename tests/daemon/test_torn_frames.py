"""No frame is ever torn: a network, an evidence reader and a snapshot client look at rows that carry the frame's number."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import pytest

from reflexd.jobs import CameraJob, ModelJob
from reflexd.looking import Looking
from reflexd.workers import Inbox, Reports, State, Wake, Worker
from reflexd_drivers.base import Camera, Frame, FramePool, Slot, View
from reflexd_drivers.cameras.pattern import MakePool, Pattern, Settings
from reflexd_drivers.cameras.scenes import stamp_of
from reflexd_models.base import Prediction

pytestmark = pytest.mark.once

FRAMES = 100_000
KEPT = 5           # frames that evidence holds at once, as what came before an event
TABLE = {"driver": "pattern", "scene": "stamped", "size_px": (32, 24), "pace": "fast"}


class EarlyPool(FramePool):
    """The planted defect: a slot is free again with its first release(), while others still hold it."""

    def take(self) -> Slot | None:
        slot = super().take()
        if slot is not None and slot not in self._free:
            self._free.append(slot)
        return slot


class Quick(Pattern):
    """The camera as fast as it can draw: frames that nobody took in time are replaced, which keeps buffers moving."""

    def __init__(self, settings: Settings, pool: MakePool) -> None:
        super().__init__(settings, pool)
        self.lossless = False

    def _wait_until_due(self, deadline: int) -> None:
        """Nothing is waited for."""


class Eye:
    """Reads the number in every row, twice with something in between, and compares it with the frame's own."""

    def __init__(self) -> None:
        self.seen = 0
        self.torn: list[str] = []

    def look(self, frame: Frame) -> None:
        self.check(frame.views["main"], frame.sequence)

    def check(self, view: View, sequence: int | None) -> int | None:
        stamp = stamp_of(view.planes[0])
        if stamp is None or (sequence is not None and stamp != sequence):
            self.torn.append(f"frame {sequence} says {stamp}")
        self.seen += 1
        return stamp


class Network(Eye):
    """What a model does with a view, which knows no number: the first look tells it, the second has to agree."""

    def predict(self, view: View, taken_at: int) -> Prediction:
        first = self.check(view, None)
        self.check(view, first)
        return Prediction(taken_at, {})


def look_on(job: CameraJob, done: threading.Event, eye: Eye, kept: int) -> None:
    """Hold the newest frames, and look at each when it comes and again when it goes."""
    wake = Wake()
    held: deque[Frame] = deque()
    with job.showing(wake) as inbox:
        while not done.is_set():
            wake.wait(0.1)
            for frame in inbox.drain():
                eye.look(frame)
                held.append(frame)
            while len(held) > kept:
                _let_go(eye, held)
    while held:
        _let_go(eye, held)


def _let_go(eye: Eye, held: deque[Frame]) -> None:
    frame = held.popleft()
    eye.look(frame)
    frame.release()


def snap(job: CameraJob, done: threading.Event, eye: Eye) -> None:
    """Come and go, a frame each time, as reflexctl snapshot does."""
    while not done.is_set():
        wake = Wake()
        with job.showing(wake) as inbox:
            wake.wait(0.1)
            frame = inbox.take()
        if frame is not None:
            eye.look(frame)
            eye.look(frame)
            frame.release()


def watched(frames: int, pool: MakePool, lossless: bool) -> tuple[dict[str, Eye], CameraJob]:
    """Let three readers at once look at so many frames of the real job; give what each of them saw."""
    settings = Settings.model_validate(TABLE)
    reports = Reports(Wake())
    make: Callable[[], Pattern] = (lambda: Pattern(settings, pool)) if lossless else (lambda: Quick(settings, pool))
    job = CameraJob("gate", settings, lambda: cast("Camera", make()), Looking("gate", settings, Inbox(8, Wake()), reports))
    eyes = {"network": Network(), "evidence": Eye(), "snapshot": Eye()}
    network = ModelJob("net", settings, lambda: cast("Any", eyes["network"]), frozenset(), job, Inbox(8, Wake()))
    done = threading.Event()
    readers = [threading.Thread(target=look_on, args=(job, done, eyes["evidence"], KEPT)),
               threading.Thread(target=snap, args=(job, done, eyes["snapshot"]))]
    workers = [Worker(network, reports), Worker(job, reports)]
    for one in (*readers, *workers):
        one.start()
    deadline = monotonic() + 120
    while job.frames < frames and monotonic() < deadline and workers[1].state is not State.DEGRADED:
        reports.wake.wait(0.05)
    for worker in workers:
        worker.stop()
    done.set()
    for one in (*workers, *readers):
        one.join(10)
    assert workers[1].why == job.about or workers[1].state is State.RUN, workers[1].why
    return eyes, job


@pytest.mark.parametrize("lossless", [False, True], ids=["newest wins", "every frame is seen"])
def test_no_frame_is_torn_with_a_network_an_evidence_reader_and_a_snapshot_client_at_once(lossless: bool) -> None:
    eyes, job = watched(FRAMES, FramePool, lossless)
    assert job.frames >= FRAMES
    assert {name: eye.torn[:3] for name, eye in eyes.items() if eye.torn} == {}
    least = FRAMES if lossless else 200
    assert all(eyes[name].seen > least for name in ("network", "evidence"))
    assert eyes["snapshot"].seen > 200


def test_a_pool_that_recycles_too_early_would_be_caught() -> None:
    eyes, _ = watched(5_000, EarlyPool, lossless=False)
    assert any(eye.torn for eye in eyes.values())
