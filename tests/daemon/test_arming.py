"""Armed, outputs are driven; disarmed, they are safe and decided on all the same. What was said last holds."""

from __future__ import annotations

import os
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from reflexd.arming import FILE, Arming, ArmingError, recall
from reflexd.config.settings import DaemonSettings
from reflexd.events import ARMED, DISARMED, Event
from reflexd.loop import ANSWER_S
from reflexd.protocol import ControlError
from reflexd.rules.items import Armed
from reflexd.verbs import arm
from tests.daemon.test_faults import CONFIG, Devices, Start, both_on
from tests.stopwatch import within

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
    assert "fan off, safe: disarmed\n" in daemon.log(), "it was driven there, although nothing is from then on"


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
    if again:
        time.sleep(0.3)
        assert levels(devices) == (0.0, 0.0)
    else:
        within(5, lambda: both_on(devices))


def test_arming_does_not_lift_what_keeps_outputs_safe(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    daemon.daemon.loop.between_cycles(lambda: daemon.daemon.loop.outputs.latch("the lamp did not take its level"))
    assert "kept safe all the same: the lamp did not take its level" in say(daemon, True)
    time.sleep(0.2)
    assert levels(devices) == (0.0, 0.0)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_cannot_be_remembered_is_told_and_disarmed_is_even_where_no_word_can_be_written(
        begin: Begin, devices: Devices, tmp_path: Path) -> None:
    daemon = begin(initially="disarmed")
    with full_disk():
        assert "only until a restart" in say(daemon, True)
    (tmp_path / "state" / FILE).write_text("armed\n")
    with full_disk():
        assert "also after a restart" in say(daemon, False)
    assert daemon.status()["dry_run"]
    assert recall(tmp_path / "state", "armed") is False
    (tmp_path / "state" / FILE).unlink()
    (tmp_path / "state" / FILE).mkdir()
    assert "only until a restart" in say(daemon, False)


def test_a_card_that_does_not_answer_keeps_nobody_from_disarming(begin: Begin, devices: Devices, tmp_path: Path) -> None:
    daemon = begin()
    within(5, lambda: both_on(devices))
    arming = daemon.daemon.arming
    with arming._one:                # as another client does whose word is being written
        saying = threading.Thread(target=say, args=(daemon, False))
        saying.start()
        within(1, lambda: levels(devices) == (0.0, 0.0))
    saying.join(5)
    assert recall(tmp_path / "state", "armed") is False


def test_an_output_that_does_not_go_safe_is_told_when_disarming(begin: Begin, devices: Devices) -> None:
    daemon = begin()
    within(5, lambda: both_on(devices))
    devices["lamp"].broken = True
    with pytest.raises(ArmingError, match=r"disarmed: no output is driven, .*; lamp may not be safe: .* no such device"):
        say(daemon, False)
    assert levels(devices) == (1.0, 0.0)
    devices["lamp"].broken = False
    within(2, lambda: levels(devices) == (0.0, 0.0))


def test_an_output_that_blocks_is_waited_for_a_moment_when_disarming(start: Start, devices: Devices, tmp_path: Path) -> None:
    devices["model"].value, devices["sensor"].value = 0.9, True
    slow = {"driver": "slow-actuator", "key": "lamp", "safe": "off"}
    daemon = start({**CONFIG, "daemon": {"state_dir": str(tmp_path)}, "actuator": {**CONFIG["actuator"], "lamp": slow}})
    within(5, lambda: both_on(devices))
    devices["lamp"].hangs = threading.Event()
    with pytest.raises(ArmingError, match="lamp may not be safe: the last command has not been carried out"):
        say(daemon, False)
    devices["lamp"].hangs.set()
    assert say(daemon, False) == "disarmed already, also after a restart"
    assert levels(devices) == (0.0, 0.0)


def test_an_order_that_came_too_late_is_not_carried_out(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    busy = daemon.daemon.loop
    busy.ask(lambda: time.sleep(ANSWER_S + 0.3))
    with pytest.raises(TimeoutError):
        say(daemon, True)
    time.sleep(0.8)
    assert daemon.status()["dry_run"]
    assert levels(devices) == (0.0, 0.0)


def later(daemon: Any, in_s: float) -> str:
    return str(daemon.daemon.arming.say_later(in_s, daemon.daemon.loop))


def test_it_is_armed_in_a_while_which_is_remembered_from_then_on(begin: Begin, devices: Devices, tmp_path: Path) -> None:
    daemon = begin(initially="disarmed")
    decided_on(daemon)
    began = time.monotonic()
    assert later(daemon, 0.4) == "to be armed in 0.4 s, unless reflexctl disarm is said before; a restart forgets it"
    assert daemon.status()["dry_run"] == "disarmed, until the 0.4 s of reflexctl arm --in are over"
    assert not (tmp_path / "state" / FILE).exists(), "a restart forgets it"
    within(5, lambda: both_on(devices))
    assert devices["fan"].written[-1][0] - began >= 0.4
    within(5, (tmp_path / "state" / FILE).exists)
    assert daemon.status()["dry_run"] == ""
    with pytest.raises(ArmingError, match="armed already; reflexctl disarm first"):
        later(daemon, 5)
    daemon.stop()
    log = daemon.log()
    assert "disarmed: to be armed in 0.4 s" in log
    assert " armed: outputs are driven from now on\n" in log


def test_disarming_cancels_what_was_to_be_armed_in_a_while(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    decided_on(daemon)
    later(daemon, 0.3)
    assert say(daemon, False) == "disarmed already, also after a restart; nor will it be armed in a while"
    assert daemon.daemon.loop.later is None
    time.sleep(0.4)
    assert levels(devices) == (0.0, 0.0)
    assert daemon.status()["dry_run"] == "disarmed, until reflexctl arm"


def test_saying_it_again_counts_from_then_and_arming_takes_its_place(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    later(daemon, 60)
    later(daemon, 3600)
    assert daemon.status()["dry_run"] == "disarmed, until the 3600 s of reflexctl arm --in are over"
    say(daemon, True)
    within(5, lambda: both_on(devices))
    assert daemon.daemon.loop.later is None


def test_what_stands_above_arming_refuses_it_now_and_when_the_time_is_over(begin: Begin, devices: Devices) -> None:
    daemon = begin(dry_run=True, initially="disarmed")
    with pytest.raises(ArmingError, match=r"not armed: dry run, as \[daemon\] dry_run = true says"):
        later(daemon, 5)
    daemon.reload({**daemon.written, "daemon": {**daemon.written["daemon"], "dry_run": False}})
    later(daemon, 0.3)
    daemon.reload({**daemon.written, "daemon": {**daemon.written["daemon"], "dry_run": True}})
    within(5, lambda: daemon.daemon.loop.later is None)
    assert not daemon.daemon.arming.armed
    daemon.stop()
    assert "not armed: dry run" in daemon.log()


def test_what_was_triggered_before_does_not_act_once_it_is_armed(begin: Begin, devices: Devices) -> None:
    daemon = begin(initially="disarmed")
    rule = {"name": "entry", "when": [{"sensor": "button", "is": True}], "then": [{"actuator": "fan", "set": "on", "for_s": 9}],
            "delay_s": 0.5, "cooldown_s": 60}
    devices["sensor"].value = False
    daemon.reload({**daemon.written, "rule": [rule]})
    devices["sensor"].value = True
    within(5, lambda: "acts_in_s" in daemon.status()["rules"]["entry"])
    devices["sensor"].value = False
    within(5, lambda: daemon.status()["rules"]["entry"]["truth"] is False)
    say(daemon, True)
    assert "acts_in_s" not in daemon.status()["rules"]["entry"]
    time.sleep(0.7)
    assert devices["fan"].level == 0.0
    devices["sensor"].value = True
    within(5, lambda: devices["fan"].level == 1.0)
    daemon.stop()
    assert 'rule "entry" acts in 0.5 s, unless something ends that: sensor.button is true: true' in daemon.log()


def test_an_alarm_whose_wire_is_cut_goes_off_all_the_same(begin: Begin, devices: Devices) -> None:
    daemon = begin()
    siren = {"actuator": "fan", "set": "on", "for_s": 9, "hold_on_fault": True}
    devices["sensor"].value = False
    daemon.reload({**daemon.written, "rule": [
        {"name": "entry", "when": [{"sensor": "button", "is": True}], "then": [siren], "delay_s": 1}]})
    devices["sensor"].value = True
    within(5, lambda: "acts_in_s" in daemon.status()["rules"]["entry"])
    devices["sensor"].broken = True
    within(5, lambda: devices["fan"].level == 1.0)
    assert daemon.status()["sensors"]["button"]["state"] == "degraded"


def test_only_whole_times_are_taken_by_the_socket(begin: Begin) -> None:
    daemon = begin(initially="disarmed")
    for in_s in (0, 3601, "30", True):
        with pytest.raises(ControlError, match="from 1 to 3600"):
            arm(daemon.daemon.arming, daemon.daemon.loop, {"in_s": in_s})
    assert arm(daemon.daemon.arming, daemon.daemon.loop, {"in_s": 30}).startswith("to be armed in 30 s")


class Gate:
    """The gate, as arming sees it."""

    def __init__(self) -> None:
        self.dry_run = ""
        self.inhibited: dict[str, str] = {}
        self.driven: list[tuple[str, str]] = []
        self.unsettled_looks: list[list[str]] = []       # what each look at it finds; then nothing

    def drive(self, dry_run: str, why: str, now: int) -> None:
        assert abs(time.monotonic_ns() - now) < 60e9
        self.driven.append((dry_run, why))
        self.dry_run = dry_run

    def unsettled(self) -> list[str]:
        return self.unsettled_looks.pop(0) if self.unsettled_looks else []


class Between:
    """A loop that is between two cycles all the time."""

    def __init__(self) -> None:
        self.outputs = Gate()
        self.later: tuple[int, Callable[[], None]] | None = None
        self.consumed: list[Armed] = []
        self.told: list[tuple[Event, str]] = []

    def between_cycles(self, question: Callable[[], Any]) -> Any:
        return question()

    def ask(self, question: Callable[[], None]) -> None:
        question()

    def log(self, event: Event, text: str) -> None:
        self.told.append((event, text))

    def consume(self, item: Armed, now: int) -> None:
        assert item.taken_at == now
        self.consumed.append(item)


class Alone:
    """Arming, and a loop that does at once what it is asked for."""

    def __init__(self, folder: Path, **daemon: Any) -> None:
        self.loop: Any = Between()
        self.arming = Arming(DaemonSettings(state_dir=str(folder), **daemon))
        self.loop.outputs.dry_run = self.arming.dry_run

    def say(self, armed: bool) -> str:
        return self.arming.say(armed, self.loop)

    def due(self) -> None:
        self.loop.later[1]()


def test_what_the_gate_the_rules_and_the_log_are_told(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed")
    armed = one.say(True)
    assert (tmp_path / FILE).read_text() == "armed\n"
    disarmed = one.say(False)
    assert (tmp_path / FILE).read_text() == "disarmed\n"
    assert armed == "armed: outputs are driven from now on, also after a restart"
    assert disarmed == "disarmed: every output is safe, and none is driven, also after a restart"
    assert one.loop.outputs.driven == [("", "it was armed just now"), ("disarmed, until reflexctl arm", "disarmed")]
    assert [item.armed for item in one.loop.consumed] == [True, False]
    assert one.loop.told == [(ARMED, armed), (DISARMED, disarmed)]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_who_says_it_again_changes_nothing_for_the_rules(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    assert one.say(True) == "armed already, also after a restart"
    with pytest.raises(ArmingError) as told:
        one.arming.say_later(5, one.loop)
    assert str(told.value) == "armed already; reflexctl disarm first"
    one.say(False)
    assert one.say(False) == "disarmed already, also after a restart"
    assert [item.armed for item in one.loop.consumed] == [False]


def test_what_keeps_outputs_safe_is_told_who_arms_and_not_who_disarms(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed")
    one.loop.outputs.inhibited = {"stop": "stop: sensor halt says true", "arm": "arm: gone"}
    assert one.say(True).endswith(", also after a restart; every output is kept safe all the same: stop: sensor halt says true")
    assert one.say(False) == "disarmed: every output is safe, and none is driven, also after a restart"


def test_nothing_changes_where_arming_is_refused(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed", dry_run=True)
    why = "dry run, as [daemon] dry_run = true says"
    refused = f"not armed: {why}; take that out first, then reload or restart"
    with pytest.raises(ArmingError) as told:
        one.say(True)
    assert str(told.value) == refused
    with pytest.raises(ArmingError) as told:
        one.arming.say_later(5, one.loop)
    assert str(told.value) == refused
    assert one.arming.dry_run == why
    assert (one.arming.armed, one.loop.later, one.loop.consumed, one.loop.told) == (False, None, [], [])
    assert one.loop.outputs.driven == [(why, "")]
    assert not (tmp_path / FILE).exists()


def test_an_output_is_waited_for_until_it_is_seen_to_be_safe(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    one.loop.outputs.unsettled_looks = [["lamp"], ["lamp"], ["lamp"]]
    assert one.say(False) == "disarmed: every output is safe, and none is driven, also after a restart"
    one.loop.outputs.unsettled_looks = [["lamp"]] * 1000
    assert one.say(True) == "armed: outputs are driven from now on, also after a restart", "nobody asks whether it is safe"


@pytest.mark.parametrize(("inhibited", "why"), [
    ({}, "the last command has not been carried out"), ({"stop": "pressed"}, "the last command has not been carried out"),
    ({"stop": "pressed", "latched": "lamp: no such device"}, "lamp: no such device")])
def test_every_output_that_may_not_be_safe_is_named(tmp_path: Path, inhibited: dict[str, str], why: str) -> None:
    one = Alone(tmp_path)
    one.loop.outputs.inhibited = inhibited
    one.loop.outputs.unsettled_looks = [["lamp", "fan"]] * 1000
    with pytest.raises(ArmingError) as told:
        one.say(False)
    text = f"disarmed: no output is driven, also after a restart; lamp, fan may not be safe: {why}"
    assert str(told.value) == text
    assert one.loop.told == [(DISARMED, text)]


def test_what_is_told_when_it_is_to_be_armed_and_once_it_is(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed")
    before = time.monotonic_ns()
    text = one.arming.say_later(2.5, one.loop)
    assert text == "to be armed in 2.5 s, unless reflexctl disarm is said before; a restart forgets it"
    assert before + 2.5e9 <= one.loop.later[0] <= time.monotonic_ns() + 2.5e9
    with one.arming._one:            # a card that does not answer keeps nobody waiting
        one.due()
        assert "arming" in {thread.name for thread in threading.enumerate()}
    waiting = "disarmed, until the 2.5 s of reflexctl arm --in are over"
    assert one.loop.outputs.driven == [(waiting, ""), ("", "it was armed just now")]
    assert one.loop.told == [(DISARMED, f"disarmed: {text}"), (ARMED, "armed: outputs are driven from now on")]
    assert one.loop.later is None
    within(5, (tmp_path / FILE).exists)
    within(5, lambda: recall(tmp_path, "disarmed"))


def test_when_the_time_is_over_what_stands_above_is_told(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed")
    one.arming.say_later(2.5, one.loop)
    one.arming.take_over(DaemonSettings(state_dir=str(tmp_path), dry_run=True))
    one.due()
    why = "dry run, as [daemon] dry_run = true says"
    assert one.loop.told[1:] == [(DISARMED, f"not armed: {why}; take that out first, then reload or restart")]
    assert one.loop.outputs.driven[1:] == [(why, "")]
    assert not (tmp_path / FILE).exists()


def test_a_word_that_cannot_be_written_once_the_time_is_over_is_told(tmp_path: Path) -> None:
    one = Alone(tmp_path, initially="disarmed")
    one.loop.outputs.inhibited = {"stop": "pressed"}
    one.arming.say_later(2.5, one.loop)
    with full_disk():
        one.due()
        within(5, lambda: len(one.loop.told) == 3)
    assert one.loop.told[1:] == [
        (ARMED, "armed: outputs are driven from now on; every output is kept safe all the same: pressed"),
        (ARMED, f"armed; only until a restart: {tmp_path / FILE} cannot be written: File too large")]


def test_where_nothing_was_said_yet_and_no_word_can_be_written_an_empty_file_disarms(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    with full_disk():
        assert one.say(False) == "disarmed: every output is safe, and none is driven, also after a restart"
    assert (tmp_path / FILE).read_text() == ""
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert recall(tmp_path, "armed") is False


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


def test_a_pipe_arms_nothing_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    assert recall(tmp_path, "armed") is False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which may become somebody else")
def test_a_file_that_is_closed_arms_nothing_and_in_a_closed_folder_nobody_said_anything() -> None:
    with TemporaryDirectory() as name:      # tmp_path is in a folder that only root may enter
        (folder := Path(name)).chmod(0o755)
        (folder / FILE).write_text("disarmed\n")
        (folder / FILE).chmod(0o600)
        os.seteuid(65534)
        try:
            closed_file = recall(folder, "armed")
            os.seteuid(0)
            folder.chmod(0o700)
            os.seteuid(65534)
            closed_folder = recall(folder, "armed")
        finally:
            os.seteuid(0)
    assert (closed_file, closed_folder) == (False, True)


def test_the_command_line_says_it_first(tmp_path: Path) -> None:
    assert Arming(DaemonSettings(state_dir=str(tmp_path)), forced=True).dry_run == "dry run, as the command line says"
    assert Arming(DaemonSettings(state_dir=str(tmp_path), dry_run=True)).dry_run == "dry run, as [daemon] dry_run = true says"
    assert Arming(DaemonSettings(state_dir=str(tmp_path))).dry_run == ""
