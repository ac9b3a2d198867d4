"""Who has a device open, for a message that has to name the program to stop."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def holder(device: str, processes: Path = Path("/proc")) -> str:
    """Name the program that has a device open, where it is known that one has."""
    return find_holder(device, processes) or "another program"


def find_holder(device: str, processes: Path = Path("/proc")) -> str | None:
    """Name a program that has a device open, as far as this process may see it."""
    target = Path(device).resolve()
    for link in processes.glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink() == target:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None
