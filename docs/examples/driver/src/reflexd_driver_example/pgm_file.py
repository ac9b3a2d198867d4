"""A camera whose own program writes each picture to a file, as a thermal camera's does: grey, in the PGM format.

The program has to replace the file (write another one, then rename it), so that a picture is never seen half written.
Source of the format: netpbm, pgm(5).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic_ns

import numpy as np
from pydantic import Field

from reflexd_drivers.base import CameraSettings, ConfigPath, DriverError, Frame, FramePool, Plane, SilentError, View

NS = 1_000_000_000
LOOK_S = 0.01          # how often the file is looked at
MOST_BYTES = 50_000_000
HEAD = re.compile(rb"P5\s+(\d+)\s+(\d+)\s+255\s")


class Settings(CameraSettings):
    """What the configuration says of a file of pictures."""

    path: ConfigPath = Field(description="file that the camera's program replaces with each picture, .pgm")


class PgmFile:
    """The file, looked at until it is another one. One thread reads, any may close."""

    lossless = False      # a picture that nobody took is replaced by the next

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path
        self._closed = threading.Event()
        self._seen = 0
        self._sequence = 0
        self._size = self._load().shape
        self._pool = FramePool(self._views)

    def _views(self) -> Mapping[str, View]:
        return {"main": View("grey", (np.empty(self._size, np.uint8),))}

    def read(self, timeout_s: float) -> Frame:
        """Give the next picture, as a view grey.

        Raises: SilentError when the file stays as it is; DriverError when it is gone, no picture, or of another size.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        while not self._closed.is_set():
            if self._stamp() != self._seen:
                return self._frame()
            left_s = (deadline - monotonic_ns()) / NS
            if left_s <= 0:
                raise SilentError(f"{self._path}: no new picture was written; check the camera's program")
            self._closed.wait(min(left_s, LOOK_S))
        raise DriverError(f"{self._path}: the file was closed while it was read; open it again")

    def _stamp(self) -> int:
        """Say which file it is: one that was replaced has another number."""
        try:
            found = self._path.stat()
        except OSError as error:
            raise DriverError(f"{self._path}: there is no such file; start the camera's program") from error
        return hash((found.st_ino, found.st_mtime_ns))

    def _frame(self) -> Frame:
        taken_at = monotonic_ns()
        pixels = self._load()
        if pixels.shape != self._size:
            raise DriverError(f"{self._path}: the size of the picture changed to {pixels.shape}; it is opened again with that")
        slot = self._pool.take()
        if slot is None:
            raise DriverError(f"{self._path}: every buffer is held; take fewer pictures at once")
        np.copyto(slot.views["main"].planes[0], pixels)
        self._sequence += 1
        return Frame(taken_at, self._sequence, slot)

    def _load(self) -> Plane:
        """Read the picture as uint8 (height, width). Raises: DriverError."""
        self._seen = self._stamp()
        data = read_some(self._path)
        head = HEAD.match(data)
        if head is None:
            raise DriverError(f"{self._path}: this is no binary PGM of 8 bits; have the program write one")
        width, height = int(head[1]), int(head[2])
        if width * height == 0 or len(data) != head.end() + width * height:
            raise DriverError(f"{self._path}: the picture is not whole; have the program replace the file, not write into it")
        return np.frombuffer(data, np.uint8, offset=head.end()).reshape(height, width)

    def close(self) -> None:
        """End a read that waits."""
        self._closed.set()


def read_some(path: Path) -> bytes:
    """Read a file, but not one that never ends. Raises: DriverError."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise DriverError(f"{path}: the picture cannot be read: {error.strerror}; check the file and its permissions") from error


def connect(settings: Settings) -> PgmFile:
    """Look at the file.

    Raises: DriverError.
    """
    return PgmFile(settings)
