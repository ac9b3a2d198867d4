"""A USB foot pedal: true while it is pressed.

Each press and each release is an event of the kernel: a struct of a time (two words), type, code and value.
Source: Linux, Documentation/input/input.rst and include/uapi/linux/input-event-codes.h.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from time import monotonic_ns
from typing import Literal

from pydantic import Field

from reflexd_drivers.base import DriverError, Reading, SensorSettings

NS = 1_000_000_000
EVENT = struct.Struct("@llHHi")
EV_KEY = 1
DOWN = 1       # 0 is up, 2 repeats a key that is held


class Settings(SensorSettings):
    """What the configuration says of a pedal."""

    device: str = Field(description="path, best one of /dev/input/by-id, which stays the same", min_length=1)
    code: int = Field(default=48, ge=0, le=767, description="number of the key that the pedal sends; 48 is B")

    @property
    def gives(self) -> Literal["boolean"]:
        """A pedal is pressed or not."""
        return "boolean"


class Pedal:
    """An open pedal. One thread reads, any may close: a pipe wakes the one that waits."""

    def __init__(self, settings: Settings) -> None:
        self._where = settings.device
        self._code = settings.code
        self._file = os.open(settings.device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC)
        self._closed = False
        self._reading = threading.Lock()     # held while the descriptors are used: close() waits for that
        self._pressed = False
        self._changed_at = monotonic_ns()
        self._rises = self._falls = 0

    def read(self, timeout_s: float) -> Reading:
        """Give the state as soon as it changes, and the old one after timeout_s.

        Raises: DriverError when the pedal is gone or closed.
        """
        with self._reading:
            deadline = monotonic_ns() + round(timeout_s * NS)
            changed = False
            while not changed and (left_ns := deadline - monotonic_ns()) >= 0:
                if self._closed:
                    break
                ready, _, _ = select.select([self._file, self._woken], [], [], left_ns / NS)
                changed = self._file in ready and self._take_events()
            if self._closed:
                raise DriverError(f"{self._where}: the pedal was closed while it was read; open it again")
            return Reading(self._pressed, monotonic_ns(), self._changed_at, self._rises, self._falls)

    def _take_events(self) -> bool:
        """Take what has come. Returns whether the pedal moved."""
        try:
            data = os.read(self._file, 64 * EVENT.size)
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if not data:
            raise self._gone("it has ended")
        moved = False
        for _, _, kind, code, value in EVENT.iter_unpack(data[: len(data) // EVENT.size * EVENT.size]):
            if kind == EV_KEY and code == self._code and (value >= DOWN) is not self._pressed:
                self._move(value >= DOWN)
                moved = True
        return moved

    def _move(self, pressed: bool) -> None:
        self._pressed, self._changed_at = pressed, monotonic_ns()
        self._rises += pressed
        self._falls += not pressed

    def _gone(self, why: str) -> DriverError:
        return DriverError(f"{self._where}: the pedal was unplugged or failed: {why}; plug it in again")

    def close(self) -> None:
        """End a read that waits, and give the pedal back; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        os.write(self._waker, b"x")
        with self._reading:
            for one in (self._file, self._woken, self._waker):
                os.close(one)


def connect(settings: Settings) -> Pedal:
    """Open the pedal.

    Raises: DriverError.
    """
    try:
        return Pedal(settings)
    except FileNotFoundError:
        raise DriverError(f"{settings.device}: there is no such pedal; plug it in, or look into /dev/input/by-id") from None
    except PermissionError:
        raise DriverError(f"{settings.device}: the pedal may not be read; add the user to group input") from None
    except OSError as error:
        raise DriverError(f"{settings.device}: the pedal cannot be opened: {error.strerror}; check its path") from error
