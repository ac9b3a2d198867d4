"""A disk that forgets: what was written and not flushed is lost when the power goes, or some of it, as real disks and cards do.

QEMU attaches it as a network block device over a socket. To kill QEMU alone would be too kind: what a guest wrote without a
flush would still be in this computer's page cache, and be there at the next boot. Here a write stays in the disk's cache until
the guest says flush. A cut keeps a random part of these writes, whichever came first, and of some only a part of their sectors.
Source: github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

SECTOR = 512             # what a disk writes whole or not at all
TORN = 0.25              # the share of writes that are torn, among those that are kept

GREETING = struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 1)       # 1: the handshake of today
OPTION = struct.Struct(">8sII")
ANSWER = struct.Struct(">QIII")
REQUEST = struct.Struct(">IHHQQI")
REPLY = struct.Struct(">IIQ")
ANSWER_MAGIC, REQUEST_MAGIC, REPLY_MAGIC = 0x3E889045565A9, 0x25609513, 0x67446698
GO, ACCEPTED, TOLD, UNKNOWN = 7, 1, 3, (1 << 31) + 1
READ, WRITE, LEAVE, FLUSH = range(4)
CAN_FLUSH = 0b101        # nothing else: of what has to be on the disk at once, QEMU makes a write and a flush


class Disk:
    """What is on the medium, and what is in the cache in front of it."""

    def __init__(self, image: bytes, chance: random.Random) -> None:
        """Begin with that content, all of it on the medium."""
        self.flushes = self.writes = 0
        self.lost = 0                             # writes that no cut has kept
        self._medium = bytearray(image)
        self._seen = bytearray(image)             # what is read
        self._cached: list[tuple[int, bytes]] = []
        self._chance = chance

    def __len__(self) -> int:
        return len(self._medium)

    def read(self, at: int, length: int) -> bytes:
        """Give bytes, as they were written last."""
        return bytes(self._seen[at: at + length])

    def write(self, at: int, data: bytes) -> None:
        """Take bytes into the cache."""
        self.writes += 1
        self._seen[at: at + len(data)] = data
        self._cached.append((at, data))

    def flush(self) -> None:
        """Bring everything to the medium."""
        self.flushes += 1
        for at, data in self._cached:
            self._medium[at: at + len(data)] = data
        self._cached.clear()

    @property
    def unflushed(self) -> int:
        """Count the writes since the last flush."""
        return len(self._cached)

    def cut(self, kept: float) -> None:
        """Lose the power: of what is in the cache, each write has reached the medium with that probability."""
        for at, data in self._cached:
            if self._chance.random() >= kept:
                self.lost += 1
                continue
            torn = self._chance.random() < TORN
            for sector in range(0, len(data), SECTOR):
                if not (torn and self._chance.random() < 0.5):
                    self._medium[at + sector: at + sector + SECTOR] = data[sector: sector + SECTOR]
        self._cached.clear()
        self._seen[:] = self._medium


class Served:
    """Serves a disk at a socket, to one machine after the other."""

    def __init__(self, disk: Disk, path: Path) -> None:
        """Listen there."""
        self.disk = disk
        self._left: int | None = None             # writes and flushes until the power goes
        self._ends: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._attached: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def cut_after(self, requests: int, ends: Callable[[], object]) -> None:
        """Call `ends` instead of doing the write or flush after so many of them; from then on nothing is done or answered."""
        with self._lock:
            self._left, self._ends = requests, ends

    @property
    def is_out(self) -> bool:
        """Say whether the power is out, after so many requests."""
        with self._lock:
            return self._left is not None and self._left < 0

    def cut(self, kept: float) -> None:
        """Lose the power; the machine has to be gone."""
        with self._lock:
            self._left = None
            self.disk.cut(kept)

    def _serve(self) -> None:
        while True:
            try:
                self._attached, _ = self._socket.accept()
            except OSError:      # closed
                return
            with closing(self._attached), suppress(ConnectionError):
                self._greet(self._attached)
                while self._attend(self._attached):
                    pass

    def _greet(self, peer: socket.socket) -> None:
        """Agree on what is served."""
        peer.sendall(GREETING)
        take(peer, 4)
        while True:
            _, option, length = OPTION.unpack(take(peer, OPTION.size))
            take(peer, length)
            if option == GO:
                told = struct.pack(">HQH", 0, len(self.disk), CAN_FLUSH)
                peer.sendall(ANSWER.pack(ANSWER_MAGIC, option, TOLD, len(told)) + told)
                peer.sendall(ANSWER.pack(ANSWER_MAGIC, option, ACCEPTED, 0))
                return
            peer.sendall(ANSWER.pack(ANSWER_MAGIC, option, UNKNOWN, 0))

    def _attend(self, peer: socket.socket) -> bool:
        """Do one request; say whether more may come."""
        magic, _, kind, handle, at, length = REQUEST.unpack(take(peer, REQUEST.size))
        assert magic == REQUEST_MAGIC, "what came is no request"
        data = take(peer, length) if kind == WRITE else b""
        with self._lock:
            if kind == LEAVE or self._goes_out(kind):
                return False
            if kind == WRITE:
                self.disk.write(at, data)
            elif kind == FLUSH:
                self.disk.flush()
            back = self.disk.read(at, length) if kind == READ else b""
        peer.sendall(REPLY.pack(REPLY_MAGIC, 0, handle) + back)
        return True

    def _goes_out(self, kind: int) -> bool:
        """Say whether the power goes before this request."""
        if self._left is None or kind == READ:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._ends()
        return True

    def __enter__(self) -> Served:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        for one in self._socket, self._attached:
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join()


def take(peer: socket.socket, length: int) -> bytes:
    """Read so many bytes. Raises: ConnectionError."""
    got = bytearray()
    while len(got) < length:
        piece = peer.recv(length - len(got))
        if not piece:
            raise ConnectionError("the machine went away")
        got += piece
    return bytes(got)
