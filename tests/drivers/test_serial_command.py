"""Commands on a serial port: what is sent, what has to come back, and what is told when it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers.actuators.serial_command import SerialCommand, Settings, connect
from reflexd_drivers.base import DriverError, SerialBytes
from tests.drivers.terminals import Board, Terminal

Open = Callable[..., SerialCommand]
SWITCH: dict[str, Any] = {"commands": {"on": "ON\n", "off": "OFF\n"}, "answer": "^OK"}
DIMMER: dict[str, Any] = {"command": "SET {percent}\r\n"}


def settings(**table: Any) -> Settings:
    return Settings.model_validate({"driver": "serial-command", "port": "/dev/null", "safe": "off", **table})


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path / "tty", level=1.0)
    yield made
    made.close()


@pytest.fixture
def actuator(tmp_path: Path) -> Iterator[Open]:
    opened: list[SerialCommand] = []

    def begin(**table: Any) -> SerialCommand:
        opened.append(connect(settings(**table, port=str(tmp_path / "tty"))))
        return opened[-1]

    yield begin
    for one in opened:
        try:
            one.close()
        except DriverError:
            assert one._port._closed, "a device that is gone gets no safe level; the port is given back all the same"


def heard(device: Terminal, size: int) -> bytes:
    """Wait until that many bytes were sent to the device."""
    found, deadline = b"", time.monotonic() + 3
    while len(found) < size and time.monotonic() < deadline:
        found += device.hear(0.05)
    return found


def test_the_safe_level_is_commanded_at_opening_and_at_closing(board: Board, actuator: Open) -> None:
    one = actuator(**SWITCH)
    assert (board.level, list(board.heard)) == (0.0, [b"OFF"])
    one.set(1.0)
    assert board.level == 1.0
    one.close()
    assert list(board.heard) == [b"OFF", b"ON", b"OFF"]


@pytest.mark.parametrize(("table", "level", "sent"), [
    ({"command": "SET {percent}\r\n"}, 0.335, b"SET 34\r\n"), ({"command": "{byte};"}, 0.5, b"128;"),
    ({"command": "L{level}\n"}, 0.25, b"L0.25\n"),
    ({"command": '{"pwm":{byte},"x":"{percent}"}\n'}, 1.0, b'{"pwm":255,"x":"100"}\n'),
    ({"command": "a5 {byte} 5a", "format": "hex"}, 0.5, b"\xa5\x80\x5a"),
    ({"command": "{percent}", "format": "hex"}, 1.0, b"\x64"),
    ({"commands": {"on": "0105 0000 ff00 8c3a", "off": "0105 0000 0000 cdca"}, "format": "hex"}, 1.0,
     bytes.fromhex("01050000ff008c3a")),
    ({"commands": {"on": "ü{x}", "off": "0"}}, 1.0, "ü{x}".encode()),
])
def test_a_level_is_sent_as_the_configuration_writes_it(table: dict[str, Any], level: float, sent: bytes) -> None:
    assert settings(**table).data(level) == sent


def test_without_an_answer_a_command_is_taken_once_the_kernel_has_it(tmp_path: Path, actuator: Open) -> None:
    device = Terminal(tmp_path / "tty")
    actuator(**DIMMER).set(0.5)
    assert heard(device, 14) == b"SET 0\r\nSET 50\r\n"
    device.close()


def test_a_lost_answer_is_asked_for_again(tmp_path: Path, actuator: Open) -> None:
    device = Terminal(tmp_path / "tty")
    replies = iter([b"OK\n", b"", b"rubbish\nOK\n", b"OK\n"])
    asked: list[bytes] = []
    device.keep_answering(lambda data: asked.append(data) or next(replies))      # type: ignore[func-returns-value]
    one = actuator(**{**SWITCH, "answer": "(?m)^OK"}, timeout_ms=100)
    one.set(1.0)
    assert asked == [b"OFF\n", b"ON\n", b"ON\n"]
    one.close()
    device.close()


def test_an_answer_of_bytes(tmp_path: Path, actuator: Open) -> None:
    device = Terminal(tmp_path / "tty")
    device.keep_answering(lambda data: b"\x00" + data[:1] + b"\xff")
    table = {"commands": {"on": "a5 01", "off": "a5 00"}, "format": "hex", "answer": "a5 ff", "timeout_ms": 100}
    actuator(**table).set(1.0)
    with pytest.raises(DriverError, match="no right answer to a5 00, found 00 a5 ff; check the device, its power and baud"):
        actuator_error(device, {**table, "answer": "a5 fe"})
    device.close()


def actuator_error(device: Terminal, table: dict[str, Any]) -> None:
    other = device.port.with_name("other")
    twin = Terminal(other)
    twin.keep_answering(lambda data: b"\x00" + data[:1] + b"\xff")
    try:
        connect(settings(**table, port=str(other)))
    finally:
        twin.close()


@pytest.mark.fault("F26", bound="0.8 s", outcome="every output is safe until a serial device answers again")
def test_f26_a_device_that_does_not_answer_fails_the_write_in_bounded_time(board: Board, actuator: Open) -> None:
    one = actuator(**SWITCH, timeout_ms=100, retries=2)
    board.deaf = True
    began = time.monotonic()
    with pytest.raises(DriverError, match=r"no right answer to ON\\n, found none; check the device, its power and baud"):
        one.set(1.0)
    assert 0.3 <= time.monotonic() - began < 1.5
    board.deaf = False


def test_an_answer_that_comes_too_late_is_not_taken_for_that_of_the_next_command(board: Board, actuator: Open) -> None:
    one = actuator(**SWITCH, timeout_ms=50, retries=0)
    board.say(b"OK\n")
    time.sleep(0.05)
    board.deaf = True
    with pytest.raises(DriverError, match="found none"):
        one.set(1.0)
    board.deaf = False


def test_a_device_that_takes_nothing_fails_the_write_in_bounded_time(tmp_path: Path, actuator: Open) -> None:
    device = Terminal(tmp_path / "tty")
    one = actuator(command="{percent}" + "x" * 990, timeout_ms=100)
    began = time.monotonic()

    def fill() -> None:
        for _ in range(10_000):
            one.set(1.0)

    with pytest.raises(DriverError, match="the device does not take what is sent to it"):
        fill()
    assert time.monotonic() - began < 5
    device.close()


@pytest.mark.fault("F31", bound="0.25 s while idle", outcome="every output safe; opened again after 0.5, 1, 2 … 30 s")
def test_f31_a_device_that_is_pulled_out_while_nothing_is_sent_is_noticed(board: Board, actuator: Open) -> None:
    one = actuator(**SWITCH)
    one.check(0)
    board.unplug()
    with pytest.raises(DriverError, match="the port was unplugged or failed"):
        one.check(0)


def test_a_board_that_boots_is_waited_for(board: Board, actuator: Open) -> None:
    board.deaf = True
    timer = threading.Timer(0.2, setattr, (board, "deaf", False))
    timer.start()
    actuator(**SWITCH, boot_delay_s=0.4)
    assert list(board.heard) == [b"OFF"]
    timer.join()


def test_a_failed_opening_gives_the_port_back(board: Board, actuator: Open) -> None:
    board.deaf = True
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DriverError, match="no right answer"):
        actuator(**SWITCH, timeout_ms=30)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    board.deaf = False
    actuator(**SWITCH).set(1.0)


def test_after_a_death_the_safe_command_is_sent_as_it_would_be_here() -> None:
    one = settings(**DIMMER, safe=0.25, baud=4800, parity="even", stop_bits=2, data_bits=7)
    assert one.after_death() == SerialBytes("/dev/null", 4800, b"SET 25\r\n", 7, "even", 2)


@pytest.mark.parametrize(("table", "message"), [
    ({}, "write one of the two"), ({**DIMMER, **SWITCH}, "write one of the two"),
    ({"command": "SET"}, "the same for every level; put {percent}"),
    ({"command": "SET {percnt}"}, r"no placeholder \{percnt\}; known: \{level\}, \{percent\}, \{byte\}"),
    ({"command": "{level}", "format": "hex"}, r"no placeholder \{level\}; known: \{percent\}, \{byte\}"),
    ({"commands": {"on": "1", "off": "0"}, "format": "hex"}, "pairs of hexadecimal digits"),
    ({**DIMMER, "format": "hex"}, "pairs of hexadecimal digits"), ({**SWITCH, "safe": 0.5}, 'safe is "on" or "off"'),
    ({**SWITCH, "answer": "("}, "no regular expression"), ({**SWITCH, "answer": "O?K*"}, "fits no answer at all"),
    ({**SWITCH, "answer": "(" * 480 + ")" * 480}, "no regular expression"),
    ({**SWITCH, "answer": "a{99999999999999999999}"}, "no regular expression"),
    ({**SWITCH, "format": "hex", "commands": {"on": "01", "off": "00"}}, "hexadecimal"),
    ({**SWITCH, "timeout_ms": 500, "retries": 1}, "make up to 1000 ms, more than 800"),
])
def test_what_cannot_be_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**table)


def test_a_level_between_goes_with_one_command_only(board: Board, actuator: Open) -> None:
    assert (settings(**SWITCH).on_off, settings(**DIMMER).on_off) == (True, False)
    with pytest.raises(DriverError, match=r"is on \(1\) or off \(0\); found 0.5"):
        actuator(**SWITCH).set(0.5)
