"""What is simulated where there are no pins: edges as the kernel queues them, and pulses. Imported only there."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

from reflexd_drivers.base import DriverError
from reflexd_drivers.gpio_edges import FALLING, LAST, RISING, Edges, Pull


class PulsePin(MockPin):   # type: ignore[misc]  # gpiozero has no types
    """Remembers what pulses it was told to give; its state is that of a line that gives none."""

    frequency_hz = 0.0
    share: float | None = None     # of each period that is high; None while there are no pulses

    def pulse(self, frequency_hz: float, share: float) -> None:
        """Give pulses from now on."""
        self.frequency_hz, self.share = frequency_hz, share

    def still(self, state: bool) -> None:
        """Give no more pulses, and stay at a level."""
        self.share = None
        self.state = state


class MockLine:
    """Tells of a gpiozero mock pin what the kernel tells of a line, debounced as it does; there is no hardware."""

    def __init__(self, pin: Any, debounce_s: float) -> None:   # noqa: ANN401  gpiozero has no types
        self._pin = pin
        self._debounce_s = debounce_s
        self._steady = bool(pin.state)
        self._differs_since: float | None = None
        self._number = 0
        self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, 1 << 20)
        pin.edges = "both"
        pin.when_changed = self.tell     # kept by a weak reference: Edges holds this object

    def edges(self, name: str) -> Edges:
        """Listen to it."""
        return Edges(name, self._out, self.look, self.close, self._debounce_s or inf)

    def tell(self, ticks: float, state: bool) -> None:
        """Queue an edge; runs in the thread that drives the pin."""
        if self._debounce_s:
            self.look()
            return
        self._number += 1
        with suppress(BlockingIOError):     # full, as the kernel's queue may be: the number tells of it
            os.write(self._in, LAST.pack(round(ticks * 1e9), RISING if state else FALLING, 0, self._number, self._number))

    def look(self) -> bool:
        """Give the level that has been there for as long as the pin is debounced."""
        level, now = bool(self._pin.state), monotonic()
        if level == self._steady:
            self._differs_since = None
            return level
        if self._differs_since is None:
            self._differs_since = now
        if now - self._differs_since >= self._debounce_s:
            self._steady, self._differs_since = level, None
        return self._steady

    def close(self) -> None:
        """Listen no more."""
        self._pin.when_changed = None
        os.close(self._out)
        os.close(self._in)


def listen_to_mock(factory: Any, name: str, pull: Pull, debounce_s: float) -> Edges:   # noqa: ANN401
    """Listen to a mock pin."""
    pin = factory.pin(name)
    pin.input_with_pull("floating" if pull == "none" else pull)     # gpiozero's word
    return MockLine(pin, debounce_s).edges(name)


class Board(MockFactory):   # type: ignore[misc]  # gpiozero has no types
    """Pins that are simulated; a bus is not."""

    def __init__(self) -> None:
        super().__init__(pin_class=PulsePin)

    def _get_spi_class(self, shared: bool, hardware: bool) -> Any:   # noqa: ANN401
        raise DriverError("spi: simulated pins have no bus; run on a Raspberry Pi, or take the driver scripted")
