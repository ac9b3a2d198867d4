"""A million frames through a pseudo terminal, with noise, cuts, floods and silence: no value that was not sent.

--long sends a million of each kind; else frames come as a million and what costs more as fewer.
"""

from __future__ import annotations

import random
import struct
from array import array
from binascii import crc32
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import NotYetError, Value
from reflexd_drivers.sensors import nmea, serial_frames, serial_lines
from reflexd_drivers.serial_port import Port
from reflexd_drivers.stream import Decoder, Stream
from tests.drivers.talkers import GOOD, READABLE, Talker, resident, spoil_bytes
from tests.drivers.terminals import Terminal

pytestmark = pytest.mark.once

MILLION = 1_000_000


class Witness:
    """A decoder whose every value is looked at."""

    def __init__(self, decoder: Decoder) -> None:
        self.unit, self.restart = decoder.unit, decoder.restart
        self.trouble, self.counters = decoder.trouble, decoder.counters
        self._decoder = decoder
        self.values: list[int] = []

    def feed(self, chunk: bytes) -> list[Value | None]:
        found = self._decoder.feed(chunk)
        self.values += [int(value) for value in found if isinstance(value, float)]
        return found


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


def listen(device: Terminal, decoder: Callable[[Any], Decoder], talker: Talker, **table: Any) -> tuple[array[int], Stream]:
    """Read with the driver's own stream until the talker has ended and nothing more comes; memory stays where it is."""
    made = registry.load("sensor", table["driver"]).Settings
    settings = made.model_validate({**table, "port": str(device.port), "max_age_ms": 60_000})
    witness = Witness(decoder(settings))
    stream = Stream(settings, Port(settings), witness)
    found, before = array("I"), 0
    talker.start()
    try:
        quiet = 0
        while quiet < 10:
            count = len(found)
            with suppress(NotYetError):
                stream.read(0.1)
            found.extend(witness.values)
            witness.values.clear()
            before = before or (resident() if len(found) > 20_000 else 0)
            quiet = quiet + 1 if talker.ended and len(found) == count else 0
    finally:
        talker.join()
        stream.close()
    assert before
    assert resident() - before < 16_000_000, "bounded: a million values more, of which this test keeps 4 bytes each"
    return found, stream


def frame(number: int) -> bytes:
    body = b"\xa5\x5a" + struct.pack("<IH", number, number & 0xFFFF)
    return body + crc32(body).to_bytes(4, "big")


def bytes_at_random(dice: random.Random) -> bytes:
    return dice.choice((dice.randbytes(dice.randrange(1, 60)), b"\xa5\x5a\x00", bytes(300), b"\xa5" * 40))


FRAMES: dict[str, Any] = {
    "driver": "serial-frames", "start": "a5 5a", "length": 12,
    "value": {"at": 2, "type": "u32le"}, "checksum": {"kind": "crc32", "at": 8},
}


@pytest.mark.fault("F35", bound="4 KiB are held", outcome="of a million frames with noise none wrong, each whole one counted")
def test_f35_of_a_million_frames_each_whole_one_is_a_value_and_nothing_else(device: Terminal) -> None:
    talker = Talker(device, MILLION, frame, bytes_at_random, spoil_bytes)
    found, stream = listen(device, serial_frames.FrameDecoder, talker, **FRAMES)
    assert set(found) - set(talker.numbers(GOOD, READABLE)) == set()
    assert set(talker.numbers(GOOD)) - set(found) == set()
    assert list(found) == sorted(set(found))
    assert len(found) > 0.9 * MILLION
    assert stream.counters()["bad"] > 1000
    assert stream.counters()["skipped_bytes"] > 100_000


def sentence(number: int) -> bytes:
    body = b"YXMTW,%d,C" % number
    return b"$%b*%02X\r\n" % (body, reduce(xor, body, 0))


def no_sentence(dice: random.Random) -> bytes:
    """Give noise that ends as a line: an exclusive or of 8 bits cannot tell it, were it to begin as a sentence."""
    noise = dice.randbytes(dice.randrange(1, 60)).replace(b"$", b"") + b"\n"
    return dice.choice((noise, b"\0" * 99 + b"\n", b"x" * 5000 + b"\n", b"$GPGSV\r\n"))


@pytest.mark.fault("F33", bound="one line", outcome="counted; of a million sentences with noise none wrong")
def test_f33_of_many_sentences_only_whole_ones_are_values(device: Terminal, request: pytest.FixtureRequest) -> None:
    count = MILLION if request.config.getoption("--long") else 100_000
    talker = Talker(device, count, sentence, no_sentence, spoil_bytes)
    found, stream = listen(device, nmea.NmeaDecoder, talker, driver="nmea", sentence="MTW", field="temperature")
    sent = talker.numbers(GOOD, READABLE)
    assert set(found) <= set(sent)
    assert list(found) == sorted(set(found))
    # A spoilt line without its end takes the next one with it.
    assert len(found) > 0.9 * len(sent)
    assert stream.counters()["bad"] > 0.01 * count


def line(number: int) -> bytes:
    return b"T=%07d;\r\n" % number


def spoil_line(piece: bytes, dice: random.Random) -> bytes:
    """Lose, add or cut: without a checksum, a digit that became another is no less right."""
    at = dice.randrange(len(piece))
    before, behind = piece[:at], piece[at:]
    return dice.choice((before + behind[1:], before + b"\xff" + behind, before, before + b"\0" + behind))


@pytest.mark.fault("F36", bound="one line", outcome="counted, never a value")
def test_f36_of_many_lines_a_strict_pattern_takes_the_whole_ones_only(device: Terminal, request: pytest.FixtureRequest) -> None:
    count = MILLION if request.config.getoption("--long") else 300_000
    talker = Talker(device, count, line, no_sentence, spoil_line)
    found, stream = listen(device, serial_lines.LineDecoder, talker, driver="serial-lines", pattern=r"^T=(\d{7});$")
    assert set(found) - set(talker.numbers(GOOD, READABLE)) == set()
    assert list(found) == sorted(set(found))
    counts = stream.counters()
    assert counts["skipped"] > 1000, "of a flood the newest lines count"
    assert len(found) + counts["skipped"] > 0.9 * count
    assert counts["garbled"] > 100
    assert counts["overlong"] > 10
