"""Plugs that are pulled and put back, fifty times, and two devices that swap places."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import DriverError, NotYetError, SilentError
from tests.drivers.terminals import Board, Terminal
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.once

SAYS: dict[str, tuple[dict[str, Any], bytes]] = {
    "serial-lines": ({}, b"cut\n21.5\n21.5\n"),
    "nmea": ({"sentence": "MTW", "field": "temperature"}, b"cut\n$YXMTW,21.5,C*14\r\n"),
    "serial-frames": ({"start": "ff", "length": 4, "checksum": {"kind": "sum8", "at": 3}, "value": {"at": 1, "type": "u16be"},
                       "scale": 0.1}, bytes([0xFF, 0, 215, 0xD6])),
    "modbus": ({"unit": 1, "register": 0, "parity": "none", "scale": 0.1, "every_ms": 5, "timeout_ms": 50},
               bytes.fromhex("01030200d7f81a")),
}


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


def connect(name: str, port: Path, **more: Any) -> Any:
    module = registry.load("sensor", name)
    return module.connect(module.Settings.model_validate({"driver": name, "port": str(port), **SAYS[name][0], **more}))


def speak(device: Terminal, name: str) -> None:
    if name == "modbus":
        device.keep_answering(lambda asked: SAYS["modbus"][1])
    else:
        device.keep_saying(SAYS[name][1], every_s=0.002)


def until(read: Callable[[], Any], wanted: type[BaseException] | None, within_s: float = 5.0) -> Any:
    """Read until there is a value, or until that error comes."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            reading = read()
        except NotYetError:
            continue
        except DriverError as error:
            if wanted is not None and type(error) is wanted:
                return error
            if not isinstance(error, SilentError):
                raise
        else:
            if wanted is None:
                return reading
    raise AssertionError("neither came")


def held() -> tuple[int, int]:
    """Count descriptors and threads."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.fault("F31", bound="0.3 s", outcome="opened again after 0.5, 1, 2 … 30 s; after fifty times nothing is left open")
def test_f31_a_plug_that_is_pulled_fifty_times(name: str, device: Terminal) -> None:
    counts = []
    for _ in range(50):
        speak(device, name)
        one = connect(name, device.port)
        assert until(lambda: one.read(0.05), None).value == pytest.approx(21.5)   # noqa: B023
        device.unplug()
        with Stopwatch() as took:
            error = until(lambda: one.read(0.05), DriverError)   # noqa: B023
        assert took.seconds < 1.0
        assert "unplugged or failed" in str(error)
        one.close()
        with pytest.raises(DriverError, match="there is no such port"):
            connect(name, device.port)
        device.plug_in()
        counts.append(held())
    assert counts[-1] == counts[1], "descriptors and threads"


@pytest.mark.fault("F31", bound="0.3 s", outcome="safe at each opening; after fifty times nothing is left open")
def test_f31_an_actuator_that_is_pulled_fifty_times(tmp_path: Path) -> None:
    board = Board(tmp_path / "tty", level=1.0)
    module = registry.load("actuator", "serial-command")
    settings = module.Settings.model_validate({"driver": "serial-command", "port": str(board.port), "safe": "off", "answer": "OK",
                                               "commands": {"on": "ON\n", "off": "OFF\n"}})
    counts = []
    for _ in range(50):
        one = module.connect(settings)
        assert board.level == 0.0
        one.set(1.0)
        board.unplug()
        with pytest.raises(DriverError):
            one.set(1.0)
        with suppress(DriverError):
            one.close()
        board.plug_in()
        counts.append(held())
    assert counts[-1] == counts[1]
    board.close()


@pytest.mark.fault("F39", bound="one opening", outcome="each sensor follows the name of its device, not its number")
def test_f39_two_devices_that_swap_their_ports_keep_their_names(tmp_path: Path) -> None:
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    warm, cold = Terminal(tmp_path / "ttyUSB0"), Terminal(tmp_path / "ttyUSB1")
    (by_id / "warm").symlink_to(warm.port.readlink())
    (by_id / "cold").symlink_to(cold.port.readlink())

    def value(name: str) -> object:
        one = connect("serial-lines", by_id / name)
        try:
            return until(lambda: one.read(0.05), None).value
        finally:
            one.close()

    for first, second in ((warm, cold), (cold, warm)):      # which of the two has the lower number
        for terminal in (warm, cold):
            terminal.go_quiet()
        (by_id / "warm").unlink()
        (by_id / "cold").unlink()
        (by_id / "warm").symlink_to(first.port.readlink())
        (by_id / "cold").symlink_to(second.port.readlink())
        first.keep_saying(b"30.5\n", every_s=0.002)
        second.keep_saying(b"4.5\n", every_s=0.002)
        assert (value("warm"), value("cold")) == (30.5, 4.5)
    warm.close()
    cold.close()


@pytest.mark.parametrize("name", [*SAYS, "serial-command"])
@pytest.mark.fault("F32", bound="at opening", outcome="refused with the name and number of the program; tried again for ever")
def test_f32_a_port_that_another_program_holds_names_it(name: str, device: Terminal) -> None:
    program = ("import serial, sys\n"
               f"port = serial.Serial({str(device.port)!r}, exclusive=True)\n"
               "print('held', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DriverError, match=rf"the port is in use by python.* \(process {other.pid}\); stop that program"):
            open_any(name, device.port)
        other.communicate()
    open_any(name, device.port).close()


def open_any(name: str, port: Path) -> Any:
    if name in SAYS:
        return connect(name, port)
    module = registry.load("actuator", name)
    table = {"driver": name, "port": str(port), "safe": "off", "command": "{percent}\n"}
    return module.connect(module.Settings.model_validate(table))


@pytest.mark.parametrize("name", [*SAYS, "serial-command"])
def test_a_port_that_comes_back_can_be_seen_without_opening_it(name: str, tmp_path: Path) -> None:
    """The pause before the next opening, of up to 30 s, ends by that."""
    (tmp_path / "one").touch()
    (tmp_path / "other").touch()
    port = tmp_path / "by-id"
    kind: registry.Kind = "actuator" if name == "serial-command" else "sensor"
    settings = registry.load(kind, name).Settings.model_construct(port=str(port))
    assert settings.seen() is None
    port.symlink_to(tmp_path / "one")
    first = settings.seen()
    assert first is not None
    assert settings.seen() == first
    port.unlink()
    port.symlink_to(tmp_path / "other")
    assert settings.seen() not in (None, first)
