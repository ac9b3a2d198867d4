"""A level between off and on by pulses at a pin: a lamp that is dimmed, a fan, a motor, a buzzer.

The pulses are those of the hardware where the pin is led to it, else of lgpio's thread; which of the two is told in the log.
Nothing here takes longer than a write to the kernel.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reflexd_drivers.base import ActuatorSettings, DriverError, GpioLine, SysfsWrite
from reflexd_drivers.gpio import GpioKeys, open_header
from reflexd_drivers.pulses import Method, open_pulses
from reflexd_drivers.pwm_files import PwmFiles, files_for


class Settings(GpioKeys, ActuatorSettings):
    """What the configuration says of a pwm output."""

    frequency_hz: float = Field(default=1000, ge=10, le=1_000_000, description="pulses a second; by software 10000 at most")
    active: Literal["high", "low"] = Field(default="high", description='level of the line when "on"')
    method: Method = Field(default="auto", description='what makes the pulses; "auto" is hardware where the pin is led to it')

    @model_validator(mode="after")
    def _safe_without_a_process(self) -> Settings:
        if self.method != "hardware" and self.safe not in (0.0, 1.0):
            raise ValueError(f'software gives no pulses after a death, so safe is "on" or "off"; found {self.safe:g}; '
                             'write safe = "off", or method = "hardware"')
        return self


class Pwm:
    """A pin with pulses; one thread at a time."""

    blocking = False

    def __init__(self, settings: Settings, files: PwmFiles) -> None:
        self._settings = settings
        self._header = open_header(settings.factory, settings.chip)
        self._pulses = open_pulses(settings.pin, "an open pwm", settings.method, settings.frequency_hz,
                                   self._share(settings.safe), self._header, files)
        self.about = self._pulses.about
        self._closed = False

    def _share(self, level: float) -> float:
        """Give the share of each period at which the line is high."""
        return level if self._settings.active == "high" else 1 - level

    def set(self, level: float) -> None:
        """Drive a level from 0 to 1.

        Raises: DriverError when the line did not take it.
        """
        if self._closed:
            raise DriverError(f"{self._settings.pin}: the output was closed; open it again")
        if not 0 <= level <= 1:
            raise DriverError(f"{self._settings.pin}: a level is a number from 0 to 1; found {level:g}; change the rule's set")
        self._pulses.give(self._share(level))

    def safe(self) -> None:
        """Drive the safe level.

        Raises: DriverError when the line did not take it.
        """
        self.set(self._settings.safe)

    def close(self) -> None:
        """Drive the safe level and leave it driven.

        Raises: DriverError when the line did not take it; it is closed all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._pulses.close(self._share(self._settings.safe))
        finally:
            self._header.release(self._settings.pin)

    def after_death(self) -> GpioLine | SysfsWrite:
        """Name the channel of the hardware, or the line, and its safe level."""
        return self._pulses.after_death(self._share(self._settings.safe))


def connect(settings: Settings, files: PwmFiles | None = None) -> Pwm:
    """Claim the pin, with its safe level from the first moment.

    Raises: DriverError.
    """
    return Pwm(settings, files or files_for(settings.factory))
