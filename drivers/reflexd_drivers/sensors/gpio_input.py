"""A switch, button, motion or door contact at a pin of the header.

Edges are counted from the kernel's own queue (gpio_edges.py), so that a press between two reads is never lost; the pin itself
is looked at when nothing was told, so that a level never grows stale.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import Literal

from pydantic import Field

from reflexd_drivers.base import Reading, SensorSettings, ValueKind
from reflexd_drivers.gpio import Header, InputKeys, open_header


class Settings(InputKeys, SensorSettings):
    """What the configuration says of a gpio-input."""

    active: Literal["high", "low"] = Field(default="high", description="level at which the value is true")

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "boolean"


class GpioInput:
    """A pin that is read."""

    def __init__(self, settings: Settings, header: Header) -> None:
        self._active = settings.active == "high"
        self._told = False
        self._edges = header.listen(settings.pin, "an open gpio-input", settings.pull, settings.debounce_ms / 1000)
        self.counters = self._edges.counters

    def read(self, timeout_s: float) -> Reading:
        """Give the value at once when it changed since the last call, else after timeout_s.

        Raises: DriverError when the pin cannot be read or was closed.
        """
        self._edges.wait(timeout_s if self._told else 0)
        self._told = True
        edges = self._edges
        rises, falls = (edges.rises, edges.falls) if self._active else (edges.falls, edges.rises)
        return Reading(edges.level == self._active, monotonic_ns(), edges.changed_at, rises, falls)

    def close(self) -> None:
        """Stop listening; the line stays an input."""
        self._edges.close()


def connect(settings: Settings) -> GpioInput:
    """Claim the pin as an input.

    Raises: DriverError.
    """
    return GpioInput(settings, open_header(settings.factory, settings.chip))
