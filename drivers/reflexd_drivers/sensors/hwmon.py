"""What the kernel measures of itself and its boards: voltages, fans, temperatures below /sys/class/hwmon. SI units.

Source of names and units: the kernel's Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from reflexd_drivers.base import SensorSettings
from reflexd_drivers.kernel_files import NumberKeys, missing, named, number_of
from reflexd_drivers.sensors.polled import Polled, PollKeys

UNITS = {"temp": 1e-3, "in": 1e-3, "curr": 1e-3, "power": 1e-6, "energy": 1e-6, "humidity": 1e-3, "freq": 1}
"""From a file's number to °C, V, A, W, J, percent, Hz; fans are in turns a minute, alarms 0 or 1."""
MEASURED = re.compile("([a-z]+)[0-9]*_(input|average|lowest|highest|min|max|crit|lcrit)")


class Settings(NumberKeys, PollKeys, SensorSettings):
    """What the configuration says of a hwmon sensor."""

    every_ms: int = Field(default=500, ge=10, le=3_600_000, description="pause between two looks; less than max_age_ms")
    device: str = Field(min_length=1, description='its name, as "rpi_volt"; the number of hwmon0 differs from start to start')
    file: str = Field(pattern=r"^[a-z]+[0-9]*(_[a-z]+)*$",
                      description='which of its values, as "temp1_input" or "in0_lcrit_alarm"')


def connect(settings: Settings, root: Path = Path("/")) -> Polled:
    """Find the device by its name.

    Raises: DriverError.
    """
    folder, found = named((root / "sys/class/hwmon").glob("hwmon*"), "name", settings.device)
    if folder is None:
        raise missing("hwmon", f"device called {settings.device}", found, "write one of them as device")
    path = folder / settings.file
    kind = MEASURED.fullmatch(settings.file)
    unit = UNITS.get(kind[1], 1) if kind else 1

    def ask() -> float:
        return settings.true_value(f"{settings.device} {settings.file}", number_of(path) * unit)

    ask()
    return Polled(f"{settings.device} {settings.file}", settings.every_ms, ask)
