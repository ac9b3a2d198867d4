"""The disk of the lab's power cuts, without a guest: it keeps what was flushed, forgets the rest, and QEMU understands it."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.disk import FLUSH, GO, GREETING, OPTION, READ, REPLY, REQUEST, REQUEST_MAGIC, SECTOR, WRITE, Disk, Served, take

BLOCK = 4096
A, B = b"a" * BLOCK, b"b" * BLOCK


def disk(seed: int = 0) -> Disk:
    return Disk(bytes(8 * BLOCK), random.Random(seed))


def test_what_was_flushed_is_kept_and_what_was_not_is_lost() -> None:
    one = disk()
    one.write(0, A)
    one.flush()
    one.write(0, B)
    one.write(BLOCK, B)
    assert (one.read(0, BLOCK), one.read(BLOCK, BLOCK)) == (B, B), "the cache answers"
    one.cut(0)
    assert (one.read(0, BLOCK), one.read(BLOCK, BLOCK)) == (A, bytes(BLOCK))
    assert one.lost == 2


def test_of_what_was_not_flushed_any_part_may_be_kept_and_torn_at_sectors_only() -> None:
    later_without_earlier = torn = whole = 0
    for seed in range(200):
        one = disk(seed)
        one.write(0, A)
        one.write(BLOCK, B)
        one.cut(0.5)
        first, second = one.read(0, BLOCK), one.read(BLOCK, BLOCK)
        sectors = [first[at: at + SECTOR] for at in range(0, BLOCK, SECTOR)]
        assert set(sectors) <= {A[:SECTOR], bytes(SECTOR)}, "a sector is whole"
        later_without_earlier += not any(first) and second == B
        torn += 0 < sectors.count(A[:SECTOR]) < len(sectors)
        whole += first == A
    assert min(later_without_earlier, torn, whole) > 10, "each of these happens"


class Client:
    """Speaks as QEMU does."""

    def __init__(self, path: Path) -> None:
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.settimeout(10)
        self._peer.connect(str(path))
        assert take(self._peer, len(GREETING)) == GREETING
        self._peer.sendall(struct.pack(">I", 1))
        assert self._ask(8)[0] & 1 << 31, "an option that it does not know is refused, as QEMU tries it"
        kind, told = self._ask(GO, bytes(6))
        assert kind == 3
        self.size, self.flags = struct.unpack(">HQH", told)[1:]
        assert self._answer()[0] == 1

    def _ask(self, option: int, data: bytes = b"") -> tuple[int, bytes]:
        self._peer.sendall(OPTION.pack(b"IHAVEOPT", option, len(data)) + data)
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        _, _, kind, length = struct.unpack(">QIII", take(self._peer, 20))
        return kind, take(self._peer, length)

    def do(self, kind: int, at: int = 0, data: bytes = b"", length: int = 0) -> bytes:
        """Have one request done. Raises: ConnectionError."""
        self._peer.sendall(REQUEST.pack(REQUEST_MAGIC, 0, kind, 7, at, length or len(data)) + data)
        _, error, handle = REPLY.unpack(take(self._peer, REPLY.size))
        assert (error, handle) == (0, 7)
        return take(self._peer, length)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(disk(), tmp_path / "disk.sock") as one:
        yield one


def test_one_machine_after_the_other_finds_what_the_cut_has_left(served: Served, tmp_path: Path) -> None:
    with Client(tmp_path / "disk.sock") as first:
        assert first.size == 8 * BLOCK
        assert first.flags & 0b101 == 0b101, "it has a cache that can be flushed"
        first.do(WRITE, 0, A)
        first.do(FLUSH)
        first.do(WRITE, BLOCK, B)
        assert first.do(READ, BLOCK, length=BLOCK) == B
    served.cut(0)
    with Client(tmp_path / "disk.sock") as second:
        assert second.do(READ, 0, length=2 * BLOCK) == A + bytes(BLOCK)


def test_the_power_goes_instead_of_a_request_and_nothing_is_done_or_answered_after_it(served: Served, tmp_path: Path) -> None:
    ended: list[bool] = []
    served.cut_after(1, lambda: ended.append(True))
    with Client(tmp_path / "disk.sock") as one:
        one.do(WRITE, 0, A)
        one.do(READ, 0, length=BLOCK)
        assert not served.is_out
        with pytest.raises(ConnectionError):
            one.do(FLUSH)
    assert ended == [True]
    assert served.is_out
    served.cut(0)
    assert served.disk.read(0, BLOCK) == bytes(BLOCK), "the flush was not done any more"
