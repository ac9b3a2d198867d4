"""reflexctl test: an output moves for a moment within all that bounds a rule, and what forbids it is said."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reflexd.access import Access
from reflexd.control import Server
from reflexd.ctl.__main__ import main
from reflexd.ctl.test import duration_ms
from reflexd.protocol import ControlError, ask
from reflexd.reload import Reloader
from reflexd.rules.items import TEST, Inhibit
from reflexd.verbs import verbs
from tests.daemon.devices import DEVICES
from tests.daemon.test_faults import CONFIG, Devices, Start
from tests.stopwatch import within

Test = Callable[..., Any]


class Bench:
    """A daemon with two outputs that no rule wants on, and its control socket."""

    def __init__(self, start: Start, socket: Path, **changes: Any) -> None:
        self.config = {**CONFIG, "daemon": {"state_dir": str(socket.parent)}, **changes}
        self.running = start(self.config)
        daemon = self.running.daemon
        reloader = Reloader(self.running.read, self.running.read(), daemon)
        self.verbs = verbs(daemon.observer, reloader, daemon.arming, lambda: None)
        self.server = Server(socket)
        self.server.serve(self.verbs)
        self.socket = socket
        within(5, lambda: self.running.status()["state"] == "RUN")

    def test(self, output: str = "lamp", **more: Any) -> Any:
        return ask(self.socket, "test", {"output": output, **more}, 15)

    def gate(self, question: Callable[[Any], Any]) -> Any:
        loop = self.running.daemon.loop
        return loop.between_cycles(lambda: question(loop.outputs))


@pytest.fixture
def bench(start: Start, devices: Devices, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(lamp: dict[str, Any] | None = None, **changes: Any) -> Bench:
        lamp = {**CONFIG["actuator"]["lamp"], **(lamp or {})}
        changes.setdefault("actuator", {**CONFIG["actuator"], "lamp": lamp})
        made.append(Bench(start, tmp_path / f"control{len(made)}.sock", **changes))
        return made[-1]

    yield make
    for one in made:
        one.server.close()


def spans(key: str) -> list[float]:
    """Give for how long each activation of a device lasted, in seconds."""
    written = DEVICES[key].written
    return [over - on for (on, level), (over, _) in pairwise(written) if level]


def test_an_output_is_driven_for_as_long_as_asked_and_the_log_tells_it(bench: Callable[..., Bench]) -> None:
    one = bench()
    asked = time.monotonic()
    done = one.test(for_ms=120)
    assert done | {"driven_ms": 0} == {"output": "lamp", "level": "on", "asked_ms": 120, "driven_ms": 0, "now": "off", "why": ""}
    assert done["driven_ms"] >= 120
    assert [level for _, level in DEVICES["lamp"].written] == [1.0, 0.0]
    assert DEVICES["lamp"].written[-1][0] - asked >= 0.12       # from the claim on: the write may come late
    one.running.stop()
    log = one.running.log()
    assert 'lamp on: rule "reflexctl test": asked for: 120 ms' in log
    assert "lamp off, safe: no rule claims it" in log


def test_looking_tells_what_would_move_and_moves_nothing(bench: Callable[..., Bench]) -> None:
    assert bench(lamp={"safe": "on"}).test(look=True) == {
        "output": "lamp", "driver": "bad-actuator", "at": "", "level": "off", "for_ms": 200, "safe": "on"}
    assert DEVICES["lamp"].written == []


@pytest.mark.parametrize(("lamp", "request_", "words"), [
    ({}, {"output": "lmap"}, 'no output is called "lmap"; did you mean "lamp"?'),
    ({}, {"level": "off"}, "off is the safe level of lamp, so nothing would move; say --level"),
    ({}, {"level": 2}, r'a level is "on", "off" or a number from 0 to 1, found 2; say --level'),
    ({}, {"for_ms": 10_001}, "a test lasts 10 to 10000 ms, found 10001"),
    ({}, {"for_ms": "200"}, "a test lasts 10 to 10000 ms, found '200'"),
    ({"max_on_s": 0.1}, {}, "lamp may be active for max_on_s = 0.1; say --for 0.1s or less"),
], ids=["no such output", "safe level", "no level", "too long", "no number", "max_on_s"])
def test_what_cannot_be_done_is_refused_with_a_remedy(
        bench: Callable[..., Bench], lamp: dict[str, Any], request_: dict[str, Any], words: str) -> None:
    one = bench(lamp=lamp)
    for look in ({}, {"look": True}):
        with pytest.raises(ControlError) as told:
            one.test(**{**request_, **look})
        assert words in str(told.value)
    assert DEVICES["lamp"].written == []


def test_disarmed_nothing_is_driven_and_it_says_so(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.running.daemon.arming.say(False, one.running.daemon.loop)
    with pytest.raises(ControlError, match=r"lamp was not tested: no output is driven: disarmed.*; reflexctl arm"):
        one.test()
    assert spans("lamp") == []


def test_what_keeps_every_output_safe_keeps_a_test_away(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.gate(lambda gate: gate.latch("the fan did not take its level"))
    with pytest.raises(ControlError, match="every output is kept safe: the fan did not take its level; see reflexctl status"):
        one.test()
    assert spans("lamp") == []


def test_an_inhibition_ends_a_test_at_once_and_it_is_told(bench: Callable[..., Bench]) -> None:
    one = bench()
    told: list[Any] = []
    testing = threading.Thread(target=lambda: told.append(one.test(for_ms=5000)))
    testing.start()
    within(3, lambda: DEVICES["lamp"].level == 1.0)
    one.gate(lambda gate: gate.apply([Inhibit("stop", "stop was pressed")], time.monotonic_ns()))
    within(1, lambda: DEVICES["lamp"].level == 0.0)
    testing.join(5)
    assert "stop was pressed" in told[0]["why"]
    assert told[0]["driven_ms"] < 5000


def test_a_rule_that_claims_the_output_goes_before_a_test(bench: Callable[..., Bench]) -> None:
    one = bench()
    DEVICES["model"].value = 0.9
    within(5, lambda: DEVICES["lamp"].level == 1.0)
    with pytest.raises(ControlError, match='lamp is claimed by rule "see", which goes before a test; ask again when'):
        one.test(level=0.5)


def test_a_rule_takes_over_from_a_test_for_good(bench: Callable[..., Bench]) -> None:
    one = bench()
    told: list[Any] = []
    testing = threading.Thread(target=lambda: told.append(one.test("fan", for_ms=9000, level=0.5)))
    testing.start()
    within(3, lambda: DEVICES["fan"].level == 0.5)
    DEVICES["sensor"].value = True
    within(3, lambda: DEVICES["fan"].level == 1.0)
    testing.join(5)
    assert 'rule "press"' in told[0]["why"]
    DEVICES["sensor"].value = False
    within(3, lambda: DEVICES["fan"].level == 0.0)
    assert one.gate(lambda gate: gate.outputs["fan"].claims) == {}, "the test does not come back"


def test_min_off_s_counts_for_a_test_and_after_it(bench: Callable[..., Bench]) -> None:
    one = bench(lamp={"min_off_s": 60})
    one.test(for_ms=20)
    with pytest.raises(ControlError, match=r"lamp was not tested: it rests for \d+.\d s more, as min_off_s = 60 says"):
        one.test(for_ms=20)


def test_an_interlocked_partner_keeps_a_test_away_and_ends_one(bench: Callable[..., Bench]) -> None:
    pair = {name: {**table, "interlock": "motor"} for name, table in CONFIG["actuator"].items()}
    one = bench(actuator=pair)
    told: list[Any] = []
    testing = threading.Thread(target=lambda: told.append(one.test(for_ms=9000)))
    testing.start()
    within(3, lambda: DEVICES["lamp"].level == 1.0)
    DEVICES["sensor"].value = True       # its rule wants the fan
    within(3, lambda: (DEVICES["lamp"].level, DEVICES["fan"].level) == (0.0, 1.0))
    testing.join(5)
    assert told[0]["driven_ms"] < 9000
    assert told[0]["why"]
    with pytest.raises(ControlError, match="it is interlocked with fan"):
        one.test()


def test_an_output_that_does_not_take_its_level_is_no_success(bench: Callable[..., Bench]) -> None:
    one = bench()
    DEVICES["lamp"].broken = True
    with pytest.raises(ControlError, match="lamp was not tested: actuator lamp did not take its level"):
        one.test()
    DEVICES["lamp"].broken = False


def test_an_actuator_that_blocks_is_waited_for_and_doubted(bench: Callable[..., Bench], devices: Devices) -> None:
    slow = {"driver": "slow-actuator", "key": "lamp", "safe": "off"}
    one = bench(actuator={**CONFIG["actuator"], "lamp": slow})
    assert one.test(for_ms=50)["why"] == ""
    devices["lamp"].hangs = threading.Event()
    assert "lamp may not be safe yet: its last command has not been carried out" in one.test(for_ms=50)["why"]
    devices["lamp"].hangs.set()


def test_whoever_leaves_does_not_lengthen_it(bench: Callable[..., Bench]) -> None:
    one = bench()
    with pytest.raises(ControlError, match="did not answer"):
        ask(one.socket, "test", {"output": "lamp", "for_ms": 400}, 0.1)
    within(10, lambda: len(spans("lamp")) == 1)
    assert spans("lamp")[0] < 5, "400 ms were asked for, the rest is this machine's noise"
    assert one.gate(lambda gate: gate.outputs["lamp"].claims) == {}


def test_one_that_is_under_way_can_be_ended_and_a_second_one_waits(bench: Callable[..., Bench]) -> None:
    one = bench()
    told: list[Any] = []
    testing = threading.Thread(target=lambda: told.append(one.test(for_ms=9000)))
    testing.start()
    within(3, lambda: DEVICES["lamp"].level == 1.0)
    with pytest.raises(ControlError, match="a test of lamp is under way"):
        one.test()
    assert one.test(end=True) == {"ended": True}
    within(1, lambda: DEVICES["lamp"].level == 0.0)
    assert one.test(end=True) == {"ended": False}
    testing.join(5)
    assert told[0]["driven_ms"] < 9000


def test_only_who_may_administer_may_test(bench: Callable[..., Bench]) -> None:
    assert {name: verb.access for name, verb in bench().verbs.items() if name in ("test", "watch")} == {
        "test": Access.ADMIN, "watch": Access.READ}


def test_no_rule_may_be_called_like_a_test(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.running.written = {**one.config, "rule": [{**CONFIG["rule"][0], "name": TEST}]}
    with pytest.raises(ValueError, match="a test of an output claims it by that name, so choose another"):
        one.running.read()


class Typed(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "status", "driven"), [("y\n", 0, 1), ("YES\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0), ("", 1, 0)])
def test_a_person_is_asked_first(bench: Callable[..., Bench], typed: str, status: int, driven: int,
                                 monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    one = bench()
    monkeypatch.setattr(sys, "stdin", Typed(typed))
    assert main(["test", "lamp", "--for", "50ms", "--socket", str(one.socket)]) == status
    told = capsys.readouterr().out
    assert "lamp (bad-actuator) goes on for 50 ms, then back to off, its safe level." in told
    assert len(spans("lamp")) == driven
    assert ("lamp was on for" in told) == bool(driven)


def test_where_nobody_can_be_asked_it_takes_yes(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    one = bench()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    command = ["test", "lamp", "--for", "50ms", "--socket", str(one.socket)]
    assert main(command) == 2
    assert "there is nobody to ask here; say --yes" in capsys.readouterr().err
    assert spans("lamp") == []
    assert main([*command, "--yes"]) == 0


def test_without_a_daemon_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "lamp", "--yes", "--socket", str(tmp_path / "none.sock")]) == 1
    assert "reflexd does not run, or listens elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "found"), [("200ms", 200), ("2s", 2000), ("0.5s", 500), ("10s", 10_000)])
def test_a_time_has_its_unit(text: str, found: int) -> None:
    assert duration_ms(10, 10_000)(text) == found


def test_a_long_time_has_the_units_that_events_have() -> None:
    read = duration_ms(1, 30 * 86_400_000)
    assert [read(text) for text in ("2d", "90min", "1.5h")] == [172_800_000, 5_400_000, 5_400_000]
    with pytest.raises(argparse.ArgumentTypeError, match="as 90s, 10m or 2h"):
        read("90")


@pytest.mark.parametrize(("text", "words"), [
    ("200", "'200' is no time; write a number and its unit, as 200ms or 2s"),
    ("", "is no time"), ("s", "is no time"), ("2w", "is no time"), ("nans", "is no time"), ("infs", "is no time"),
    ("1e400s", "is no time"),
    ("11s", "11s is too long; from 10ms to 10s"), ("2m", "2m is too long"),
    ("1ms", "1ms is too short; from 10ms to 10s"), ("-1s", "too short"),
])
def test_what_is_no_time_is_refused(text: str, words: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        duration_ms(10, 10_000)(text)


def test_ctrl_c_ends_what_it_began(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    one = bench()

    class Interrupted(Typed):
        """Somebody who agrees, and presses Ctrl-C once it moves."""

        def readline(self, *_: Any) -> str:
            threading.Thread(target=self._press, daemon=True).start()
            return "y\n"

        def _press(self) -> None:
            within(3, lambda: DEVICES["lamp"].level == 1.0)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr(sys, "stdin", Interrupted())
    began = time.monotonic()
    assert main(["test", "lamp", "--for", "9s", "--socket", str(one.socket)]) == 130
    within(2, lambda: DEVICES["lamp"].level == 0.0)
    assert time.monotonic() - began < 8


def test_a_reload_that_closes_the_output_ends_a_test_of_it_at_once(bench: Callable[..., Bench]) -> None:
    one = bench()
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.append(one.test(for_ms=9000)), daemon=True)
    asking.start()
    within(5, lambda: DEVICES["lamp"].level == 1.0)
    lamp = {**one.config["actuator"]["lamp"], "min_off_s": 1.0}
    one.running.reload({**one.config, "actuator": {**one.config["actuator"], "lamp": lamp}})
    assert DEVICES["lamp"].level == 0.0
    asking.join(5)
    assert told[0]["now"] == "off"
    assert told[0]["driven_ms"] < 9000
    assert "a reload closes it" in told[0]["why"]
    assert one.gate(lambda gate: gate.outputs["lamp"].claims) == {}, "the new output knows nothing of it"
