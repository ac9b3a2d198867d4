"""What the worker of an actuator does: drives one that blocks, and opens one that can be unplugged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, monotonic_ns

from reflexd.workers import GIVE_UP_NS, WAIT_S, Reports, Wake
from reflexd_drivers.base import Actuator, AfterDeath, DriverError, Moves, ReadsBack, Replugs

LOOK_S = 0.1                 # how often a worker looks whether the world followed
NOTHING = (False, None)
OPENING = "it is being opened"


class ActuatorJob:
    """Drives an actuator that blocks. One command waits at most, and in it safe wins; a movement makes way for a new one."""

    trouble = ""
    failures = 0

    def __init__(self, name: str, actuator: Actuator, reports: Reports) -> None:
        self.name = f"actuator.{name}"
        self.slow_ns = self.bound_ns = GIVE_UP_NS
        self._actuator = actuator
        self._output = name
        self._reports = reports
        self._wake = Wake()
        self._lock = threading.Lock()     # around the two fields below; never held while driving
        self._waits: tuple[bool, float | None] = NOTHING     # the safe level first?, then which level
        self._busy = False
        self._failed = False
        self._next_at: float | None = None     # when a movement goes on, monotonic seconds; None while nothing moves
        self._look_s = look_s(actuator)

    @property
    def about(self) -> str:
        """Say what was agreed on with the actuator, where its driver tells."""
        return str(getattr(self._actuator, "about", ""))

    @property
    def settled(self) -> bool:
        """Say whether the last command has been carried out, its movement included; one that failed has not been."""
        with self._lock:
            return not self._busy and not self._failed and self._waits == NOTHING

    def set(self, level: float) -> None:
        """Leave a level for the worker; a safe level that still waits goes first."""
        with self._lock:
            self._waits = (self._waits[0], level)
        self._wake.set()

    def safe(self) -> None:
        """Leave the safe level for the worker, in place of any other."""
        with self._lock:
            self._waits = (True, None)
        self._wake.set()

    def check(self, now: int) -> None:
        """Nothing: the worker looks by itself, since that may take as long as a write."""

    def open(self) -> None:
        """Nothing: it was connected before the loop began, so that it is safe by then."""

    def step(self) -> bool:
        """Carry out what waits, or go on with a movement."""
        self._wake.wait(self._look_s if self._next_at is None else min(self._next_at - monotonic(), self._look_s))
        with self._lock:
            command, self._waits = self._waits, NOTHING
            self._busy = command != NOTHING or self._next_at is not None
        if not self._busy:
            self._look()
            return True
        try:
            self._carry_out(command)
            self._failed = False
        except DriverError as error:
            self._failed, self._next_at = True, None      # before it is no longer busy: at no moment does it count as settled
            self._not_taken(error)
        finally:
            self._busy = self._next_at is not None
        if not self._busy:
            self._reports.tell_settled()
        return True

    def _not_taken(self, error: DriverError) -> None:
        """Have every output kept safe until a restart."""
        self._reports.tell_failed_write(self._output, str(error))

    def _carry_out(self, command: tuple[bool, float | None]) -> None:
        safe_first, level = command
        if safe_first:
            self._actuator.safe()
        if level is not None:
            self._actuator.set(level)
        if not isinstance(self._actuator, Moves):
            return
        if command != NOTHING or self._next_at is None or monotonic() >= self._next_at:
            due_s = self._actuator.advance()
            self._next_at = None if due_s is None else monotonic() + due_s

    def _look(self) -> None:
        """See whether the world followed, where that can be seen."""
        if isinstance(self._actuator, ReadsBack):
            try:
                self._actuator.check(monotonic_ns())
            except DriverError as error:
                self._strays(error)

    def _strays(self, error: DriverError) -> None:
        self._reports.tell_astray(self._output, str(error))

    def close(self) -> None:
        """Leave the actuator driven safe: no command waits any more."""
        try:
            self._actuator.close()
        except DriverError as error:
            self._failed = True
            self._reports.tell_failed_write(self._output, str(error))
            return
        with self._lock:
            self._waits, self._busy, self._next_at = NOTHING, False, None
        self._reports.tell_settled()


def look_s(actuator: Actuator) -> float:
    """Say how often a worker looks at an actuator that it was told nothing of."""
    return LOOK_S if isinstance(actuator, ReadsBack) else WAIT_S


class Unplugged:
    """Stands where an actuator will be."""

    blocking = True

    def __init__(self, after_death: Callable[[], AfterDeath]) -> None:
        self.after_death = after_death

    def set(self, level: float) -> None:
        """Raises: DriverError."""
        raise DriverError("the actuator is not open; plug it in")

    def safe(self) -> None:
        """Nothing: it is at its safe level when it is opened, and drives nothing before."""

    def close(self) -> None:
        """Nothing."""


class PluggedJob(ActuatorJob):
    """Drives an actuator that can be unplugged, and opens it; the gate keeps every output safe while `trouble` says why.

    Whatever failed, `trouble` is told before the failure is counted, and ends only once the device stands at its
    safe level. The gate takes each failure in, so it asks for nothing but safe until it knows that the trouble is over.
    """

    blocking = True

    def __init__(self, name: str, connect: Callable[[], Actuator], settings: Replugs, reports: Reports) -> None:
        super().__init__(name, Unplugged(settings.after_death), reports)
        self.after_death = settings.after_death
        self.seen = settings.seen
        self.driven = False           # at least once open, so that it may not be safe when it is gone
        self.trouble = OPENING
        self._connect = connect
        self._failed = True           # until it is open nobody knows where it stands

    def open(self) -> None:
        """Open the device, which is at its safe level then. What waited is of the time before."""
        try:
            self._actuator = self._connect()
        except DriverError as error:
            self._stumble(error)
            raise
        with self._lock:
            self._waits, self._next_at = NOTHING, None
        self._look_s = look_s(self._actuator)
        self.driven, self._failed, self.trouble = True, False, ""
        self._reports.tell_settled()

    def _not_taken(self, error: DriverError) -> None:
        self._stumble(error)
        raise error

    _strays = _not_taken      # a device that is gone is one that does not follow

    def write_off(self) -> None:
        """Count as settled for good: it was never open, so nothing that it drove has to be waited for."""
        self._failed = False
        self._reports.tell_settled()

    def _stumble(self, error: DriverError) -> None:
        first, self.trouble, self._failed = self.trouble in ("", OPENING), str(error), True
        self.failures += first
        self._reports.tell_settled()

    def close(self) -> None:
        """Leave the device driven safe where it still takes that; else the next opening does."""
        if not self._failed:
            super().close()
            return
        actuator, self._actuator = self._actuator, Unplugged(self.after_death)
        with suppress(DriverError):      # what failed before says more
            actuator.close()
