"""The gate: claims, lease, max_on, min_off, interlock, dry run, safe level, and failed writes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reflexd.outputs import Outputs
from reflexd.rules.items import TEST, Claim, Inhibit, Permit, Release
from reflexd_drivers.base import ActuatorSettings
from tests.daemon.relays import Relay, settings

S = 1_000_000_000
START = 50 * S


class Bench:
    """A gate with relays, on a clock of its own."""

    def __init__(self, dry_run: str = "", **actuators: dict[str, Any]) -> None:
        given = {name: settings(**more) for name, more in (actuators or {"lamp": {}}).items()}
        self.relays = {name: Relay(one.safe) for name, one in given.items()}
        self.gate = Outputs({name: (one, self.relays[name]) for name, one in given.items()}, dry_run)
        self.now = START

    def at(self, seconds: float) -> Bench:
        """Go on to a moment after the start; what is due by then happens when it is due."""
        target = START + round(seconds * S)
        while self.gate.due is not None and self.gate.due <= target:
            self.now = self.gate.due
            self.gate.settle(self.now)
        self.now = target
        self.gate.settle(self.now)
        return self

    def claim(self, actuator: str = "lamp", level: float = 1.0, for_s: float = 1, rule: str = "r", priority: int = 0) -> Bench:
        self.gate.apply([Claim(rule, actuator, level, priority, self.now + round(for_s * S), ())], self.now)
        return self

    def release(self, actuator: str = "lamp", rule: str = "r") -> Bench:
        self.gate.apply([Release(rule, actuator)], self.now)
        return self

    def levels(self) -> list[float]:
        return [relay.level for relay in self.relays.values()]


def test_an_output_is_active_while_a_claim_lives() -> None:
    bench = Bench().claim(for_s=2)
    assert bench.levels() == [1.0]
    assert bench.at(1.99).levels() == [1.0]
    assert bench.at(2).levels() == [0.0]


def test_a_renewed_claim_lives_on_without_another_write() -> None:
    bench = Bench().claim(for_s=1)
    bench.at(0.9).claim(for_s=1)
    assert bench.at(1.8).relays["lamp"].written == [1.0]


def test_a_released_claim_ends_at_once() -> None:
    assert Bench().claim().release().levels() == [0.0]


def test_two_claims_end_when_the_last_does() -> None:
    bench = Bench().claim(rule="a", for_s=1).claim(rule="b", for_s=2)
    assert bench.at(1.5).levels() == [1.0]
    assert bench.at(2.5).levels() == [0.0]


def test_the_higher_priority_wins() -> None:
    bench = Bench().claim(rule="a", level=1.0).claim(rule="b", level=0.4, priority=5)
    assert bench.levels() == [0.4]
    assert bench.release(rule="b").levels() == [1.0]


def test_safe_may_be_on() -> None:
    bench = Bench(fan={"safe": "on"}).claim("fan", level=0.0, for_s=1)
    assert bench.levels() == [0.0]
    assert bench.at(1).levels() == [1.0]


@pytest.mark.fault("F22", bound="max_on_s", outcome="safe, until every claim has ended")
def test_no_output_is_active_past_max_on_however_often_it_is_claimed() -> None:
    bench = Bench(lamp={"max_on_s": 3})
    for tenth in range(60):
        bench.at(tenth / 10).claim(for_s=0.5)
        assert bench.levels() == [1.0 if tenth < 30 else 0.0]


def test_after_max_on_an_output_rests_until_every_claim_has_ended() -> None:
    bench = Bench(lamp={"max_on_s": 1}).claim(for_s=5)
    assert bench.at(2).claim(rule="other", for_s=1).levels() == [0.0]
    assert bench.at(5.5).claim(for_s=0.5).levels() == [1.0]


def test_min_off_keeps_an_output_at_rest() -> None:
    bench = Bench(lamp={"min_off_s": 2}).claim(for_s=1)
    bench.at(1.5).claim(for_s=10)
    assert bench.levels() == [0.0]
    assert bench.at(2.9).levels() == [0.0]
    assert bench.at(3.0).levels() == [1.0]


PAIR = {"up": {"interlock": "motor"}, "down": {"interlock": "motor"}}


@pytest.mark.fault("F24", bound="at once", outcome="one is active, the other waits")
def test_of_an_interlocked_pair_one_is_active() -> None:
    bench = Bench(**PAIR).claim("up", rule="a", for_s=1).claim("down", rule="b", for_s=3)
    assert bench.levels() == [1.0, 0.0], "the one that is active stays"
    assert bench.at(1).levels() == [0.0, 1.0]


def test_priority_moves_an_interlock_letting_go_before_it_activates() -> None:
    bench = Bench(**PAIR)
    order: list[str] = []
    for name, relay in bench.relays.items():
        relay.set = lambda level, name=name, relay=relay: order.append(f"{name} {level}") or setattr(relay, "level", level)  # type: ignore[method-assign]
    bench.claim("up", rule="a").claim("down", rule="b", priority=1)
    assert order == ["up 1.0", "up 0.0", "down 1.0"]


@pytest.mark.fault("F24", bound="at once", outcome="waits until the other is known to be safe")
def test_an_interlocked_partner_waits_until_the_other_is_known_to_be_safe() -> None:
    bench = Bench(**PAIR).claim("up", rule="a")
    bench.relays["up"].settled = False
    bench.release("up", rule="a").claim("down", rule="b")
    assert bench.levels() == [0.0, 0.0]
    bench.relays["up"].settled = True
    bench.gate.settle(bench.now)
    assert bench.levels() == [0.0, 1.0]


def test_an_inhibition_makes_everything_safe_and_ends_every_claim() -> None:
    bench = Bench().claim(for_s=60)
    bench.gate.apply([Inhibit("stop", "stop was pressed")], bench.now)
    assert bench.levels() == [0.0]
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    assert bench.levels() == [0.0], "the old claim does not come back"
    assert bench.claim().levels() == [1.0]


def test_a_permit_that_is_not_confirmed_lapses() -> None:
    bench = Bench()
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    bench.claim(for_s=60)
    assert bench.at(0.9).levels() == [1.0]
    assert bench.at(1).levels() == [0.0]
    assert "stop has not been confirmed in time" in bench.gate.inhibited["stop"]


def test_what_keeps_outputs_safe_ends_every_claim_although_it_permits_them_in_the_same_decision() -> None:
    """A stop pressed for a moment only; nobody but the gate knows of the claim of a test."""
    bench = Bench(lamp={}, fan={"min_off_s": 2}).claim(rule=TEST, for_s=9).claim("fan", rule="r", for_s=9)
    again = Claim("r", "fan", 1.0, 0, bench.now + 9 * S, ())
    bench.gate.apply([Inhibit("stop", "pressed for a moment"), Permit("stop", bench.now + 9 * S), again], bench.now)
    assert [relay.written for relay in bench.relays.values()] == [[1.0, 0.0], [1.0, 0.0]]
    assert bench.at(1.9).levels() == [0.0, 0.0], "a new beginning, after its rest"
    assert bench.at(2).levels() == [0.0, 1.0]


def test_a_permission_that_lapsed_while_the_loop_was_held_up_ends_every_claim() -> None:
    bench = Bench()
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    bench.claim(rule=TEST, for_s=9)
    bench.now += 2 * S
    bench.gate.apply([Permit("stop", bench.now + S)], bench.now)
    assert bench.levels() == [0.0]
    assert not bench.gate.inhibited


@pytest.mark.fault("F26", bound="at once", outcome="every output safe until somebody looks: latched")
def test_a_failed_write_makes_every_output_safe_for_good() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp", for_s=60)
    bench.relays["fan"].broken = True
    bench.claim("fan", for_s=60)
    assert bench.levels() == [0.0, 0.0]
    assert bench.at(5).claim("lamp").levels() == [0.0, 0.0]
    assert "actuator fan did not take its level: the relay does not answer" in bench.gate.inhibited["latched"]


@pytest.mark.fault("F26", bound="0.5 s between two tries", outcome="tried again until it is safe")
def test_an_actuator_that_failed_is_tried_again_until_it_is_safe() -> None:
    bench = Bench().claim(for_s=1)
    bench.relays["lamp"].broken = True
    assert bench.at(1.2).levels() == [1.0], "it does not answer"
    bench.relays["lamp"].broken = False
    assert bench.at(1.6).levels() == [0.0]


def test_a_dry_run_decides_and_tells_but_drives_nothing() -> None:
    bench = Bench(dry_run="dry run").claim()
    assert bench.levels() == [0.0]
    assert bench.gate.outputs["lamp"].active
    assert str(bench.gate.changes[-1]) == 'lamp on: rule "r":  (dry run: not driven)'


def test_leaving_makes_everything_safe_even_past_one_that_fails() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp").claim("fan")
    bench.relays["lamp"].broken = True
    bench.gate.make_safe("SIGTERM", bench.now)
    assert bench.levels() == [1.0, 0.0]
    assert any("lamp may not be safe" in str(change) for change in bench.gate.changes)


def test_every_output_says_why_it_is_where_it_is() -> None:
    bench = Bench(lamp={"max_on_s": 1})
    assert bench.gate.outputs["lamp"].why == "off, safe: no rule claims it"
    assert 'on: rule "r"' in bench.claim(for_s=9).gate.outputs["lamp"].why
    assert bench.at(2).gate.outputs["lamp"].why == "off, safe: it was active for max_on_s = 1"


@pytest.mark.fault("F27", bound="sense_within_ms and 50 ms", outcome="every output safe for good, with the pin that saw it")
def test_an_output_that_the_world_does_not_follow_makes_all_safe_for_good() -> None:
    bench = Bench(lamp={}, fan={}).claim("lamp", for_s=60).claim("fan", for_s=60)
    bench.gate.look(bench.now)
    assert bench.levels() == [1.0, 1.0], "followed as far as can be seen"
    bench.relays["lamp"].stuck_at = 0.0
    bench.gate.look(bench.now)
    assert bench.levels() == [0.0, 0.0]
    assert bench.gate.inhibited["latched"] == "actuator lamp was not followed: the contact does not move; look at the relay"
    bench.gate.look(bench.now)
    assert bench.at(5).claim("fan").levels() == [0.0, 0.0]
    assert not any("may not be safe" in str(change) for change in bench.gate.changes), "it is seen to be safe"


@pytest.mark.fault("F27", bound="sense_within_ms and 50 ms", outcome="a contact that stays closed is told once, as not safe")
def test_an_output_that_does_not_let_go_is_told_as_not_safe_once() -> None:
    bench = Bench(lamp={}).claim(for_s=1)
    bench.relays["lamp"].stuck_at = 1.0
    bench.gate.look(bench.now)
    assert bench.levels() == [1.0]
    bench.at(2)
    for _ in range(3):
        bench.gate.look(bench.now)
    told = [str(change) for change in bench.gate.changes if "may not be safe" in str(change)]
    assert told == ["lamp may not be safe: the contact does not move; look at the relay"]
    assert "was not followed" in bench.gate.inhibited["latched"]


@pytest.mark.parametrize("key", ["max_on_s", "min_off_s"])
def test_a_bound_that_no_clock_holds_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        ActuatorSettings.model_validate({"driver": "recorder", "safe": "off", key: 1e300})
