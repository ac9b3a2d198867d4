"""What goes over from one stage to the next: at a reload what was let stand, and all that is remembered where one recalls."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from reflexd.rules.items import Claim, Command, Inhibit, Lift, Permit, Release
from reflexd.rules.stage import Stage
from tests.daemon.rules.scenes import Finds
from tests.daemon.rules.story import FOLLOW, FOR_5_S, Story, acts, settings

S = 1_000_000_000
PRESSED = {"sensor": "button", "is": True}
WARM = {"sensor": "warmth", "above": 30}
SENSOR = {"driver": "scripted", "max_age_ms": 1000}
SENSORS = dict.fromkeys(("button", "warmth", "key", "halt"), SENSOR)
FOR_1_S = [{"actuator": "lamp", "set": "on", "for_s": 1}]
STOP = {"sensor": "halt", "is": True}
KEY = {"sensor": "key", "is": True}


def reload(story: Story, *rules: dict[str, Any], leaving: Collection[str] = (), **more: Any) -> list[Command]:
    """Exchange the configuration as a reload does, and give what was ordered meanwhile; these sources are opened anew."""
    new = settings(*rules, **more)
    stays = [one.name for one in new.rule if one in story.stage.settings.rule and not leaving]
    ordered = story.stage.let_go(stays, leaving, story.now)
    story.stage = Stage(new, story.stage)
    return [*ordered, *story.stage.begin()]


def test_a_rule_that_goes_ends_what_it_holds_and_one_that_stays_does_not() -> None:
    story = Story({"when": [PRESSED], "then": FOLLOW},
                  {"when": [PRESSED], "then": [{"actuator": "fan", "set": "on", "for_s": 9}]})
    story.feels("button", True)
    assert story.stage.let_go(["rule 0"], [], story.now) == [Release("rule 1", "fan")]
    told = story.wait(0.1).feels("button", True)
    assert [one.rule for one in told if isinstance(one, Claim)] == ["rule 0"], "who went decides no more"


def test_a_source_that_goes_takes_along_what_rests_on_it() -> None:
    required = {"button": {**SENSOR, "required": True}, "warmth": SENSOR}
    story = Story({"when": [PRESSED], "then": FOLLOW}, {"when": [WARM], "then": [{"actuator": "fan", "set": "on", "for_s": 9}]},
                  sensor=required)
    story.feels("button", True)
    story.feels("warmth", 40)
    told = story.stage.let_go(["rule 0", "rule 1"], ["sensor.warmth", "sensor.button"], story.now)
    assert told == [
        Release("rule 0", "lamp"),
        Inhibit("sensor.button", "sensor.button is required: sensor.button is exchanged by a reload"),
        Release("rule 1", "fan"),
    ]
    assert not {"sensor.button", "sensor.warmth"} & story.stage.sources.keys(), "who comes later begins anew"
    story.stage.let_go([], ["sensor.warmth"], story.now)      # it is gone already


@pytest.mark.parametrize(("bound", "again_after_s"), [({"cooldown_s": 60}, 60), ({"max_per_hour": 1}, 3600)])
def test_another_device_is_no_way_around_what_bounds_a_rule(bound: dict[str, Any], again_after_s: float) -> None:
    rule = {"when": [PRESSED], "then": FOR_1_S, **bound}
    story = Story(rule)
    assert acts(story.feels("button", True))
    reload(story, rule, leaving=["sensor.button"])
    assert not acts(story.wait(again_after_s - 1).feels("button", True))
    assert acts(story.wait(1).feels("button", True))


def test_a_rule_that_is_another_by_now_begins_anew() -> None:
    rule = {"when": [PRESSED], "then": FOR_5_S, "cooldown_s": 60}
    story = Story(rule)
    assert acts(story.feels("button", True))
    reload(story, {**rule, "priority": 1})
    assert acts(story.wait(6).feels("button", True))


def test_what_stood_above_the_rules_and_does_no_more_is_lifted_and_what_is_new_inhibits() -> None:
    story = Story(sensor=SENSORS, safety={"stop": STOP})
    story.feels("halt", False)
    told = reload(story, sensor=SENSORS, safety={"arm": KEY})
    assert told == [Lift("stop"), Inhibit("arm", "arm: sensor key is not known yet")]
    assert story.stage.forbidding(story.now) == ["arm"]


def test_a_guard_that_stays_permits_on_and_one_that_is_another_does_not() -> None:
    story = Story(sensor=SENSORS, safety={"stop": STOP, "arm": KEY})
    story.feels("halt", False)
    story.feels("key", True)
    told = reload(story, sensor=SENSORS, safety={"stop": STOP, "arm": {"sensor": "button", "is": True}})
    assert told == [Inhibit("arm", "arm: sensor button is not known yet")]
    assert story.stage.forbidding(story.now) == ["arm"]


def test_a_stop_between_two_readings_is_not_lost_over_a_reload() -> None:
    story = Story({"when": [PRESSED], "then": FOR_5_S}, sensor=SENSORS, safety={"stop": STOP})
    story.feels("halt", False, rises=3)
    reload(story, sensor=SENSORS, safety={"stop": STOP})
    told = story.wait(0.1).feels("halt", False, rises=4)
    assert Inhibit("stop", "stop: sensor halt changed for a moment") in told


METER = {"bundle": "meter", "camera": "gate", "plausible": {"max_rise_per_min": 1, "settle": 2}}


@pytest.mark.parametrize(("leaving", "believed"), [([], True), (["model.meter"], False)])
def test_the_number_of_a_meter_is_believed_on_while_its_model_stays(leaving: list[str], believed: bool) -> None:
    high = {"when": [{"model": "meter", "above": 5}], "then": FOR_5_S}
    more: dict[str, Any] = {"model": {"person": {"bundle": "person", "camera": "gate"}, "meter": METER}}
    story = Story(high, **more)

    def reads() -> float | bool | str | None:
        story.wait(0.1)
        story.reads("meter", 7.0, spread=0.1)
        return story.stage.sources["model.meter"].value

    assert [reads(), reads()] == [None, 7.0]
    reload(story, high, leaving=leaving, **more)
    assert reads() == (7.0 if believed else None)


def test_what_a_network_said_while_its_gate_was_exchanged_is_void() -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [PRESSED]}}
    story = Story(model=gated)
    story.feels("button", True)
    story.stage.let_go([], ["sensor.button"], story.now)
    assert not story.stage.sources["model.person"].admits(story.now, story.now + 1)
    assert story.stage.sources["model.person"].admits(story.now + 1, story.now + 1)


def test_what_a_source_said_before_a_reload_is_nothing_that_a_new_rule_has_looked_at() -> None:
    story = Story(sensor=SENSORS)
    story.feels("warmth", 40)
    reload(story, {"when": [PRESSED], "unless": [WARM], "then": FOR_5_S}, sensor=SENSORS)
    assert not acts(story.feels("button", True))
    assert story.verdict(0, 1).note == "starts anew"
    story.wait(0.1).feels("warmth", 20)
    assert acts(story.feels("button", True))


def test_each_kind_of_source_goes_over() -> None:
    rule = {"when": [{"camera": "gate", "is": "black"}, {"sensor": "button", "silent_for_s": 5}], "then": FOR_5_S}
    story = Story(rule)
    before = story.stage.sources
    reload(story, rule)
    names = {"camera.gate", "sensor.button", "sensor.warmth", "model.person", "clock"}
    assert {name for name, source in story.stage.sources.items() if source is before[name]} == names


def test_a_model_that_comes_with_a_reload_begins_anew() -> None:
    rule = {"when": [{"model": "person", "label": "person", "at_least": 0.5, "dwell_s": 0.1}], "then": FOLLOW}
    finds = {"bundle": "person", "camera": "gate", "options": Finds()}
    story = Story(rule, model={"person": finds})
    reload(story, rule, model={"person": finds, "other": finds})
    assert story.stage.sources.keys() >= {"model.person", "model.other"}


def test_a_stage_that_recalls_forgets_what_a_reload_had_let_go() -> None:
    rules = {"when": [PRESSED], "then": FOLLOW}, {"when": [WARM], "then": [{"actuator": "fan", "set": "on", "follow": True}]}
    story = Story(*rules)
    story.feels("button", True)
    story.feels("warmth", 40)
    story.stage.let_go(["rule 0"], ["sensor.warmth"], story.now)
    recalled = Stage(settings(*rules))
    recalled.recall(story.stage.memory())
    assert [rule.name for rule in recalled.rules] == ["rule 0"]
    assert "sensor.warmth" not in recalled.sources
    assert recalled.memory() == story.stage.memory()
    story.wait(0.1).stage = recalled
    assert [one.rule for one in story.feels("button", True) if isinstance(one, Claim)] == ["rule 0"]


def test_what_is_recalled_has_to_be_of_the_same_rules() -> None:
    one = {"name": "it", "when": [PRESSED], "then": FOLLOW}
    memory = Stage(settings(one)).memory()
    with pytest.raises(ValueError, match="shorter"):
        Stage(settings({**one, "unless": [WARM]})).recall({**memory, "tests": {"it": memory["tests"]["it"]}})


def test_what_stands_above_the_rules_is_told_again() -> None:
    story = Story(sensor=SENSORS, safety={"stop": STOP, "arm": KEY})
    assert story.stage.standing(story.now) == [Inhibit("stop", "stop does not permit"), Inhibit("arm", "arm does not permit")]
    story.feels("halt", False, age_ms=0)
    until = story.now + S
    assert story.stage.standing(until - 1) == [Permit("stop", until), Inhibit("arm", "arm does not permit")]
    assert story.stage.standing(until)[0] == Inhibit("stop", "stop does not permit")


def test_claims_that_live_are_told_again_with_the_moment_until_which_they_were_made() -> None:
    story = Story({"when": [PRESSED], "then": FOR_5_S},
                  {"when": [PRESSED], "then": [{"actuator": "fan", "set": 0.5, "for_s": 1}]},
                  {"when": [{"sensor": "button", "is": False}], "then": [{"actuator": "fan", "set": "on", "for_s": 9}]})
    claims = [one for one in story.feels("button", True) if isinstance(one, Claim)]
    assert [one.actuator for one in claims] == ["lamp", "fan"]
    assert story.stage.held(story.now + S - 1) == claims
    assert story.stage.held(story.now + S) == claims[:1]
    assert story.stage.held(story.now + 5 * S) == []


def test_a_claim_whose_level_is_not_known_by_now_is_not_told_again() -> None:
    level = {"sensor": "warmth", "from": [20, 40], "to": [0, 1]}
    story = Story({"when": [PRESSED], "then": [{"actuator": "fan", "set": level, "follow": True}]})
    story.feels("button", True)
    story.feels("warmth", 30.0)
    assert [(one.level, one.follows) for one in story.stage.held(story.now)] == [(0.5, True)]
    story.wait(0.1).feels("warmth", "broken")
    assert story.stage.held(story.now) == []


def test_what_holds_a_rule_back_is_told_with_what_is_left_of_it() -> None:
    story = Story({"when": [PRESSED], "then": FOR_1_S, "cooldown_s": 90, "max_per_hour": 2})
    rule = story.stage.rules[0]
    assert rule.held_back(story.now) is None, "it never acted"
    began = story.now
    story.feels("button", True)
    assert str(rule.held_back(began + round(1.5 * S))) == "cooldown, 88.5 s left"
    assert rule.held_back(began + 90 * S - 1) is not None
    assert rule.held_back(began + 90 * S) is None
    story.wait(100).feels("button", True)
    held = rule.held_back(began + 120 * S)
    assert held == ("max_per_hour", 3480 * S), "the longest of the two: of the cooldown 70 s are left"
    assert str(held) == "max_per_hour is full, 58.0 min left"
    story.wait(3499 - 0.001).feels("button", True)
    assert rule.held_back(began + 3600 * S) is None


def test_a_cooldown_that_lasts_longer_than_the_hour_is_what_is_told() -> None:
    story = Story({"when": [PRESSED], "then": FOR_1_S, "cooldown_s": 5000, "max_per_hour": 1})
    began = story.now
    story.feels("button", True)
    assert story.stage.rules[0].held_back(began + S) == ("cooldown_s", 4999 * S)

