"""The edges of one line, read as the kernel queues them: whole buffers at a time, without a step of Python per edge.

A pin library calls back for each edge in a thread of its own: 100,000 a second, from a loose wire beside a motor, would take
the interpreter's lock from the decision loop. Here the reader itself waits for the kernel's queue. The kernel numbers the
edges of a line, so that also those are counted which its queue lost; a line rises and falls in turn, so the number of edges
and the level after the last one give both counts. After each look the reader rests, which bounds what a storm can cost.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import threading
from collections.abc import Callable
from math import inf
from time import monotonic, monotonic_ns
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reflexd_drivers.base import DriverError

# Source of numbers and layouts: linux/gpio.h, version 2 of the character device's interface.
LAST = struct.Struct("=QIIII24x")       # struct gpio_v2_line_event: when, which edge, line, number among all and of this line
EVENT = np.dtype({"names": ["at", "id"], "formats": ["=u8", "=u4"], "offsets": [0, 8], "itemsize": LAST.size})
RISING, FALLING = 1, 2
GET_LINE, GET_VALUES = 0xC250_B407, 0xC010_B40E
FLAG_INPUT, FLAGS_BOTH_EDGES = 1 << 2, 1 << 4 | 1 << 5
FLAG_BIAS = {"up": 1 << 8, "down": 1 << 9, "none": 1 << 10}
ATTRIBUTE_DEBOUNCE = 3
QUEUE = 1024            # the longest that the kernel makes; full in 10 ms at 100,000 edges a second
CONSUMER = b"reflexd"

REST_S = 0.002          # from one look that brought edges to the next: at most 500 a second
STORM = 40              # edges in one look: 20,000 a second, more than any switch bounces
TRUSTED_NS = 5_000_000_000

Pull = Literal["up", "down", "none"]


class Edges:
    """A line that is listened to: one thread waits, any may close."""

    def __init__(self, where: str, queue: int, look: Callable[[], bool], let_go: Callable[[], None],
                 look_every_s: float = inf) -> None:
        """`queue` is a descriptor that gives structures of the kernel; `look` gives the level; `let_go` closes what is behind."""
        self._where = where
        self._queue = queue
        self._look = look
        self._let_go = let_go
        self._look_every_s = look_every_s
        self._closed = False
        self._reading = threading.Lock()    # held by wait(): what it reads from is not closed under it
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._resting, self._listening = select.poll(), select.poll()
        for poll in (self._resting, self._listening):
            poll.register(self._stop, select.POLLIN)
        self._listening.register(queue, select.POLLIN)
        self._rest_until = 0.0
        self._number = 0            # the kernel's number of the last edge
        self._ahead = 0             # edges that were seen on the line before the kernel told of them
        self._in_storm = False
        self._data = b""
        self.level = look()
        self.rises = self.falls = self.lost = self.storms = 0
        self.changed_at = monotonic_ns()

    def wait(self, timeout_s: float) -> bool:
        """Wait for an edge, at most timeout_s. Returns whether one came; the line itself is looked at when none was told.

        Raises: DriverError when it is closed, or the line is gone.
        """
        deadline = monotonic() + timeout_s
        with self._reading:
            self._sleep(self._resting, min(self._rest_until, deadline) - monotonic())
            while not self._closed:
                left = deadline - monotonic()
                told = self._sleep(self._listening, min(left, self._look_every_s)) and not self._closed
                if self._take() if told else self._confirm():
                    self._rest_until = monotonic() + REST_S
                    return True
                if left <= 0:
                    return False
        raise DriverError(f"{self._where}: the input was closed while it was read; open it again")

    @staticmethod
    def _sleep(poll: select.poll, seconds: float) -> bool:
        return bool(poll.poll(max(seconds, 0) * 1000))

    def _take(self) -> bool:
        """Take over what the queue holds."""
        try:
            self._data = os.read(self._queue, QUEUE * EVENT.itemsize)
        except OSError as error:
            raise DriverError(f"{self._where}: the line is gone: {error.strerror}; plug its chip in again") from error
        if not self._data:
            raise DriverError(f"{self._where}: the line is gone: nothing will be told of it any more; plug its chip in again")
        at, kind, _, _, number = LAST.unpack_from(self._data, len(self._data) - LAST.size)
        told, happened = len(self._data) // LAST.size, (number - self._number) % 2**32
        self._number = number
        self.lost += max(happened - told, 0)
        self._judge(told)
        self._count(happened, kind == RISING, at)
        return True

    def _judge(self, told: int) -> None:
        """Count a storm when it begins."""
        stormy = told >= STORM
        self.storms += stormy and not self._in_storm
        self._in_storm = stormy

    def _count(self, edges: int, level: bool, at: int) -> None:
        """Add edges after which the line has that level; where that cannot be, one was too short for the kernel to see."""
        edges -= min(edges, self._ahead)
        self._ahead = 0
        edges += (edges % 2 == 1) != (level != self.level)
        leaving, back = (edges + 1) // 2, edges // 2
        self.rises += back if self.level else leaving
        self.falls += leaving if self.level else back
        self.level = level
        if edges:
            now = monotonic_ns()
            self.changed_at = at if 0 <= now - at <= TRUSTED_NS else now

    def _confirm(self) -> bool:
        """Look at the line: an edge that nobody told of is seen here."""
        level = self._level()
        if self._closed or level == self.level:
            return False
        self._count(1, level, monotonic_ns())
        self._ahead = 1
        return True

    def _level(self) -> bool:
        try:
            return self._look()
        except OSError as error:
            raise DriverError(f"{self._where}: the line cannot be read: {error.strerror}; plug its chip in again") from error

    def times(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give when the line rose and when it fell, of the edges that the last wait() took; monotonic ns."""
        events = np.frombuffer(self._data, EVENT)
        return events["at"][events["id"] == RISING], events["at"][events["id"] == FALLING]

    def skip(self) -> None:
        """Take over what happened until now, and forget the times of it; in a storm, what a few looks bring."""
        for _ in range(4):
            if self._closed or not self._sleep(self._listening, 0):
                break
            self._take()
        self._data = b""

    def counters(self) -> dict[str, int]:
        """Count edges, those of them that the kernel's queue lost (their number is known all the same), and storms."""
        return {"edges": self.rises + self.falls, "lost": self.lost, "storms": self.storms}

    def then(self, released: Callable[[], None]) -> None:
        """Have something done once the line was given back."""
        let_go = self._let_go

        def let_go_then() -> None:
            let_go()
            released()

        self._let_go = let_go_then

    def close(self) -> None:
        """End a wait, and give the line back; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._stop, 1)
        with self._reading:
            os.close(self._stop)
            self._let_go()


def listen_to_kernel(name: str, chip: str, line: int, pull: Pull, debounce_s: float) -> Edges:
    """Ask the kernel for the edges of a line; it debounces them itself. Raises: OSError."""
    device = os.open(chip, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(device, GET_LINE, line_request(line, pull, debounce_s))
    finally:
        os.close(device)
    queue: int = struct.unpack_from("=i", answer, len(answer) - 4)[0]
    try:
        return Edges(name, queue, lambda: level_of(queue), lambda: os.close(queue))
    except OSError:
        os.close(queue)
        raise


def line_request(line: int, pull: Pull, debounce_s: float) -> bytes:
    """Ask for both edges of one line: struct gpio_v2_line_request, 592 bytes."""
    attribute = struct.pack("=IIIIQ", ATTRIBUTE_DEBOUNCE, 0, round(debounce_s * 1e6), 0, 1) if debounce_s else b""
    config = struct.pack("=QI20x", FLAG_INPUT | FLAGS_BOTH_EDGES | FLAG_BIAS[pull], bool(attribute)) + attribute.ljust(240, b"\0")
    return struct.pack("=I252x32s", line, CONSUMER) + config + struct.pack("=II20xi", 1, QUEUE, 0)


def level_of(queue: int) -> bool:
    """Ask the kernel for the level of a line, debounced as its edges are. Raises: OSError."""
    bits, _ = struct.unpack("=QQ", fcntl.ioctl(queue, GET_VALUES, struct.pack("=QQ", 0, 1)))
    return bool(bits)
