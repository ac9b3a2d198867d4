"""A driver of a third party that does what no driver should, when it is ordered to: in the guest only.

The order is a file in the service's own folder. It is taken away before it is obeyed, so that the next start is sound.
"""

import ctypes
import time
from pathlib import Path

from reflexd_drivers.base import Reading, SensorSettings

ORDER = Path("/run/reflexd/order")
CHUNK = 8 << 20


class Settings(SensorSettings):
    """Nothing but what every sensor has."""


class Culprit:
    """A sensor that is always false."""

    def __init__(self):
        self.hoard = []

    def read(self, timeout_s):
        until = time.monotonic() + timeout_s
        while not self.hoard and not ORDER.exists() and time.monotonic() < until:
            time.sleep(0.01)
        if ORDER.exists():
            order = ORDER.read_text()
            ORDER.unlink()
            self.obey(order)
        if self.hoard:                                  # a bit in each call: it leaks, and is never stuck
            self.hoard.append(b"x" * CHUNK)
        return Reading(False, time.monotonic_ns(), 0, 0, 0)

    def obey(self, order):
        if order == "GIL":
            ctypes.PyDLL(None).pause()                  # a call into C that keeps the interpreter's lock, and never returns
        elif order == "MEMORY":
            self.hoard.append(b"x" * CHUNK)

    def close(self):
        self.hoard.clear()


def connect(settings):
    return Culprit()
