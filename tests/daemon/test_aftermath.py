"""What a run leaves for after its death, and how the next one tells of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reflexd import aftermath, safe_state
from reflexd_drivers.base import AfterDeath, DriverError, GpioLine, SerialBytes, SysfsWrite
from tests.daemon.relays import Relay


class Guarded(Relay):
    def __init__(self, after: AfterDeath) -> None:
        super().__init__()
        self.after = after

    def after_death(self) -> AfterDeath:
        return self.after


def test_what_sets_each_output_safe_is_left_in_the_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    aftermath.leave(aftermath.actions({
        "valve": Guarded(GpioLine("pinctrl-bcm2711", 17, high=True)),
        "fan": Guarded(SysfsWrite("/sys/class/pwm/pwmchip0/pwm0/enable", "0")),
        "talker": Guarded(SerialBytes("/dev/ttyUSB0", 9600, b"OFF\n")),
        "simulated": Guarded(GpioLine("mock", 4, high=False)),
        "book": Guarded(None),
    }))
    outputs, started_at_s = safe_state.read(str(tmp_path))
    assert outputs == [
        {"name": "valve", "kind": "gpio", "chip": "pinctrl-bcm2711", "line": 17, "high": True},
        {"name": "fan", "kind": "sysfs", "path": "/sys/class/pwm/pwmchip0/pwm0/enable", "text": "0"},
        {"name": "talker", "kind": "serial", "port": "/dev/ttyUSB0", "baud": 9600, "hex": "4f46460a",
         "data_bits": 8, "parity": "none", "stop_bits": 1},
    ]
    assert started_at_s


def test_run_by_hand_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    aftermath.leave(aftermath.actions({"valve": Guarded(GpioLine("pinctrl-bcm2711", 17, high=True))}))
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_nothing_would_guard_are_not_driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    with pytest.raises(DriverError, match="nothing is driven until then"):
        aftermath.leave([])


SAFE = "set safe in 120 ms"
TOLD = {"result": "watchdog", "status": "ABRT", "ran_s": 14_400.0, "safe_in_ms": 119.7, "failed": 0}


@pytest.mark.parametrize(("change", "text"), [
    ({}, f"the last run was killed by the watchdog: it hung after 4 h; outputs were {SAFE}"),
    ({"result": "signal", "status": "KILL", "ran_s": 30}, f"the last run was killed by SIGKILL after 30 s; outputs were {SAFE}"),
    ({"result": "core-dump", "status": "SEGV"}, f"the last run crashed with SIGSEGV after 4 h; outputs were {SAFE}"),
    ({"result": "exit-code", "status": "70", "failed": 1},
     "the last run ended with status 70 after 4 h; 1 outputs may not have been set safe"),
    ({"result": "oom-kill", "ran_s": None}, f"the last run was killed for want of memory; outputs were {SAFE}"),
    ({"result": "success"}, None),
])
def test_how_the_last_run_ended_is_told_once(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], text: str | None) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / safe_state.RECORD).write_text(json.dumps({**TOLD, **change}))
    assert aftermath.last_end() == text
    assert aftermath.last_end() is None


@pytest.mark.parametrize("left", ["", "[]", "\x00", '{"result": 3, "safe_in_ms": 0}'])
def test_a_record_that_cannot_be_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / safe_state.RECORD).write_text(left)
    assert aftermath.last_end() in (None, "the last run ended by 3; outputs were set safe in 0 ms")


def test_the_first_restarts_are_at_once_then_pauses_grow_and_what_is_long_ago_does_not_count(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert [aftermath.pause_s(100.0 + at) for at in range(10)] == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]
    assert aftermath.pause_s(500.0) == 0
    assert aftermath.pause_s(1.0) == 0, "before: another boot, or a file from elsewhere"
    (tmp_path / aftermath.BAD_ENDS).write_text('{"boot": "another", "at_s": [1, 2, 3, 4, 5, 6]}')
    assert aftermath.pause_s(7.0) == 0
    (tmp_path / aftermath.BAD_ENDS).write_text("[")
    assert aftermath.pause_s(7.0) == 0


def test_an_end_before_anything_was_driven_is_told_and_a_wrong_configuration_is_not(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.setenv("SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("EXIT_STATUS", "69")
    assert safe_state.main() == 0
    assert aftermath.last_end() == "the last run ended with status 69; no output had been driven"
    monkeypatch.setenv("EXIT_STATUS", "78")
    assert safe_state.main() == 0
    assert aftermath.last_end() is None


def test_of_two_relays_at_one_port_both_are_told_and_of_one_line_the_new_level_counts() -> None:
    port = {"kind": "serial", "port": "/dev/ttyUSB0", "baud": 9600}
    old = [{"name": "pump", **port, "hex": "01"}, {"name": "lamp", "kind": "gpio", "chip": "c", "line": 4, "high": True}]
    new = [{"name": "horn", **port, "hex": "02"}, {"name": "lamp", "kind": "gpio", "chip": "c", "line": 4, "high": False}]
    assert aftermath.union(old, new) == [old[0], *new]
