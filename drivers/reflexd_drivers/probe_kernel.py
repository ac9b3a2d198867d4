"""What the kernel measures and drives by itself: IIO, hwmon, 1-wire and thermal sensors, and PWM channels.

Each is a folder of small files below /sys. Reading one may take as long as its bus does (a 1-wire sensor converts for
750 ms), so each folder is read in bounded time, and a value that did not come is left empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from reflexd_drivers.probe import in_time

Bus: TypeAlias = Literal["iio", "hwmon", "one-wire", "thermal"]
VALUES_AT_MOST = 16     # of one device: an ADC of 32 channels says nothing more by its last ones
READ_S = 4.0            # for all values of one device
VALUE_BYTES = 64


class Place(NamedTuple):
    """Where the devices of a bus are, how a value's file is called, and which file has the device's name."""

    folders: str
    values: re.Pattern[str]
    name: str


BUSES: Mapping[Bus, Place] = {
    "iio": Place("sys/bus/iio/devices/iio:device*", re.compile(r"in_\w+_(raw|input)"), "name"),
    "hwmon": Place("sys/class/hwmon/hwmon*", re.compile(r"(temp|in|curr|power|fan|humidity)\d+_input"), "name"),
    "one-wire": Place("sys/bus/w1/devices/[0-9a-f][0-9a-f]-*", re.compile("temperature"), "name"),
    "thermal": Place("sys/class/thermal/thermal_zone*", re.compile("temp"), "type"),
}
"""Source: Linux, Documentation/ABI/testing/sysfs-bus-iio, sysfs-class-hwmon, sysfs-class-thermal; w1/slaves/w1_therm.rst."""


@dataclass(frozen=True, slots=True)
class FoundSensor:
    """Something that the kernel measures; `values` has what each of its files said, "" where none came."""

    bus: Bus
    path: str
    name: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundPwm:
    """A chip of PWM channels, by the number that the kernel gave it and by the device behind it, which stays the same."""

    path: str
    device: str
    channels: int
    exported: tuple[int, ...] = ()


def find_sensors(root: Path = Path("/")) -> Iterator[FoundSensor]:
    """Find what the kernel measures, bus by bus; hwmon's copies of thermal zones and 1-wire sensors are left out."""
    twice = re.compile(r"thermal_zone\d+|w1_slave_temp|cpu_thermal")
    for bus, place in BUSES.items():
        for folder in sorted(root.glob(place.folders), key=_number):
            found = in_time(lambda folder=folder, bus=bus: _sensor(bus, folder), READ_S)      # type: ignore[misc]
            if found is not None and not (bus == "hwmon" and twice.fullmatch(found.name)):
                yield found


def _sensor(bus: Bus, folder: Path) -> FoundSensor | None:
    place = BUSES[bus]
    names = sorted(one.name for one in folder.iterdir() if place.values.fullmatch(one.name))[:VALUES_AT_MOST]
    if not names:
        return None
    return FoundSensor(bus, str(folder), read_text(folder / place.name), {name: read_text(folder / name) for name in names})


def find_pwm(root: Path = Path("/")) -> Iterator[FoundPwm]:
    """Find the chips of PWM channels."""
    for folder in sorted((root / "sys/class/pwm").glob("pwmchip*"), key=_number):
        count = read_text(folder / "npwm")
        if count.isdecimal():
            out = sorted(int(one.name[3:]) for one in folder.glob("pwm[0-9]*") if one.name[3:].isdecimal())
            yield FoundPwm(str(folder), (folder / "device").resolve().name, int(count), tuple(out))


def read_text(path: Path) -> str:
    """Give what a small file says; nothing where it cannot be read."""
    with suppress(OSError, ValueError), path.open("rb", buffering=0) as file:
        return file.read(VALUE_BYTES).decode().strip("\0\n ")
    return ""


def _number(path: Path) -> tuple[str, int, str]:
    digits = re.search(r"\d+$", path.name)
    return path.name.rstrip("0123456789"), int(digits[0]) if digits else 0, path.name
