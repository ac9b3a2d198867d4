"""A serial sensor in the whole daemon: the common recovery brings it back, and its outputs are safe meanwhile."""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.aftermath import actions
from reflexd.reload import ReloadError
from reflexd.safe_state import make_safe
from tests.daemon.devices import Device
from tests.drivers.terminals import Board, Terminal
from tests.stopwatch import Stopwatch, within


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


@pytest.mark.fault("F31", bound="1 s", outcome="degraded, its output safe; back by itself")
def test_f31_an_unplugged_sensor_makes_its_output_safe_and_acts_again_once_it_is_back(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], device: Terminal) -> None:
    device.keep_saying(b"T=71.5\n", every_s=0.02)
    daemon = start({
        "sensor": {"boiler": {"driver": "serial-lines", "port": str(device.port), "pattern": r"T=([\d.]+)"}},
        "actuator": {"fan": {"driver": "bad-actuator", "key": "fan", "safe": "off"}},
        "rule": [{"name": "cool", "when": [{"sensor": "boiler", "above": 70}],
                  "then": [{"actuator": "fan", "set": "on", "follow": True}]}],
    })
    within(5, lambda: devices["fan"].level == 1.0)
    for _ in range(3):
        device.unplug()
        within(1, lambda: devices["fan"].level == 0.0)
        assert daemon.status()["sensors"]["boiler"]["state"] == "degraded"
        device.plug_in()
        device.keep_saying(b"T=71.5\n", every_s=0.02)
        within(10, lambda: devices["fan"].level == 1.0)
    assert daemon.status()["sensors"]["boiler"]["failures"] >= 3
    daemon.stop()
    assert "the port was unplugged or failed" in daemon.log()


@pytest.mark.fault("F38", bound="max_age_ms", outcome="degraded, its output safe")
def test_f38_a_silent_sensor_makes_its_output_safe(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], device: Terminal) -> None:
    device.keep_saying(b"1\n", every_s=0.02)
    daemon = start({
        "sensor": {"door": {"driver": "serial-lines", "port": str(device.port), "value": "boolean", "max_age_ms": 300}},
        "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}},
        "rule": [{"name": "shine", "when": [{"sensor": "door", "is": True}],
                  "then": [{"actuator": "lamp", "set": "on", "follow": True}]}],
    })
    within(5, lambda: devices["lamp"].level == 1.0)
    device.go_quiet()
    within(2, lambda: devices["lamp"].level == 0.0)
    assert "no line came within 300 ms" in daemon.status()["sensors"]["door"]["why"]


def with_board(port: Path, **more: Any) -> dict[str, Any]:
    """A switch that drives a relay board on a serial port, and a lamp at a pin that has nothing to do with it."""
    board = {"driver": "serial-command", "port": str(port), "safe": "off", "commands": {"on": "ON\n", "off": "OFF\n"},
             "answer": "OK", "timeout_ms": 100, **more}
    return {
        "sensor": {"switch": {"driver": "bad-sensor", "key": "sensor", "max_age_ms": 300}},
        "actuator": {"pump": board, "lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}},
        "rule": [{"name": name, "when": [{"sensor": "switch", "is": True}],
                  "then": [{"actuator": name, "set": "on", "follow": True}]} for name in ("pump", "lamp")],
    }


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path / "board", level=1.0)
    yield made
    made.close()


@pytest.mark.fault("F31", bound="0.5 s", outcome="an actuator: every output safe; by itself back once it is plugged in and safe")
def test_f31_an_actuator_that_is_unplugged_keeps_every_output_safe_until_it_is_back(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    daemon = start(with_board(board.port))
    within(5, lambda: board.level == devices["lamp"].level == 1.0)
    for _ in range(3):
        board.lose_power()
        within(2, lambda: devices["lamp"].level == 0.0)
        told = daemon.status()
        assert told["state"] == "SAFE"
        assert told["inhibited"]["actuator.pump"].startswith("actuator pump")
        board.plug_in()
        within(15, lambda: board.level == devices["lamp"].level == 1.0)
        assert daemon.status()["inhibited"] == {}
    assert list(board.heard).count(b"OFF") >= 4, "safe at each opening, before anything else"
    assert daemon.stop() == 0
    assert board.level == 0.0
    log = daemon.log()
    assert 1 <= log.count("every output safe: actuator pump failed") <= 3, "once in ..."      # the same again is only counted
    assert 1 <= log.count("actuator pump works again and permits outputs") <= 3, "... and once out"


@pytest.mark.fault("F26", bound="0.8 s", outcome="a serial device: every output safe until it answers again")
def test_f26_a_serial_actuator_that_stops_answering_permits_outputs_once_it_answers(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    daemon = start(with_board(board.port))
    within(5, lambda: bool(board.heard) and daemon.status()["inhibited"] == {})
    board.deaf = True
    devices["sensor"].value = True
    within(3, lambda: "no right answer to" in daemon.status()["inhibited"].get("actuator.pump", ""))
    assert devices["lamp"].level == 0.0
    time.sleep(0.7)
    assert board.level == devices["lamp"].level == 0.0
    board.deaf = False
    within(15, lambda: board.level == devices["lamp"].level == 1.0)


def test_an_actuator_that_is_absent_at_the_start_keeps_every_output_safe_until_it_is_plugged_in(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    board.unplug()
    devices["sensor"].value = True
    daemon = start(with_board(board.port))
    within(5, lambda: "there is no such port" in daemon.status()["inhibited"].get("actuator.pump", ""))
    within(1, lambda: bool(daemon.daemon.loop.monitor.settled))      # it counts as started
    assert devices["lamp"].level == 0.0
    board.plug_in()
    within(15, lambda: board.level == devices["lamp"].level == 1.0)


def test_while_a_board_boots_nothing_is_active_and_nobody_waits(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    with Stopwatch() as took:
        daemon = start(with_board(board.port, boot_delay_s=1.0))
    assert took.seconds < 0.9, "the start waits for no board"
    within(2, lambda: daemon.status()["decided"] >= 0 and daemon.status()["rules"]["lamp"]["truth"] is True)
    assert devices["lamp"].level == 0.0
    assert board.level == 1.0, "nothing was sent to it yet"
    within(5, lambda: board.level == devices["lamp"].level == 1.0)
    daemon.stop()
    assert "every output safe: " not in daemon.log(), "an orderly start is no fault"


def test_a_daemon_that_ends_while_its_actuator_is_gone_says_so(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    daemon = start(with_board(board.port))
    within(5, lambda: board.level == 1.0)
    board.unplug()
    within(2, lambda: "actuator.pump" in daemon.status()["inhibited"])
    assert daemon.stop() == 0
    assert "pump may not be safe" in daemon.log()


def test_a_reload_may_correct_the_port_of_an_actuator_that_was_never_there(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    daemon = start(with_board(board.port.with_name("typo")))
    within(5, lambda: "there is no such port" in daemon.status()["inhibited"].get("actuator.pump", ""))
    daemon.reload(with_board(board.port))
    within(5, lambda: board.level == devices["lamp"].level == 1.0)


def test_a_reload_that_drops_an_actuator_which_was_lost_while_active_latches(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    config = with_board(board.port)
    daemon = start(config)
    within(5, lambda: board.level == devices["lamp"].level == 1.0)
    board.unplug()
    within(2, lambda: "actuator.pump" in daemon.status()["inhibited"])
    without = {**config, "actuator": {"lamp": config["actuator"]["lamp"]}, "rule": config["rule"][1:]}
    with pytest.raises(ReloadError, match="every output is kept safe until a restart: actuator pump"):
        daemon.reload(without)
    assert devices["lamp"].level == 0.0


def test_after_a_death_the_safe_command_reaches_the_board_without_the_daemon(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    daemon = start(with_board(board.port))
    within(5, lambda: board.level == 1.0)
    left = actions(daemon.daemon.parts.actuators)
    daemon.stop()
    board.level = 1.0
    assert make_safe(left) == 0
    within(2, lambda: board.level == 0.0)
    line = os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    modes = termios.tcgetattr(line)[2]
    os.close(line)
    assert not modes & termios.HUPCL, "DTR stays, so the board is not restarted instead"


def test_an_actuator_that_was_never_there_holds_nothing_up_once_a_reload_has_dropped_it(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], board: Board) -> None:
    devices["sensor"].value = True
    pair = {"interlock": "pair"}
    typo = with_board(board.port.with_name("typo"), **pair)
    lamp = {**typo["actuator"]["lamp"], **pair}
    daemon = start({**typo, "actuator": {"pump": typo["actuator"]["pump"], "lamp": lamp}, "rule": typo["rule"][1:]})
    within(5, lambda: "there is no such port" in daemon.status()["inhibited"].get("actuator.pump", ""))
    daemon.reload({**typo, "actuator": {"lamp": lamp}, "rule": typo["rule"][1:]})
    within(5, lambda: devices["lamp"].level == 1.0)
    assert daemon.daemon.loop.outputs.unsettled() == [], "what never drove anything is no doubt when somebody disarms"
