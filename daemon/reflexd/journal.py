"""The log: one readable line per change of state, never waited for.

Lines go to stderr: plain with the time in a terminal, with their priority where systemd reads them.
say() only queues; a writer thread does what may block, and what does not fit is dropped and counted.
Only the main thread says, so the queue has one producer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from enum import IntEnum

from reflexd.workers import Inbox, Wake, start_thread

QUEUE = 512


class Priority(IntEnum):
    """As in syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


def under_systemd(descriptor: int) -> bool:
    """Say whether what is written there goes to the journal. Source: JOURNAL_STREAM in systemd.exec(5)."""
    wanted = os.environ.get("JOURNAL_STREAM", "")
    stat = os.fstat(descriptor)
    return wanted == f"{stat.st_dev}:{stat.st_ino}"


class Journal:
    """Writes lines in the order in which they were said."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = os.dup(descriptor)    # descriptor 2 is held back while a library chats
        self._prefixed = under_systemd(descriptor)
        self._wake = Wake()
        self._lines: Inbox[bytes] = Inbox(QUEUE, self._wake)
        self._told_dropped = 0
        self._ending = False
        self._thread = start_thread("journal", self._write_all)

    @property
    def dropped(self) -> int:
        """Count the lines that did not fit."""
        return self._lines.dropped

    def say(self, priority: Priority, text: str) -> None:
        """Queue one line."""
        self._lines.put(self._format(priority, text))

    def _format(self, priority: Priority, text: str) -> bytes:
        grave = {Priority.ERROR: "error: ", Priority.WARNING: "warning: "}.get(priority, "")
        head = f"<{priority:d}>" if self._prefixed else time.strftime("%H:%M:%S ") + grave
        body = text.replace("\n", "\n" + (f"<{priority:d}>  " if self._prefixed else "           "))
        return f"{head}{body}\n".encode(errors="backslashreplace")

    def _write_all(self) -> None:
        while not self._ending or len(self._lines):
            self._wake.wait(0.25)
            for line in self._lines.drain():
                self._write(line)
            if self._lines.dropped > self._told_dropped:
                self._write(self._format(Priority.WARNING, f"{self._lines.dropped - self._told_dropped} lines were dropped"))
                self._told_dropped = self._lines.dropped

    def _write(self, line: bytes) -> None:
        with suppress(OSError):        # nobody reads any more: there is nowhere to tell it
            os.write(self._descriptor, line)

    def close(self, timeout_s: float) -> None:
        """Write what is queued, for at most timeout_s."""
        if self._ending:
            return
        self._ending = True
        self._wake.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            os.close(self._descriptor)
            self._descriptor = -1
