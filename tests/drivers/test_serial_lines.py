"""Lines over a real pseudo terminal: values, noise, floods, silence, and a plug that is pulled."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd_drivers.base import DriverError, NotYetError, Reading, SilentError
from reflexd_drivers.sensors import serial_lines
from reflexd_drivers.stream import Stream
from tests.drivers.talkers import at_the_wrong_rate
from tests.drivers.terminals import Terminal
from tests.stopwatch import Stopwatch

Open = Callable[..., Stream]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


def connect(port: Path, **table: Any) -> Stream:
    settings = serial_lines.Settings.model_validate({"driver": "serial-lines", "port": str(port), **table})
    return serial_lines.connect(settings)


@pytest.fixture
def sensor(device: Terminal) -> Iterator[Open]:
    """Open the port of the device, past the line that may be cut."""
    opened: list[Stream] = []

    def begin(**table: Any) -> Stream:
        opened.append(connect(device.port, **{"max_age_ms": 5000, **table}))
        device.say(b"cut\n")
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def ended(sensor: Stream, within_s: float = 2.0) -> str:
    """Read until the sensor is in trouble, and give what it says."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            sensor.read(0.02)
        except NotYetError:
            continue
        except DriverError as error:
            return str(error)
    raise AssertionError("it went on")


def test_a_line_is_a_reading_as_soon_as_it_is_there(device: Terminal, sensor: Open) -> None:
    one = sensor(pattern=r"T=([\d.]+)")
    timer = threading.Timer(0.1, device.say, [b"T=21.5 C\r\n"])
    began = time.monotonic()
    timer.start()
    assert one.read(5).value == 21.5
    assert 0.05 < time.monotonic() - began < 2
    timer.join()


def test_without_a_new_line_the_last_reading_stands_as_old_as_it_is(device: Terminal, sensor: Open) -> None:
    one = sensor()
    device.say(b"21.5\n")
    first = one.read(1)
    again = one.read(0.05)
    assert again == first
    device.say(b"21.5\n")
    confirmed = one.read(1)
    assert (confirmed.value, confirmed.changed_at) == (21.5, first.changed_at)
    assert confirmed.taken_at > first.taken_at
    device.say(b"22\n")
    assert one.read(1).changed_at > first.changed_at


def test_a_press_that_is_over_within_one_chunk_shows_in_the_counts(device: Terminal, sensor: Open) -> None:
    one = sensor(value="boolean")
    device.say(b"0\n")
    first = one.read(1)
    assert (first.value, first.rises, first.falls) == (False, 0, 0)
    device.say(b"1\n0\n1\n0\n")
    found = [one.read(1)]
    while found[-1].falls < 2:       # a terminal may hand them out in pieces
        found.append(one.read(1))
    assert (found[-1].value, found[-1].rises, found[-1].falls) == (False, 2, 2)


def heard(one: Stream, last: float) -> list[Reading]:
    """Read until that value comes; give everything that windows are told of."""
    found: list[Reading] = []
    while not found or found[-1].value != last:
        newest = one.read(1)
        found += [*one.passed_over(), newest]
    return found


def test_lines_that_come_at_once_are_spread_over_the_time_in_which_they_came(device: Terminal, sensor: Open) -> None:
    one = sensor(columns=["x", "y"])
    device.say(b"0,0\n")
    before = one.read(1).taken_at
    device.say(b"".join(b"%d,%d\n" % (number, -number) for number in range(1, 6)))
    found = heard(one, 5.0)
    assert [reading.values for reading in found] == [(number, -number) for number in range(1, 6)]
    times = [before, *(reading.taken_at for reading in found)]
    assert times == sorted(set(times)), "each is later than the last, and none is older than what was read before"
    assert times[-1] <= time.monotonic_ns()
    assert one.passed_over() == []


def test_of_a_flood_windows_are_told_that_something_is_lost(device: Terminal, sensor: Open) -> None:
    one = sensor()
    device.say(b"".join(b"%d\n" % number for number in range(1, 201)))
    found = heard(one, 200.0)
    assert one.counters()["skipped"] > 0, "it came as one chunk or a few"
    assert any("more than 64 came at once" in str(reading.value) for reading in found)


def test_what_lay_in_the_port_before_it_was_opened_does_not_count(device: Terminal) -> None:
    device.say(b"1\n2\n3\n")
    one = connect(device.port)
    with pytest.raises(NotYetError):
        one.read(0.05)
    device.say(b"9\n4\n")
    assert one.read(1).value == 4.0
    one.close()


def test_lines_that_nobody_read_for_longer_than_max_age_do_not_count(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=100)
    device.say(b"1\n")
    assert one.read(1).value == 1.0
    device.say(b"2\n3\n")
    time.sleep(0.15)
    with pytest.raises(SilentError):
        one.read(0.02)


def test_while_the_device_boots_nothing_counts(device: Terminal, sensor: Open) -> None:
    one = sensor(boot_delay_s=0.3)
    device.say(b"7\n8\n")
    with pytest.raises(NotYetError, match="no whole line has come yet"):
        one.read(0.1)
    time.sleep(0.25)
    device.say(b"cut\n9\n")
    assert one.read(1).value == 9.0


@pytest.mark.fault("F31", bound="0.3 s", outcome="opened again after 0.5, 1, 2 … 30 s, for ever")
def test_f31_an_unplugged_port_is_a_fault_and_opens_again_when_it_is_back(device: Terminal, sensor: Open) -> None:
    one = sensor()
    device.say(b"1\n")
    one.read(1)
    device.unplug()
    assert "the port was unplugged or failed; check its cable" in ended(one)
    one.close()
    with pytest.raises(DriverError, match=r"there is no such port; found .*; plug it in"):
        sensor()
    device.plug_in()
    again = sensor()
    device.say(b"2\n")
    assert again.read(1).value == 2.0


@pytest.mark.fault("F32", bound="at opening", outcome="refused with the name and number of the program")
def test_f32_a_port_that_another_program_holds_names_it(device: Terminal) -> None:
    program = ("import serial, sys\n"
               f"port = serial.Serial({str(device.port)!r}, exclusive=True)\n"
               "print('held', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DriverError, match=rf"the port is in use by python.* \(process {other.pid}\); stop that program"):
            connect(device.port)
        other.communicate()
    connect(device.port).close()


@pytest.mark.fault("F32", bound="while it is open", outcome="other programs are refused the port")
def test_f32_nobody_else_can_open_the_port_meanwhile(device: Terminal, sensor: Open) -> None:
    sensor()
    with pytest.raises(DriverError, match="in use by"):
        connect(device.port)
    mine = os.open(device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) if os.geteuid() == 0 else -1   # root may all the same
    if mine >= 0:
        flag = fcntl.ioctl(mine, 0x80045440, b"\0" * 4)     # TIOCGEXCL, linux/ioctls.h
        os.close(mine)
        assert int.from_bytes(flag, sys.byteorder) == 1
    else:
        with pytest.raises(OSError, match="busy"):
            os.open(device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def test_after_close_the_port_is_free_for_all(device: Terminal, sensor: Open) -> None:
    one = sensor()
    one.close()
    other = os.open(device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    assert int.from_bytes(fcntl.ioctl(other, 0x80045440, b"\0" * 4), sys.byteorder) == 0
    os.close(other)


@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong; counted, no value")
def test_f33_noise_says_that_the_baud_rate_may_be_wrong(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.keep_saying(b"\x9f\xe3\x00\xf8\n\xff", every_s=0.01)
    assert "what comes is no text; 9600 baud may be wrong: write the device's own as baud" in ended(one)
    assert one.counters()["garbled"] > 3


@pytest.mark.parametrize("ratio", [0.5, 2.0, 1 / 6, 1 / 12, 12.0])
@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong; counted, no value")
def test_f33_lines_at_a_wrong_baud_rate_are_no_text(device: Terminal, sensor: Open, ratio: float) -> None:
    noise = at_the_wrong_rate(b"".join(b"T=%d.%d\r\n" % (number, number % 10) for number in range(20, 90)), ratio)
    one = sensor(max_age_ms=300, pattern=r"^T=([0-9.]+)$")
    device.keep_saying(noise[:2000] + b"\n", every_s=0.02)
    assert "what comes is no text; 9600 baud may be wrong" in ended(one)


@pytest.mark.fault("F33", bound="max_age_ms", outcome="says that the baud rate may be wrong, also of little noise")
def test_f33_little_noise_without_an_end_of_line_is_not_taken_for_silence(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=1500)
    device.keep_saying(b"\x00\xfe\x00", every_s=0.04)
    assert "what comes is no whole line; 9600 baud may be wrong" in ended(one, 5)


@pytest.mark.fault("F34", bound="4 KiB", outcome="counted; the next whole line counts")
def test_f34_noise_without_an_end_of_line_says_so_too(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.keep_saying(b"x" * 2000, every_s=0.01)
    assert "9600 baud may be wrong" in ended(one)
    assert one.counters()["overlong"] >= 1
    device.go_quiet()
    device.say(b"\n21.5\n")
    assert one.read(1).value == 21.5


def test_lines_that_do_not_fit_are_shown_in_words_that_stay_the_same(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200, column=2)
    device.say(b"first,x\n")
    device.keep_saying(b"hello\n", every_s=0.01)
    told = ended(one)
    assert 'no line says a number, as "first,x"; correct pattern, column, json or value' in told
    assert ended(one) == told


@pytest.mark.fault("F36", bound="one line", outcome="counted, never a value")
def test_f36_lines_that_are_no_text_are_skipped_and_counted(device: Terminal, sensor: Open) -> None:
    one = sensor()
    device.say(b"1\n2\xff\n3\x00\n")
    assert one.read(1).value == 1.0
    device.say(b"4\n")
    while one.read(1).value != 4.0:
        pass
    assert one.counters()["garbled"] == 2


@pytest.mark.fault("F37", bound="one line", outcome="counted, never a value")
def test_f37_no_reading_is_ever_infinite_or_no_number(device: Terminal, sensor: Open) -> None:
    one = sensor()
    device.say(b"1\nnan\ninf\n-inf\n1e999\n2\n")
    values = {one.read(0.2).value for _ in range(6)}
    assert values <= {1.0, 2.0}
    assert one.counters()["unfit"] == 4


@pytest.mark.fault("F38", bound="max_age_ms", outcome="no reading any more; what depends on it goes safe")
def test_f38_a_silent_device_is_silent_after_max_age(device: Terminal, sensor: Open) -> None:
    one = sensor(max_age_ms=200)
    device.say(b"1\n")
    taken_at = one.read(1).taken_at
    told = ended(one)
    assert time.monotonic_ns() - taken_at >= 0.2e9
    assert "no line came within 200 ms; check the device and its cable, or raise max_age_ms" in told


def flood(device: Terminal, seconds: float, rate: float = 1e6) -> threading.Thread:
    """Write rising numbers as fast as asked, as far as the reader takes them."""
    def write() -> None:
        began = time.monotonic()
        number = sent = 0
        while (spent := time.monotonic() - began) < seconds:
            if sent < spent * rate:
                number += 200
                sent += device.say(b"".join(b"%d\n" % n for n in range(number - 200, number)))
            else:
                time.sleep(0.0005)
    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.fault("F35", bound="4 KiB are held", outcome="the newest lines count, the rest is counted; no read takes longer")
def test_f35_a_flood_of_1_mb_a_second_keeps_every_read_in_its_bound_and_memory_where_it_is(
        device: Terminal, sensor: Open) -> None:
    one = sensor()
    writer = flood(device, 2.0)
    slowest = readings = 0.0
    deadline = time.monotonic() + 1.8
    while time.monotonic() < deadline:
        with Stopwatch() as took:
            assert isinstance(one.read(0.1).value, float)
        slowest, readings = max(slowest, took.seconds), readings + 1
    writer.join()
    assert slowest < 0.1 + 0.3
    assert readings > 20
    assert one.counters()["skipped"] > readings, "of each chunk the newest lines count"
    assert len(one._decoder._lines._rest) <= 4096


def test_a_terminal_is_told_the_speed(device: Terminal, sensor: Open) -> None:
    sensor(baud=115200)
    line = os.open(device.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    assert termios.tcgetattr(line)[4] == termios.B115200
    os.close(line)


@pytest.mark.parametrize("path", ["/dev/null", "/etc/passwd"])
def test_what_is_no_serial_port_is_refused(path: str) -> None:
    with pytest.raises(DriverError, match=rf"{path}: this is no serial port that works at 9600 baud"):
        connect(Path(path))
