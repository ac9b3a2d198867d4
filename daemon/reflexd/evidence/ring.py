"""Frames of the last seconds as JPEG files in memory: bounded in time and in bytes, whatever happens to the disk.

The ring alone holds them. Events that wait for their evidence name a span of time and share what is in it, so ten of them
cost no more than one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

EACH = 200             # bytes that a frame costs beyond its JPEG: its key, and its place here


class Key(NamedTuple):
    """Which frame."""

    taken_at: int
    camera: str


class Ring:
    """Frames by when they were taken. Any thread may call; nothing is done under the lock but to look one up."""

    def __init__(self, before_ns: int, limit: int) -> None:
        """Keep frames for that long, and at most so many bytes."""
        self.wanted_since: int | None = None     # monotonic ns: frames from then on wait to be written
        self.pushed_out = 0                      # frames that were wanted and had to make room
        self.bytes = 0
        self._before_ns, self._limit = before_ns, limit
        self._frames: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def change(self, before_ns: int, limit: int) -> None:
        """Go by other bounds from the next frame on."""
        self._before_ns, self._limit = before_ns, limit

    def add(self, key: Key, jpeg: bytes, now: int) -> None:
        """Keep a frame, at the cost of the oldest."""
        with self._lock:
            self._frames[key] = jpeg
            self.bytes += len(jpeg) + EACH
        self.trim(now)

    def trim(self, now: int) -> None:
        """Let go of what is too old, or too much."""
        since = now - self._before_ns
        wanted = self.wanted_since
        with self._lock:
            while self._frames and (self.bytes > self._limit or
                                    next(iter(self._frames)).taken_at < (since if wanted is None else min(wanted, since))):
                key, jpeg = self._frames.popitem(last=False)
                self.bytes -= len(jpeg) + EACH
                self.pushed_out += key.taken_at >= since or (wanted is not None and key.taken_at >= wanted)

    def between(self, begin: int, end: int) -> list[Key]:
        """Name the frames that were taken then."""
        with self._lock:
            return [key for key in self._frames if begin <= key.taken_at <= end]

    def get(self, key: Key) -> bytes | None:
        """Give a frame; None where it had to make room meanwhile."""
        with self._lock:
            return self._frames.get(key)

    def size_of(self, keys: list[Key]) -> int:
        """Give the bytes of these frames."""
        with self._lock:
            return sum(len(self._frames.get(key, b"")) for key in keys)

    def forget(self, camera: str | None = None) -> None:
        """Let go of the frames of a camera that left, or of all."""
        with self._lock:
            kept = OrderedDict((key, jpeg) for key, jpeg in self._frames.items() if camera not in (None, key.camera))
            self._frames, self.bytes = kept, sum(len(jpeg) + EACH for jpeg in kept.values())

    def __len__(self) -> int:
        """Count the frames."""
        return len(self._frames)
