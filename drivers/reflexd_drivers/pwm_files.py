"""The kernel's files for pulses: which chips there are, and which pin is led to which channel.

Assumptions, cannot be tried without the board: channels and the address in a chip's name by board, and the device tree that
says which pins an overlay led to the chip. Source: raspberrypi/linux, arch/arm/boot/dts/overlays/README (pwm, pwm-2chan),
drivers/pwm/pwm-bcm2835.c and pwm-rp1.c; the kernel's Documentation/ABI/testing/sysfs-class-pwm.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reflexd_drivers.base import DriverError
from reflexd_drivers.gpio import Factory
from reflexd_drivers.header import BOARDS, PWM_FUNCTIONS

CHIPS = {device: {f"GPIO{bcm}": channel for bcm, channel in board.pwm.items()} for board in BOARDS for device in board.pwm_device}
OVERLAY = "add dtoverlay=pwm,pin=18,func=2 to config.txt (GPIO12: func=4), and the drop-in hardware-pwm.conf"


class PwmFiles:
    """The kernel's files for PWM below a root, which is another one for tests only."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def read(self, path: str) -> str:
        """Read a file. Raises: OSError."""
        return (self.root / path).read_text()

    def write(self, path: str, text: str) -> None:
        """Write a file in one piece, as the kernel wants it. Raises: OSError."""
        descriptor = os.open(self.root / path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Say whether there is such a file."""
        return (self.root / path).exists()

    def hold(self, path: str) -> int:
        """Open a file for this process alone. Raises: OSError, BlockingIOError when another has it."""
        descriptor = os.open(self.root / path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def chips(self) -> Iterator[tuple[str, str]]:
        """Give the folder of each chip, and the name of the device behind it."""
        for chip in sorted((self.root / "sys/class/pwm").glob("pwmchip*")):
            with suppress(OSError):
                yield f"sys/class/pwm/{chip.name}", (chip / "device").resolve(strict=True).name

    def routed(self, chip: str) -> set[str] | None:
        """Give the pins that the device tree leads to a chip; None where that cannot be known."""
        base = self.root / "sys/firmware/devicetree/base"
        try:
            wanted = (self.root / chip / "device/of_node/pinctrl-0").read_bytes()
        except OSError:
            return None
        wants = {wanted[at:at + 4] for at in range(0, len(wanted), 4)}
        pins: set[str] = set()
        for node in (*base.glob("soc*/gpio@*/*"), *base.glob("axi/pcie@*/rp1*/gpio@*/*")):
            with suppress(OSError):
                if (node / "phandle").read_bytes() in wants:
                    pins |= _pins_of(node)
        return pins or None


def files_for(factory: Factory) -> PwmFiles:
    """Give the kernel's files; simulated pins are never led to real hardware."""
    return PwmFiles(Path("/nonexistent") if factory == "mock" else Path("/"))


def _pins_of(node: Path) -> set[str]:
    if (node / "brcm,pins").exists():
        numbers = (node / "brcm,pins").read_bytes()
        return {f"GPIO{number}" for number, in struct.iter_unpack(">I", numbers)}
    return {name.upper() for name in (node / "pins").read_text().split("\0") if name}


@dataclass(frozen=True, slots=True)
class Route:
    """The hardware that a pin is led to."""

    chip: str
    channel: int

    @property
    def folder(self) -> str:
        """The channel's folder."""
        return f"{self.chip}/pwm{self.channel}"


def find_route(pin: str, files: PwmFiles) -> Route:
    """Find the hardware behind a pin. Raises: DriverError that says why there is none."""
    if pin not in (f"GPIO{bcm}" for bcm in PWM_FUNCTIONS):
        raise DriverError(f"{pin}: no hardware makes pulses at this pin; take GPIO12, GPIO13, GPIO18 or GPIO19")
    for chip, device in files.chips():
        if device in CHIPS:
            led = files.routed(chip)
            if led is not None and pin not in led:
                raise DriverError(f"{pin}: the hardware's pulses are led to {' and '.join(sorted(led))}; {OVERLAY}")
            return Route(chip, CHIPS[device][pin])
    raise DriverError(f"{pin}: the kernel shows no hardware for pulses; {OVERLAY}")
