"""Modbus RTU against a server of another library, over a wire that can be cut and spoilt."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers import modbus_bus
from reflexd_drivers.base import DriverError, NotYetError, Reading, SilentError
from reflexd_drivers.checksums import crc16_modbus
from reflexd_drivers.sensors.modbus import Modbus, Settings, connect
from tests.drivers.terminals import Terminal, Wire
from tests.stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., Modbus]


class Server:
    """The server's process, which may be killed and started anew."""

    def __init__(self, port: Path) -> None:
        self._port = port
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.drivers.modbus_server", str(self._port)], cwd=ROOT,
                                         env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"serving\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, Server]]:
    wire = Wire(tmp_path_factory.mktemp("modbus"))
    server = Server(wire.far_port)
    yield wire, server
    server.kill()
    wire.close()


@pytest.fixture
def wire(line: tuple[Wire, Server]) -> Iterator[Wire]:
    line[0].cut, line[0].spoil = False, bytes
    yield line[0]
    assert modbus_bus._BUSES == {}, "every sensor left the bus"


def settings(port: Path, **table: Any) -> Settings:
    """Make settings; a pseudo terminal has no parity."""
    asked = {"driver": "modbus", "port": str(port), "parity": "none", "unit": 1, "register": 0, "every_ms": 20, **table}
    return Settings.model_validate(asked)


@pytest.fixture
def sensor(wire: Wire) -> Iterator[Open]:
    opened: list[Modbus] = []

    def begin(**table: Any) -> Modbus:
        opened.append(connect(settings(wire.port, **{"max_age_ms": 5000, **table})))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def value(one: Modbus, within_s: float = 3.0) -> Reading:
    """Read until there is a value."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return one.read(0.1)
        except NotYetError:
            assert time.monotonic() < deadline, one.counters()


def ended(one: Modbus, within_s: float = 10.0) -> str:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            one.read(0.02)
        except NotYetError:
            continue
        except DriverError as error:
            return str(error)
    raise AssertionError(f"it went on: {one.counters()}")


@pytest.mark.parametrize(("table", "expected"), [
    ({"register": 0}, 215.0), ({"register": 0, "scale": 0.1, "offset": -1}, pytest.approx(20.5)),
    ({"register": 1}, 65534.0), ({"register": 1, "type": "i16"}, -2.0),
    ({"register": 2, "type": "u32"}, 123456.0), ({"register": 4, "type": "i32"}, -2.0),
    ({"register": 6, "type": "f32"}, pytest.approx(3.14)),
    ({"register": 8, "type": "f32", "words": "low-first"}, pytest.approx(3.14)),
    ({"register": 0, "function": "input"}, 100.0), ({"register": 0, "function": "input", "unit": 2}, 200.0),
    ({"register": 1, "function": "coil"}, True), ({"register": 2, "function": "discrete"}, False),
])
def test_a_value_is_read_as_the_server_holds_it(sensor: Open, table: dict[str, Any], expected: object) -> None:
    assert value(sensor(**table)).value == expected


def test_two_sensors_share_a_bus_and_get_each_its_own_answer(sensor: Open) -> None:
    ones = [sensor(function="input", unit=unit, every_ms=5) for unit in (1, 2, 1)]
    found: dict[int, set[object]] = {0: set(), 1: set(), 2: set()}

    def read(index: int) -> None:
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            found[index].add(value(ones[index]).value)

    readers = [threading.Thread(target=read, args=(index,)) for index in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == {0: {100.0}, 1: {200.0}, 2: {100.0}}
    ones[0].close()
    assert value(ones[1]).value == 200.0, "the others keep the port"


def test_sensors_that_disagree_on_the_line_are_refused(sensor: Open) -> None:
    sensor()
    with pytest.raises(DriverError, match="another sensor uses this port with other settings; give both the same baud"):
        sensor(baud=9600)


def test_one_answer_that_is_lost_is_counted_and_asked_for_again(sensor: Open, wire: Wire) -> None:
    one = sensor(timeout_ms=50)
    first = value(one)
    wire.cut = True
    deadline = time.monotonic() + 3
    while not one.counters()["unanswered"]:
        assert value(one).value == 215.0, "the last one stands, as old as it is"
        assert time.monotonic() < deadline
    wire.cut = False
    while (again := value(one)).taken_at == first.taken_at:
        assert time.monotonic() < deadline
    assert again.value == 215.0


@pytest.mark.fault("F33", bound="max_age_ms", outcome="counted, never a value; the message names baud and parity")
def test_f33_a_wrong_checksum_never_becomes_a_value(sensor: Open, wire: Wire) -> None:
    one = sensor(max_age_ms=1000)
    assert value(one).value == 215.0
    wire.spoil = lambda data: bytes([*data[:-1], data[-1] ^ 1])
    assert "what unit 1 answers is damaged; check baud and parity" in ended(one)
    assert one.counters()["damaged"] > 2
    wire.spoil = bytes
    assert value(one).value == 215.0


def test_damage_anywhere_never_becomes_a_value(sensor: Open, wire: Wire) -> None:
    one = sensor(every_ms=1, timeout_ms=20)
    place = 0

    def spoil(data: bytes) -> bytes:
        nonlocal place
        place += 1
        at = place % len(data)
        changed = data[:at] + bytes([data[at] ^ 1 << place % 8]) + data[at + 1:]
        return [changed, data[:at], data[at:], data[:at] + b"\0" + data[at:]][place % 4]

    wire.spoil = spoil
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        try:
            assert one.read(0.05).value == 215.0, "a byte before or after a whole answer may be skipped"
        except NotYetError:
            continue
    counts = one.counters()
    assert counts["damaged"] + counts["unanswered"] > 10


def test_an_answer_of_another_device_or_to_another_question_is_damaged(wire: Wire, sensor: Open) -> None:
    one = sensor(max_age_ms=1000, unit=2, function="input")
    assert value(one).value == 200.0
    wire.spoil = lambda data: bytes.fromhex("0104020064b8db")     # unit 1, function 4, value 100
    assert "what unit 2 answers is damaged" in ended(one)


@pytest.mark.fault("F38", bound="max_age_ms", outcome="no reading any more; the message says what to check")
def test_f38_a_device_that_does_not_answer_names_the_likely_causes(sensor: Open, wire: Wire) -> None:
    wire.cut = True
    told = ended(sensor(max_age_ms=300, timeout_ms=30))
    assert "unit 1 does not answer; check unit, baud and parity, its power, and whether A and B are swapped" in told


def test_a_refusal_says_what_was_refused(sensor: Open) -> None:
    told = ended(sensor(register=5000, max_age_ms=2000))
    assert "unit 1 refuses register 5000: illegal data address; correct register, function or type" in told


def test_a_refusal_is_known_at_once(sensor: Open) -> None:
    one = sensor(register=5000, timeout_ms=1000, every_ms=20)
    deadline = time.monotonic() + 3
    while one.counters()["refused"] < 5:     # at a second each, they would take longer
        with pytest.raises(NotYetError):
            one.read(0.1)
        assert time.monotonic() < deadline


@pytest.mark.fault("F37", bound="one answer", outcome="counted, never a value")
def test_f37_not_a_number_never_becomes_a_value(sensor: Open) -> None:
    one = sensor(register=10, type="f32", max_age_ms=200)
    assert "register 10 of unit 1 says what cannot be true" in ended(one)
    assert one.counters()["unfit"] > 0


def test_a_server_that_is_killed_and_started_anew_answers_again(line: tuple[Wire, Server], sensor: Open) -> None:
    one = sensor(max_age_ms=300, timeout_ms=50)
    assert value(one).value == 215.0
    line[1].kill()
    assert "does not answer" in ended(one)
    line[1].start()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert one.read(0.1).value == 215.0
            break
        except SilentError:
            assert time.monotonic() < deadline


def test_close_ends_a_read_that_waits_for_an_answer(sensor: Open, wire: Wire) -> None:
    one = sensor(timeout_ms=1000)
    value(one)
    wire.cut = True

    def read() -> None:
        with pytest.raises(DriverError):
            one.read(5)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.1)
    with Stopwatch() as took:
        one.close()
        reader.join(5)
    assert took.seconds < 0.3
    assert not reader.is_alive()


@pytest.mark.fault("F31", bound="one question", outcome="all that share the port open it again")
def test_f31_a_bus_that_is_unplugged_is_opened_again_by_all_who_share_it(tmp_path: Path) -> None:
    device = Terminal(tmp_path / "tty")
    ones = [connect(settings(device.port, unit=unit, timeout_ms=20)) for unit in (1, 2)]
    device.unplug()
    assert "the port was unplugged or failed" in ended(ones[0])
    ones[0].close()
    device.plug_in()
    again = connect(settings(device.port, timeout_ms=20))
    assert ended(ones[1]), "its port was closed with the other's"
    ones[1].close()
    with pytest.raises(NotYetError):
        again.read(0.1)
    again.close()
    device.close()
    assert modbus_bus._BUSES == {}


@pytest.mark.parametrize(("table", "message"), [
    ({"unit": 0}, "unit"), ({"unit": 248}, "unit"), ({"register": 65536}, "register"),
    ({"register": 65535, "type": "f32"}, "register 65535 has no next one"),
    ({"function": "coil", "scale": 2}, "a coil is a bit"),
    ({"every_ms": 1000, "max_age_ms": 1000}, "every_ms is not less than max_age_ms"),
])
def test_what_cannot_be_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(Path("/dev/null"), **table)


class Slow:
    """A device that thinks for too long about the first question, and not about others: register n holds 100 + n."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def reply(self, question: bytes) -> bytes:
        self.asked.append(question[3])
        answer = bytes([question[0], 3, 2, 0, 100 + question[3]])
        answer += crc16_modbus(answer).to_bytes(2, "little")
        if len(self.asked) == 1:
            time.sleep(0.15)
        return answer


def test_an_answer_that_comes_too_late_is_not_taken_for_that_to_another_question(tmp_path: Path) -> None:
    device, slow = Terminal(tmp_path / "tty"), Slow()
    device.keep_answering(slow.reply)
    first, second = (connect(settings(device.port, register=number, timeout_ms=100, every_ms=4000, max_age_ms=5000))
                     for number in (1, 2))
    try:
        with pytest.raises(NotYetError):
            first.read(0.1)
        assert slow.asked == [1], "and nothing came in time"
        assert value(second).value == 102.0
    finally:
        for one in (first, second):
            one.close()
        device.close()
