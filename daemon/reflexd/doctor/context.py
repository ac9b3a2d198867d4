"""Where checks look: a tree of files, the configuration, the daemon, and what no file tells.

A test gives another root and another Outside; nothing is patched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexd.kernel_clock import kernel_says
from reflexd.protocol import ControlError, ask
from reflexd_drivers import holders

if TYPE_CHECKING:
    from reflexd.config.settings import Settings
    from reflexd_drivers.gpio import Chip

SERVICE = "reflexd.service"


def clock_is_set() -> bool:
    """Ask the kernel whether somebody keeps its clock right."""
    return bool(kernel_says())


def show_unit() -> dict[str, str]:
    """Give the unit's properties as they count, with all drop-ins. Raises: OSError, SubprocessError."""
    command = ["systemctl", "show", "--no-pager", SERVICE]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def chips(folder: Path) -> list[Chip]:
    """List the GPIO chips that this process may open."""
    from reflexd_drivers.gpio import list_chips

    return list_chips(folder)


@dataclass(frozen=True)
class Outside:
    """What is asked of the system, where no file tells it."""

    python: tuple[int, int] = sys.version_info[:2]
    superuser: bool = field(default_factory=lambda: os.geteuid() == 0)
    clock_is_set: Callable[[], bool] = clock_is_set
    space: Callable[[Path], os.statvfs_result] = os.statvfs
    module: Callable[[str], object] = import_module
    unit: Callable[[], dict[str, str]] = show_unit
    chips: Callable[[Path], list[Chip]] = chips
    line_user: Callable[[Path, int], str | None] = holders.line_user


@dataclass(frozen=True)
class Context:
    """What a check is given."""

    config: Path
    socket: Path
    root: Path = Path("/")
    outside: Outside = field(default_factory=Outside)

    def path(self, name: str) -> Path:
        """Find a file of the system."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Give the text of a file, None where it cannot be read."""
        try:
            return self.path(name).read_text(errors="replace").strip("\n\0")
        except OSError:
            return None

    @cached_property
    def settings(self) -> Settings | None:
        """Give the configuration; None where it cannot be used, which a check of its own tells."""
        try:
            from reflexd.config.load import load

            return load(self.config).settings
        except Exception:
            return None

    @cached_property
    def unit(self) -> dict[str, str]:
        """Give the properties of the unit; nothing where it is not installed or systemd does not answer."""
        try:
            told = self.outside.unit()
        except (OSError, subprocess.SubprocessError):
            return {}
        return told if told.get("LoadState") not in (None, "not-found") else {}

    @cached_property
    def answer(self) -> dict[str, Any] | ControlError:
        """Give what the daemon says of itself, or why it does not."""
        try:
            return dict(ask(self.socket, "status"))
        except ControlError as error:
            return error

    @property
    def status(self) -> dict[str, Any]:
        """Give what the daemon says of itself; nothing where it does not."""
        return {} if isinstance(self.answer, ControlError) else self.answer

    @property
    def pid(self) -> int:
        """Give the process of the daemon, 0 where there is none."""
        return int(self.status.get("pid", 0) or self.unit.get("MainPID", 0))

    @property
    def is_pi(self) -> bool:
        """Say whether this is a Raspberry Pi."""
        return "Raspberry Pi" in (self.read("/proc/device-tree/model") or "")

    def works(self, kind: str, name: str) -> bool:
        """Say whether the running daemon has that device, so that whoever holds it is the daemon."""
        part = self.status.get("outputs" if kind == "actuator" else f"{kind}s", {}).get(name, {})
        return bool(part) and part.get("state", "run") == "run"
