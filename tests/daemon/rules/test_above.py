"""What stands above the rules: the stop and arm sensors, and required sources. What each says, and when it says it."""

from __future__ import annotations

import pytest

from reflexd.rules.items import Claim, Clock, Command, Fired, Inhibit, Pattern, Permit, Predicted, Release, Triggered, Verdict
from reflexd_models.base import Prediction
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, Story, acts

S = 1_000_000_000
PRESSED = {"sensor": "button", "is": True}
SENSOR = {"driver": "scripted", "max_age_ms": 1000}
SENSORS = dict.fromkeys(("button", "warmth", "halt"), SENSOR)
STOP = {"stop": {"sensor": "halt", "is": True}}
ARM = {"arm": {"sensor": "halt", "is": True}}
CAMERA = {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500, "required": True}}
TWO = ({"when": [PRESSED], "then": FOLLOW}, {"when": [PRESSED], "then": [{"actuator": "fan", "set": "on", "follow": True}]})


def test_before_anything_is_known_each_of_them_keeps_outputs_safe() -> None:
    story = Story(sensor={**SENSORS, "warmth": {**SENSOR, "required": True}}, safety={**STOP, "arm": PRESSED}, camera=CAMERA)
    assert story.stage.begin() == [
        Inhibit("stop", "stop: sensor halt is not known yet"),
        Inhibit("arm", "arm: sensor button is not known yet"),
        Inhibit("camera.gate", "camera.gate is required and not there yet"),
        Inhibit("sensor.warmth", "sensor.warmth is required and not there yet"),
    ]


def test_a_guard_permits_until_its_reading_is_too_old_and_says_what_it_forbids() -> None:
    story = Story(sensor=SENSORS, safety=STOP)
    assert story.feels("halt", False, age_ms=0) == [Permit("stop", story.now + S)]
    assert story.stage.forbidding(story.now + S - 1) == []
    assert story.stage.forbidding(story.now + S) == ["stop"]
    assert story.wait(0.1).feels("halt", True) == [Inhibit("stop", "stop: sensor halt says true")]
    assert story.loses("sensor.halt") == [Inhibit("stop", "stop: gone")]
    assert story.stage.forbidding(story.now) == ["stop"]


def test_a_permit_that_is_renewed_ends_no_claim_and_one_that_lapsed_ends_all() -> None:
    story = Story({"when": [PRESSED], "then": [{"actuator": "lamp", "set": "on", "for_s": 50, "hold_on_fault": True}]},
                  sensor=SENSORS, safety=STOP)
    story.feels("halt", False, age_ms=0)
    story.feels("button", True)
    until = story.wait(0.9).now + S
    assert story.feels("halt", False, age_ms=0) == [Permit("stop", until)]
    told = story.wait(1).feels("halt", False, age_ms=0)       # the gate lets a permit lapse at its moment
    assert told == [Release("rule 0", "lamp"), Permit("stop", until + S)]


def test_a_guard_that_waits_for_a_text_permits_with_any_other() -> None:
    story = Story(sensor=SENSORS, safety={"stop": {"sensor": "halt", "is": "pulled"}})
    assert story.feels("halt", "in", age_ms=0, rises=1) == [Permit("stop", story.now + S)]
    assert story.feels("halt", "in", age_ms=0, rises=2) == [Permit("stop", story.now + S)]
    assert story.wait(0.1).feels("halt", "pulled") == [Inhibit("stop", "stop: sensor halt says pulled")]


def test_a_guard_that_was_opened_again_counts_anew_and_no_stop_is_lost_by_that() -> None:
    story = Story(sensor=SENSORS, safety=STOP)
    story.feels("halt", False, rises=5)
    story.loses("sensor.halt")
    assert story.wait(0.1).feels("halt", False, age_ms=0, rises=0) == [Permit("stop", story.now + S)]
    told = story.wait(0.1).feels("halt", False, rises=1)
    assert told[0] == Inhibit("stop", "stop: sensor halt changed for a moment")
    story.loses("sensor.halt")
    told = story.wait(0.1).feels("halt", False, age_ms=0, rises=2)
    assert told == [Permit("stop", story.now + S)], "it counts anew: nobody says that it changed for a moment"


def test_an_arm_delay_is_told_once() -> None:
    story = Story(sensor=SENSORS, safety={"arm": {"sensor": "halt", "is": True, "delay_s": 1}})
    assert story.feels("halt", True, age_ms=0) == [Inhibit("arm", "arm: sensor halt has to say so for 1 s on end")]
    assert story.wait(0.5).feels("halt", True, age_ms=0) == []
    assert story.wait(0.5).feels("halt", True, age_ms=0) == [Permit("arm", story.now + S)]


def test_a_sensor_that_fails_ends_what_every_rule_holds_by_it() -> None:
    story = Story(*TWO, safety=STOP | {"arm": PRESSED}, sensor={**SENSORS, "button": {**SENSOR, "required": True}})
    story.feels("halt", False)
    story.feels("button", True)
    assert story.loses("sensor.button") == [
        Release("rule 0", "lamp"), Release("rule 1", "fan"),
        Inhibit("arm", "arm: gone"), Inhibit("sensor.button", "sensor.button is required: gone"),
    ]


def test_one_sensor_may_stop_and_arm() -> None:
    story = Story(sensor=SENSORS, safety={"stop": {"sensor": "halt", "is": 0}, "arm": {"sensor": "halt", "is": 1}})
    assert [type(one) for one in story.feels("halt", 1.0)] == [Permit, Permit]
    assert story.wait(0.1).feels("halt", 0.0) == [Inhibit("stop", "stop: sensor halt says 0.0"),
                                                  Inhibit("arm", "arm: sensor halt says 0.0")]
    assert story.loses("sensor.halt") == [Inhibit("stop", "stop: gone"), Inhibit("arm", "arm: gone")]


@pytest.mark.parametrize(("age_ms", "renews"), [(0, True), (500, True), (500.000001, False)])
def test_a_frame_of_a_resting_network_renews_as_long_as_it_is_fresh(age_ms: float, renews: bool) -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [PRESSED]}}
    story = Story(camera=CAMERA, model=gated)
    told = story.rests(age_ms)
    assert told == ([Permit("camera.gate", story.now + round((500 - age_ms) * MS))] if renews else [])


def test_a_frame_that_was_taken_when_the_camera_failed_renews_nothing() -> None:
    story = Story(camera=CAMERA)
    story.loses("camera.gate")
    assert story.rests(age_ms=0) == []


def test_a_stop_and_a_gap_are_two_reasons_to_begin_anew() -> None:
    story = Story({"when": [{"sensor": "warmth", "above": 30, "release_below": 20}], "then": FOLLOW}, sensor=SENSORS, safety=STOP)
    story.feels("halt", False)
    assert acts(story.feels("warmth", 40.0))
    story.feels("halt", True)
    story.wait(1.2).feels("halt", False)
    assert not acts(story.feels("warmth", 25.0)), "it was above before the stop and before the gap"


def test_nothing_that_another_network_said_counts_as_a_hit() -> None:
    story = Story({"when": [{"model": "person", "label": "person", "at_least": 0.7, "hits": 2, "of": 3}], "then": FOR_5_S})

    def sees(exchanges: int) -> list[Command]:
        return story.stage.consume(Predicted("person", Prediction(story.wait(0.1).now, {"person": 0.9}), exchanges), story.now)

    assert not acts(sees(0))
    assert not acts(sees(1)), "the first one of the network that was put in its place"
    assert acts(sees(1))
    assert not acts(sees(2))


def test_another_network_after_a_gap_begins_anew() -> None:
    story = Story({"when": [{"model": "person", "label": "person", "at_least": 0.7, "release_below": 0.5}], "then": FOLLOW})
    assert acts(story.sees(0.75))
    sees = Predicted("person", Prediction(story.wait(1).now, {"person": 0.55}), exchanges=1)
    assert not acts(story.stage.consume(sees, story.now)), "it would be sure enough to go on, and is not to begin"


def test_an_unsure_number_says_why_and_a_sure_one_says_nothing() -> None:
    story = Story({"when": [{"model": "person", "above": 5}], "then": FOR_5_S})
    story.sees(value=None, unsure="the needle hides the scale")
    assert story.verdict()[2:4] == (None, "the needle hides the scale")
    story.wait(0.1).sees(value=7.0)
    assert story.verdict()[:4] == (True, "model.person above 5", 7.0, "")
    assert story.stage.sources["model.person"].trouble == ""


def test_the_time_is_told_to_nobody_who_does_not_ask_and_a_late_one_does_not_count() -> None:
    assert Story({"when": [PRESSED], "then": FOR_5_S}).tells(0) == []
    story = Story({"when": [{"sensor": "button", "silent_for_s": 5}], "then": FOR_5_S})
    story.stage.consume(Clock(None, 0, story.now), story.now)
    story.wait(10)
    assert not acts(story.stage.consume(Clock(None, 0, story.now - 4 * S), story.now)), "it lay in a queue for four seconds"
    assert story.stage.sources["clock"].late == 1


def test_a_network_is_to_rest_while_its_gate_says_so_or_says_nothing() -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [PRESSED]}}
    story = Story(model=gated)
    assert story.stage.gated("person", story.now)
    story.feels("button", True, age_ms=0)
    assert not story.stage.gated("person", story.now + S)
    assert story.stage.gated("person", story.now + S + 1)


GATED = {"person": {"bundle": "person", "camera": "gate", "only_while": [PRESSED]}}
SURE = {"model": "person", "label": "person", "at_least": 0.7, "release_below": 0.5}


def test_a_gate_that_stays_open_forgets_nothing() -> None:
    story = Story({"when": [SURE], "then": FOLLOW}, model=GATED)
    story.feels("button", True)
    assert acts(story.sees(0.75))
    story.wait(0.1).feels("button", True)
    assert acts(story.sees(0.55)), "the score was reached before, and has not fallen below its release"


def test_what_a_network_saw_is_void_from_the_moment_on_at_which_its_gate_closes() -> None:
    story = Story({"when": [SURE], "then": FOLLOW}, model=GATED)
    source = story.stage.sources["model.person"]
    story.feels("button", True)
    story.sees(0.75)
    epoch = source.epoch
    story.wait(0.1).feels("button", False)
    assert source.epoch > epoch


@pytest.mark.parametrize("closed_s", [0.2, 1.5])
def test_what_was_reached_before_a_gate_closed_begins_anew(closed_s: float) -> None:
    story = Story({"when": [SURE], "then": FOLLOW}, model=GATED)
    story.feels("button", True)
    assert acts(story.sees(0.75))
    story.wait(0.1).feels("button", False)
    story.wait(closed_s).feels("button", True)
    assert not acts(story.sees(0.55)), "it would be sure enough to go on, and is not to begin"


@pytest.mark.parametrize("max_age_ms", [500, 5000])
def test_a_gate_that_was_silent_for_a_while_was_closed(max_age_ms: int) -> None:
    one = {"gate": {"driver": "replay", "rate_hz": 2, "max_age_ms": max_age_ms}}
    story = Story({"when": [SURE], "then": FOLLOW}, model=GATED, camera=one)
    story.feels("button", True)
    assert acts(story.sees(0.75))
    story.wait(1.5).feels("button", True)
    assert not acts(story.sees(0.55))


def test_what_a_rule_began_is_told_whole() -> None:
    blink = {"actuator": "lamp", "set": 0.5, "for_s": 5, "pattern": [0.1, 0.2], "times": 3}
    story = Story({"when": [PRESSED], "then": [blink], "priority": 7})
    told = story.feels("button", True)
    reasons = story.stage.rules[0].verdicts
    assert [str(one) for one in reasons] == ["sensor.button is true: true"]
    pattern = Pattern((S // 10, S // 5), 3)
    assert told == [Claim("rule 0", "lamp", 0.5, 7, story.now + 5 * S, reasons, pattern), Fired("rule 0", reasons)]


def test_a_pattern_goes_on_as_long_as_the_claim_where_no_times_are_said() -> None:
    story = Story({"when": [PRESSED], "then": [{"actuator": "lamp", "set": "on", "for_s": 5, "pattern": [0.1, 0.2]}]})
    (claim, _) = story.feels("button", True)
    assert isinstance(claim, Claim)
    assert claim.pattern == Pattern((S // 10, S // 5), times=0)


def test_a_rule_that_was_triggered_says_how_long_ago() -> None:
    story = Story({"when": [PRESSED], "then": FOR_5_S, "delay_s": 3})
    story.feels("button", True)
    told = story.wait(3.12345).tells()
    assert [one.reasons[0] for one in told if isinstance(one, Claim)] == [Verdict(True, "triggered", 3.123, "s ago")]


def test_a_trigger_says_what_triggered_it() -> None:
    story = Story({"when": [PRESSED], "then": FOR_5_S, "delay_s": 3})
    told = story.feels("button", True)
    assert told == [Triggered("rule 0", story.now + 3 * S, story.stage.rules[0].verdicts)]


def test_the_hour_goes_along_with_the_time() -> None:
    story = Story({"when": [PRESSED], "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], "max_per_hour": 2})
    at_min = [0, 1, 59, 60, 60.5, 61, 62, 119, 120, 121]
    acted = []
    for before, minute in zip([0, *at_min], at_min, strict=False):
        acted.append(acts(story.wait((minute - before) * 60).feels("button", True)))
    assert acted == [True, True, False, True, False, True, False, False, True, True]


def test_a_rule_that_was_not_decided_yet_says_nothing() -> None:
    rule = Story({"when": [PRESSED], "then": FOLLOW}).stage.rules[0]
    assert (rule.truth, rule.verdicts) == (None, ())


def test_an_hour_that_is_full_ends_nothing_that_goes_on() -> None:
    story = Story({"when": [PRESSED], "then": FOLLOW, "max_per_hour": 1})
    assert acts(story.feels("button", True))
    (renewed,) = story.wait(0.4).feels("button", True)
    assert isinstance(renewed, Claim)
    assert [str(one) for one in renewed.reasons] == ["sensor.button is true: true"]


def test_a_claim_that_lapses_at_this_very_moment_is_not_renewed_but_begun_anew() -> None:
    story = Story({"when": [PRESSED], "then": FOLLOW, "cooldown_s": 60})
    (claim, _) = story.feels("button", True)
    assert isinstance(claim, Claim)
    assert story.stage.rules[0].acting(claim.until - 1) == {"lamp": claim.until}
    assert story.stage.rules[0].acting(claim.until) == {}
    story.now = claim.until
    assert story.feels("button", True) == [], "the gate lets it lapse now, and the cooldown is not over"


def test_to_begin_anew_at_the_very_moment_at_which_a_claim_lapses_counts() -> None:
    story = Story({"when": [PRESSED], "then": FOLLOW, "max_per_hour": 1})
    (claim, _) = story.feels("button", True)
    assert isinstance(claim, Claim)
    story.now = claim.until
    assert story.feels("button", True) == [], "that would be the second one in this hour"


def test_when_and_unless_may_both_ask_for_the_sun_of_the_configured_place() -> None:
    night, noon = {"between": ["sunset", "sunrise"]}, 12 * 3600
    story = Story({"when": [night], "then": FOR_5_S}, {"when": [PRESSED], "unless": [night], "then": FOR_5_S},
                  place={"latitude": 0, "longitude": 180})
    story.tells(noon)
    assert [story.verdict(0, 0).truth, story.verdict(1, 1).truth] == [True, True], "it is midnight on the date line"


def test_a_cooldown_does_not_begin_before_a_rule_has_acted() -> None:
    story = Story({"when": [PRESSED], "then": FOR_5_S, "cooldown_s": 60})
    story.now = 10 * S                  # since the machine was started
    assert story.stage.rules[0].held_back(story.now) is None
    assert acts(story.feels("button", True))


def test_the_stage_tells_all_claims_that_live() -> None:
    story = Story(*TWO)
    claims = [one for one in story.feels("button", True) if isinstance(one, Claim)]
    assert story.stage.held(story.now) == claims
    assert story.stage.held(claims[0].until) == []
