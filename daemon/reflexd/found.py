"""What is plugged in, device by device, each with a table of the configuration that names it; for reflexctl probe.

Nothing but a serial port is opened beyond asking what it is; a port is listened to only where it is known that nobody
holds it. What this user may not see is said.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from reflexd import paste
from reflexd_drivers.cameras.libcamera_list import FoundSensor as FoundLens
from reflexd_drivers.cameras.libcamera_list import found_cameras
from reflexd_drivers.header import COOLING
from reflexd_drivers.probe import FoundCamera, FoundChip, FoundPort, find_cameras, find_chips, find_ports, in_time
from reflexd_drivers.probe_kernel import FoundPwm, FoundSensor, find_pwm, find_sensors
from reflexd_drivers.probe_serial import BAUDS, LISTEN_S, SILENT_S, Heard, hear

Listen: TypeAlias = Literal["free", "always", "never"]
HEAR_S = SILENT_S + len(BAUDS) * LISTEN_S + 2
NODES = ("video[0-9]*", "gpiochip[0-9]*", "ttyUSB*", "ttyACM*", "ttyAMA*", "media[0-9]*")
SHOWN_LINES = 64     # of a chip, with their users


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was found: what to say of it, what to write for it, and all of it for programs."""

    kind: str
    where: str
    about: tuple[str, ...]
    tables: tuple[paste.Table, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def everything(listen: Listen, root: Path = Path("/"),
               lenses: Callable[[], tuple[FoundLens, ...]] = found_cameras) -> Iterator[Item]:
    """Find all that there is below a root, which is another one for tests only; each in bounded time."""
    names = paste.Names()
    for lens in lenses():
        yield lens_item(lens, names)
    for camera in find_cameras(root):
        yield camera_item(camera, names)
    chips = tuple(find_chips(root))
    for chip in chips:
        yield chip_item(chip, chip is next((one for one in chips if one.header), chips[0]), names)
    for port in find_ports(root):
        yield port_item(port, listened(port, listen), names)
    for sensor in find_sensors(root):
        yield sensor_item(sensor, names)
    for pwm in find_pwm(root):
        yield pwm_item(pwm, names)


def camera_item(camera: FoundCamera, names: paste.Names) -> Item:
    """Describe a camera at USB."""
    def spans(code: str) -> str:
        return ", ".join(f"{most[0]}x{most[1]}" if least == most else f"{least[0]}x{least[1]} to {most[0]}x{most[1]}"
                         for least, most in camera.formats[code])

    modes = [f"{code}: {spans(code) or 'sizes are not told'}" for code in camera.formats]
    held = [f"in use by {camera.holder}"] if camera.holder else []
    return Item("camera", camera.device, (camera.card, *modes, *held), (paste.usb(camera, names),), asdict(camera))


def lens_item(lens: FoundLens, names: paste.Names) -> Item:
    """Describe a camera behind libcamera."""
    about = f"{lens.model}, behind libcamera, number {lens.index}"
    sizes = ", ".join(f"{width}x{height}" for width, height in lens.sizes)
    return Item("camera", lens.id, (about, f"the sensor gives {sizes or 'sizes that are not told'}"),
                (paste.libcamera(lens, names),), asdict(lens))


def chip_item(chip: FoundChip, chosen: bool, names: paste.Names) -> Item:
    """Describe a GPIO chip; `chosen` says whether pins are taken from this one."""
    what = f"{chip.label}, {chip.lines} lines{', those of the 40-pin header' if chip.header else ''}"
    used = [f"line {line} is in use by {user}" for line, user in list(chip.used.items())[:SHOWN_LINES]]
    more = [f"{len(chip.used) - SHOWN_LINES} more lines are in use"] if len(chip.used) > SHOWN_LINES else []
    return Item("gpio", chip.device, (what, *used, *more), paste.gpio(chip, names) if chosen else (), asdict(chip))


def listened(port: FoundPort, listen: Listen, may_see: bool | None = None, listener: Callable[[str], Heard] = hear) -> Heard:
    """Listen to a port, unless it is held, or might be by a program that this user cannot see."""
    if port.holder is not None:
        return Heard(f"not opened: it is in use by {port.holder}")
    if listen == "never":
        return Heard("not opened: --no-listen")
    if listen == "free" and not (os.geteuid() == 0 if may_see is None else may_see):
        return Heard("not opened: only root sees whether another user's program has it, and opening restarts many boards; "
                     "--listen opens it all the same")
    return in_time(lambda: listener(port.port), HEAR_S) or Heard("opened, and did not answer in time")


def port_item(port: FoundPort, heard: Heard, names: paste.Names) -> Item:
    """Describe a serial port and what it said."""
    opened = "" if heard.found.startswith("not opened") else "opened to listen, which restarts many boards: "
    said = [f"says: {line}" for line in heard.lines]
    what = f"{opened}{f'text at {heard.baud} baud' if heard.lines else heard.found}"
    return Item("serial", port.port, (what, *said), (paste.serial(port, heard, names),), {**asdict(port), "heard": asdict(heard)})


def sensor_item(sensor: FoundSensor, names: paste.Names) -> Item:
    """Describe what the kernel measures."""
    values = [f"{name} = {value or 'no answer'}" for name, value in sensor.values.items()]
    return Item("sensor", sensor.path, (f"{sensor.bus}: {sensor.name or 'no name'}", *values), paste.kernel(sensor, names),
                asdict(sensor))


def pwm_item(pwm: FoundPwm, names: paste.Names) -> Item:
    """Describe a chip of PWM channels."""
    out = [f"channel {number} is exported: a program uses it" for number in pwm.exported]
    cooling = ["it drives the fan of the board itself: leave it alone"] if pwm.device == COOLING else []
    return Item("pwm", pwm.path, (f"{pwm.channels} channels of {pwm.device}", *cooling, *out), paste.pwm(pwm, names), asdict(pwm))


def may_open(node: Path) -> bool:
    """Say whether this user may open a device."""
    return os.access(node, os.R_OK | os.W_OK)


def unseen(root: Path = Path("/"), root_user: bool | None = None, may: Callable[[Path], bool] = may_open) -> list[str]:
    """Say what this user may not open, and which group may."""
    if os.geteuid() == 0 if root_user is None else root_user:
        return []
    nodes = [one for pattern in NODES for one in sorted((root / "dev").glob(pattern))]
    closed = [f"{node}: permission denied; {_remedy(node)}" for node in nodes if not may(node)]
    return [*closed, "which program holds a device of another user: use sudo"]


def _remedy(node: Path) -> str:
    with suppress(OSError, KeyError):
        if (group := grp.getgrgid(node.stat().st_gid).gr_name) != "root":
            return f"join group {group}, or use sudo"
    return "use sudo"
