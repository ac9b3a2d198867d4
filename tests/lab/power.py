"""The small guest, whose power is cut: seconds from its start to the first event, also where it has to be emulated.

It has the lab's kernel, Debian, and the package as apt installed it, all read only, and guest/storing.py for a first process.
What it may change is one disk, which the test has in its own memory.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.lab.disk import Disk, Served

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_PROCESS = ROOT / "tests" / "lab" / "guest" / "storing.py"
BOOT_S = 20
DISK_BYTES = 48 << 20


def made(folder: Path) -> bytes:
    """Give an ext4 file system, as mkfs makes it."""
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    content = image.read_bytes()
    image.unlink()
    return content


class Small:
    """A small guest with its power on. Ends with the power cut, of which the disk has to be told as well."""

    def __init__(self, folder: Path, pace: int, durability: str, *, whole: bool) -> None:
        """Boot. `pace` says how much longer than with KVM everything may take; `whole`, whether it is the whole service."""
        self.began = time.monotonic()
        self.pace = pace
        self._folder = folder
        self._told: deque[bytes] = deque()        # lines that nobody has asked for yet
        self._rest = b""
        (folder / "port.sock").unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "port.sock"))
            listening.listen()
            self._process = subprocess.Popen([ROOT / "scripts" / "lab", "small", folder])
            self._port = self._called(listening)
        text, replaced = re.subn("^DURABILITY, WHOLE = .*", f"DURABILITY, WHOLE = {durability!r}, {whole}",
                                 FIRST_PROCESS.read_text(), flags=re.MULTILINE)
        assert replaced == 1, "guest/storing.py takes its settings there"
        self._port.sendall(text.encode())

    def _called(self, listening: socket.socket) -> socket.socket:
        """Wait for it to open its port."""
        listening.settimeout(1)
        while self._process.poll() is None:
            with suppress(TimeoutError):
                return listening.accept()[0]
        raise AssertionError(f"the small guest did not come up: {(self._folder / 'qemu.log').read_text()}")

    def lines(self, limit_s: float) -> Iterator[list[str]]:
        """Give what it tells, word by word, so long at most or until it is gone."""
        until = time.monotonic() + limit_s
        while True:
            while self._told:
                line = self._told.popleft().decode()
                assert not line.startswith("failed"), f"{line}\n{self.console}"
                yield line.split()
            if (left := until - time.monotonic()) <= 0:
                return
            self._port.settimeout(left)
            try:
                came = self._port.recv(1 << 16)
            except (TimeoutError, ConnectionError):
                return
            if not came:
                return
            *whole, self._rest = (self._rest + came).split(b"\n")
            self._told += whole

    def wait_for(self, word: str) -> list[str]:
        """Wait for a line that begins so; give the rest of it."""
        for words in self.lines(BOOT_S * self.pace):
            if words[0] == word:
                return words[1:]
        raise AssertionError(f"no {word} within {time.monotonic() - self.began:.0f} s\n{self.console}")

    @property
    def console(self) -> str:
        """Give the last that the kernel and the service said."""
        with suppress(FileNotFoundError):
            return "\n".join((self._folder / "console.log").read_text(errors="replace").splitlines()[-40:])
        return ""

    def end(self) -> None:
        """Cut its power; at once, whatever it is at."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Small:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.end()
        self._port.close()


def serve(disk: Disk, folder: Path) -> Served:
    """Have the disk where the guest looks for it."""
    return Served(disk, folder / "disk.sock")
