"""Progress of workers: a call that lasts is told from one that has just ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from reflexd.events import SOURCE_RUNS
from reflexd.health import Monitor, StuckError
from reflexd.workers import State

S = 1_000_000_000


class EndsWhenLookedAt:
    """A worker whose long opening ends between two looks of the main thread at it."""

    state, why, failures = State.OPENING, "is being opened", 0
    job = SimpleNamespace(name="camera.gate")
    bound_ns = 2 * S

    def __init__(self) -> None:
        self.busy_since = 100 * S

    @property
    def slow_ns(self) -> int:
        self.busy_since = 0       # the opening is over, and the bounds are those of a step
        return S // 5


def test_a_long_opening_that_ends_this_moment_is_not_taken_for_a_step_that_hangs() -> None:
    downs, lines = Monitor([cast("Any", EndsWhenLookedAt())]).poll(110 * S)
    assert (downs, lines) == ([], [])


def test_a_call_that_lasted_is_told_once_going_in_and_once_coming_out() -> None:
    worker: Any = SimpleNamespace(job=SimpleNamespace(name="camera.gate"), state=State.RUN, why="", failures=0,
                                  busy_since=0, slow_ns=S // 5, bound_ns=2 * S)
    monitor = Monitor([worker])
    monitor.poll(100 * S)
    worker.busy_since = 100 * S
    told = [line for at in range(100 * S, 101 * S, S // 20) for _, line, _ in monitor.poll(at)[1]]
    assert told == ["camera.gate: degraded: a call has not returned for 0.25 s"]
    worker.busy_since = 101 * S
    assert monitor.poll(101 * S + 1) == ([], [(SOURCE_RUNS, "camera.gate: run: the call has returned", "camera.gate")])
    assert monitor.poll(101 * S + 2) == ([], [])


def test_time_in_which_the_main_thread_itself_did_not_run_says_nothing_of_a_device() -> None:
    worker: Any = SimpleNamespace(job=SimpleNamespace(name="sensor.door"), state=State.RUN, why="", failures=0,
                                  busy_since=100 * S, slow_ns=S // 2, bound_ns=2 * S)
    monitor = Monitor([worker])
    monitor.poll(100 * S)
    assert monitor.poll(105 * S) == ([], []), "past the last bound, but nobody was let run"
    told = [line for at in range(105 * S, 106 * S, S // 20) for _, line, _ in monitor.poll(at)[1]]
    assert len(told) == 1, "it goes on for as long again as it may"
    with pytest.raises(StuckError, match="has not returned"):
        [monitor.poll(at) for at in range(106 * S, 108 * S, S // 20)]


def test_a_call_that_began_after_the_look_did_is_not_held_guilty_of_the_time_before_it() -> None:
    worker: Any = SimpleNamespace(job=SimpleNamespace(name="sensor.door"), state=State.RUN, why="", failures=0,
                                  busy_since=0, slow_ns=S // 2, bound_ns=2 * S)
    monitor = Monitor([worker])
    monitor.poll(100 * S)
    worker.busy_since = 110 * S          # the main thread read its clock at 105 and was stopped again before it looked
    told = [line for at in range(105 * S, 110 * S + S // 4, S // 20) for _, line, _ in monitor.poll(at)[1]]
    assert told == []
