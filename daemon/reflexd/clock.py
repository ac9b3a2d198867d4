"""The wall clock, and whether it is known to be right. Nothing but conditions on the time asks for it.

Before Pi 5 there is no clock with a battery: after a start the time is wrong until something sets it. So it is known only
once the kernel says that somebody keeps it right, and from then on until it is set by more than two seconds, which shows as
a step against the monotonic clock: both follow the same corrections of their pace, but only one of them is ever set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reflexd.kernel_clock import kernel_says
from reflexd.rules.items import NS, Clock

TIMESYNC = Path("/run/systemd/timesync/synchronized")     # touched at each synchronisation; see systemd-timesyncd.service(8)
STEP_NS = 2 * NS
TRIES = 3
ASIDE_NS = NS // 10             # the two clocks were read within that time, or they are read again
UNKNOWN = "nobody has said since the start that it is right"


class Seen(NamedTuple):
    """What was found at one look."""

    utc_ns: int
    offset_s: int
    at: int                      # monotonic ns
    kernel: bool | None          # whether it says that the clock is right; None where it may not be asked
    touched_ns: int | None       # when systemd-timesyncd set the clock last, by the clock itself; None: never since boot


class WallClock:
    """Follows the wall clock from look to look; each on one thread only."""

    def __init__(self, trusted: bool = False, look: Callable[[], Seen] | None = None) -> None:
        """`trusted`: it is right, whatever anybody says."""
        self.known = False
        self.why = UNKNOWN       # it is not known
        self._trusted = trusted
        self._look = look or seen
        self._apart: int | None = None       # wall minus monotonic
        self._touched: int | None = None
        self._void: int | None = None        # what timesyncd had said before the last step counts no more

    def tell(self) -> Clock:
        """Look, and give what the rules may know."""
        now = self._look()
        apart = now.utc_ns - now.at
        if self._apart is not None and abs(apart - self._apart) > STEP_NS:
            self.known, self._void = False, self._touched
            self.why = f"it was set by {(apart - self._apart) / NS:+.0f} s, and nobody has said since that it is right"
        self._apart, self._touched = apart, now.touched_ns
        if not self.known and self._says_right(now):
            self.known, self.why = True, ""
        return Clock(now.utc_ns if self.known else None, now.offset_s, now.at)

    def _says_right(self, now: Seen) -> bool:
        """Ask the kernel; where that may not be asked, as in the service's sandbox, systemd-timesyncd, since the last step."""
        if self._trusted:
            return True
        if now.kernel is not None or now.touched_ns is None:
            return bool(now.kernel)
        return now.touched_ns != self._void and now.touched_ns <= now.utc_ns + STEP_NS


def seen() -> Seen:
    """Look at the clocks of this computer."""
    utc_ns, at = _both()
    time.tzset()                         # /etc/localtime may be another one by now
    return Seen(utc_ns, time.localtime(utc_ns / NS).tm_gmtoff, at, kernel_says(), _touched())


def _both() -> tuple[int, int]:
    """Read both clocks at one moment; again where this process was stopped in between, which would seem to be a step."""
    for _ in range(TRIES):
        before, utc_ns, at = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if at - before < ASIDE_NS:
            return utc_ns, at
    return time.time_ns(), time.monotonic_ns()


def _touched() -> int | None:
    try:
        return TIMESYNC.stat().st_mtime_ns
    except OSError:
        return None
