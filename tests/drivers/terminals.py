"""A device behind a real pseudo terminal, which can speak, fall silent, and be unplugged and plugged in again."""

from __future__ import annotations

import os
import threading
import tty
from contextlib import suppress
from pathlib import Path


class Terminal:
    """What a daemon sees as a serial port is `port`, a link as in /dev/serial/by-id."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self._stop = threading.Event()
        self._talker: threading.Thread | None = None
        self.plug_in()

    def plug_in(self) -> None:
        self._device, line = os.openpty()
        tty.setraw(line)
        os.set_blocking(self._device, False)
        self.port.symlink_to(os.ttyname(line))
        os.close(line)

    def unplug(self) -> None:
        """Hang up, as the kernel does with the terminal of an adapter that was pulled out."""
        self.go_quiet()
        self.port.unlink()
        os.close(self._device)
        self._device = -1

    def say(self, data: bytes) -> int:
        """Send; gives how much fitted, as of a device that does not wait."""
        with suppress(BlockingIOError):
            return os.write(self._device, data)
        return 0

    def keep_saying(self, data: bytes, every_s: float) -> None:
        """Send the same again and again, until go_quiet()."""
        self.go_quiet()
        self._stop.clear()

        def talk() -> None:
            while not self._stop.wait(every_s):
                self.say(data)

        self._talker = threading.Thread(target=talk)
        self._talker.start()

    def go_quiet(self) -> None:
        self._stop.set()
        if self._talker is not None:
            self._talker.join()
            self._talker = None

    def close(self) -> None:
        if self._device >= 0:
            self.unplug()
