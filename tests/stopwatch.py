"""Bounds on a machine that is busy with others: only the time counts in which it let this process look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

LOOK_S = 0.002
AWAY_S = 10.0      # what may be left out at most: whoever keeps a test from looking for longer than that is no other program


class Given:
    """Adds up the time from look to look; of a pause that was longer than planned only twice the plan."""

    def __init__(self) -> None:
        self.began = self._looked = time.monotonic()
        self.seconds = 0.0

    def look(self) -> float:
        """Give the seconds until now."""
        now = time.monotonic()
        self.seconds += min(now - self._looked, 2 * LOOK_S)
        self._looked = now
        return max(self.seconds, now - self.began - AWAY_S)


def within(seconds: float, true: Callable[[], bool]) -> None:
    """Wait until something is true; fail when it is not within that time."""
    given = Given()
    while not true():
        assert given.look() < seconds, f"not within {seconds} s"
        time.sleep(LOOK_S)


class Stopwatch:
    """Takes the time of a call that the test itself waits in."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        given = Given()
        while not self._ended.wait(LOOK_S):
            self.seconds = given.look()
        self.seconds = given.look()

    def __enter__(self) -> Stopwatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
