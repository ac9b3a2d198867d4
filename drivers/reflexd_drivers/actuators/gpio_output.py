"""A relay, lamp or buzzer at a pin of the header.

The line is claimed directly at its safe level and left driven there: it never floats, because a relay
that is active at low may pull in when it does. Nothing here takes longer than a write to the kernel.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from reflexd_drivers.base import ActuatorSettings, DriverError, GpioLine
from reflexd_drivers.gpio import GpioKeys, Header, faults, open_header


class Settings(GpioKeys, ActuatorSettings):
    """What the configuration says of a gpio-output."""

    on_off: ClassVar[bool] = True

    active: Literal["high", "low"] = Field(default="high", description='level of the line when "on"; for many relay boards "low"')

    @field_validator("safe")
    @classmethod
    def _whole(cls, level: float) -> float:
        if level not in (0.0, 1.0):
            raise ValueError(f'a gpio-output is "on" or "off"; found {level:g}; write safe = "off"')
        return level


class GpioOutput:
    """A pin that is driven; one thread at a time."""

    blocking = False

    def __init__(self, settings: Settings, header: Header) -> None:
        self._name = settings.pin
        self._header = header
        self._active = settings.active == "high"
        self._safe = settings.safe
        safe_state = self._state(settings.safe)
        self._pin = header.claim(settings.pin, "an open gpio-output", lambda pin: pin.output_with_state(safe_state))
        self._closed = False

    def _state(self, level: float) -> bool:
        if level not in (0.0, 1.0):
            raise DriverError(f"{self._name}: a gpio-output is on (1) or off (0); found {level:g}; change the rule's set")
        return bool(level) == self._active

    def set(self, level: float) -> None:
        """Drive 0 or 1.

        Raises: DriverError when the line did not take it.
        """
        if self._closed:
            raise DriverError(f"{self._name}: the output was closed; open it again")
        state = self._state(level)
        with faults(self._name):
            self._pin.state = state

    def safe(self) -> None:
        """Drive the safe level.

        Raises: DriverError when the line did not take it.
        """
        self.set(self._safe)

    def close(self) -> None:
        """Drive the safe level and leave it driven.

        Raises: DriverError when the line did not take it; it is closed all the same.
        """
        if self._closed:
            return
        try:
            self.safe()
        finally:
            self._closed = True
            self._header.release(self._name)

    def after_death(self) -> GpioLine:
        """Name the line and its safe level; the chip is called "mock" where there is no hardware."""
        return GpioLine(self._header.label, int(self._name.removeprefix("GPIO")), self._state(self._safe))


def connect(settings: Settings) -> GpioOutput:
    """Claim the pin as an output at its safe level.

    Raises: DriverError.
    """
    return GpioOutput(settings, open_header(settings.factory, settings.chip))
