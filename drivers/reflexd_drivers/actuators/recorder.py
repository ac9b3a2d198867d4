"""An actuator that writes down what it was told: for laptops, demonstrations and tests.

Each line is a JSON object with at_ns (monotonic) and level, complete before set() returns.
"""

from __future__ import annotations

import json
import os
import stat
from time import monotonic_ns
from typing import ClassVar

from pydantic import Field

from reflexd_drivers.base import ActuatorSettings, AfterDeath, ConfigPath, DriverError


class Settings(ActuatorSettings):
    """What the configuration says of a recorder."""

    guarded: ClassVar[bool] = False

    path: ConfigPath = Field(description="file that gets a line for each command; what is in it stays")


class Recorder:
    """A file that is told levels."""

    blocking = True   # a disk may take its time

    def __init__(self, settings: Settings) -> None:
        self._where = str(settings.path)
        self._safe = settings.safe
        self._file = -1
        try:
            # Without O_NONBLOCK a FIFO that nobody reads would hold the daemon here for ever.
            self._file = os.open(settings.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
            self._refuse_odd_files()
            self.safe()
        except OSError as error:
            self._drop()
            raise self._fault("cannot be written", error) from error

    def _refuse_odd_files(self) -> None:
        mode = os.fstat(self._file).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            raise DriverError(f"{self._where}: this is no file to write lines to; name another one")

    def _fault(self, what: str, error: OSError) -> DriverError:
        if isinstance(error, DriverError):
            return error
        return DriverError(f"{self._where}: the record {what}: {error.strerror or error}; make room or name another file")

    def set(self, level: float) -> None:
        """Write a line.

        Raises: DriverError when it was not written as a whole.
        """
        if self._file < 0:
            raise DriverError(f"{self._where}: the record was closed; open it again")
        line = json.dumps({"at_ns": monotonic_ns(), "level": level}).encode() + b"\n"
        try:
            written = os.write(self._file, line)   # no buffer of ours: nothing is left to flush
        except OSError as error:
            raise self._fault("did not take a line", error) from error
        if written < len(line):
            raise DriverError(f"{self._where}: the record took {written} of {len(line)} bytes; make room or name another file")

    def safe(self) -> None:
        """Write the safe level.

        Raises: DriverError.
        """
        self.set(self._safe)

    def close(self) -> None:
        """Write the safe level and close the file.

        Raises: DriverError when the line was not written; the file is closed all the same.
        """
        if self._file < 0:
            return
        try:
            self.safe()
        finally:
            self._drop()

    def _drop(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def after_death(self) -> AfterDeath:
        """Nothing needs to be set: a file has no level."""
        return None


def connect(settings: Settings) -> Recorder:
    """Open the file and write the safe level.

    Raises: DriverError.
    """
    return Recorder(settings)
