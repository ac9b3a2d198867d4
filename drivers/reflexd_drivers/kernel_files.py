"""Values that the kernel has read already and shows as files of text: found by name, read in bounded time, and checked.

A file of the kernel is read anew by opening it anew. What is no number, not finite or out of range is no value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite
from pathlib import Path

from reflexd_drivers import scaling
from reflexd_drivers.base import DriverError, SilentError, ValueKind

LONGEST = 4096      # of a file of the kernel: a page


class NumberKeys(scaling.NumberKeys):
    """What every driver takes whose device says nothing but a number."""

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "number"

    def true_value(self, where: str, number: float) -> float:
        """Give the value that a number stands for. Raises: SilentError when it cannot be true."""
        value = number * self.scale + self.offset
        if not isfinite(value):
            raise SilentError(f"{where}: the device says {value}, which is no number; check the device")
        if self.range is not None and not self.range[0] <= value <= self.range[1]:
            least, greatest = self.range
            raise SilentError(f"{where}: a value is outside of range = [{least:g}, {greatest:g}]; "
                              "check the device, or widen range")
        return value


def text_of(path: Path) -> str:
    """Read a file of the kernel. A pipe that nobody writes to says nothing instead of blocking.

    Raises: DriverError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.read(descriptor, LONGEST).decode("ascii", errors="replace").strip()
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise DriverError(f"{path}: there is no such file; plug the device in, or load its driver") from error
    except OSError as error:
        raise DriverError(f"{path}: the kernel cannot read the device: {error.strerror}; check its wiring and dmesg") from error


def number_of(path: Path) -> float:
    """Read a file that holds one number. Raises: DriverError."""
    text = text_of(path)
    try:
        return float(text)
    except ValueError as error:
        found = f'"{text[:40]}"' if text else "nothing"
        raise DriverError(f"{path}: a number was expected, found {found}; name another file") from error


def named(folders: Iterator[Path], file: str, name: str) -> tuple[Path | None, list[str]]:
    """Find the folder whose file says that name, and the names that there are."""
    found: list[str] = []
    for folder in sorted(folders):
        with suppress(DriverError):
            found.append(text_of(folder / file))
            if found[-1] == name or folder.name == name:
                return folder, found
    return None, found


def missing(where: str, what: str, found: list[str], remedy: str) -> DriverError:
    """Say that there is no such device, and which there are."""
    return DriverError(f"{where}: there is no {what}; found {', '.join(sorted(set(found))) or 'none'}; {remedy}")
