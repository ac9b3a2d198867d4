"""A relay, lamp or buzzer at a pin of the header.

The line is claimed directly at its safe level and left driven there: it never floats, because a relay
that is active at low may pull in when it does. Nothing here takes longer than a write to the kernel.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from reflexd_drivers.base import ActuatorSettings, DriverError, GpioLine
from reflexd_drivers.gpio import GpioKeys, Header, PinName, faults, open_header

MS = 1_000_000


class Settings(GpioKeys, ActuatorSettings):
    """What the configuration says of a gpio-output."""

    on_off: ClassVar[bool] = True

    active: Literal["high", "low"] = Field(default="high", description='level of the line when "on"; for many relay boards "low"')
    sense_pin: PinName | None = Field(default=None, description="pin that sees whether the world followed")
    sense_active: Literal["high", "low"] = Field(default="high", description='level of sense_pin when "on" is seen')
    sense_within_ms: int = Field(default=200, ge=20, le=60_000, description="how long the two may differ")

    @field_validator("safe")
    @classmethod
    def _whole(cls, level: float) -> float:
        if level not in (0.0, 1.0):
            raise ValueError(f'a gpio-output is "on" or "off"; found {level:g}; write safe = "off"')
        return level

    @model_validator(mode="after")
    def _two_pins(self) -> Settings:
        if self.sense_pin == self.pin:
            raise ValueError(f"{self.pin} cannot see itself; give sense_pin another pin")
        return self


class Sense:
    """A pin that sees whether the world followed. Where nothing is connected its resistor says "off"."""

    def __init__(self, settings: Settings, name: str, header: Header) -> None:
        self._settings = settings
        self._name = name
        self._header = header
        self._high = settings.sense_active == "high"
        pull = "down" if self._high else "up"
        self._pin = header.claim(name, "the sense_pin of an open gpio-output", lambda pin: pin.input_with_pull(pull))
        self._expected = settings.safe == 1.0
        self._differs_since: int | None = None

    def expect(self, on: bool) -> None:
        """Say what was driven; the world has time to follow from now on."""
        if on != self._expected:
            self._expected, self._differs_since = on, None

    def check(self, now: int) -> None:
        """Compare. Raises: DriverError."""
        with faults(self._name):
            seen = bool(self._pin.state) == self._high
        if seen == self._expected:
            self._differs_since = None
            return
        if self._differs_since is None:
            self._differs_since = now
        if now - self._differs_since >= self._settings.sense_within_ms * MS:
            driven, found = ("on", "off") if self._expected else ("off", "on")
            raise DriverError(f"{self._settings.pin}: it is driven {driven}, and {self._name} has seen it {found} for more than "
                              f"{self._settings.sense_within_ms} ms; check the relay, its supply and the wire of {self._name}")

    def close(self) -> None:
        """Let another device have the pin."""
        self._header.release(self._name)


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
        self._sense: Sense | None = None
        if settings.sense_pin is not None:
            try:
                self._sense = Sense(settings, settings.sense_pin, header)
            except DriverError:
                header.release(self._name)
                raise

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
        if self._sense is not None:
            self._sense.expect(level == 1.0)

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
            if self._sense is not None:
                self._sense.close()

    def check(self, now: int) -> None:
        """Compare what is driven with what sense_pin sees, if there is one.

        Raises: DriverError when they have differed for sense_within_ms.
        """
        if self._sense is not None and not self._closed:
            self._sense.check(now)

    def after_death(self) -> GpioLine:
        """Name the line and its safe level; the chip is called "mock" where there is no hardware."""
        return GpioLine(self._header.label, int(self._name.removeprefix("GPIO")), self._state(self._safe))


def connect(settings: Settings) -> GpioOutput:
    """Claim the pin as an output at its safe level.

    Raises: DriverError.
    """
    return GpioOutput(settings, open_header(settings.factory, settings.chip))
