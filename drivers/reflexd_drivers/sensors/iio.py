"""A sensor or converter that a driver of the kernel reads: below /sys/bus/iio/devices. SI units.

Source of names and units: the kernel's Documentation/ABI/testing/sysfs-bus-iio. The value is (raw + offset) * scale, in
millivolts, milliamperes, thousandths of a °C or of a percent, kilopascals, gauss; others are in SI units.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from reflexd_drivers.base import SensorSettings
from reflexd_drivers.kernel_files import NumberKeys, missing, named, number_of
from reflexd_drivers.sensors.polled import Polled, PollKeys

UNITS = {"voltage": 1e-3, "current": 1e-3, "temp": 1e-3, "humidityrelative": 1e-3, "power": 1e-3, "pressure": 1e3, "magn": 1e-4}
"""From the kernel's unit to V, A, °C, percent, W, Pa, T; others are in SI units already."""


NAME = "^in_[a-z]+[0-9]*(_[a-z0-9]+)?(-[a-z]+[0-9]+)?$"


class Settings(NumberKeys, PollKeys, SensorSettings):
    """What the configuration says of an iio sensor."""

    every_ms: int = Field(default=200, ge=5, le=3_600_000, description="pause between two questions; less than max_age_ms")
    device: str = Field(min_length=1, description='its name, as "bme280"; or "iio:device0", whose number may change')
    channel: str = Field(pattern=NAME, description='which of its values, as "in_temp" or "in_voltage0"')
    more: tuple[Annotated[str, Field(pattern=NAME)], ...] = Field(
        default=(), max_length=15, description="further channels, read right after it, for networks that watch windows")

    @property
    def channels(self) -> tuple[str, ...]:
        """Name what is read."""
        return (self.channel, *self.more)


class Channel:
    """The files of one channel: what it says, and how that becomes a value."""

    def __init__(self, folder: Path, channel: str) -> None:
        self._input, self._raw = folder / f"{channel}_input", folder / f"{channel}_raw"
        kind = re.sub("[0-9].*$", "", channel.removeprefix("in_").partition("_")[0])
        self._unit = UNITS.get(kind, 1)
        self._has_input = self._input.exists()
        if not self._has_input and not self._raw.exists():
            found = [one.name.removesuffix("_raw").removesuffix("_input")
                     for one in folder.glob("in_*") if one.name.endswith(("_raw", "_input"))]
            raise missing(folder.name, f"channel {channel}", found, "write one of them as channel")
        shared = "in_" + kind
        self._offset = _either(folder, channel, shared, "offset", 0)
        self._scale = _either(folder, channel, shared, "scale", 1)

    def read(self) -> float:
        """Give the value in SI units. Raises: DriverError."""
        if self._has_input:
            return number_of(self._input) * self._unit
        return (number_of(self._raw) + self._offset) * self._scale * self._unit


def _either(folder: Path, channel: str, shared: str, what: str, default: float) -> float:
    """Read what belongs to the channel, or to all of its kind. Raises: DriverError."""
    for name in (channel, shared, f"{shared}-{shared.removeprefix('in_')}"):     # the last for in_voltage0-voltage1
        if (folder / f"{name}_{what}").exists():
            return number_of(folder / f"{name}_{what}")
    return default


def connect(settings: Settings, root: Path = Path("/")) -> Polled:
    """Find the device by its name.

    Raises: DriverError.
    """
    folder, found = named((root / "sys/bus/iio/devices").glob("iio:device*"), "name", settings.device)
    if folder is None:
        raise missing("iio", f"device called {settings.device}", found,
                      "write one of them as device, or load its overlay in config.txt")
    where = f"{settings.device} {settings.channel}"
    channels = [(f"{settings.device} {name}", Channel(folder, name)) for name in settings.channels]

    def ask() -> float | tuple[float, ...]:
        found = tuple(settings.true_value(name, channel.read()) for name, channel in channels)
        return found if settings.more else found[0]

    ask()
    return Polled(where, settings.every_ms, ask)

