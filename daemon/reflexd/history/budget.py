"""What a card is spared: so many bytes a day, however much happens, counted over restarts.

A bucket fills steadily and holds a quarter of a day's bytes; the other three quarters come in over a day, so no 24 hours see
more than the budget and what was written at once when the bucket ran empty.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast

MB = 1e6
DAY_S = 86_400.0
BURST = 0.25             # of a day's budget, that may be written at once
RESERVE = 0.25           # of that, which events alone may use: evidence is left out first
UNSAVED = 1 / 64         # of it may be spent before the store is told; taken off after a death, which did not tell
UNSAVED_MOST = 1 << 17   # bytes of that: deaths one after another use up no budget that they did not write
PAGE = 4096
LEAVING = 16 * PAGE      # what an end costs after it told what was spent: that note, and the log's last pages
# What a card takes in its life. Assumption: a plain card of 32 GB takes 3 TB, a tenth of what is claimed for those that are
# sold for cameras. Source: SanDisk states 10,000 hours at 26 Mbit/s for its High Endurance card of 128 GB: 117 TB, or 900
# times its size. Assumption: of pages of 4 KiB that come one by one it writes 64 KiB each.
CARD_BYTES = 3e12
CARD_FACTOR = 16
IO = Path("/proc/thread-self/io")


F = TypeVar("F", bound=Callable[..., Any])


def alone(method: F) -> F:
    """Have no other thread count meanwhile."""
    @wraps(method)
    def call(self: Budget, *args: Any, **more: Any) -> Any:   # noqa: ANN401  as the method says
        with self.lock:
            return method(self, *args, **more)
    return cast("F", call)


class Budget:
    """Counts what was written and says when more may be; times are seconds of a clock that never steps. Any thread may call."""

    def __init__(self, mb_per_day: float, now_s: float) -> None:
        self.daily = mb_per_day * MB
        self.tokens = self.daily * BURST
        self.total = 0                                    # bytes, since the store was begun
        self._ahead = 0.0                                 # of this clock, from the one of the process
        self._at = now_s
        self._hours: deque[list[float]] = deque(maxlen=25)     # [hour, bytes]
        self._unsaved = self.daily       # told with the first events: what each death left untold would be forgiven for ever
        self.lock = threading.Lock()     # held for some additions

    @alone
    def change(self, mb_per_day: float) -> None:
        """Go by another budget from now on: what was spent stays spent, and a smaller one alone makes nobody wait."""
        tokens = self.tokens + (mb_per_day * MB - self.daily) * BURST
        self.tokens = max(tokens, min(self.tokens, 0.0))
        self.daily = mb_per_day * MB

    @alone
    def spend(self, count: float, now_s: float, *, asked: bool = False) -> None:
        """Count bytes that were written; what somebody asked for keeps no event waiting."""
        self._fill(now_s)
        self.tokens -= 0.0 if asked else count
        self.total += round(count)
        self._unsaved += count
        self._note(count)

    @alone
    def wait_s(self, now_s: float) -> float:
        """Give how long nothing may be written; 0 when something may."""
        self._fill(now_s)
        return max(0.0, -self.tokens / (self.daily * (1 - BURST) / DAY_S))

    @alone
    def spares(self, count: float, now_s: float) -> bool:
        """Say whether so much may be written that can be left out."""
        self._fill(now_s)
        return self.tokens - count >= self.daily * BURST * RESERVE

    @alone
    def day(self, now_s: float) -> float:
        """Give the bytes of the last 24 hours; from any thread, so nothing is changed, and the hours are copied at once."""
        now_hour = max(now_s + self._ahead, self._at) // 3600
        return sum(count for hour, count in tuple(self._hours) if hour > now_hour - 24)

    @property
    def to_be_saved(self) -> bool:
        """Say whether so much was spent that the store has to know it."""
        return self._unsaved > self._slack

    @alone
    def saved(self, utc_s: float, *, ended: bool = False) -> Mapping[str, object]:
        """Give what the next run has to know; `ended`: this one writes no more."""
        self._unsaved = 0.0
        return {"utc_s": utc_s, "at_s": self._at, "tokens": self.tokens, "daily": self.daily, "total": self.total,
                "ended": ended, "hours": [list(one) for one in self._hours]}

    @alone
    def restore(self, told: object, utc_s: float, now_s: float) -> None:
        """Go on where a run before has ended; a clock that stepped forward is worth a full bucket at most."""
        if not isinstance(told, dict):
            return
        try:
            gone_s = min(max(utc_s - float(told["utc_s"]), 0.0), DAY_S)
            at_s, tokens, total = float(told["at_s"]), float(told["tokens"]), int(told["total"])
            before = Budget(float(told.get("daily", self.daily)) / MB, at_s)
            hours = [[float(hour), float(count)] for hour, count in told["hours"]]
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if not all(map(isfinite, (gone_s, at_s, tokens, before.daily, *(number for hour in hours for number in hour)))):
            return
        spent = self.daily * BURST - self.tokens       # of this run
        self._at = at_s + gone_s
        self._ahead = self._at - now_s
        before.tokens = tokens
        before.wait_s(self._at)
        before.change(self.daily / MB)
        self.tokens = before.tokens - spent - (LEAVING if told.get("ended") is True else self._slack)
        self.total += total
        self._hours = deque(hours, maxlen=25)
        self._note(spent)

    @property
    def _slack(self) -> float:
        return min(self.daily * UNSAVED, UNSAVED_MOST)

    def _note(self, count: float) -> None:
        hour = self._at // 3600
        if not self._hours or self._hours[-1][0] != hour:
            self._hours.append([hour, 0.0])
        self._hours[-1][1] += count

    def _fill(self, now_s: float) -> None:
        now = now_s + self._ahead
        gone_s, self._at = max(now - self._at, 0.0), max(now, self._at)
        self.tokens = min(self.tokens + gone_s * self.daily * (1 - BURST) / DAY_S, self.daily * BURST)


def card_years(bytes_per_day: float) -> float:
    """Estimate how long a card lasts that nothing else is written to."""
    return CARD_BYTES / CARD_FACTOR / max(bytes_per_day, 1.0) / 365.25


def thread_wrote() -> int | None:
    """Give the bytes that this thread has had written so far, as the kernel counts; None where it does not.

    Pages count once they are to go to the disk, and again when that comes anew; a file system in memory counts nothing.
    Source: write_bytes in proc_pid_io(5). Left out is the file system's own journal.
    """
    try:
        for line in IO.read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.partition(":")[2])
    except (OSError, ValueError):
        pass
    return None


def estimated(text_bytes: int) -> int:
    """Give what a commit writes where nobody counts: its pages, one more of the tree, first to the log and then to the file."""
    return 2 * PAGE * (2 + text_bytes // PAGE)
