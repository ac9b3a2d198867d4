"""What a device with a bad cable sends: valid pieces that carry their number, and everything else there is.

Each piece is good or spoilt by dice that a seed determines. `state` remembers which were sent whole.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.drivers.terminals import Terminal

SPOILT, GOOD, READABLE = 0, 1, 2      # readable: spoilt where it may do no harm, as at the end of a line
Piece = Callable[[int], bytes]
Spoil = Callable[[bytes, random.Random], bytes]


def spoil_bytes(piece: bytes, dice: random.Random) -> bytes:
    """Change one bit, lose a byte, add one, cut it short, or put noise before it."""
    at = dice.randrange(len(piece))
    way = dice.randrange(4)
    if way == 0:
        return piece[:at] + bytes([piece[at] ^ 1 << dice.randrange(8)]) + piece[at + 1:]
    if way == 1:
        return piece[:at] + piece[at + 1:]
    if way == 2:
        return piece[:at] + bytes([dice.randrange(256)]) + piece[at:]
    return piece[:at]


def at_the_wrong_rate(data: bytes, ratio: float) -> bytes:
    """Give what a receiver samples whose bits last 1/ratio of the sender's: start bit, 8 bits from the lowest, stop bit."""
    line = [1] * 20
    for byte in data:
        line += [0, *((byte >> bit) & 1 for bit in range(8)), 1]
    line += [1] * 20
    level = lambda bits: line[min(int(bits / ratio), len(line) - 1)]   # noqa: E731
    found, at, end = bytearray(), 1.0, len(line) * ratio - 12
    while at < end:
        if level(at) == 0:                       # a start bit; its middle is half a bit later
            found.append(sum(level(at + 1.5 + bit) << bit for bit in range(8)))
            at += 9.5
        at += 0.1
    return bytes(found)


class Talker:
    """Sends pieces through a terminal, in chunks that end anywhere, with pauses, noise and floods."""

    def __init__(self, device: Terminal, count: int, piece: Piece, noise: Callable[[random.Random], bytes], spoil: Spoil) -> None:
        self.state = bytearray(count)
        self.sent = 0
        self.flooded = 0                   # bytes that the reader did not take in time
        self._device, self._piece, self._noise, self._spoil = device, piece, noise, spoil
        self._dice = random.Random(4)
        self._cut = False                  # the last piece was not sent as it is
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def start(self) -> Talker:
        self._thread.start()
        return self

    def numbers(self, *states: int) -> list[int]:
        """Give the numbers of the pieces in one of these states."""
        return [number for number, state in enumerate(self.state) if state in states]

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def join(self) -> None:
        self._thread.join()

    def _talk(self) -> None:
        count = len(self.state)
        while self.sent < count:
            first = self.sent
            self.sent = min(count, first + self._dice.randrange(1, 400))
            chunk, ends = self._chunk(first, self.sent)
            taken = self._flood(chunk) if self._dice.random() < 0.02 else self._send(chunk)
            begin = 0
            for number, end, state in ends:
                # what comes next may happen to be what was cut off
                self.state[number] = state if end <= taken else READABLE if begin < taken else SPOILT
                begin = end
            if self._dice.random() < 0.005:
                time.sleep(0.005)
        self._ended.set()

    def _chunk(self, first: int, last: int) -> tuple[bytes, list[tuple[int, int, int]]]:
        """Give some pieces in a row, and of each its number, where it ends, and its state."""
        parts, size, ends, wholes = [], 0, [], {}
        for number in range(first, last):
            piece, chance = self._piece(number), self._dice.random()
            if chance > 0.97:
                wholes[len(ends)] = (size, piece.rstrip(b"\r\n").lower())
                piece = self._spoil(piece, self._dice)
            if chance < 0.03:
                piece = self._noise(self._dice) + piece
            parts.append(piece)
            size += len(piece)
            ends.append((number, size, GOOD))
        chunk = b"".join(parts)
        for place, (begin, whole) in wholes.items():
            number, end, _ = ends[place]
            readable = place == len(ends) - 1 or whole in chunk[begin:end + len(whole)].lower()
            ends[place] = (number, end, READABLE if readable else SPOILT)
            self._doubt(ends, place + 1)
        if self._cut:
            self._doubt(ends, 0)
        self._cut = len(ends) - 1 in wholes
        return chunk, ends

    @staticmethod
    def _doubt(ends: list[tuple[int, int, int]], place: int) -> None:
        """Ask nothing of a piece whose first byte may happen to be the one that the piece before it lost."""
        if place < len(ends) and ends[place][2] == GOOD:
            ends[place] = (*ends[place][:2], READABLE)

    def _send(self, chunk: bytes) -> int:
        """Send all of it, in pieces that end anywhere."""
        sent = 0
        while sent < len(chunk):
            done = self._device.say(chunk[sent:sent + self._dice.choice((1, 7, 300, 4096, 4096, 4096))])
            sent += done
            if not done:
                time.sleep(0.0002)
        return sent

    def _flood(self, chunk: bytes) -> int:
        """Send as a device that does not wait: what does not fit is lost."""
        taken = self._device.say(chunk)
        self.flooded += len(chunk) - taken
        self._cut = self._cut or taken < len(chunk)
        return taken


def resident() -> int:
    """Give the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
