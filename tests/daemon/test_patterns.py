"""Pulse and pattern: phases on an absolute schedule, one activation in the gate, and its edges in a whole daemon."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.actuating import ActuatorJob
from reflexd.outputs import Outputs
from reflexd.patterns import phase
from reflexd.rules.items import Claim, Inhibit, Pattern
from reflexd.workers import Reports, Wake
from tests.daemon.relays import Relay, SlowRelay, settings
from tests.daemon.test_faults import CONFIG, Devices, Start
from tests.daemon.test_outputs import PAIR, START, Bench, S
from tests.stopwatch import within

BEEP = Pattern((S // 5, S * 4 // 5))       # 0.2 s on, 0.8 s off
LENGTHS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4)


class Bells(Bench):
    """A bench that remembers each write with its now."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.edges: dict[str, list[tuple[float, float]]] = {name: [] for name in self.relays}
        for name, relay in self.relays.items():
            relay.set = self._watched(name, relay)      # type: ignore[method-assign]

    def _watched(self, name: str, relay: Relay) -> Any:
        drive = relay.set

        def driven(level: float) -> None:
            drive(level)
            self.edges[name].append((round((self.now - START) / S, 6), level))
        return driven

    def ring(self, actuator: str = "lamp", for_s: float = 10, rule: str = "r", priority: int = 0, level: float = 1.0,
             pattern: Pattern = BEEP) -> Bells:
        until = self.now + round(for_s * S)
        self.gate.apply([Claim(rule, actuator, level, priority, until, (), pattern)], self.now)
        return self

    def log(self) -> list[str]:
        return [str(change) for change in self.gate.changes]


@given(LENGTHS, st.integers(0, 4), st.integers(0, 1000))
def test_a_phase_is_what_counting_moment_by_moment_gives(lengths: list[tuple[int, int]], times: int, into: int) -> None:
    pattern = Pattern(tuple(one for pair in lengths for one in pair), times)
    rounds = times or 1001
    line = [on for _ in range(rounds) for index, length in enumerate(pattern.phases) for on in [index % 2 == 0] * length]
    if times:
        line = line[: len(line) - pattern.phases[-1]]      # the last pause is rest
    found = phase(pattern, START, START + into)
    if into >= len(line):
        assert found == (False, True, None)
        return
    ends = next((at for at in range(into, len(line)) if line[at] != line[into]), len(line))
    assert found == (line[into], False, START + ends)


def test_a_pattern_is_repeated_while_its_claim_lives() -> None:
    bells = Bells().ring(for_s=2.5)
    bells.at(5)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (1, 1), (1.2, 0), (2, 1), (2.2, 0), (2.5, 0)]
    assert bells.log() == ['lamp on in a pattern: rule "r": ', "lamp off, safe: no rule claims it"]
    assert bells.gate.outputs["lamp"].changes == 2, "phases are not told one by one"
    assert bells.gate.due is None


def test_so_many_times_and_then_it_rests_until_the_claim_ends() -> None:
    bells = Bells().ring(pattern=Pattern(BEEP.phases, 2), for_s=5)
    assert bells.at(1.1).gate.outputs["lamp"].active
    bells.ring(pattern=Pattern(BEEP.phases, 2), for_s=5)        # renewed
    assert not bells.at(1.2).gate.outputs["lamp"].active, "its last pause is rest"
    bells.at(6)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (1, 1), (1.2, 0)]
    assert bells.log()[1] == 'lamp off, safe: the pattern of rule "r" is through'
    bells.at(7).ring(pattern=Pattern(BEEP.phases, 1))          # type: ignore[attr-defined]
    assert bells.edges["lamp"][4:] == [(7, 1)], "a claim of its own rings anew"


def test_a_claim_that_comes_after_its_rule_s_last_one_lapsed_rings_anew_although_nobody_looked_in_between() -> None:
    bells = Bells().ring(pattern=Pattern(BEEP.phases, 1), for_s=2)
    bells.at(1).now += round(1.5 * S)          # the loop was held up past the end of the claim
    bells.ring(pattern=Pattern(BEEP.phases, 1), for_s=2)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (2.5, 1)]


def test_a_renewal_does_not_touch_the_schedule() -> None:
    bells = Bells()
    for tenth in range(30):
        bells.at(tenth / 10)
        bells.ring(for_s=0.5)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (1, 1), (1.2, 0), (2, 1), (2.2, 0)]


def test_after_a_stall_the_phase_of_the_moment_is_taken_up_and_none_is_made_up_for() -> None:
    bells = Bells().ring()
    bells.now = START + round(3.1 * S)
    bells.gate.settle(bells.now)
    bells.at(4.5)
    assert bells.edges["lamp"] == [(0, 1), (3.2, 0), (4, 1), (4.2, 0)], "at 3.1 s it is on as it was"


@pytest.mark.fault("F22", bound="max_on_s, pauses of a pattern included", outcome="safe, until every claim has ended")
def test_max_on_counts_the_pauses() -> None:
    bells = Bells(lamp={"max_on_s": 2.5})
    for tenth in range(60):
        bells.at(tenth / 10)
        bells.ring(for_s=0.5)
    assert bells.edges["lamp"][-1] == (2.5, 0)
    assert bells.log()[-1] == "lamp off, safe: it was active for max_on_s = 2.5"
    bells.at(8).ring()        # type: ignore[attr-defined]
    assert bells.edges["lamp"][-1] == (8, 1)


def test_min_off_counts_from_the_end_and_does_not_hold_up_the_phases() -> None:
    bells = Bells(lamp={"min_off_s": 3}).ring(for_s=1.5)
    bells.at(2)
    bells.ring(for_s=10)
    bells.at(5)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (1, 1), (1.2, 0), (1.5, 0), (4.5, 1), (4.7, 0)]


def test_an_interlocked_partner_waits_through_the_pauses() -> None:
    bells = Bells(**PAIR).ring("up", for_s=2, rule="a")
    bells.at(0.5).claim("down", rule="b", for_s=5)
    assert bells.at(1.9).levels() == [0.0, 0.0]
    assert bells.at(2).levels() == [0.0, 1.0]


def test_a_pattern_that_waits_for_its_partner_begins_with_its_first_phase() -> None:
    bells = Bells(**PAIR).claim("up", rule="a", for_s=1.1)
    bells.ring("down", rule="b")      # type: ignore[attr-defined]
    bells.at(2)
    assert bells.edges["down"] == [(1.1, 1), (1.3, 0)]        # type: ignore[attr-defined]


def test_a_higher_priority_takes_over_in_a_pause_and_gives_back_on_the_same_schedule() -> None:
    bells = Bells().ring(for_s=10, rule="bell")
    bells.at(0.5).claim(rule="alarm", priority=1, level=0.5, for_s=1.6)
    bells.at(2.5)
    assert bells.edges["lamp"] == [(0, 1), (0.2, 0), (0.5, 0.5), (2.1, 1), (2.2, 0)]


def test_another_level_that_is_safe_ends_the_activation() -> None:
    bells = Bells(lamp={"min_off_s": 1}).ring(rule="bell")
    bells.at(0.1).claim(rule="hush", priority=1, level=0.0, for_s=0.5)
    bells.at(1.5)
    assert bells.edges["lamp"] == [(0, 1), (0.1, 0), (1.1, 1), (1.2, 0)], "min_off holds it, then it goes on where the pattern is"


def test_a_pattern_goes_on_from_a_steady_claim_of_the_same_level() -> None:
    bells = Bells().claim(rule="lamp", for_s=9)
    bells.at(1)
    bells.ring(rule="bell", priority=1)      # type: ignore[attr-defined]
    bells.at(2.1)
    assert bells.edges["lamp"] == [(0, 1), (1.2, 0), (2, 1)]        # type: ignore[attr-defined]


@pytest.mark.parametrize("at", [0.1, 0.5])
def test_whatever_keeps_outputs_safe_ends_a_pattern_in_any_phase(at: float) -> None:
    bells = Bells().ring()
    bells.at(at).gate.apply([Inhibit("stop", "stop was pressed")], bells.now)
    bells.at(3)
    assert bells.levels() == [0.0]
    assert bells.edges["lamp"][-1] == ((0.1, 0) if at == 0.1 else (0.5, 0))
    assert bells.log()[-1] == "lamp off, safe: stop was pressed"
    assert not bells.gate.outputs["lamp"].begun


@pytest.mark.parametrize("at", [0.1, 0.5])
def test_an_output_that_is_let_go_or_no_longer_driven_leaves_its_pattern(at: float) -> None:
    bells = Bells(lamp={}, bell={}).ring("lamp")
    bells.ring("bell")
    bells.at(at).gate.let_go(["lamp"], "a reload closes it", bells.now)
    bells.gate.drive("disarmed", "disarmed", bells.now)
    assert bells.at(3).levels() == [0.0, 0.0]
    assert {edges[-1] for edges in bells.edges.values()} == {(at, 0)}


def test_a_dry_run_tells_begin_and_end_and_drives_nothing() -> None:
    bells = Bells(dry_run="dry run").ring(for_s=2)
    bells.at(3)
    assert all(level == 0 for _, level in bells.edges["lamp"])
    assert len(bells.log()) == 2


@pytest.mark.parametrize("breaks_at", [0.1, 0.5])
@pytest.mark.fault("F26", bound="the next edge of the pattern", outcome="every output safe until somebody looks: latched")
def test_a_write_that_fails_in_any_phase_makes_every_output_safe_for_good(breaks_at: float) -> None:
    bells = Bells(lamp={}, fan={}).claim("fan", rule="f", for_s=60)
    bells.ring("lamp")        # type: ignore[attr-defined]
    bells.at(breaks_at).relays["lamp"].broken = True
    assert bells.at(1.05).levels()[1] == 0.0
    assert "did not take its level" in bells.gate.inhibited["latched"]
    bells.relays["lamp"].broken = False
    assert bells.at(5).levels() == [0.0, 0.0], "tried again until it is safe"
    bells.ring("lamp")        # type: ignore[attr-defined]
    assert bells.levels() == [0.0, 0.0]


def test_an_output_that_stays_on_in_a_pause_is_told_as_not_safe() -> None:
    bells = Bells().ring()
    bells.at(0.5)
    bells.relays["lamp"].stuck_at = 1.0
    bells.gate.look(bells.now)
    assert any("lamp may not be safe" in line for line in bells.log())
    assert "was not followed" in bells.gate.inhibited["latched"]


def test_safe_may_be_on_for_a_pattern_too() -> None:
    bells = Bells(valve={"safe": "on"}).ring("valve", level=0.0, for_s=1.1)
    bells.at(2)
    assert bells.edges["valve"] == [(0, 0), (0.2, 1), (1, 0), (1.1, 1)]


def test_leaving_makes_safe_in_a_pause_too() -> None:
    bells = Bells().ring()
    bells.at(0.5).gate.make_safe("SIGTERM", bells.now)
    assert bells.edges["lamp"][-1] == (0.5, 0)
    assert bells.gate.outputs["lamp"].driven == 0.0


def test_a_slow_actuator_leaves_phases_out_and_ends_safe() -> None:
    """Its worker holds one command, in which safe wins: nothing piles up."""
    relay = SlowRelay()
    relay.may_go_on.set()
    job = ActuatorJob("lamp", relay, Reports(Wake()))
    gate = Outputs({"lamp": (settings(), job)})
    gate.apply([Claim("r", "lamp", 1.0, 0, START + 10 * S, (), BEEP)], START)
    for _ in range(20):
        gate.settle(gate.due or 0)
    job.step()
    assert len(relay.written) <= 2, "twenty edges while it was busy are one command, or one after safe"
    gate.apply([Inhibit("stop", "stop")], START + 9 * S)
    job.step()
    assert relay.level == 0.0


def test_edges_in_a_daemon_are_where_they_should_be_and_do_not_drift(start: Start, devices: Devices) -> None:
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    on, off = 0.03, 0.05
    config["rule"] = [{"name": "blink", "when": [{"sensor": "button", "is": True}],
                       "then": [{"actuator": "fan", "set": "on", "follow": True, "pattern": [on, off]}]}]
    devices["sensor"].value = True
    daemon = start(config)
    written = devices["fan"].written
    within(20, lambda: len(written) >= 60)
    assert daemon.status()["outputs"]["fan"]["changes"] == 1
    since = daemon.daemon.loop.between_cycles(lambda: daemon.daemon.loop.outputs.outputs["fan"].begun["blink"]) / S
    into = [((at - since) % (on + off), level) for at, level in list(written) if at >= since]
    late = [moment if level else moment - on for moment, level in into]
    assert sum(not 0 <= one < (on if level else off) for one, (_, level) in zip(late, into, strict=True)) <= len(into) // 10, \
        "written in another phase only where this machine held the loop up between its look at the clock and the write"
    assert sorted(one for one in late[-20:] if one >= 0)[2] < 0.005, "after forty edges they are where they should be"
