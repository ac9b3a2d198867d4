"""An HC-SR04 and its kin: a short sound, and how long its echo takes. Metres.

One sound per question; the value is the median of the last ones. Without an echo there is no value: nothing in range, a
module that is unplugged and a surface that swallows sound look the same, and a number for any of them would be a guess.
Source: HC-SR04 user guide (10 µs trigger, the echo line is high for as long as the sound travels, 60 ms from one to the next).
"""

from __future__ import annotations

import statistics
from collections import deque
from math import sqrt
from time import monotonic_ns

from pydantic import Field, model_validator

from reflexd_drivers.base import DriverError, SensorSettings, SilentError, ValueKind
from reflexd_drivers.gpio import Header, HeaderKeys, PinName, faults, open_header
from reflexd_drivers.sensors.polled import Polled, PollKeys

NS = 1_000_000_000
TRIGGER_NS = 12_000
ANSWERS_WITHIN_NS = 5_000_000      # from the trigger until the echo line rises, the sound itself included; generous
USER = "an open distance sensor"


class Settings(HeaderKeys, PollKeys, SensorSettings):
    """What the configuration says of a distance sensor."""

    trigger_pin: PinName = Field(description="pin that makes the module sound")
    echo_pin: PinName = Field(description="pin that hears it; a module for 5 V needs a divider to 3.3 V before it")
    every_ms: int = Field(default=70, ge=60, le=3_600_000, description="pause between two sounds; less than max_age_ms")
    max_distance_m: float = Field(default=4, ge=0.1, le=8, description="what is farther counts as no echo")
    samples: int = Field(default=3, ge=1, le=15, description="the value is the median of so many sounds")
    temperature_c: float = Field(default=20, ge=-40, le=70, description="of the air, which decides how fast sound is; °C")

    @model_validator(mode="after")
    def _two_pins(self) -> Settings:
        if self.trigger_pin == self.echo_pin:
            raise ValueError(f"{self.echo_pin} cannot be both trigger_pin and echo_pin; use two pins")
        if (span := (self.samples - 1) * self.every_ms) > self.max_age_ms:
            raise ValueError(f"{self.samples} sounds take {span} ms, longer than max_age_ms = {self.max_age_ms}, so the value "
                             "would be too old; lower samples or every_ms")
        return self

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "number"

    @property
    def bounds(self) -> tuple[float, float]:
        """Say how far it hears."""
        return 0.0, self.max_distance_m


def speed_of_sound(temperature_c: float) -> float:
    """Give the speed of sound in dry air, m/s. Source: ideal gas, 331.3 m/s at 0 °C."""
    return 331.3 * sqrt(1 + temperature_c / 273.15)


class Distance:
    """Two pins with a module behind them."""

    def __init__(self, settings: Settings, header: Header) -> None:
        self._settings = settings
        self._header = header
        self._metres_per_ns = speed_of_sound(settings.temperature_c) / 2 / NS
        self._longest_ns = round(settings.max_distance_m / self._metres_per_ns)
        self._last: deque[float | None] = deque(maxlen=settings.samples)
        self._missed = 0
        self._pin = header.claim(settings.trigger_pin, USER, lambda pin: pin.output_with_state(False))
        try:
            self._edges = header.listen(settings.echo_pin, USER, "down")
        except DriverError:
            header.release(settings.trigger_pin)
            raise
        polled = Polled(settings.echo_pin, settings.every_ms, self._ask, self._let_go)
        self.read, self.close = polled.read, polled.close

    def counters(self) -> dict[str, int]:
        """Count sounds without an echo."""
        return {"missed": self._missed}

    def _ask(self) -> float | None:
        """Make one sound. Returns metres, None before there are enough of them. Raises: SilentError, DriverError."""
        self._last.append(self._sound())
        if len(self._last) < self._settings.samples:
            return None
        heard = [one for one in self._last if one is not None]
        if 2 * len(heard) <= len(self._last):
            raise SilentError(f"{self._settings.echo_pin}: no echo from within {self._settings.max_distance_m:g} m; "
                              "check the module and its 5 V, or put something before it")
        return statistics.median(heard)

    def _sound(self) -> float | None:
        """Give how far the echo came from, in metres, or None."""
        self._edges.skip()
        triggered_at = self._trigger()
        ends_at = triggered_at + ANSWERS_WITHIN_NS + self._longest_ns
        rose: int | None = None
        while (left := ends_at - monotonic_ns()) > 0:
            if not self._edges.wait(left / NS):
                continue
            rises, falls = self._edges.times()
            if rose is None:
                rose = next((int(at) for at in rises if at >= triggered_at), None)
            fell = next((int(at) for at in falls if rose is not None and at > rose), None)
            if rose is not None and fell is not None:
                metres = (fell - rose) * self._metres_per_ns
                if metres <= self._settings.max_distance_m:
                    return metres
                break
        self._missed += 1
        return None

    def _trigger(self) -> int:
        """Have the module sound. Returns when, in monotonic ns."""
        with faults(self._settings.trigger_pin):
            self._pin.state = True
            at = monotonic_ns()
            while monotonic_ns() - at < TRIGGER_NS:    # a sleep would take five times as long
                pass
            self._pin.state = False
        return at

    def _let_go(self) -> None:
        self._edges.close()
        self._header.release(self._settings.trigger_pin)


def connect(settings: Settings) -> Distance:
    """Claim both pins.

    Raises: DriverError.
    """
    return Distance(settings, open_header(settings.factory, settings.chip))
