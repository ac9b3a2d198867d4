"""A line that chatters: a process of its own writes edges as the kernel's queue gives them, as fast as it is told."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from gpiozero.pins.mock import MockFactory

from reflexd_drivers.gpio import Header
from reflexd_drivers.gpio_edges import LAST, Edges, Pull

CHATTER = """
import os, struct, sys, time
event, queue, rate = struct.Struct("=QIIII24x"), int(sys.argv[1]), int(sys.argv[2])
first = number = int(sys.argv[3])
began, lost = time.monotonic(), 0
while sys.stdin not in __import__("select").select([sys.stdin], [], [], 0.0005)[0]:
    due = first + int((time.monotonic() - began) * rate)
    while number < due:
        many = min(due - number, 85)           # below PIPE_BUF: written whole or not at all
        now = time.monotonic_ns()
        try:
            os.write(queue, b"".join(event.pack(now, 1 + n % 2, 4, n + 1, n + 1) for n in range(number, number + many)))
        except BlockingIOError:
            lost += many
        number += many
print(number, lost, flush=True)
"""


class Storm:
    """A queue of the kernel as a pipe, and who fills it."""

    def __init__(self, rate_hz: int = 100_000) -> None:
        self.out, self.into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.fcntl(self.out, fcntl.F_SETPIPE_SZ, 65536)      # 1365 edges; the kernel's queue holds 1024
        self._rate_hz = rate_hz
        self._process: subprocess.Popen[str] | None = None
        self._number = 0
        self.level = False

    def begin(self) -> None:
        """Chatter from now on."""
        self._process = subprocess.Popen([sys.executable, "-c", CHATTER, str(self.into), str(self._rate_hz), str(self._number)],
                                         text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[self.into])

    def end(self) -> tuple[int, int]:
        """Be quiet again. Returns how many edges there were so far, and how many of these last ones found the queue full."""
        assert self._process is not None
        said, _ = self._process.communicate("\n", timeout=30)
        self._number, lost = map(int, said.split())
        self.level = self._number % 2 == 1      # the first one rises
        return self._number, lost

    def edge(self, number: int, rising: bool, at: int) -> None:
        """Tell of one edge."""
        os.write(self.into, LAST.pack(at, 1 if rising else 2, 4, number, number))
        self.level = rising

    def edges(self, name: str = "GPIO4") -> Edges:
        """Listen to it."""
        return Edges(name, self.out, lambda: self.level, self.close)

    def close(self) -> None:
        """Take the line away."""
        for one in (self.out, self.into):
            os.close(one)

    def header(self, listen: Callable[[Any, str, Pull, float], Edges] | None = None) -> Header:
        """Give a header whose one line is this."""
        return Header(MockFactory(), "storm", lambda _line: "", listen or (lambda _factory, name, _pull, _s: self.edges(name)))
