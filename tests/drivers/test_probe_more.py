"""What the kernel measures and drives, in trees of files that are planted, and what serial ports say."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from reflexd_drivers.header import BOARDS, POSITIONS, SUPPLIES, USES, number_of
from reflexd_drivers.probe_kernel import READ_S, FoundPwm, FoundSensor, find_pwm, find_sensors
from reflexd_drivers.probe_serial import Heard, hear, text_lines
from tests.drivers.terminals import Terminal


def plant(root: Path, folder: str, **files: str) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(f"{text}\n")
    return path


def test_each_bus_is_found_with_what_its_files_say(tmp_path: Path) -> None:
    iio = plant(tmp_path, "sys/bus/iio/devices/iio:device0", name="mcp3008", in_voltage0_raw="512", in_voltage_scale="3.2")
    hwmon = plant(tmp_path, "sys/class/hwmon/hwmon2", name="sht3x", temp1_input="21500", humidity1_input="45000", temp1_max="1")
    probe = plant(tmp_path, "sys/bus/w1/devices/28-0316a2795fff", name="28-0316a2795fff", temperature="23125", w1_slave="x")
    plant(tmp_path, "sys/bus/w1/devices/w1_bus_master1", name="w1_bus_master1")
    zone = plant(tmp_path, "sys/class/thermal/thermal_zone0", type="cpu-thermal", temp="48312")
    assert list(find_sensors(tmp_path)) == [
        FoundSensor("iio", str(iio), "mcp3008", {"in_voltage0_raw": "512"}),
        FoundSensor("hwmon", str(hwmon), "sht3x", {"humidity1_input": "45000", "temp1_input": "21500"}),
        FoundSensor("one-wire", str(probe), "28-0316a2795fff", {"temperature": "23125"}),
        FoundSensor("thermal", str(zone), "cpu-thermal", {"temp": "48312"}),
    ]


def test_what_hwmon_only_repeats_is_told_once(tmp_path: Path) -> None:
    plant(tmp_path, "sys/class/thermal/thermal_zone0", type="cpu-thermal", temp="48312")
    plant(tmp_path, "sys/class/hwmon/hwmon0", name="cpu_thermal", temp1_input="48312")
    plant(tmp_path, "sys/class/hwmon/hwmon1", name="w1_slave_temp", temp1_input="23125")
    assert [one.bus for one in find_sensors(tmp_path)] == ["thermal"]


def test_a_value_that_does_not_come_is_left_empty_and_the_others_are_there(tmp_path: Path) -> None:
    folder = plant(tmp_path, "sys/class/hwmon/hwmon0", name="ina219", in1_input="12000")
    (folder / "curr1_input").mkdir()        # cannot be read
    (folder / "power1_input").write_bytes(b"\xff\xfe")
    (one,) = find_sensors(tmp_path)
    assert one.values == {"curr1_input": "", "in1_input": "12000", "power1_input": ""}


def test_a_device_that_hangs_costs_a_bounded_time_and_no_other(tmp_path: Path) -> None:
    stuck = plant(tmp_path, "sys/class/hwmon/hwmon0", name="stuck")
    os.mkfifo(stuck / "temp1_input")        # nobody writes: a read waits for ever
    plant(tmp_path, "sys/class/hwmon/hwmon1", name="fine", temp1_input="1")
    began = time.monotonic()
    assert [one.name for one in find_sensors(tmp_path)] == ["fine"]
    assert time.monotonic() - began < READ_S + 2
    os.close(os.open(stuck / "temp1_input", os.O_WRONLY | os.O_NONBLOCK))     # lets its thread go


def test_chips_of_pwm_are_found_by_the_device_behind_them(tmp_path: Path) -> None:
    chip = plant(tmp_path, "sys/class/pwm/pwmchip2", npwm="4")
    plant(tmp_path, "sys/devices/1f00098000.pwm")
    (chip / "device").symlink_to(tmp_path / "sys/devices/1f00098000.pwm")
    (chip / "pwm2").mkdir()
    plant(tmp_path, "sys/class/pwm/pwmchip10", npwm="what")
    assert list(find_pwm(tmp_path)) == [FoundPwm(str(chip), "1f00098000.pwm", 4, (2,))]


def test_a_computer_without_any_of_it_has_none(tmp_path: Path) -> None:
    assert (list(find_sensors(tmp_path)), list(find_pwm(tmp_path))) == ([], [])


@pytest.fixture
def terminal(tmp_path: Path):
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


def test_a_port_that_speaks_text_is_heard(terminal: Terminal) -> None:
    terminal.keep_saying(b"T=21.5 P=1.2\r\n", 0.05)
    heard = hear(str(terminal.port))
    assert (heard.found, heard.baud, set(heard.lines)) == ("text", 9600, {"T=21.5 P=1.2"})


def test_a_silent_port_takes_a_bounded_time(terminal: Terminal) -> None:
    began = time.monotonic()
    assert hear(str(terminal.port)).found == "silent"
    assert time.monotonic() - began < 10


class Rated:
    """A port whose bytes are text at one rate only, as with a real line."""

    def __init__(self, baud: int, right: int) -> None:
        self.baudrate, self._right = baud, right
        self._ours, self._theirs = os.pipe()
        self._stop = threading.Event()
        self._talker = threading.Thread(target=self._talk)
        self._talker.start()
        self.in_waiting = 100

    def _talk(self) -> None:
        while not self._stop.wait(0.05):
            os.write(self._theirs, b"temperature 21.5\n" if self.baudrate == self._right else b"\xf0\x8f\x80\x00\xfe\x18\n\n")

    def fileno(self) -> int:
        return self._ours

    def read(self, size: int) -> bytes:
        return os.read(self._ours, size)

    def reset_input_buffer(self) -> None:
        os.read(self._ours, 65536)

    def close(self) -> None:
        self._stop.set()
        self._talker.join()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.mark.parametrize(("right", "found"), [
    (115200, ("text", 115200, "temperature 21.5")), (300, ("no text at any of 9600, 115200 baud", 9600, None)),
])
def test_the_usual_rates_are_tried_without_opening_it_again(right: int, found: tuple[str, int, str | None]) -> None:
    opened: list[Rated] = []

    def open_port(settings) -> Rated:
        opened.append(Rated(settings.baud, right))
        return opened[-1]

    heard = hear("/dev/ttyUSB0", (9600, 115200), open_port)
    assert heard.found.startswith(found[0])
    assert (heard.baud, heard.lines[-1] if heard.lines else None) == found[1:]
    assert len(opened) == 1


def test_a_port_that_is_gone_or_held_says_so(tmp_path: Path, terminal: Terminal) -> None:
    assert "there is no such port" in hear(str(tmp_path / "none")).found
    (tmp_path / "file").touch()
    assert "this is no serial port" in hear(str(tmp_path / "file")).found


@pytest.mark.parametrize(("got", "lines"), [
    (b"1.5\n21.5\n22.5\n2", ("21.5", "22.5")), (b"cut\r\nwhole line\r\n", ("whole line",)), (b"no end of line", ()),
    (b"half\n\x00\x01\x02\x03\x04\x05\x06\n", ()), (b"one\n\xff\xfe\xfd\xfc\xfb\xfa\n", ()), (b"", ()), (b"a\nb\n", ()),
    ("°C\n21.5 °C\n".encode(), ("21.5 °C",)),
])
def test_what_is_text_is_told_from_what_is_not(got: bytes, lines: tuple[str, ...]) -> None:
    assert text_lines(got) == lines


def test_what_was_not_heard_is_told_in_words() -> None:
    assert Heard("silent").lines == ()


def test_the_table_of_the_header_is_whole() -> None:
    assert sorted([*POSITIONS, *SUPPLIES]) == list(range(1, 41)), "each of the 40 pins once"
    assert number_of("GPIO17") == 11
    assert USES.keys() <= set(range(28))
    for board in BOARDS:
        lines = [line for uart in board.uarts for line in (uart.sends, uart.receives)]
        assert len(lines) == len(set(lines)), "no line serves two ports"
        assert board.pwm.keys() == {12, 13, 18, 19}
