"""Armed, outputs are driven; disarmed, they are safe and decided on all the same. What was said last holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reflexd.arming import FILE, Arming, ArmingError, recall
from reflexd.config.settings import DaemonSettings
from tests.daemon.test_faults import CONFIG, Devices, Start, both_on, within

Begin = Callable[..., Any]


@pytest.fixture
def begin(start: Start, devices: Devices, tmp_path: Path) -> Begin:
    """Give a function that starts a daemon whose rules want both outputs on."""
    devices["model"].value, devices["sensor"].value = 0.9, True
    state = tmp_path / "state"
    state.mkdir()
    return lambda **daemon: start({**CONFIG, "daemon": {"state_dir": str(state), **daemon}})


def say(daemon: Any, armed: bool) -> str:
    return str(daemon.daemon.arming.say(armed, daemon.daemon.loop))


def decided_on(daemon: Any) -> None:
    within(5, lambda: all(one["level"] == "on" for one in daemon.status()["outputs"].values()))


def levels(devices: Devices) -> tuple[float, float]:
    return devices["lamp"].level, devices["fan"].level


def test_disarmed_it_decides_and_drives_nothing_until_it_is_armed(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    decided_on(daemon)
    assert levels(devices) == (0.0, 0.0)
    assert daemon.status()["dry_run"] == "disarmed, until reflexctl arm"
    assert say(daemon, True) == "armed: outputs are driven from now on, also after a restart"
    within(2, lambda: both_on(devices))
    assert daemon.status()["dry_run"] == ""
    assert say(daemon, True).startswith("armed already")
    daemon.stop()
    log = daemon.log()
    assert 'fan on: rule "press": sensor.button is true: true (dry run: not driven)' in log
    assert log.count("armed: outputs are driven from now on") == 1


def test_what_was_decided_before_does_not_act_after(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    decided_on(daemon)
    devices["camera"].silent = True          # the lamp's rule claims it for 60 s more
    time.sleep(0.1)
    say(daemon, True)
    within(2, lambda: devices["fan"].level == 1.0)
    assert devices["lamp"].level == 0.0


def test_disarming_makes_every_output_safe_before_it_is_answered(begin: Begin, devices: Devices) -> None:
    daemon = begin()
    within(5, lambda: both_on(devices))
    assert say(daemon, False) == "disarmed: every output is safe, and none is driven, also after a restart"
    assert levels(devices) == (0.0, 0.0)
    decided_on(daemon)
    assert levels(devices) == (0.0, 0.0)
    daemon.stop()
    assert "fan off, safe: disarmed" in daemon.log()


def test_what_was_said_last_holds_over_restarts(begin: Begin, devices: Devices) -> None:
    daemon = begin()
    say(daemon, False)
    daemon.stop()
    daemon = begin()
    decided_on(daemon)
    assert levels(devices) == (0.0, 0.0)
    say(daemon, True)
    daemon.stop()
    begin(initially="disarmed")
    within(5, lambda: both_on(devices))


@pytest.mark.parametrize("again", [{}, {"dry_run": True}])
def test_dry_run_of_the_files_stands_above(begin: Begin, devices: Devices, again: dict[str, Any]) -> None:
    daemon = begin(dry_run=True)
    with pytest.raises(ArmingError, match=r"dry_run = true says; take that out first"):
        say(daemon, True)
    decided_on(daemon)
    assert levels(devices) == (0.0, 0.0)
    daemon.reload({**daemon.written, "daemon": {"state_dir": daemon.written["daemon"]["state_dir"], **again}})
    time.sleep(0.3)
    assert both_on(devices) == (again == {})


def test_arming_does_not_lift_what_keeps_outputs_safe(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    daemon.daemon.loop.between_cycles(lambda: daemon.daemon.loop.outputs.latch("the lamp did not take its level"))
    assert "kept safe all the same: the lamp did not take its level" in say(daemon, True)
    time.sleep(0.2)
    assert levels(devices) == (0.0, 0.0)


def test_what_cannot_be_remembered_is_told(begin: Begin, tmp_path: Path) -> None:
    daemon = begin()
    (tmp_path / "state" / f"{FILE}.new").mkdir()
    assert "only until a restart" in say(daemon, False)
    assert daemon.status()["dry_run"]


def test_an_order_that_came_too_late_is_not_carried_out(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    busy = daemon.daemon.loop
    busy.ask(lambda: time.sleep(1.8))
    with pytest.raises(TimeoutError):
        say(daemon, True)
    time.sleep(0.8)
    assert daemon.status()["dry_run"]
    assert levels(devices) == (0.0, 0.0)


@pytest.mark.parametrize(("said", "armed"), [(None, None), ("armed\n", True), ("disarmed", False), ("", False), ("arme", False)])
@pytest.mark.parametrize("initially", ["armed", "disarmed"])
def test_only_what_is_understood_arms(tmp_path: Path, said: str | None, armed: bool | None, initially: str) -> None:
    if said is not None:
        (tmp_path / FILE).write_text(said)
    assert recall(tmp_path, initially) is (initially == "armed" if armed is None else armed)


def test_bytes_that_are_no_text_arm_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    assert recall(tmp_path, "armed") is False
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert recall(tmp_path, "armed") is False


def test_the_command_line_says_it_first(tmp_path: Path) -> None:
    assert Arming(DaemonSettings(state_dir=str(tmp_path)), forced=True).dry_run == "dry run, as the command line says"
    assert Arming(DaemonSettings(state_dir=str(tmp_path), dry_run=True)).dry_run == "dry run, as [daemon] dry_run = true says"
    assert Arming(DaemonSettings(state_dir=str(tmp_path))).dry_run == ""
