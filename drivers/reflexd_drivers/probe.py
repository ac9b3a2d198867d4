"""What is plugged in: cameras, GPIO chips and serial ports, with what a person has to know to choose one.

Nothing is changed by looking: no format is set, no line claimed, and no serial port opened, since that restarts many
boards. A device that does not answer is left out after a bounded time; what cannot be known is said to be unknown.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from reflexd_drivers.cameras.libcamera_list import FoundSensor, found_cameras
from reflexd_drivers.cameras.usb import READS
from reflexd_drivers.cameras.v4l2 import CAP_CAPTURE, CAP_MEDIA, CAP_STREAMING, Card, SizeRange, V4l2Device
from reflexd_drivers.gpio import CHIP_INFO, GPIO_GET_CHIPINFO, HEADER_LABELS
from reflexd_drivers.holders import holders, line_user

ANSWER_S = 2.0
NO_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "pispbe", "rpivid", "rpi-hevc-dec")
"""Kernel drivers of a Pi that convert pictures and have none of their own.

Source: raspberrypi/linux, drivers/staging/vc04_services and drivers/media/platform/raspberrypi.
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that the driver `usb` can read; `device` is the name that changes least."""

    device: str
    card: str
    formats: Mapping[str, tuple[SizeRange, ...]]      # those that the driver reads, with their sizes where they are told
    holder: str | None = None

    def nearest(self, wanted: tuple[int, int] = (640, 480)) -> tuple[int, int] | None:
        """Choose the size nearest to the one wanted, in the format that the driver takes; None where no size is told."""
        best = next(code for code in READS if code in self.formats)
        sizes = [(_between(wanted[0], least[0], most[0]), _between(wanted[1], least[1], most[1]))
                 for least, most in self.formats[best]]
        return min(sizes, key=lambda size: abs(size[0] - wanted[0]) + abs(size[1] - wanted[1]), default=None)


@dataclass(frozen=True, slots=True)
class FoundChip:
    """A GPIO chip, and who uses its lines; `header` says whether the pins of a Pi's header are its first lines."""

    device: str
    label: str
    lines: int
    used: Mapping[int, str] = field(default_factory=dict)

    @property
    def header(self) -> bool:
        """Say whether this is the chip of the 40-pin header."""
        return self.label in HEADER_LABELS


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port with something behind it, and who holds it."""

    port: str
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found."""

    cameras: tuple[FoundCamera | FoundSensor, ...] = ()
    chips: tuple[FoundChip, ...] = ()
    ports: tuple[FoundPort, ...] = ()

    @property
    def header(self) -> FoundChip | None:
        """Give the chip of the header, where there is one."""
        return next((chip for chip in self.chips if chip.header), None)


class Device(Protocol):
    """What is asked of a camera: V4l2Device, or a stand-in that behaves like it."""

    def card(self) -> Card: ...
    def codes(self) -> list[str]: ...
    def sizes(self, code: str) -> list[SizeRange]: ...
    def close(self) -> None: ...


def probe(root: Path = Path("/")) -> Found:
    """Look at everything below a root, which is another one for tests only."""
    behind = found_cameras() if root == Path("/") else ()       # libcamera looks at this computer, wherever the root is
    return Found((*behind, *find_cameras(root)), tuple(find_chips(root)), tuple(find_ports(root)))


def find_cameras(root: Path = Path("/"), open_device: Callable[[str], Device] = V4l2Device) -> Iterator[FoundCamera]:
    """Find the cameras that the driver `usb` can read."""
    for node in sorted((root / "dev").glob("video[0-9]*"), key=_number):
        def look(node: Path = node) -> FoundCamera | None:
            holder = _holder(node, root)       # before it is held by this process
            with closing(open_device(str(node))) as device:
                return _camera(device, stable(node, root / "dev" / "v4l"), holder)

        camera = in_time(look)
        if camera is not None:
            yield camera


def _camera(device: Device, name: str, holder: str | None) -> FoundCamera | None:
    card = device.card()
    if not card.can & CAP_CAPTURE or not card.can & CAP_STREAMING or card.can & CAP_MEDIA or card.driver in NO_CAMERAS:
        return None
    formats = {code: tuple(device.sizes(code)) for code in device.codes() if code in READS}
    return FoundCamera(name, card.name, formats, holder) if formats else None


def stable(node: Path, links: Path) -> str:
    """Give the name of a device that outlives its number: by what it is, else by where it is plugged in, else the number."""
    for folder in ("by-id", "by-path"):
        for link in sorted((links / folder).glob("*")):
            if link.resolve() == node.resolve():
                return str(link)
    return str(node)


def in_time(look: Callable[[], T | None], bound_s: float = ANSWER_S) -> T | None:
    """Look at one device in a thread of its own, which is left behind where the device does not answer."""
    answer: list[T | None] = []

    def ask() -> None:
        with suppress(OSError):     # busy, gone, not for this user, or something else than its name says
            answer.append(look())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(bound_s)
    return answer[0] if answer else None


def find_chips(root: Path = Path("/"), read_chip: Callable[[str], FoundChip] | None = None) -> Iterator[FoundChip]:
    """Find the GPIO chips that this process may open."""
    for node in sorted((root / "dev").glob("gpiochip[0-9]*"), key=_number):
        if node.is_symlink():       # a Pi 5 has its header's chip under an older name as well
            continue
        chip = in_time(lambda node=node: (read_chip or _chip)(str(node)))    # type: ignore[misc]
        if chip is not None:
            yield chip


def _chip(device: str) -> FoundChip:
    path = Path(device)
    with path.open("rb", buffering=0) as file:
        _, label, lines = CHIP_INFO.unpack(fcntl.ioctl(file, GPIO_GET_CHIPINFO, bytes(CHIP_INFO.size)))
    used = {line: user or "the kernel" for line in range(min(lines, 1024)) if (user := line_user(path, line)) is not None}
    return FoundChip(device, label.rstrip(b"\0").decode(errors="replace"), lines, used)


def find_ports(root: Path = Path("/")) -> Iterator[FoundPort]:
    """Find serial ports: adapters by names that stay the same, and those of the board that are really there."""
    dev, classes = root / "dev", root / "sys" / "class" / "tty"
    nodes = [node for kind in ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS*") for node in sorted(dev.glob(kind), key=_number)]
    consoles = _read(classes / "console" / "active").split()
    for node in nodes:
        if not node.name.startswith("ttyS") or _read(classes / node.name / "type") not in ("", "0"):   # 0: no chip answered there
            holder = "the kernel's console" if node.name in consoles else _holder(node, root)
            yield FoundPort(stable(node, dev / "serial"), holder)


def _holder(node: Path, root: Path) -> str | None:
    holder = next(holders(str(node), root / "proc"), None)
    return None if holder is None else str(holder)


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def _number(node: Path) -> tuple[str, int]:
    kind = node.name.rstrip("0123456789")
    return kind, int(node.name[len(kind):] or 0)


def _between(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)
