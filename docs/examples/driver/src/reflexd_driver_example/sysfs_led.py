"""An LED that the kernel drives: those of the board, of a keyboard, of a HAT.

Source: Linux, Documentation/ABI/testing/sysfs-class-led.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from reflexd_drivers.base import ActuatorSettings, AfterDeath, DriverError, SysfsWrite


class Settings(ActuatorSettings):
    """What the configuration says of an LED."""

    led: str = Field(description="name of the LED in /sys/class/leds, as ACT", min_length=1)
    folder: str = Field(default="/sys/class/leds", description="where the kernel shows its LEDs")


class Led:
    """An open LED. Nothing stays open between two writes, so an LED that is gone is noticed."""

    blocking = False      # the kernel takes microseconds

    def __init__(self, settings: Settings) -> None:
        self._file = Path(settings.folder, settings.led, "brightness")
        self._most = self._brightest(self._file.with_name("max_brightness"))
        self._safe = settings.safe
        self._closed = False
        self.safe()

    def _brightest(self, file: Path) -> int:
        try:
            return int(file.read_text("ascii"))
        except (OSError, ValueError) as error:
            raise DriverError(f"{file.parent}: there is no such LED; look into /sys/class/leds") from error

    def set(self, level: float) -> None:
        """Drive a brightness.

        Raises: DriverError when the kernel did not take it.
        """
        if self._closed:
            raise DriverError(f"{self._file}: the LED was closed; open it again")
        try:
            file = os.open(self._file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)     # never made where it is gone
            try:
                os.write(file, self._text(level).encode())
            finally:
                os.close(file)
        except OSError as error:
            raise DriverError(f"{self._file}: the LED did not take a level: {error.strerror}; check its permissions") from error

    def _text(self, level: float) -> str:
        return f"{round(level * self._most)}\n"

    def safe(self) -> None:
        """Drive the safe level.

        Raises: DriverError.
        """
        self.set(self._safe)

    def close(self) -> None:
        """Drive the safe level, which the kernel keeps; a second call does nothing.

        Raises: DriverError when the kernel did not take it.
        """
        if not self._closed:
            try:
                self.safe()
            finally:
                self._closed = True

    def after_death(self) -> AfterDeath:
        """Have the kernel told the safe level by the program that runs after a death."""
        return SysfsWrite(str(self._file), self._text(self._safe))


def connect(settings: Settings) -> Led:
    """Take the LED and drive its safe level.

    Raises: DriverError.
    """
    return Led(settings)
