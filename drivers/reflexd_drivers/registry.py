"""Driver name → module, imported on use. To add a driver is to add its file and one line here.

Drivers of third parties are found by entry points of the same shape: group `reflexd.cameras`,
`reflexd.sensors` or `reflexd.actuators`, name = module (or module:object with the same two names).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeAlias, cast

from reflexd_drivers.base import DriverModule

Kind: TypeAlias = Literal["camera", "sensor", "actuator"]

DRIVERS: dict[Kind, dict[str, str]] = {
    "camera": {
        "pattern": "reflexd_drivers.cameras.pattern",
        "picamera2": "reflexd_drivers.cameras.picamera2",
        "replay": "reflexd_drivers.cameras.replay",
        "usb": "reflexd_drivers.cameras.usb",
    },
    "sensor": {
        "cpu-temperature": "reflexd_drivers.sensors.cpu_temperature",
        "distance": "reflexd_drivers.sensors.distance",
        "gpio-input": "reflexd_drivers.sensors.gpio_input",
        "hwmon": "reflexd_drivers.sensors.hwmon",
        "iio": "reflexd_drivers.sensors.iio",
        "mcp3xxx": "reflexd_drivers.sensors.mcp3xxx",
        "one-wire": "reflexd_drivers.sensors.one_wire",
        "pulse-counter": "reflexd_drivers.sensors.pulse_counter",
        "modbus": "reflexd_drivers.sensors.modbus",
        "nmea": "reflexd_drivers.sensors.nmea",
        "scripted": "reflexd_drivers.sensors.scripted",
        "serial-frames": "reflexd_drivers.sensors.serial_frames",
        "serial-lines": "reflexd_drivers.sensors.serial_lines",
    },
    "actuator": {
        "gpio-output": "reflexd_drivers.actuators.gpio_output",
        "pwm": "reflexd_drivers.actuators.pwm",
        "recorder": "reflexd_drivers.actuators.recorder",
        "servo": "reflexd_drivers.actuators.servo",
        "serial-command": "reflexd_drivers.actuators.serial_command",
    },
}


def names(kind: Kind) -> list[str]:
    """List the drivers of a kind, ours first."""
    return list(modules(kind))


def modules(kind: Kind) -> dict[str, str]:
    """Give the module of each driver of a kind; a third party cannot replace one of ours."""
    foreign = {point.name: point.value for point in entry_points(group=f"reflexd.{kind}s")}
    return {**DRIVERS[kind], **{name: module for name, module in foreign.items() if name not in DRIVERS[kind]}}


def load(kind: Kind, name: str) -> DriverModule:
    """Import the driver of that name.

    Raises: LookupError when there is none.
    """
    found = DRIVERS[kind] if name in DRIVERS[kind] else modules(kind)      # to ask every package takes 26 ms
    if name not in found:
        raise LookupError(f'no {kind} driver is called "{name}"; there are {", ".join(found)}')
    return cast("DriverModule", EntryPoint(name, found[name], kind).load())
