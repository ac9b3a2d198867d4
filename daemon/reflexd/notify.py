"""What the service manager is told: ready, alive, how it goes. From the main thread only, and never waited for.

One datagram socket is kept (4.4 µs a message, where python-systemd's notify takes 16 and holds the
interpreter's lock while the socket is full). What does not fit is counted and said again next time.
"""

from __future__ import annotations

import os
import socket

from reflexd.rules.items import NS

STATUS_NS = NS              # between two texts


class Notifier:
    """Talks to systemd, or to nobody where nobody listens."""

    def __init__(self, address: str | None, watchdog_ns: int = 0) -> None:
        """`address` as in NOTIFY_SOCKET, `watchdog_ns` the time within which it wants to be fed; 0 for never."""
        self.refused = 0
        self._watchdog_ns = watchdog_ns // 4
        self._fed_at = 0
        self._told_at = 0
        self._text = ""
        self._ready = False
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(cls) -> Notifier:
        """Read what systemd passed. Source: sd_notify(3), sd_watchdog_enabled(3)."""
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = os.environ.get("WATCHDOG_USEC", "0")
        return cls(os.environ.get("NOTIFY_SOCKET"), int(watchdog) * 1000 if ours and watchdog.isdigit() else 0)

    def ready(self) -> None:
        """Say once that outputs are safe and every source runs or is in trouble; before an output is driven at the latest."""
        if not self._ready:
            self._ready = self._send("READY=1")

    def feed(self, now: int) -> None:
        """Say that the loop turns, a few times within the watchdog's time."""
        if self._watchdog_ns and now - self._fed_at >= self._watchdog_ns and self._send("WATCHDOG=1"):
            self._fed_at = now

    def tell(self, text: str, now: int) -> None:
        """Say how it goes, once a second at most and only when it changed."""
        if text != self._text and now - self._told_at >= STATUS_NS and self._send(f"STATUS={text}"):
            self._text, self._told_at = text, now

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> bool:
        if self._socket is None:
            return True
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:      # full, or nobody there
            self.refused += 1
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
