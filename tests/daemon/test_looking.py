"""What a camera's worker tells of its picture: rules often enough, the log once, and nobody of a frozen one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from reflexd.looking import Looking
from reflexd.rules.items import Looked
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import CameraSettings, DriverError, Frame, FramePool, Plane, View

NS = 1_000_000_000
CHANCE = np.random.default_rng(9)
BLACK: Callable[[], Plane] = lambda: np.zeros((24, 32), np.uint8)          # noqa: E731
ALIVE: Callable[[], Plane] = lambda: CHANCE.integers(0, 255, (24, 32), np.uint8)      # noqa: E731


class Worker:
    """Shows frames at 30 Hz on a clock of its own, as CameraJob does."""

    def __init__(self, watched: bool = True, **table: Any) -> None:
        settings = CameraSettings.model_validate({"driver": "test", "rate_hz": 30, "max_age_ms": 400, **table})
        self.out: Inbox[Looked] = Inbox(1000, Wake())
        self.reports = Reports(Wake())
        self.looking = Looking("gate", settings, self.out, self.reports)
        self.looking.watched = watched
        self.now = NS
        self.handed = 0

    def shows(self, picture: Callable[[], Plane], seconds: float) -> list[Looked]:
        for number in range(round(seconds * 30)):
            self.now += NS // 30
            pool = FramePool(lambda: {"main": View("grey", (picture(),))})
            slot = pool.take()
            assert slot is not None
            frame = Frame(self.now, number, slot)
            if self.looking.passes(frame):
                self.handed += 1
                self.looking.look(frame)
        return list(self.out.drain())


def test_a_state_that_a_rule_asks_for_comes_often_enough_to_stay_fresh() -> None:
    worker = Worker()
    looks = worker.shows(BLACK, 6)
    assert {look.state for look in looks} == {"black"}
    times = [look.taken_at for look in looks]
    assert times[0] >= NS + 2 * NS, "nothing before it has settled"
    assert max(later - sooner for sooner, later in pairwise(times)) <= 200_000_000
    assert len(times) < 6 * 12, "and not with every frame"


def test_nothing_is_put_where_no_rule_asks() -> None:
    worker = Worker(watched=False)
    assert worker.shows(BLACK, 4) == []
    assert worker.looking.state == "black"
    worker.looking.watched = True
    assert worker.shows(BLACK, 0.2)


def test_a_change_is_told_once_in_and_once_out_over_openings() -> None:
    worker = Worker(frozen_after_s=0)
    for picture in (ALIVE, BLACK, BLACK):
        worker.shows(picture, 4)
        worker.looking.reopened()
    worker.shows(ALIVE, 4)
    assert [(text.split(";")[0], well) for _, text, well in worker.reports.pictures] == [
        ("the picture is black", False), ("the picture is normal again", True)]


def test_of_a_frozen_camera_no_frame_is_handed_on_until_it_proves_alive() -> None:
    worker = Worker(frozen_after_s=1)
    still = ALIVE()
    worker.shows(ALIVE, 3)
    with pytest.raises(DriverError, match="test: the picture is frozen, the same bit for bit for 1 s; check the camera"):
        worker.shows(lambda: still, 3)
    assert "frozen" not in {look.state for look in worker.out.drain()}, "its trouble is told first"
    worker.looking.reopened()
    worker.handed = 0
    assert {look.state for look in worker.shows(lambda: still, 0.9)} == {"frozen"}
    with pytest.raises(DriverError, match="frozen"):
        worker.shows(lambda: still, 0.5)
    assert worker.handed == 0
    worker.looking.reopened()
    worker.shows(ALIVE, 1)
    assert worker.handed >= 25
