"""Drivers of a third party, for a daemon that is to die: their levels can be seen from outside, and set after a death.

They are found by entry points, as a package that is installed beside reflexd: `install` makes one in a folder.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from reflexd_drivers.base import ActuatorSettings, AfterDeath, SerialBytes, SysfsWrite

ENTRY_POINTS = """\
[reflexd.actuators]
terminal-relay = tests.system.relays:TerminalDriver
file-relay = tests.system.relays:FileDriver
hanging-relay = tests.system.relays:HangingDriver
"""
AFTER_DEATH = b"safe after death\n"


def install(folder: Path) -> Path:
    """Make what an installed package leaves for others to find; the folder belongs on the path of Python."""
    about = folder / "third_party_relays-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-relays\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


class TerminalSettings(ActuatorSettings):
    port: str = Field(description="a terminal that is told on, off and safe")


class FileSettings(ActuatorSettings):
    path: str = Field(description="a file with 1 or 0, as the kernel's for a level")


class HangingSettings(FileSettings):
    way: Literal["sleep", "lock"] = Field(description="with the interpreter's lock given up, or held for ever")


class TerminalRelay:
    """Says its level to a serial port."""

    blocking = False

    def __init__(self, settings: TerminalSettings) -> None:
        self._port = settings.port
        self._safe = settings.safe
        self._file = os.open(settings.port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        self.safe()

    def set(self, level: float) -> None:
        os.write(self._file, b"on\n" if level else b"off\n")

    def safe(self) -> None:
        self.set(self._safe)

    def close(self) -> None:
        self.safe()

    def after_death(self) -> AfterDeath:
        return SerialBytes(self._port, 9600, AFTER_DEATH)


class FileRelay:
    """Keeps its level in a file."""

    blocking = False

    def __init__(self, settings: FileSettings) -> None:
        self._path = Path(settings.path)
        self._safe = settings.safe
        self.safe()

    def set(self, level: float) -> None:
        self._path.write_text("1" if level else "0")

    def safe(self) -> None:
        self.set(self._safe)

    def close(self) -> None:
        self.safe()

    def after_death(self) -> AfterDeath:
        return SysfsWrite(str(self._path), "1" if self._safe else "0")


class HangingRelay(FileRelay):
    """Never comes back once it is active."""

    def __init__(self, settings: HangingSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def set(self, level: float) -> None:
        super().set(level)
        if level != self._safe:
            self.hang()

    def hang(self) -> None:
        if self._settings.way == "sleep":
            time.sleep(600)
        ctypes.PyDLL(None).sleep(600)


class TerminalDriver:
    Settings = TerminalSettings
    connect = staticmethod(TerminalRelay)


class FileDriver:
    Settings = FileSettings
    connect = staticmethod(FileRelay)


class HangingDriver:
    Settings = HangingSettings
    connect = staticmethod(HangingRelay)
