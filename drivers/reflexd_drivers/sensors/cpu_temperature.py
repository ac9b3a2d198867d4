"""How hot the processor is, in °C, as the kernel's own protection sees it."""

from __future__ import annotations

from math import inf
from pathlib import Path

from pydantic import Field

from reflexd_drivers.base import SensorSettings
from reflexd_drivers.kernel_files import NumberKeys, missing, named, number_of
from reflexd_drivers.sensors.polled import Polled, PollKeys

ABSOLUTE_ZERO_C = -273.15
MILLI = 1e-3     # thermal_zone*/temp is in thousandths of a °C. Source: Documentation/driver-api/thermal/sysfs-api.rst


class Settings(NumberKeys, PollKeys, SensorSettings):
    """What the configuration says of cpu-temperature."""

    every_ms: int = Field(default=500, ge=20, le=3_600_000, description="pause between two looks; less than max_age_ms")
    zone: str = Field(default="cpu-thermal", min_length=1, description='type of the zone, as "cpu-thermal" on a Raspberry Pi')

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Say that nothing is colder than absolute zero, while the value is in °C."""
        return (ABSOLUTE_ZERO_C, inf) if self.range is None and (self.scale, self.offset) == (1, 0) else self.range


def connect(settings: Settings, root: Path = Path("/")) -> Polled:
    """Find the zone by its type.

    Raises: DriverError.
    """
    folder, found = named((root / "sys/class/thermal").glob("thermal_zone*"), "type", settings.zone)
    if folder is None:
        raise missing("cpu-temperature", f"zone of type {settings.zone}", found, "write one of them as zone")
    path = folder / "temp"

    def ask() -> float:
        return settings.true_value(settings.zone, number_of(path) * MILLI)

    ask()
    return Polled(settings.zone, settings.every_ms, ask)
