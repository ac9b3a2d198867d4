"""A thermometer on the 1-wire bus: a DS18B20 and its kin, read by the kernel's w1_therm. °C.

The kernel asks the chip when its file is read, which takes 750 ms at 12 bits; close() waits that long at most. A sum that is
wrong and the 85 °C that a chip says after it lost its power are no values.
Source: the kernel's Documentation/w1/slaves/w1_therm.rst; Maxim's data sheet of the DS18B20 (conversion time, power-on value).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from reflexd_drivers.base import DriverError, SensorSettings, SilentError
from reflexd_drivers.kernel_files import NumberKeys, missing, text_of
from reflexd_drivers.sensors.polled import Polled, PollKeys

POWER_ON = 85.0
NOTHING = "00 00 00 00 00 00 00 00 00"      # a shorted wire; no chip says that, for some of its bits are always 1
FAMILIES = ("10", "22", "28", "3b", "42")      # those that w1_therm reads
ANSWER = re.compile(r"crc=[0-9a-f]{2} (YES|NO)\b.*\bt=(-?[0-9]+)", re.DOTALL)


class Settings(NumberKeys, PollKeys, SensorSettings):
    """What the configuration says of a one-wire thermometer."""

    read_bound_s: ClassVar[float] = 2.0     # 750 ms, and as much again for each other chip that is read on the same bus

    every_ms: int = Field(default=2000, ge=1000, le=3_600_000, description="pause between two questions; less than max_age_ms")
    max_age_ms: int = Field(default=10_000, gt=0, le=86_400_000, description="an older reading counts as unknown")
    id: str = Field(pattern="^(10|22|28|3b|42)-[0-9a-f]{12}$", description='its number, as "28-0316a2791aff"')
    power_on_value: bool = Field(default=False, description="take 85 °C for true, which a chip also says after it lost power")


def temperature(text: str, where: str, power_on_value: bool) -> float:
    """Read what w1_therm says. Raises: DriverError, SilentError."""
    found = ANSWER.search(text)
    if found is None:
        raise SilentError(f"{where}: the thermometer did not answer; check its wire and its resistor of 4.7 kilohm")
    if found[1] != "YES":
        raise SilentError(f"{where}: the sum of what came is wrong; check the wire, its length and its resistor of 4.7 kilohm")
    if text.startswith(NOTHING):
        raise SilentError(f"{where}: the bus says nothing but zeros, whose sum is right; check whether its wire is shorted")
    value = int(found[2]) / 1000
    if value == POWER_ON and not power_on_value:
        raise SilentError(f"{where}: the chip says 85 °C, as after it lost its power; check its supply, or allow power_on_value")
    return value


def connect(settings: Settings, root: Path = Path("/")) -> Polled:
    """Find the chip by its number; it is asked for the first time when it is read.

    Raises: DriverError.
    """
    bus = root / "sys/bus/w1/devices"
    path = bus / settings.id / "w1_slave"
    if not path.exists():
        chips = [one.name for one in bus.glob("*-*") if one.name.split("-")[0] in FAMILIES]
        raise missing("one-wire", f"chip {settings.id}", chips, "check its wire, and dtoverlay=w1-gpio in config.txt")

    def ask() -> float:
        if not path.exists():
            raise DriverError(f"{settings.id}: the chip is gone from the bus; check its wire")
        return settings.true_value(settings.id, temperature(text_of(path), settings.id, settings.power_on_value))

    return Polled(settings.id, settings.every_ms, ask)
