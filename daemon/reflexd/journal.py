"""The log: one line per change of state, never waited for.

say() only queues; a writer thread does what may block, and what does not fit is dropped and counted.
Lines go to journald with fields of their own where systemd reads stderr, else to stderr as plain text.
python-systemd is not used for writing: its send() holds the interpreter's lock while the socket is
full, which froze whole processes (python-systemd, pull request 170). Only the main thread says, so
the queue has one producer.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from reflexd.events import DROPPED, Event, Priority
from reflexd.workers import Inbox, Wake, start_thread

QUEUE = 512
LONGEST = 32_768             # characters of a text; a datagram has its limit
FOLD_S = 60.0
AGAIN_S = 0.05               # until a journald that is gone is looked for again
JOURNAL_SOCKET = "/run/systemd/journal/socket"


class Line(NamedTuple):
    """What is to be told."""

    event: Event
    text: str
    fields: Mapping[str, str]


class Sink(Protocol):
    """Where lines go; write() may block and raise OSError."""

    def write(self, line: Line) -> None:
        """Write one line."""
        ...

    def close(self) -> None:
        """Give the descriptor back."""
        ...


class Stream:
    """Text on a descriptor: for people, or with priorities as systemd reads them from stderr."""

    def __init__(self, descriptor: int, prefixed: bool) -> None:
        self._descriptor = os.dup(descriptor)    # descriptor 2 is held back while a library chats
        self._prefixed = prefixed

    def write(self, line: Line) -> None:
        """Write the line, its continuations indented."""
        priority = line.event.priority
        grave = "error: " if priority <= Priority.ERROR else "warning: " if priority == Priority.WARNING else ""
        head, again = time.strftime("%H:%M:%S ") + grave, " " * 11
        if self._prefixed:
            head, again = f"<{priority:d}>", f"<{priority:d}>  "
        text = head + line.text.replace("\n", "\n" + again) + "\n"
        os.write(self._descriptor, text.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class Journald:
    """journald's own datagrams, which carry fields. Source: systemd's native journal protocol."""

    def __init__(self, path: str) -> None:
        """Connect. Raises: OSError."""
        self._path = path
        self._again_at = 0.0
        self._socket: socket.socket | None = self._connect()

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made

    def write(self, line: Line) -> None:
        """Send one entry; after a restart of journald over a new connection.

        To look for it with every line would cost a loop that says a lot a seventh of its rate.
        """
        if time.monotonic() < self._again_at:
            raise ConnectionRefusedError("journald was gone a moment ago")
        fields = {"MESSAGE": line.text, "PRIORITY": str(int(line.event.priority)), "SYSLOG_IDENTIFIER": "reflexd",
                  "MESSAGE_ID": line.event.message_id, "REFLEXD_EVENT": line.event.name,
                  **{f"REFLEXD_{name.upper()}": value for name, value in line.fields.items()}}
        entry = b"".join(_field(name, value) for name, value in fields.items())
        try:
            self._send(entry)
        except (ConnectionError, FileNotFoundError):     # journald went, and may be back
            self.close()
            self._again_at = time.monotonic() + AGAIN_S
            self._send(entry)
            self._again_at = 0.0

    def _send(self, entry: bytes) -> None:
        if self._socket is None:
            self._socket = self._connect()
        self._socket.send(entry)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def open_sink(descriptor: int = 2, path: str = JOURNAL_SOCKET) -> Sink:
    """Find out where the log goes. Source: JOURNAL_STREAM in systemd.exec(5)."""
    stat = os.fstat(descriptor)
    by_systemd = os.environ.get("JOURNAL_STREAM", "") == f"{stat.st_dev}:{stat.st_ino}"
    if by_systemd:
        with suppress(OSError):
            return Journald(path)
    return Stream(descriptor, prefixed=by_systemd)


class Folding:
    """Tells a text that comes again and again once in a while, with a count."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Line, float, int]] = {}     # text → line, since when, how often since

    def admits(self, line: Line, now_s: float) -> bool:
        """Say whether to write the line; else it is counted."""
        if not line.event.folds:
            return True
        if line.text in self._seen:
            first, since, count = self._seen[line.text]
            self._seen[line.text] = (first, since, count + 1)
            return False
        self._seen[line.text] = (line, now_s, 0)
        return True

    def due(self, now_s: float) -> list[Line]:
        """Give what was counted long enough, or too much of it to keep."""
        old = [text for text, (_, since, _) in self._seen.items() if now_s - since >= FOLD_S]
        surplus = list(self._seen)[: max(0, len(self._seen) - 64)]
        ended = [self._seen.pop(text) for text in dict.fromkeys([*old, *surplus])]
        return [line._replace(text=f"{line.text} (repeated {count} times)") for line, _, count in ended if count]


class Journal:
    """Writes lines in the order in which they were said."""

    def __init__(self, sink: Sink | int = 2) -> None:
        """Write to a sink, or to what a descriptor is found to lead to."""
        self._sink = open_sink(sink) if isinstance(sink, int) else sink
        self._wake = Wake()
        self._lines: Inbox[Line] = Inbox(QUEUE, self._wake)
        self._folding = Folding()
        self._lost = 0           # that could not be written
        self._told = 0
        self._ending = False
        self._thread = start_thread("journal", self._write_all)

    @property
    def dropped(self) -> int:
        """Count the lines that did not fit or could not be written."""
        return self._lines.dropped + self._lost

    def say(self, event: Event, text: str, **fields: str) -> None:
        """Queue one line; the fields are names without their prefix: output, rule, source, fault."""
        self._lines.put(Line(event, text[:LONGEST], fields))

    def _write_all(self) -> None:
        while not self._ending or len(self._lines):
            self._wake.wait(0.25)
            now_s = time.monotonic()
            for line in self._lines.drain():
                if self._folding.admits(line, now_s):
                    self._write(line)
            for line in self._folding.due(float("inf") if self._ending else now_s):
                self._write(line)
            if self.dropped > self._told:
                self._tell_dropped()

    def _tell_dropped(self) -> None:
        """Say how much is missing, once lines can be written again."""
        told = self.dropped
        with suppress(OSError):
            self._sink.write(Line(DROPPED, f"{told - self._told} lines of the log were dropped", {}))
            self._told = told

    def _write(self, line: Line) -> None:
        try:
            self._sink.write(line)
        except OSError:          # nobody reads any more: there is nowhere to tell it but the count
            self._lost += 1

    def close(self, timeout_s: float) -> None:
        """Write what is queued, for at most timeout_s; a second call does nothing."""
        if self._ending:
            return
        self._ending = True
        self._wake.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._sink.close()
