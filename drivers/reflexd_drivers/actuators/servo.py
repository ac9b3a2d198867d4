"""A servo: a level from 0 to 1 is an angle between two limits, reached at a bounded speed.

The angle is told by the length of a pulse, 50 times a second. Hardware makes it exact; by software the servo trembles, and after
a death nothing holds it at its safe angle, so software has to be asked for.
Source: hobby servos' common pulse of 1 to 2 ms in 20 ms; many take 0.5 to 2.5 ms and some break at their ends then.
"""

from __future__ import annotations

from time import monotonic
from typing import Annotated

from pydantic import Field, model_validator

from reflexd_drivers.base import ActuatorSettings, DriverError, GpioLine, SysfsWrite
from reflexd_drivers.gpio import GpioKeys, open_header
from reflexd_drivers.pulses import Method, open_pulses
from reflexd_drivers.pwm_files import PwmFiles, files_for

STEP_S = 0.02      # a pulse each 20 ms: in between a servo hears of no change
LONGEST_WAY_S = 60      # from one end to the other; an output that has to go safe is on its way for no longer
Angle = Annotated[float, Field(ge=-360, le=360)]
Pulse = Annotated[float, Field(ge=0.3, le=3)]


class Settings(GpioKeys, ActuatorSettings):
    """What the configuration says of a servo."""

    angles: tuple[Angle, Angle] = Field(default=(0, 90), description="degrees at level 0 and at level 1; it never goes beyond")
    pulse_ms: tuple[Pulse, Pulse] = Field(default=(1.0, 2.0), description="length of the pulse at these two angles")
    slew_deg_per_s: float | None = Field(default=None, gt=0, le=10_000, description="greatest speed; without it, none")
    frequency_hz: float = Field(default=50, ge=40, le=330, description="pulses a second; above 50 for digital servos only")
    method: Method = Field(default="auto", description='what makes the pulses; software only with accept_unguarded = true')

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.angles[0] == self.angles[1] or self.pulse_ms[0] == self.pulse_ms[1]:
            raise ValueError("angles and pulse_ms have two ends each that differ; write angles = [0, 90], pulse_ms = [1.0, 2.0]")
        if self.slew_deg_per_s is not None and abs(self.angles[1] - self.angles[0]) > LONGEST_WAY_S * self.slew_deg_per_s:
            raise ValueError(f"at that slew_deg_per_s the way from one end to the other takes longer than {LONGEST_WAY_S} s, "
                             "and so may the way to the safe level; raise it")
        if max(self.pulse_ms) * self.frequency_hz > 900:
            raise ValueError(f"a pulse of {max(self.pulse_ms):g} ms does not fit {self.frequency_hz:g} times into a second; "
                             "lower frequency_hz")
        if self.method == "software" and not self.accept_unguarded:
            raise ValueError("software gives no pulses after a death, so nothing holds the safe angle; "
                             'take method = "hardware", or add accept_unguarded = true')
        return self

    @property
    def method_allowed(self) -> Method:
        """Say what may make the pulses."""
        return "hardware" if self.method == "auto" and not self.accept_unguarded else self.method

    def way_s(self, level: float) -> float:
        """Say how long it takes from the safe angle to another, s."""
        degrees = abs(self.angles[1] - self.angles[0]) * abs(level - self.safe)
        return 0.0 if self.slew_deg_per_s is None else degrees / self.slew_deg_per_s


class Servo:
    """A servo at a pin; its worker calls advance() until it has arrived."""

    blocking = True

    def __init__(self, settings: Settings, files: PwmFiles) -> None:
        self._settings = settings
        self._header = open_header(settings.factory, settings.chip)
        self._at = self._target = settings.safe
        self._pulses = open_pulses(settings.pin, "an open servo", settings.method_allowed, settings.frequency_hz,
                                   self._share(settings.safe), self._header, files)
        self.about = self._pulses.about
        self._stepped_at = 0.0
        self._closed = False
        try:
            self._pulses.give(self._share(settings.safe))
        except DriverError:
            self._header.release(settings.pin)
            raise

    def _share(self, level: float) -> float:
        """Give the share of each period that the pulse of a level takes."""
        first, last = self._settings.pulse_ms
        return (first + (last - first) * level) * self._settings.frequency_hz / 1000

    def set(self, level: float) -> None:
        """Begin to move to a level from 0 to 1.

        Raises: DriverError for another level, and when it is closed.
        """
        if self._closed:
            raise DriverError(f"{self._settings.pin}: the servo was closed; open it again")
        if not 0 <= level <= 1:
            raise DriverError(f"{self._settings.pin}: a level is a number from 0 to 1; found {level:g}; change the rule's set")
        self._target = level

    def safe(self) -> None:
        """Begin to move to the safe level."""
        self.set(self._settings.safe)

    def advance(self) -> float | None:
        """Go on as far as the speed allows. Returns in how many seconds to go on, None when it has arrived.

        Raises: DriverError when the pulses cannot be changed.
        """
        if self._closed:
            return None
        most = self._most()
        self._at += min(max(self._target - self._at, -most), most)
        self._pulses.give(self._share(self._at))
        return None if self._at == self._target else STEP_S

    def _most(self) -> float:
        """Give how much of the way it may go in this step."""
        now = monotonic()
        passed_s = min(max(now - self._stepped_at, 0.0), 2 * STEP_S)    # after a rest the first step is one of 40 ms
        self._stepped_at = now
        slew, (first, last) = self._settings.slew_deg_per_s, self._settings.angles
        return 1.0 if slew is None else slew * passed_s / abs(last - first)

    def close(self) -> None:
        """Go to the safe level at once, and hold it.

        Raises: DriverError when the pulses cannot be changed; it is closed all the same.
        """
        if self._closed:
            return
        self._closed = True
        self._at = self._target = self._settings.safe
        try:
            self._pulses.close(self._share(self._settings.safe))
        finally:
            self._header.release(self._settings.pin)

    def after_death(self) -> GpioLine | SysfsWrite:
        """Name the channel and its safe pulse; by software, the line and that it gives none."""
        return self._pulses.after_death(self._share(self._settings.safe))


def connect(settings: Settings, files: PwmFiles | None = None) -> Servo:
    """Claim the pin, with the pulse of the safe level from the first moment.

    Raises: DriverError.
    """
    return Servo(settings, files or files_for(settings.factory))
