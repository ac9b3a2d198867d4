"""A device behind a real pseudo terminal, which can speak, fall silent, and be unplugged and plugged in again."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections import deque
from collections.abc import Callable
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

    def keep_answering(self, reply: Callable[[bytes], bytes]) -> None:
        """Answer what is asked, until go_quiet()."""
        self.go_quiet()
        self._stop.clear()

        def answer() -> None:
            while not self._stop.is_set():
                if heard := self.hear(0.02):
                    self.say(reply(heard))

        self._talker = threading.Thread(target=answer)
        self._talker.start()

    def hear(self, timeout_s: float) -> bytes:
        """Give what was sent to the device, nothing after timeout_s."""
        poll = select.poll()
        poll.register(self._device, select.POLLIN)
        with suppress(OSError):       # nobody has the port open
            if any(event & select.POLLIN for _, event in poll.poll(timeout_s * 1000)):
                return os.read(self._device, 4096)
        self._stop.wait(0.005)
        return b""

    def go_quiet(self) -> None:
        self._stop.set()
        if self._talker is not None:
            self._talker.join()
            self._talker = None

    def close(self) -> None:
        if self._device >= 0:
            self.unplug()


class Board(Terminal):
    """A relay board: "ON" and "OFF" in lines, each answered by "OK"; it may boot when DTR rises, or swallow what it hears."""

    def __init__(self, port: Path, level: float = 0.0) -> None:
        self.level = level
        self.heard: deque[bytes] = deque(maxlen=1000)
        self.deaf = False
        self._rest = b""
        super().__init__(port)

    def plug_in(self) -> None:
        super().plug_in()
        self._rest = b""
        self.keep_answering(self._obey)

    def _obey(self, data: bytes) -> bytes:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self.deaf:
            return b""
        for line in lines:
            self.heard.append(line)
            self.level = {b"ON": 1.0, b"OFF": 0.0}.get(line.strip(), self.level)
        return b"OK\r\n" * len(lines)

    def lose_power(self) -> None:
        """Be pulled out, with its relay."""
        self.unplug()
        self.level = 0.0


class Wire:
    """Two serial ports joined by a wire that may be cut, and through which `spoil` may change what passes."""

    def __init__(self, folder: Path) -> None:
        self.port = folder / "bus"              # the daemon's end
        self.far_port = folder / "far"          # the device's end
        self.cut = False
        self.spoil: Callable[[bytes], bytes] = bytes      # what the daemon receives of what the device sent
        self.sent: deque[bytes] = deque(maxlen=1000)      # by the daemon
        self._ends: list[int] = []
        for link in (self.port, self.far_port):
            end, line = os.openpty()
            tty.setraw(line)
            link.symlink_to(os.ttyname(line))
            self._ends += [end, line]           # kept open, so that no end hangs up
        self._stop = threading.Event()
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def _carry(self) -> None:
        near, far = self._ends[0], self._ends[2]
        while not self._stop.is_set():
            for end in select.select([near, far], [], [], 0.02)[0]:
                data = os.read(end, 4096)
                if end == near:
                    self.sent.append(data)
                if not self.cut:
                    os.write(far if end == near else near, data if end == near else self.spoil(data))

    def answer(self, data: bytes) -> None:
        """Send something to the daemon, as the device."""
        os.write(self._ends[0], data)

    def close(self) -> None:
        self._stop.set()
        self._carrier.join()
        for end in self._ends:
            os.close(end)
        self._ends = []
