"""Who has a device or a line open, for a message that has to name the program to stop."""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

GET_LINE_INFO = 0xC100_B405     # _IOWR(0xB4, 0x05, struct gpio_v2_line_info), linux/gpio.h
LINE_INFO = struct.Struct("=32s32sIIQ176x")
LINE_USED = 1


class Holder(NamedTuple):
    """A program that has a device open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def holders(device: str, processes: Path = Path("/proc")) -> Iterator[Holder]:
    """List the programs that have a device open, as far as this process may see them."""
    target = Path(device).resolve()
    found = set()
    for link in processes.glob("[0-9]*/fd/*"):
        with suppress(OSError):
            process = link.parent.parent
            if process not in found and link.readlink() == target:
                found.add(process)
                yield Holder(int(process.name), (process / "comm").read_text().strip())


def holder(device: str, processes: Path = Path("/proc")) -> str:
    """Name the program that has a device open, as far as this process may see it."""
    return str(next(holders(device, processes), "another program"))


def line_user(chip: Path, line: int) -> str | None:
    """Give the name that a line was taken under, None where it is free. Raises: OSError."""
    with chip.open("rb", buffering=0) as file:
        info = fcntl.ioctl(file, GET_LINE_INFO, LINE_INFO.pack(b"", b"", line, 0, 0))
    _, consumer, _, _, flags = LINE_INFO.unpack(info)
    return consumer.rstrip(b"\0").decode(errors="replace") if flags & LINE_USED else None
