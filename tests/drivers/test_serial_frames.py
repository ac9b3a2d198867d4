"""Binary frames: layouts, checksums, noise at every place, and what is said when nothing fits."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexd_drivers.base import DriverError, NotYetError
from reflexd_drivers.checksums import KINDS
from reflexd_drivers.frames import LONGEST
from reflexd_drivers.sensors.serial_frames import FrameDecoder, Settings, connect
from reflexd_drivers.stream import Stream
from tests.drivers.talkers import at_the_wrong_rate
from tests.drivers.terminals import Terminal

Open = Callable[..., Stream]
# A02YYUW, from its data sheet: 0xFF, distance in mm, sum of the three.
DISTANCE: dict[str, Any] = {
    "start": "ff", "length": 4, "checksum": {"kind": "sum8", "at": 3}, "value": {"at": 1, "type": "u16be"},
}
# PMS5003, from its data sheet: "BM", length of what follows, 13 numbers, sum of all bytes before.
DUST: dict[str, Any] = {
    "start": "42 4d", "length": {"at": 2, "type": "u16be", "add": 4}, "checksum": {"kind": "sum16", "at": -2},
    "value": {"at": 12, "type": "u16be"}, "scale": 1e-9,
}


def settings(**table: Any) -> Settings:
    return Settings.model_validate({"driver": "serial-frames", "port": "/dev/null", **table})


def distance(millimetres: int) -> bytes:
    head = struct.pack(">BH", 0xFF, millimetres)
    return head + bytes([sum(head) & 0xFF])


def dust(micrograms: int) -> bytes:
    head = b"BM" + struct.pack(">14H", 28, 1, 2, 3, 4, micrograms, *range(8))
    return head + struct.pack(">H", sum(head) & 0xFFFF)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


@pytest.fixture
def sensor(device: Terminal) -> Iterator[Open]:
    opened: list[Stream] = []

    def begin(**table: Any) -> Stream:
        opened.append(connect(settings(**{**DISTANCE, "max_age_ms": 5000, **table, "port": str(device.port)})))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def ended(sensor: Stream, within_s: float = 3.0) -> str:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            sensor.read(0.02)
        except NotYetError:
            continue
        except DriverError as error:
            return str(error)
    raise AssertionError("it went on")


@pytest.mark.parametrize(("kind", "check"), [      # the check values of the catalogue, over "123456789"
    ("crc8", 0xF4), ("crc8-maxim", 0xA1), ("crc16-modbus", 0x4B37), ("crc16-ccitt", 0x29B1), ("crc16-xmodem", 0x31C3),
    ("crc32", 0xCBF43926), ("sum8", 0xDD), ("lrc8", 0x23), ("xor8", 0x31), ("sum16", 0x01DD),
])
def test_a_checksum_gives_the_value_of_the_catalogue(kind: str, check: int) -> None:
    assert KINDS[kind][1](b"123456789") == check


def test_a_frame_is_a_reading_as_soon_as_it_is_whole(device: Terminal, sensor: Open) -> None:
    one = sensor(scale=0.001)
    device.say(distance(1234)[:2])
    with pytest.raises(NotYetError, match="no whole frame has come yet"):
        one.read(0.05)
    device.say(distance(1234)[2:])
    assert one.read(1).value == pytest.approx(1.234)


def test_a_frame_may_say_how_long_it_is() -> None:
    decoder = FrameDecoder(settings(**DUST))
    assert decoder.feed(b"noise" + dust(35) + dust(36)) == [pytest.approx(35e-9), pytest.approx(36e-9)]
    assert decoder.counters() == {"bad": 0, "unfit": 0, "other": 0, "skipped_bytes": 5}


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("u8", "fe", 254), ("i8", "fe", -2), ("u16le", "0102", 513), ("i16be", "ff00", -256), ("u32le", "01000000", 1),
    ("i32be", "fffffffe", -2), ("f32le", struct.pack("<f", 1.5).hex(), 1.5), ("f32be", struct.pack(">f", -2).hex(), -2),
])
def test_numbers_are_read_as_the_layout_says(kind: str, text: str, value: float) -> None:
    data = bytes.fromhex("aa" + text)
    decoder = FrameDecoder(settings(start="aa", length=len(data), checksum="none", value={"at": 1, "type": kind}))
    assert decoder.feed(data) == [value]


def test_a_frame_may_say_several_numbers_and_all_have_to_be_right() -> None:
    keys = settings(start="aa", length=6, checksum="none", value={"at": 1, "type": "i16le"}, scale=0.001, range=[-2, 2],
                    more=[{"at": 3, "type": "i16le"}, {"at": -1, "type": "i8"}])
    decoder = FrameDecoder(keys)
    assert decoder.feed(b"\xaa" + struct.pack("<hhb", 1000, -500, 3)) == [(1.0, -0.5, 0.003)]
    assert decoder.feed(b"\xaa" + struct.pack("<hhb", 1000, 2001, 3)) == []
    assert decoder.counters()["unfit"] == 1
    assert keys.channels == ("value", "at 3", "at -1")


def test_a_bit_is_true_or_false_and_counts_its_changes(device: Terminal, sensor: Open) -> None:
    one = sensor(value={"at": 2, "type": "u8", "bit": 3})
    device.say(b"".join(map(distance, (0, 8, 0, 8, 8))))
    found = [one.read(1)]
    while found[-1].rises < 2:
        found.append(one.read(1))
    assert (found[-1].value, found[-1].rises, found[-1].falls) == (True, 2, 1)


def test_frames_of_another_type_are_passed_over() -> None:
    decoder = FrameDecoder(settings(start="aa", length=3, checksum="none", value={"at": 2, "type": "u8"},
                                    match={"at": 1, "bytes": "07"}))
    assert decoder.feed(bytes.fromhex("aa0701 aa0802 aa0703")) == [1, 3]
    assert decoder.counters()["other"] == 1


@pytest.mark.fault("F37", bound="one frame", outcome="counted, never a value")
def test_f37_numbers_that_cannot_be_true_never_become_a_value() -> None:
    decoder = FrameDecoder(settings(start="aa", length=5, checksum="none", value={"at": 1, "type": "f32le"}, range=[0, 100]))
    frames = [b"\xaa" + struct.pack("<f", one) for one in (float("nan"), float("inf"), -1.0, 100.5, 42.0)]
    assert decoder.feed(b"".join(frames)) == [42.0]
    assert decoder.counters()["unfit"] == 4


@pytest.mark.fault("F34", bound="256 bytes are held", outcome="the next whole frame counts")
def test_f34_a_start_that_is_none_costs_no_frame() -> None:
    decoder = FrameDecoder(settings(**DUST))
    cut = dust(99)[:20]
    assert decoder.feed(cut + dust(1) + b"BM\x00\xfa" + dust(2) + dust(3)) == [pytest.approx(1e-9)]
    assert decoder.feed(dust(4) * 9)[:3] == [pytest.approx(2e-9), pytest.approx(3e-9), pytest.approx(4e-9)]


@given(st.lists(st.one_of(st.integers(0, 65535), st.binary(max_size=40)), max_size=30), st.randoms(use_true_random=False))
def test_however_it_is_cut_every_whole_frame_is_found_and_nothing_is_held_for_long(pieces: list[int | bytes], dice: Any) -> None:
    """Noise without a start byte lies between frames; chunks end anywhere."""
    layout = {"start": "fe ff", "length": 7, "checksum": {"kind": "crc16-modbus", "at": 5}, "value": {"at": 2, "type": "u16be"}}
    stream, sent = b"", []
    for piece in pieces:
        if isinstance(piece, int):
            head = struct.pack(">HHB", 0xFEFF, piece, 0)
            stream += head + KINDS["crc16-modbus"][1](head).to_bytes(2, "little")
            sent.append(float(piece))
        else:
            stream += piece.replace(b"\xfe", b"\x00")
    decoder, found = FrameDecoder(settings(**layout)), []
    while stream:
        size = dice.randint(1, 50)
        found += decoder.feed(stream[:size])
        stream = stream[size:]
        assert len(decoder._frames._rest) < LONGEST
    assert found == sent


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_any_bytes_are_survived_and_counted(data: bytes, size: int) -> None:
    decoder = FrameDecoder(settings(**DUST))
    for at in range(0, len(data), size):
        decoder.feed(data[at:at + size])
        assert len(decoder._frames._rest) < LONGEST
    assert decoder.counters()["skipped_bytes"] + len(decoder._frames._rest) <= len(data)


def test_false_starts_all_over_a_chunk_take_bounded_time() -> None:
    worst = settings(start="00", length=LONGEST, checksum={"kind": "crc16-modbus", "at": -2}, value={"at": 1, "type": "u8"})
    decoder = FrameDecoder(worst)
    began = time.process_time()
    decoder.feed(bytes(4095) + b"\x01")
    assert time.process_time() - began < 2, "some 50 ms here; an unbounded search would take many times that"


@pytest.mark.parametrize(("change", "message"), [
    ({"start": "4"}, "pairs of hexadecimal digits"),
    ({"start": ""}, "there has to be a byte"),
    ({"value": {"at": 3, "type": "u16be"}}, "value ends outside of the frame, which has 4 bytes; found at = 3 and 2 bytes"),
    ({"value": {"at": -5, "type": "u8"}}, "value ends outside of the frame"),
    ({"checksum": {"kind": "crc32", "at": 3}}, "checksum ends outside of the frame"),
    ({"checksum": {"kind": "sum8", "at": 3, "from": 3}}, "checksum covers nothing, or more than the frame; found bytes 3 to 3"),
    ({"match": {"at": 3, "bytes": "0102"}}, "match ends outside of the frame"),
    ({"start": "01 02 03 04 05"}, "start is longer than length"),
    ({"value": {"at": 1, "type": "u8", "bit": 8}}, "bit 8 is not in a u8"),
    ({"value": {"at": 1, "type": "u8", "bit": 0}, "scale": 2}, "go with a number, not with a bit"),
    ({"more": [{"at": 3, "type": "u16be"}]}, "more ends outside of the frame"),
    ({"more": [{"at": 1, "type": "u8", "bit": 1}]}, "more goes with numbers"),
    ({"more": [{"at": 1, "type": "u8"}] * 64}, "at most 63"),
    ({"length": {"at": -1}}, "counts from the start of the frame"),
    ({"range": [2, 1]}, "range is the least, then the greatest"),
])
def test_a_layout_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**{**DISTANCE, **change})


def test_the_checksum_has_to_be_given_or_renounced() -> None:
    with pytest.raises(ValidationError, match="checksum"):
        settings(**{key: value for key, value in DISTANCE.items() if key != "checksum"})


def test_a_receiver_at_the_right_rate_samples_what_was_sent() -> None:
    assert at_the_wrong_rate(dust(35), 1.0) == dust(35)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 1 / 6, 115200 / 9600])
@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong; counted, no value")
def test_f33_a_wrong_baud_rate_says_so(device: Terminal, sensor: Open, ratio: float) -> None:
    noise = at_the_wrong_rate(b"".join(dust(number) for number in range(30, 60)), ratio)
    assert len(noise) > 50
    one = sensor(**DUST, max_age_ms=300)
    device.keep_saying(noise[:2000], every_s=0.02)
    told = ended(one)
    assert "what comes is no such frame; 9600 baud may be wrong: write the device's own as baud" in told
    assert one.counters()["skipped_bytes"] > 50


def test_a_wrong_checksum_is_told_apart_from_noise(device: Terminal, sensor: Open) -> None:
    one = sensor(**{**DUST, "checksum": {"kind": "crc16-modbus", "at": -2}}, max_age_ms=200)
    device.keep_saying(dust(7), every_s=0.02)
    assert "frames begin, and no checksum or length is right; correct checksum and length, or baud" in ended(one)


def test_frames_that_never_match_say_so(device: Terminal, sensor: Open) -> None:
    one = sensor(match={"at": 1, "bytes": "77"}, max_age_ms=200)
    device.keep_saying(distance(7), every_s=0.02)
    assert "frames come, and none matches; correct match" in ended(one)


@pytest.mark.fault("F38", bound="max_age_ms", outcome="no reading any more; what depends on it goes safe")
def test_f38_a_device_that_falls_silent_is_in_trouble(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.say(distance(5))
    assert one.read(1).value == 5
    assert "no frame came within 200 ms; check the device and its cable, or raise max_age_ms" in ended(one)
