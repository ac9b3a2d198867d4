"""A device on a serial port that speaks by itself: what every driver of one shares.

A reading is as old as what said it: without anything new the last stands until max_age_ms, then the
device counts as silent. What arrives is cut and understood by a decoder, which holds a bounded rest.
Of what arrives at once the newest is given, and the rest is kept for windows of readings, spread over the time in which it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic, monotonic_ns
from typing import Protocol, TypeAlias

from reflexd_drivers.base import NotYetError, Reading, SensorSettings, SilentError, Value
from reflexd_drivers.serial_port import Port, SerialKeys

MS = 1_000_000
AT_ONCE = 64      # readings of a chunk that windows are told of; of a longer one nobody knows when which line came

Said: TypeAlias = Value | tuple[float, ...]     # a value, or all numbers of one moment


class StreamSettings(SerialKeys, SensorSettings):
    """What the configuration says of every device that speaks by itself."""


class Decoder(Protocol):
    """Makes values of chunks of bytes."""

    unit: str
    """What it waits for, as "line"."""

    def restart(self) -> None:
        """Begin anew: what comes next may be cut at its beginning."""
        ...

    def feed(self, chunk: bytes) -> list[Said | None]:
        """Give what a chunk says, in its order; None where the device itself says that it has no value."""
        ...

    def trouble(self) -> str:
        """Say what came instead of a value since the last one, in words that stay the same; empty when nothing came."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Count what was not understood, and as "skipped" what newer ones replaced in a flood."""
        ...


class Stream:
    """A port whose bytes a decoder understands; one thread reads, any may close."""

    def __init__(self, settings: StreamSettings, port: Port, decoder: Decoder) -> None:
        self._settings = settings
        self._port = port
        self._decoder = decoder
        self._max_age_ns = settings.max_age_ms * MS
        self._looked_at = monotonic_ns()
        self._begins_at = self._looked_at + round(settings.boot_delay_s * 1e9)
        self._reading: Reading | None = None
        self._passed: list[Reading] = []
        self._void_at: int | None = None      # when the device said that it has no value

    def counters(self) -> Mapping[str, int]:
        """Count what was not understood since the port was opened."""
        return self._decoder.counters()

    def read(self, timeout_s: float) -> Reading:
        """Give what the device says as soon as it is there; after timeout_s the last reading, as old as it is.

        Raises: NotYetError before the first value; SilentError when none came for max_age_ms; DriverError.
        """
        deadline = monotonic() + timeout_s
        if monotonic_ns() - self._looked_at > self._max_age_ns:
            self._port.forget()        # nobody read for so long that nobody knows how old it is
            self._decoder.restart()
        while True:
            chunk = self._port.read(deadline - monotonic())
            before, self._looked_at = self._looked_at, monotonic_ns()
            if chunk and self._looked_at >= self._begins_at and self._take(chunk, before):
                break
            if monotonic() >= deadline:
                break
        return self._last()

    def passed_over(self) -> list[Reading]:
        """Give what came with the last reading and before it."""
        passed, self._passed = self._passed, []
        return passed

    def _take(self, chunk: bytes, before: int) -> bool:
        """Take over what a chunk says, which came since `before`. Returns whether it said something."""
        skipped = self._decoder.counters().get("skipped", 0)
        found = self._decoder.feed(chunk)
        self._passed, lost = [], len(found) > AT_ONCE or self._decoder.counters().get("skipped", 0) > skipped
        for count, said in enumerate(found, 1):
            at = before + (self._looked_at - before) * count // len(found)
            self._void_at = at if said is None else None
            if said is not None:
                self._note(said, at)
                if self._reading and not lost and count < len(found):
                    self._passed.append(self._reading)
        if lost:
            why = f"more than {AT_ONCE} came at once, so nobody knows when each did"
            self._passed = [Reading(why, self._looked_at, self._looked_at)]
        return bool(found)

    def _note(self, said: Said, now: int) -> None:
        value, values = (said[0], said) if isinstance(said, tuple) else (said, ())
        old = self._reading
        if old is None:
            self._reading = Reading(value, now, now, values=values)
            return
        changed = value != old.value
        rises = old.rises + (changed and value is True)
        falls = old.falls + (changed and value is False)
        self._reading = Reading(value, now, now if changed else old.changed_at, rises, falls, values)

    def _last(self) -> Reading:
        """Give the last reading while it is fresh."""
        now, trouble = monotonic_ns(), self._decoder.trouble()
        if self._void_at is not None and now - self._void_at <= self._max_age_ns:
            raise NotYetError(f"{self._settings.port}: {trouble}")
        if self._reading is not None and now - self._reading.taken_at <= self._max_age_ns:
            return self._reading
        if self._reading is None and now - self._begins_at <= self._max_age_ns:
            raise NotYetError(f"{self._settings.port}: no whole {self._decoder.unit} has come yet; wait, or check the device")
        silence = (f"no {self._decoder.unit} came within {self._settings.max_age_ms} ms; check the device and its cable, "
                   "or raise max_age_ms")
        raise SilentError(f"{self._settings.port}: {trouble or silence}")

    def close(self) -> None:
        """End a read that waits, and give the port back."""
        self._port.close()


def wrong_baud(settings: SerialKeys, what: str) -> str:
    """Say that noise comes in place of something."""
    return f"what comes is no {what}; {settings.baud} baud may be wrong: write the device's own as baud, or check its cable"
