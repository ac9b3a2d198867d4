"""Progress of workers: a call that lasts is told from one that has just ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

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
