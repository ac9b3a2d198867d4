"""What the kernel knows of the wall clock. Nothing else is imported: doctor asks where no library works."""

from __future__ import annotations

import ctypes
from functools import cache

MOST_WRONG_US = 16_000_000      # the kernel counts a clock that nobody sets beyond that; systemd takes the same bound


def kernel_says() -> bool | None:
    """Say whether somebody keeps the clock right, as far as the kernel was told; None where it may not be asked.

    Source: adjtimex(2), field maxerror of struct timex: 16 s after the clock was set by hand, growing slowly else. The flag
    STA_UNSYNC is not looked at, as timedated does not: it also stands where the kernel shall leave the battery clock alone.
    ProtectClock= of a unit forbids the call, although it sets nothing; see systemd.exec(5).
    """
    timex = (ctypes.c_long * 64)()       # larger than struct timex; all zero asks and sets nothing
    if _libc().adjtimex(timex) < 0:
        return None
    return int(timex[3]) < MOST_WRONG_US


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
