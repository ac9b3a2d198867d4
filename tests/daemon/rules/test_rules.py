"""Rules: when they act, when they hold back, and on what ground."""

from __future__ import annotations

from typing import Any

import pytest

from reflexd.rules.items import Claim, Command, Inhibit, Permit, Release
from reflexd.rules.stage import Stage
from tests.daemon.rules.story import FOLLOW, FOR_5_S, Story, acts, lets_go, settings

PERSON = {"model": "person", "label": "person", "at_least": 0.7}
PRESSED = {"sensor": "button", "is": True}


def test_a_rule_acts_when_every_condition_is_true() -> None:
    story = Story({"when": [PERSON, PRESSED], "then": FOR_5_S})
    assert not acts(story.sees(0.9))
    assert acts(story.feels("button", True))


def test_a_claim_lasts_as_long_as_the_rule_says_and_carries_its_reasons() -> None:
    story = Story({"when": [PERSON], "then": FOR_5_S})
    claim = story.sees(0.82)[0]
    assert isinstance(claim, Claim)
    assert claim.until == story.now + 5_000_000_000
    assert str(claim.reasons[0]) == "model.person person at least 0.7: 0.82"


@pytest.mark.fault("F08", bound="max_age_ms", outcome="dropped and counted; no rule acts on it")
def test_nothing_acts_on_a_late_frame_which_is_counted() -> None:
    story = Story({"when": [PERSON], "then": FOR_5_S})
    assert not acts(story.sees(0.9, age_ms=501))
    assert story.stage.sources["model.person"].late == 1


@pytest.mark.fault("F38", bound="max_age_ms", outcome="the reading counts as unknown; no rule acts on it")
def test_a_stale_reading_is_unknown_and_nothing_acts_on_it() -> None:
    story = Story({"when": [PERSON, PRESSED], "then": FOR_5_S})
    story.feels("button", True)
    story.wait(1.1)
    assert not acts(story.sees(0.9))
    assert story.stage.rules[0].truth is None


@pytest.mark.parametrize(("pressed", "acted"), [(False, True), (True, False), (None, False)])
def test_unless_has_to_be_known_to_be_false(pressed: bool | None, acted: bool) -> None:
    story = Story({"when": [PERSON], "unless": [PRESSED], "then": FOR_5_S})
    if pressed is not None:
        story.feels("button", pressed)
    assert acts(story.sees(0.9)) is acted


def test_a_score_that_was_reached_holds_until_it_falls_below_its_release() -> None:
    story = Story({"when": [{**PERSON, "release_below": 0.5}], "then": FOLLOW})
    assert acts(story.sees(0.75))
    assert acts(story.wait(0.1).sees(0.55))
    assert lets_go(story.wait(0.1).sees(0.45))
    assert not acts(story.wait(0.1).sees(0.55))


def test_hits_are_counted_over_the_last_predictions() -> None:
    story = Story({"when": [{**PERSON, "hits": 3, "of": 5}], "then": FOR_5_S})
    said = [acts(story.wait(0.1).sees(score)) for score in (0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1)]
    assert said == [False, False, False, False, True, False, False]


@pytest.mark.fault("F09", bound="one period", outcome="counts as a miss, never as a hit")
def test_a_gap_is_a_miss_and_never_a_hit() -> None:
    story = Story({"when": [{**PERSON, "hits": 3, "of": 3}], "then": FOR_5_S})
    story.sees(0.9)
    story.wait(0.1).sees(0.9)
    assert not acts(story.wait(0.5).sees(0.9)), "two of the three are older than 3 x 2 periods"


def test_a_gap_longer_than_max_age_forgets_the_hits() -> None:
    story = Story({"when": [{**PERSON, "hits": 2, "of": 8}], "then": FOR_5_S})
    story.sees(0.9)
    assert not acts(story.wait(0.6).sees(0.9))
    assert acts(story.wait(0.1).sees(0.9))


def test_a_follow_claim_is_renewed_while_true_and_released_when_false() -> None:
    story = Story({"when": [PERSON], "then": FOLLOW})
    first, second = story.sees(0.9)[0], story.wait(0.1).sees(0.9)[0]
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert second.until == first.until + 100_000_000
    assert first.until - (story.now - 100_000_000) == 500_000_000, "the lease is 500 ms at 10 Hz"
    assert lets_go(story.wait(0.1).sees(0.1))


def test_the_lease_is_three_periods_of_a_slow_source() -> None:
    camera = {"gate": {"driver": "replay", "rate_hz": 2, "max_age_ms": 2000}}
    claim = Story({"when": [PERSON], "then": FOLLOW}, camera=camera).sees(0.9)[0]
    assert isinstance(claim, Claim)
    assert claim.until - Story().now == 1_500_000_000


@pytest.mark.fault("F51", bound="one prediction", outcome="leases and hits follow its pace")
def test_a_network_slower_than_its_camera_sets_the_period() -> None:
    fast = {"gate": {"driver": "replay", "rate_hz": 30, "max_age_ms": 1000}}
    story = Story({"when": [{**PERSON, "hits": 3, "of": 5}], "then": FOLLOW}, camera=fast)
    told = [story.wait(0.4).sees(0.9, age_ms=390) for _ in range(40)]
    assert acts(told[-1]), "three hits of five are there, if five periods of this network are looked at"
    claim = told[-1][0]
    assert isinstance(claim, Claim)
    assert claim.until - story.now > 1_000_000_000, "the lease lasts from one prediction to the next"


def test_an_unknown_condition_neither_renews_nor_releases_a_follow_claim() -> None:
    story = Story({"when": [PERSON, PRESSED], "then": FOLLOW})
    story.feels("button", True)
    assert acts(story.sees(0.9))
    story.wait(1.2)
    assert story.sees(0.9) == []


def test_cooldown_counts_from_the_last_action() -> None:
    story = Story({"when": [PERSON], "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], "cooldown_s": 3})
    said = [acts(story.wait(0.5).sees(0.9)) for _ in range(8)]
    assert said == [True, False, False, False, False, False, True, False]


def test_a_follow_claim_is_kept_during_its_own_cooldown() -> None:
    story = Story({"when": [PERSON], "then": FOLLOW, "cooldown_s": 3})
    assert all(acts(story.wait(0.2).sees(0.9)) for _ in range(5))
    story.wait(0.1).sees(0.1)
    assert not acts(story.wait(0.1).sees(0.9))


@pytest.mark.fault("F23", bound="at once", outcome="no more actions than max_per_hour")
def test_no_more_actions_in_an_hour_than_allowed() -> None:
    story = Story({"when": [PERSON], "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], "max_per_hour": 2})
    said = [acts(story.wait(1000).sees(0.9)) for _ in range(6)]
    assert said == [True, True, False, False, True, True]


def began(said: list[list[Command]], actuator: str) -> list[bool]:
    """Say at which of these moments an output was claimed."""
    return [any(isinstance(one, Claim) and one.actuator == actuator for one in commands) for commands in said]


@pytest.mark.fault("F23", bound="at once", outcome="each output as often as max_per_hour, whatever else the rule goes on with")
def test_what_a_rule_goes_on_with_hides_no_beginning_from_max_per_hour() -> None:
    bell = {"actuator": "fan", "set": "on", "for_s": 1}
    story = Story({"when": [PERSON], "then": [*FOLLOW, bell], "cooldown_s": 5, "max_per_hour": 2})
    said = [story.wait(0.25).sees(0.9) for _ in range(80)]
    assert began(said, "lamp") == [True] * 80, "it follows on"
    assert [index for index, one in enumerate(began(said, "fan")) if one] == [0, 20]


@pytest.mark.fault("F23", bound="at once", outcome="no more actions than max_per_hour, with a delay too")
def test_a_delay_that_began_while_the_rule_acted_is_no_way_around_max_per_hour() -> None:
    story = Story({"when": [PERSON], "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], "delay_s": 2, "max_per_hour": 2})
    assert sum(acts(story.wait(0.25).sees(0.9)) for _ in range(80)) == 2


@pytest.mark.parametrize("limit", [{"cooldown_s": 3600}, {"max_per_hour": 1}])
def test_a_reload_that_fails_and_takes_its_rules_back_is_no_way_around_their_bounds(limit: dict[str, Any]) -> None:
    rule = {"when": [PERSON], "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], **limit}
    story = Story(rule)
    assert acts(story.sees(0.9))
    for other in ({**rule, "priority": 1}, rule):      # the new one could not be opened, and the old one runs again
        story.stage.let_go([], [], story.now)
        story.stage = Stage(settings(other), story.stage)
    assert not acts(story.wait(5).sees(0.9))
    assert acts(story.wait(3600).sees(0.9))


def test_a_failed_source_ends_what_its_rule_holds() -> None:
    story = Story({"when": [PERSON], "then": FOR_5_S})
    assert acts(story.sees(0.9))
    assert lets_go(story.loses("camera.gate")), "a camera takes its models along"


def test_a_gate_that_fails_ends_what_rests_on_the_network_behind_it() -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]}}
    story = Story({"when": [PERSON], "then": FOR_5_S}, model=gated)
    story.feels("button", True)
    assert acts(story.sees(0.9))
    assert lets_go(story.loses("sensor.button"))


def test_hold_on_fault_outlasts_the_failure_of_a_source() -> None:
    story = Story({"when": [PERSON], "then": [{**FOR_5_S[0], "hold_on_fault": True}]})
    assert acts(story.sees(0.9))
    assert not lets_go(story.loses("model.person"))


def test_what_was_taken_before_a_failure_is_void_and_what_comes_later_counts() -> None:
    story = Story({"when": [PERSON], "then": FOR_5_S})
    story.loses("camera.gate")
    assert not acts(story.sees(0.9, age_ms=10))
    assert acts(story.wait(0.05).sees(0.9, age_ms=10))


def test_only_while_makes_a_network_unknown() -> None:
    model = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "warmth", "is": True}]}}
    story = Story({"when": [PERSON], "then": FOR_5_S}, model=model)
    assert not acts(story.sees(0.9)), "the gate is not known yet"
    story.feels("warmth", True)
    assert acts(story.wait(0.1).sees(0.9))
    story.feels("warmth", False)
    assert not acts(story.wait(0.1).sees(0.9))


def test_nothing_seen_before_a_gate_closed_counts_as_a_hit_after_it_opened() -> None:
    model = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "warmth", "is": True}]}}
    story = Story({"when": [{**PERSON, "hits": 2, "of": 5}], "then": FOR_5_S}, model=model)
    story.feels("warmth", True)
    story.wait(0.1).sees(0.9)
    story.feels("warmth", False)
    story.feels("warmth", True)
    assert not acts(story.wait(0.1).sees(0.9))


SAFETY = {"stop": {"sensor": "button", "is": True}}


def test_a_stop_input_inhibits_until_it_is_known_to_be_released() -> None:
    story = Story(safety=SAFETY)
    assert [type(one) for one in story.stage.begin()] == [Inhibit]
    permit = story.feels("button", False)[0]
    assert isinstance(permit, Permit)
    assert permit.until == story.now - 1_000_000 + 1_000_000_000, "a permit lasts as long as the reading is fresh"
    assert isinstance(story.feels("button", True)[0], Inhibit)
    assert isinstance(story.loses("sensor.button")[0], Inhibit)


@pytest.mark.parametrize("value", ["pressed", 2.0, float("nan"), float("inf")])
def test_a_stop_sensor_that_says_neither_true_nor_false_is_not_known_to_be_released(value: Any) -> None:
    story = Story(safety=SAFETY)
    assert isinstance(story.feels("button", value)[0], Inhibit)


def test_a_value_of_another_kind_is_not_known_to_be_false() -> None:
    story = Story({"when": [PERSON], "unless": [{"sensor": "button", "is": True}], "then": FOR_5_S})
    story.feels("button", "pressed")
    assert not acts(story.sees(0.9))


def test_a_number_that_is_none_is_not_known_to_be_false() -> None:
    story = Story({"when": [PERSON], "unless": [{"sensor": "warmth", "above": 80.0}], "then": FOR_5_S})
    story.feels("warmth", float("nan"))
    assert not acts(story.sees(0.9))
    story.feels("warmth", 20.0)
    assert acts(story.sees(0.9))


@pytest.mark.fault("F50", bound="one prediction", outcome="unknown; no rule acts on it")
def test_a_score_that_is_no_number_is_not_known_to_be_false() -> None:
    story = Story({"when": [{"sensor": "button", "is": True}], "unless": [PERSON], "then": FOR_5_S})
    story.sees(float("nan"))
    assert not acts(story.feels("button", True))


@pytest.mark.parametrize(("guard", "rises", "falls"), [
    ({"stop": {"sensor": "button", "is": True}}, 1, 0), ({"stop": {"sensor": "button", "is": False}}, 0, 1),
    ({"arm": {"sensor": "button", "is": True}}, 0, 1), ({"arm": {"sensor": "button", "is": False}}, 1, 0),
])
def test_a_stop_shorter_than_a_reading_is_not_lost(guard: dict[str, Any], rises: int, falls: int) -> None:
    hold = [{"actuator": "lamp", "set": "on", "for_s": 50, "hold_on_fault": True}]
    story = Story({"when": [PERSON], "then": hold}, safety=guard)
    permitting = next(iter(guard.values()))["is"] is ("arm" in guard)
    story.feels("button", permitting)
    assert acts(story.sees(0.9))
    kinds = [type(one) for one in story.wait(0.1).feels("button", permitting, rises=rises, falls=falls)]
    assert kinds == [Inhibit, Release, Permit]


@pytest.mark.parametrize("limit", [{"cooldown_s": 3600}, {"max_per_hour": 1}])
def test_what_cannot_be_done_during_a_stop_costs_neither_cooldown_nor_allowance(limit: dict[str, Any]) -> None:
    story = Story({"when": [PERSON], "then": FOR_5_S, **limit}, safety={"arm": {"sensor": "button", "is": True}})
    story.feels("button", False)
    assert not acts(story.sees(0.9))
    story.wait(0.1).feels("button", True)
    assert acts(story.wait(0.1).sees(0.9))


@pytest.mark.parametrize("stop", ["pressed", "unplugged", "silent"])
def test_an_action_that_a_stop_ended_counts_again_when_it_begins_anew(stop: str) -> None:
    hold = [{"actuator": "lamp", "set": "on", "for_s": 50, "hold_on_fault": True}]
    story = Story({"when": [PERSON], "then": hold, "max_per_hour": 1}, safety=SAFETY)
    story.feels("button", False)
    assert acts(story.sees(0.9))
    if stop == "pressed":
        story.wait(0.2).feels("button", True)
    elif stop == "unplugged":
        story.wait(0.2).loses("sensor.button")
    story.wait(0.2 if stop != "silent" else 1.5).feels("button", False)
    assert not acts(story.wait(0.1).sees(0.9)), "the gate had ended it: that would be a second one"


def test_after_a_stop_the_rules_begin_with_empty_state() -> None:
    story = Story({"when": [{**PERSON, "hits": 2, "of": 5}], "then": FOR_5_S}, safety=SAFETY)
    story.feels("button", False)
    story.sees(0.9)
    story.wait(0.1).feels("button", True)
    story.feels("button", False)
    assert not acts(story.sees(0.9))
    assert acts(story.wait(0.1).sees(0.9))


def test_arm_has_to_be_known_to_be_true() -> None:
    story = Story(safety={"arm": {"sensor": "button", "is": True}})
    assert isinstance(story.feels("button", False)[0], Inhibit)
    assert isinstance(story.feels("button", True)[0], Permit)


def test_a_required_source_permits_while_it_is_fresh() -> None:
    camera = {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500, "required": True}}
    story = Story({"when": [PERSON], "then": FOR_5_S}, camera=camera)
    assert [one.by for one in story.stage.begin() if isinstance(one, Inhibit)] == ["camera.gate"]
    assert any(isinstance(one, Permit) for one in story.sees(0.1))
    assert any(isinstance(one, Inhibit) for one in story.loses("camera.gate"))


def test_a_required_camera_is_there_while_its_network_rests() -> None:
    camera = {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500, "required": True}}
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]}}
    story = Story({"when": [{"sensor": "warmth", "above": 30.0}], "then": FOR_5_S}, camera=camera, model=gated)
    story.feels("button", False)
    assert [type(one) for one in story.rests()] == [Permit]
    assert acts(story.feels("warmth", 40.0))
    assert story.rests(age_ms=600) == [], "that frame is too old to prove anything"
    story.loses("camera.gate")
    assert story.rests() == [], "and that one was taken before the camera failed"


def test_the_same_items_give_the_same_commands() -> None:
    def told() -> list[str]:
        story = Story({"when": [{**PERSON, "hits": 2, "of": 3}], "unless": [PRESSED], "then": FOLLOW, "cooldown_s": 1})
        said = []
        for number in range(200):
            story.wait(0.04 + number % 3 * 0.02)
            said.append(repr(story.feels("button", number % 17 > 12) if number % 5 == 0 else story.sees(number * 37 % 100 / 100)))
        return said
    assert told() == told()
