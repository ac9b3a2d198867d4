"""Progress of workers: a call that lasts is told from one that has just ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from reflexd.events import SOURCE_RUNS
from reflexd.health import Monitor
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
    assert [line for _, line, _ in monitor.poll(101 * S)[1]] == ["camera.gate: degraded: a call has not returned for 1.00 s"]
    assert monitor.poll(101 * S + 1) == ([], [])
    worker.busy_since = 101 * S + S // 2
    assert monitor.poll(101 * S + S // 2 + 1) == ([], [(SOURCE_RUNS, "camera.gate: run: the call has returned", "camera.gate")])
    assert monitor.poll(101 * S + S // 2 + 2) == ([], [])
