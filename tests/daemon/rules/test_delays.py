"""Delays: the arm sensor's, after which outputs are permitted, and a rule's own, after which it acts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reflexd.config.settings import Settings
from reflexd.rules.items import NS, Armed, Claim, Clock, Command, Fired, Inhibit, Permit, Triggered
from reflexd.rules.packing import ordered
from reflexd.rules.stage import Stage
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, Story, acts, settings

OPEN = {"sensor": "button", "is": True}
QUIET = {"sensor": "warmth", "is": True}
ALARM: dict[str, Any] = {"when": [OPEN], "unless": [QUIET], "then": FOR_5_S, "delay_s": 3}
KEY = {"arm": {"sensor": "key", "is": True, "delay_s": 3}}
SENSORS = {name: {"driver": "scripted", "max_age_ms": 1000} for name in ("button", "warmth", "key")}


def permits(commands: list[Command]) -> bool:
    return any(isinstance(one, Permit) for one in commands)


def says(commands: list[Command]) -> list[str]:
    return [str(ordered(one)[0]) for one in commands]


class Alarm(Story):
    """A door (the button), a keypad (warmth is true: hush), and the time."""

    def __init__(self, safety: Any = None, **more: Any) -> None:
        super().__init__({**ALARM, **more}, safety=safety or {}, sensor=SENSORS)
        self.feels("warmth", False)

    def goes_on(self, seconds: float, door: bool | None = False, hush: bool | None = False) -> list[Command]:
        """Let time pass with a reading of each sensor every half second; None: it says nothing."""
        told: list[Command] = []
        for _ in range(round(seconds * 2)):
            self.wait(0.5)
            told += [] if hush is None else self.feels("warmth", hush)
            told += [] if door is None else self.feels("button", door)
            told += self.ticks()
        return told

    def opens(self) -> list[Command]:
        return self.feels("button", True)

    def ticks(self) -> list[Command]:
        return self.stage.consume(Clock(None, 0, self.now - MS), self.now)

    @property
    def due(self) -> int | None:
        return self.stage.rules[0].due


def test_it_is_triggered_once_and_acts_after_the_delay_although_the_door_was_shut_again() -> None:
    alarm = Alarm()
    begun = alarm.now
    (triggered,) = alarm.opens()
    assert isinstance(triggered, Triggered)
    assert triggered.due == begun + 3 * NS
    assert ordered(triggered) == ["triggered", "rule 0", begun + 3 * NS]
    assert alarm.goes_on(2.5, door=False) == []
    claim, fired = alarm.goes_on(0.5)
    assert isinstance(claim, Claim)
    assert isinstance(fired, Fired)
    assert (claim.until - alarm.now, alarm.now - begun) == (5 * NS, 3 * NS)
    assert str(claim.reasons[0]) == "triggered: 3 (s ago)"
    assert alarm.goes_on(5) == [], "triggered once, it acts once"


def test_a_press_that_was_over_at_once_triggers_too() -> None:
    alarm = Alarm(when=[{"sensor": "button", "edge": "rise"}])
    alarm.feels("button", False, rises=0)
    assert says(alarm.wait(0.1).feels("button", False, rises=1)) == ["triggered"]
    assert alarm.due == alarm.now + 3 * NS


def test_what_goes_on_does_not_put_the_moment_off_and_triggers_again_after_it() -> None:
    alarm = Alarm()
    alarm.opens()
    told = alarm.goes_on(6.5, door=True)
    assert says(told) == ["claim", "fired", "triggered", "claim", "triggered"]


@pytest.mark.parametrize("after", [0.5, 2.5, 3.0])
def test_an_unless_that_becomes_true_at_any_moment_before_ends_it(after: float) -> None:
    alarm = Alarm()
    alarm.opens()
    alarm.goes_on(after - 0.5)
    alarm.wait(0.5).feels("warmth", True)
    assert alarm.due is None
    assert not acts(alarm.goes_on(5))


def test_an_unless_that_is_true_for_one_reading_is_enough() -> None:
    alarm = Alarm(unless=[{"sensor": "warmth", "edge": "rise"}])
    alarm.feels("warmth", False, rises=0)
    alarm.opens()
    alarm.wait(0.5).feels("warmth", False, rises=1)
    assert alarm.due is None


def test_an_unless_that_is_unknown_is_waited_for_as_long_as_a_lease_and_no_longer() -> None:
    alarm = Alarm()
    alarm.opens()
    alarm.goes_on(2)
    assert not acts(alarm.goes_on(1.5, hush=None)), "it became unknown a second ago"
    assert acts(alarm.wait(0.2).feels("warmth", False))
    alarm.goes_on(8)
    alarm.opens()
    alarm.goes_on(1.5)
    assert not acts(alarm.goes_on(4, hush=None))
    assert alarm.due is None
    assert not acts(alarm.goes_on(2))


@pytest.mark.fault("F38", bound="delay_s", outcome="a delay ends with the failure of a source, unless hold_on_fault")
def test_a_source_that_fails_ends_it() -> None:
    for source in ("sensor.button", "sensor.warmth"):
        alarm = Alarm()
        alarm.opens()
        alarm.goes_on(1)
        alarm.loses(source)
        assert not acts(alarm.goes_on(5))


def test_a_wire_that_is_cut_does_not_end_it_with_hold_on_fault() -> None:
    hold = [{**FOR_5_S[0], "hold_on_fault": True}]
    alarm = Alarm(then=hold, unless=[])
    alarm.opens()
    alarm.loses("sensor.button")
    alarm.wait(2.9)
    assert not acts(alarm.ticks())
    alarm.wait(0.1)
    assert acts(alarm.ticks()), "the clock alone goes on"
    mixed = Alarm(then=[*hold, {"actuator": "fan", "set": "on", "for_s": 5}], unless=[])
    mixed.opens()
    mixed.loses("sensor.button")
    assert mixed.due is None, "what may outlast a fault and what may not: neither does"


@pytest.mark.parametrize("armed", [True, False])
def test_arming_and_disarming_end_it(armed: bool) -> None:
    alarm = Alarm()
    alarm.opens()
    alarm.wait(0.5)
    assert alarm.stage.consume(Armed(armed, alarm.now), alarm.now) == []
    assert not acts(alarm.goes_on(5))


def test_a_stop_and_a_reload_end_it() -> None:
    alarm = Alarm(safety={"stop": {"sensor": "key", "is": True}})
    alarm.feels("key", False)
    alarm.opens()
    assert alarm.due is not None
    alarm.feels("key", True)
    assert alarm.due is None
    alarm.feels("key", False)
    alarm.feels("warmth", False)
    alarm.opens()
    assert alarm.due is not None
    alarm.stage.let_go(["rule 0"], [], alarm.now)
    assert Stage(alarm.stage.settings, alarm.stage).rules[0].due is None


def test_what_may_not_act_is_not_triggered_and_a_lapse_in_between_ends_it() -> None:
    alarm = Alarm(safety={"arm": {"sensor": "key", "is": True}})
    assert alarm.opens() == []
    alarm.feels("key", True)
    assert says(alarm.opens()) == ["triggered"]
    alarm.goes_on(1.5)
    alarm.feels("key", True)
    assert alarm.due is None, "the key was unknown for half a second"


def test_it_does_not_act_while_outputs_are_not_permitted_although_nothing_has_ended_it_yet() -> None:
    alarm = Alarm(safety={"arm": {"sensor": "key", "is": True}}, delay_s=0.8)
    alarm.feels("key", True)
    alarm.feels("warmth", False)
    assert says(alarm.opens()) == ["triggered"]
    assert not acts(alarm.wait(1.1).feels("warmth", False)), "the key was heard 1.1 s ago"
    assert says(alarm.feels("key", True)) == ["permit"]
    assert alarm.due is None


def test_cooldown_and_allowance_count_actions_and_not_triggers() -> None:
    alarm = Alarm(cooldown_s=6, max_per_hour=2)
    told = []
    for _ in range(60):
        told += says(alarm.goes_on(0.5, door=True))
    assert told == ["triggered", "claim", "fired"] * 2
    hushed = Alarm(max_per_hour=1)
    for _ in range(3):
        hushed.opens()
        hushed.wait(0.5).feels("warmth", True)
        hushed.wait(0.5).feels("warmth", False)
    assert says(hushed.opens()) == ["triggered"], "nothing acted yet"


@pytest.mark.parametrize(("rule", "words"), [
    ({"then": FOLLOW, "delay_s": 3}, "nothing can follow"), ({"then": FOR_5_S, "delay_s": 601}, "600"),
    ({"then": FOR_5_S, "delay_s": -1}, "greater")])
def test_a_delay_that_cannot_be_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings({"when": [OPEN], **rule})


class Key(Story):
    """A key switch with an exit delay, and a rule on the button."""

    def __init__(self) -> None:
        super().__init__({"when": [OPEN], "then": FOR_5_S}, safety=KEY, sensor=SENSORS)

    def stays(self, seconds: float, falls: int = 0) -> bool:
        """Say so twice a second; tells whether outputs were permitted at any time."""
        told = [permits(self.wait(0.5).feels("key", True, falls=falls)) for _ in range(round(seconds * 2))]
        return any(told)


def test_outputs_are_permitted_once_the_key_was_turned_for_that_long() -> None:
    key = Key()
    first = key.feels("key", True)
    assert [one.why for one in first if isinstance(one, Inhibit)] == ["arm: sensor key has to say so for 3 s on end"]
    key.feels("button", True)
    assert not key.stays(2.5)
    assert not acts(key.feels("button", True))
    assert key.stays(0.5)
    assert acts(key.feels("button", True))
    assert key.stays(60)


@pytest.mark.parametrize("gap", ["off", "blinked", "silent", "failed"])
@pytest.mark.parametrize("before_s", [2.5, 10])
def test_a_gap_begins_the_delay_anew(gap: str, before_s: float) -> None:
    key = Key()
    key.feels("key", True)
    key.stays(before_s)
    if gap == "off":
        key.wait(0.2).feels("key", False)
    elif gap == "silent":
        key.wait(0.6)
    elif gap == "failed":
        key.loses("sensor.key")
    falls = int(gap == "blinked")
    assert not key.stays(3.0, falls)
    assert key.stays(0.5, falls)


def test_without_a_delay_the_key_permits_at_once() -> None:
    key = Story(safety={"arm": {"sensor": "key", "is": True}}, sensor=SENSORS)
    assert permits(key.feels("key", True))


def test_a_reload_that_leaves_the_key_alone_leaves_the_delay_alone() -> None:
    key = Key()
    key.feels("key", True)
    key.stays(2.5)
    for delay_s, permitted in ((3, True), (4, False)):
        arm = {"sensor": "key", "is": True, "delay_s": delay_s}
        as_before = key.stage.settings.model_dump(by_alias=True, exclude_none=True)
        changed = Settings.model_validate({**as_before, "safety": {"arm": arm}})
        before = Stage(key.stage.settings)
        before.recall(key.stage.memory())
        before.let_go([], [], key.now)
        after = Story()
        after.stage, after.now = Stage(changed, before), key.now
        assert permits(after.wait(0.5).feels("key", True)) is permitted
