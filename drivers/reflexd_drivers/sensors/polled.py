"""Sensors that are asked, at a steady pace: what every driver of a device that never speaks by itself shares.

A question is asked each `every_ms` on one absolute schedule, so that slow answers do not add up. The driver's `ask` is
bounded by itself: close() from another thread waits for it, and for nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic_ns

from pydantic import BaseModel, Field, model_validator

from reflexd_drivers.base import DriverError, NotYetError, Reading, Value

NS, MS = 1_000_000_000, 1_000_000


class PollKeys(BaseModel):
    """What every driver of a sensor that is asked takes."""

    every_ms: int = Field(default=100, ge=1, le=3_600_000, description="pause between two questions; less than max_age_ms")

    @model_validator(mode="after")
    def _often_enough(self) -> PollKeys:
        max_age_ms = getattr(self, "max_age_ms", self.every_ms + 1)      # as every sensor has
        if self.every_ms >= max_age_ms:
            raise ValueError(f"every_ms is not less than max_age_ms ({max_age_ms}), so readings would be too old; lower it")
        return self


class Polled:
    """A device that is asked each `every_ms`; one thread reads, any may close."""

    def __init__(self, where: str, every_ms: int, ask: Callable[[], Value | tuple[float, ...] | None],
                 let_go: Callable[[], None] = lambda: None) -> None:
        """`ask` gives the value or all numbers of one moment, or None where the device has none yet, and raises DriverError.

        `let_go` closes the device.
        """
        self._where = where
        self._every_ns = every_ms * MS
        self._ask = ask
        self._let_go = let_go
        self._closed = threading.Event()
        self._asking = threading.Lock()    # held while the device is asked: close() waits for that
        self._due_at = monotonic_ns()
        self._last: Reading | None = None

    def read(self, timeout_s: float) -> Reading:
        """Give the value when it changed, and after timeout_s the last one, as old as it is.

        Raises: NotYetError before the first answer; DriverError when the device is gone or closed.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        while True:
            if self._closed.wait(max(min(self._due_at, deadline) - monotonic_ns(), 0) / NS):
                raise DriverError(f"{self._where}: the sensor was closed while it was read; open it again")
            if monotonic_ns() >= self._due_at and self._renew():
                break
            if monotonic_ns() >= deadline:
                break
        if self._last is None:
            raise NotYetError(f"{self._where}: the device has not answered yet; wait, or check it and its wiring")
        return self._last

    def _renew(self) -> bool:
        """Ask the device. Returns whether there is an answer."""
        late = monotonic_ns() - self._due_at
        self._due_at += self._every_ns * (1 + late // self._every_ns)
        with self._asking:
            said = None if self._closed.is_set() else self._ask()
        if said is None:
            return False
        value, values = (said[0], said) if isinstance(said, tuple) else (said, ())
        now, old = monotonic_ns(), self._last
        if old is None:
            self._last = Reading(value, now, now, values=values)
            return True
        changed = value != old.value
        self._last = Reading(value, now, now if changed else old.changed_at,
                             old.rises + (changed and value is True), old.falls + (changed and value is False), values)
        return True

    def close(self) -> None:
        """End a read that waits, and give the device back; a second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._asking:
            self._let_go()
