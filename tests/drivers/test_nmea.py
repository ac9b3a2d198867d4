"""Sentences as NMEA 0183 and makers of receivers print them, and everything that only looks like one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexd_drivers.base import DriverError, NotYetError, SilentError
from reflexd_drivers.sensors.nmea import NmeaDecoder, Settings, connect
from reflexd_drivers.stream import Stream
from tests.drivers.talkers import at_the_wrong_rate
from tests.drivers.terminals import Terminal

Open = Callable[..., Stream]
# Printed with their checksums in the standard, in handbooks of receivers, and all over the literature.
GGA = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76"
RMC = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"
GLL = "$GPGLL,4916.45,N,12311.12,W,225444,A,*1D"
VTG = "$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K*48"
MWV = "$WIMWV,214.8,R,0.1,K,A*28"
DBT = "$SDDBT,7.8,f,2.4,M,1.3,F*0D"
HDT = "$GPHDT,123.456,T*32"
NO_FIX_OF_NAVIGATION = "$GNRMC,200728.50,A,2829.34783,N,08122.21257,W,0.057,,301223,,,A,V*0F"    # "V" is no status here


def sentence(body: str) -> bytes:
    return f"${body}*{reduce(xor, body.encode(), 0):02X}\r\n".encode()


def settings(**table: Any) -> Settings:
    return Settings.model_validate({"driver": "nmea", "port": "/dev/null", "sentence": "MTW", "field": "temperature", **table})


def decoder(**table: Any) -> NmeaDecoder:
    made = NmeaDecoder(settings(**table))
    assert made.feed(b"cut off\r\n") == []
    return made


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


@pytest.fixture
def sensor(device: Terminal) -> Iterator[Open]:
    opened: list[Stream] = []

    def begin(**table: Any) -> Stream:
        opened.append(connect(settings(**{"max_age_ms": 5000, **table, "port": str(device.port)})))
        device.say(b"cut\r\n")
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


@pytest.mark.parametrize(("said", "kind", "field", "value"), [
    (GGA, "GGA", "altitude", 61.7), (GGA, "GGA", "num_sats", 8), (GGA, "GGA", "latitude", 53.36133667),
    (GGA, "GGA", "longitude", -6.50562), (GGA, "GGA", "horizontal_dil", 1.03),
    (RMC, "RMC", "spd_over_grnd", 22.4), (RMC, "RMC", "true_course", 84.4), (RMC, "RMC", "latitude", 48.1173),
    (GLL, "GLL", "longitude", -123.18533333), (VTG, "VTG", "spd_over_grnd_kmph", 10.2), (MWV, "MWV", "wind_angle", 214.8),
    (DBT, "DBT", "depth_meters", 2.4), (HDT, "HDT", "heading", 123.456),
    (NO_FIX_OF_NAVIGATION, "RMC", "spd_over_grnd", 0.057),
])
def test_a_printed_sentence_says_what_its_author_meant(said: str, kind: str, field: str, value: float) -> None:
    assert decoder(sentence=kind, field=field).feed(said.encode() + b"\r\n") == [pytest.approx(value, abs=1e-8)]


def test_knots_become_metres_a_second_by_scale() -> None:
    one = decoder(sentence="RMC", field="spd_over_grnd", scale=0.514444)
    assert one.feed(RMC.encode() + b"\r\n") == [pytest.approx(11.5235, abs=1e-3)]


@pytest.mark.parametrize("said", [
    b"$YXMTW,17.75,C\r\n",                                  # without a checksum
    b"$YXMTW,17.75,C*27\r\n", b"$YXMTW,17.76,C*26\r\n",     # with a wrong one
    b"YXMTW,17.75,C*26\r\n", b"$YXMTW,17.75,C*2\r\n", b"x$YXMTW,17.75,C*26\r\n", b"$yxMTW,17.75,C*26\r\n",
    sentence("YXMTW,17$YXMTW,17.75,C"), sentence("YXMTW,17\x00.75,C"), sentence("YXMTW,1\xb2.75,C"),
])
def test_what_is_no_sentence_never_becomes_a_value(said: bytes) -> None:
    one = decoder()
    assert one.feed(said) == []
    assert one.counters()["bad"] == 1


@pytest.mark.parametrize("text", ["nan", "inf", "1e5", "1_0", "0x10", "12,5", "-", ".", "+-1", "1 2", "17.75C"])
@pytest.mark.fault("F37", bound="one sentence", outcome="counted, never a value")
def test_f37_what_is_no_number_never_becomes_one(text: str) -> None:
    one = decoder()
    assert one.feed(sentence(f"YXMTW,{text},C")) == ([12.0] if text == "12,5" else [])
    assert one.counters()["unfit"] == (text != "12,5")


def test_a_number_out_of_range_does_not_count() -> None:
    assert decoder(range=[0, 40]).feed(sentence("YXMTW,40.5,C") + sentence("YXMTW,39.5,C")) == [39.5]


@pytest.mark.parametrize("place", ["9107.038,N", "4807.038,X", "4807.038,", "48.07038,N", "4807,N", "-107.038,N", "4860.000,N"])
def test_a_position_that_cannot_be_is_not_0_degrees(place: str) -> None:
    one = decoder(sentence="RMC", field="latitude")
    assert one.feed(sentence(f"GPRMC,123519,A,{place},01131.000,E,,,230394,,")) == []
    assert one.counters()["unfit"] == 1


@pytest.mark.parametrize(("body", "kind", "field"), [
    ("GPRMC,123520,V,,,,,,,230394,,", "RMC", "latitude"),
    ("GPRMC,123520,V,4807.038,N,01131.000,E,0,0,230394,,", "RMC", "latitude"),
    ("GPGGA,092750.000,,,,,0,0,,,M,,M,,", "GGA", "altitude"), ("GPVTG,,T,,M,,N,,K,N", "VTG", "spd_over_grnd_kmph"),
    ("GNRMC,123520,A,4807.038,N,01131.000,E,0,0,230394,,,N", "RMC", "latitude"),
])
def test_without_a_fix_there_is_no_value_at_once(body: str, kind: str, field: str) -> None:
    one = decoder(sentence=kind, field=field)
    assert one.feed(sentence(body)) == [None]
    assert "the device has no fix" in one.trouble()


def test_with_valid_only_off_an_old_position_counts() -> None:
    body = "GPRMC,123520,V,4807.038,N,01131.000,E,0,0,230394,,"
    assert decoder(sentence="RMC", field="latitude", valid_only=False).feed(sentence(body)) == [pytest.approx(48.1173)]


def test_a_fix_that_is_lost_takes_the_reading_away_and_one_that_comes_gives_it_back(device: Terminal, sensor: Open) -> None:
    one = sensor(sentence="RMC", field="latitude")
    device.say(RMC.encode() + b"\r\n")
    assert one.read(1).value == pytest.approx(48.1173)
    device.say(sentence("GPRMC,123520,V,,,,,,,230394,,"))
    with pytest.raises(NotYetError, match="the device has no fix; wait, give its antenna a view of the sky"):
        one.read(1)
    device.say(RMC.encode() + b"\r\n")
    assert one.read(1).value == pytest.approx(48.1173)


def test_a_device_that_falls_silent_without_a_fix_is_silent(device: Terminal, sensor: Open) -> None:
    one = sensor(sentence="RMC", field="latitude", max_age_ms=200)
    device.say(sentence("GPRMC,123520,V,,,,,,,230394,,"))
    with pytest.raises(NotYetError):
        one.read(1)
    assert "no fix" in ended(one), "why it had no value before still says more"
    with pytest.raises(SilentError) as caught:
        one.read(0.02)
    assert not isinstance(caught.value, NotYetError)


def test_only_the_talker_that_was_asked_for_counts() -> None:
    one = decoder(sentence="HDT", field="heading", talker="HE")
    assert one.feed(HDT.encode() + b"\r\n" + sentence("HEHDT,90.5,T")) == [90.5]
    assert one.counters()["other"] == 1


def test_other_sentences_say_that_the_type_is_wrong(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.keep_saying(RMC.encode() + b"\r\n", every_s=0.02)
    assert "sentences come, and none is a MTW; correct sentence or talker" in ended(one)


@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong; counted, no value")
def test_f33_noise_says_that_the_baud_rate_may_be_wrong(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.keep_saying(b"\x9f\xe3\x00\xf8\n\xff", every_s=0.01)
    assert "what comes is no NMEA sentence with a checksum; 4800 baud may be wrong" in ended(one)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 8.0])
@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong; counted, no value")
def test_f33_sentences_at_a_wrong_baud_rate_are_none(device: Terminal, sensor: Open, ratio: float) -> None:
    noise = at_the_wrong_rate((RMC.encode() + b"\r\n") * 9, ratio)
    one = sensor(sentence="RMC", field="latitude", max_age_ms=300)
    device.keep_saying(noise[:2000] + b"\n", every_s=0.02)
    assert "4800 baud may be wrong" in ended(one)


@pytest.mark.parametrize(("table", "message"), [
    ({"sentence": "XQQ"}, 'there is no sentence "XQQ"'),
    ({"sentence": "mtw"}, "sentence"),
    ({"field": "depth"}, 'MTW has no field "depth" with a number; known: temperature, units'),
    ({"sentence": "RMC", "field": "lat"}, "known: latitude, longitude"),
    ({"talker": "GPS"}, "talker"),
])
def test_a_field_that_is_not_there_is_refused_when_the_configuration_is_checked(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**table)


@given(st.data())
def test_one_damaged_byte_is_always_noticed(data: Any) -> None:
    """An exclusive or over 8 bits finds every change, loss and gift of one byte but that of a NUL, which is no text."""
    good = bytearray(RMC.encode() + b"\r\n")
    at = data.draw(st.integers(0, len(good) - 3))
    way = data.draw(st.sampled_from(["change", "lose", "add"]))
    byte = data.draw(st.integers(0, 255))
    if way == "change":
        good[at] = byte
    elif way == "lose":
        del good[at]
    else:
        good.insert(at, byte)
    found = decoder(sentence="RMC", field="spd_over_grnd").feed(bytes(good))
    assert found in ([], [22.4]), "a line's end within it makes two, and a change may change nothing"


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    one = decoder(sentence="RMC", field="latitude")
    for chunk in chunks:
        assert one.feed(chunk) == []
