"""A switch, button, motion or door contact at a pin of the header.

Edges arrive in the pin library's thread and are counted there; read() hands out what was counted, so
that a press between two reads is never lost, and looks at the pin itself when nothing was told.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, monotonic_ns
from typing import Any, Literal

from pydantic import Field

from reflexd_drivers.base import DriverError, Reading, SensorSettings, ValueKind
from reflexd_drivers.gpio import GpioKeys, Header, faults, open_header

PULLS = {"up": "up", "down": "down", "none": "floating"}   # gpiozero's words
TRUSTED_NS = 5_000_000_000


class Settings(GpioKeys, SensorSettings):
    """What the configuration says of a gpio-input."""

    pull: Literal["up", "down", "none"] = Field(description='resistor inside the Pi; "none" where the device drives the line')
    active: Literal["high", "low"] = Field(default="high", description="level at which the value is true")
    debounce_ms: float = Field(default=0, ge=0, le=5000, description="a level counts once it has been there that long")

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "boolean"


class GpioInput:
    """A pin that is read."""

    def __init__(self, settings: Settings, header: Header) -> None:
        self._name = settings.pin
        self._header = header
        self._active = settings.active == "high"
        self._debounce_s = settings.debounce_ms / 1000
        self._wake = threading.Lock()      # a raw lock as a semaphore: 13 µs where Condition costs 20 to 30
        self._wake.acquire()
        self._counting = threading.Lock()  # held for some additions; taken by read() and by the library's thread
        self._value: bool | None = None
        self._changed_at = self._told_at = 0
        self._rises = self._falls = 0
        self._closed = False
        self._pin = header.claim(settings.pin, "an open gpio-input", lambda pin: self._prepare(pin, PULLS[settings.pull]))
        with faults(self._name):
            self._value = bool(self._pin.state) == self._active
        self._changed_at = monotonic_ns()

    def _prepare(self, pin: Any, pull: str) -> None:   # noqa: ANN401  gpiozero has no types
        pin.input_with_pull(pull)
        pin.bounce = self._debounce_s or None
        pin.edges = "both"
        pin.when_changed = self._on_edge   # kept by a weak reference: no cycle

    def _on_edge(self, ticks: float, state: bool) -> None:
        """Count an edge; runs in the library's thread."""
        self._note(bool(state) == self._active, round(ticks * 1e9))

    def _note(self, value: bool, at: int) -> None:
        now = monotonic_ns()
        with self._counting:
            if self._value is None or value == self._value:   # not yet open, or read() saw it on the pin before
                return
            self._value = value
            self._rises += value
            self._falls += not value
            self._changed_at = at if 0 <= now - at <= TRUSTED_NS else now   # else the edge was stamped by another clock
        self._wake_up()

    def _wake_up(self) -> None:
        with suppress(RuntimeError):   # it is awake already
            self._wake.release()

    def read(self, timeout_s: float) -> Reading:
        """Give the value at once when it changed since the last call, else after timeout_s.

        Raises: DriverError when the pin cannot be read or was closed.
        """
        deadline = monotonic() + timeout_s
        while not self._closed and self._told_at == self._changed_at:
            left = deadline - monotonic()
            if left <= 0 or not self._wake.acquire(timeout=left):
                self._confirm()
                break
        if self._closed:
            raise DriverError(f"{self._name}: the input was closed while it was read; open it again")
        with self._counting:
            assert self._value is not None, "set when it was opened"
            self._told_at = self._changed_at
            return Reading(self._value, monotonic_ns(), self._changed_at, self._rises, self._falls)

    def _confirm(self) -> None:
        """Look at the pin: an edge that nobody told of is seen here, a bounce is not."""
        with faults(self._name):
            if self._closed or self._seen() == self._value:
                return
            if self._debounce_s:
                self._wake.acquire(timeout=self._debounce_s)
            if not self._closed:
                self._note(self._seen(), monotonic_ns())

    def _seen(self) -> bool:
        return bool(self._pin.state) == self._active

    def close(self) -> None:
        """Stop listening; the line stays an input."""
        if self._closed:
            return
        self._closed = True
        self._wake_up()
        try:
            with faults(self._name):
                self._pin.when_changed = None
        finally:
            self._header.release(self._name)


def connect(settings: Settings) -> GpioInput:
    """Claim the pin as an input.

    Raises: DriverError.
    """
    return GpioInput(settings, open_header(settings.factory, settings.chip))
