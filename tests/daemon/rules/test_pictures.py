"""Conditions on the state of a camera's picture."""

from __future__ import annotations

from typing import Any

import pytest

from reflexd.rules.asked import looked_at
from reflexd.rules.items import Command, Looked, Permit
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, Story, acts, lets_go


class Watch(Story):
    def looks(self, state: str, age_ms: float = 10) -> list[Command]:
        """The picture of the camera is in a state, by a frame of that age."""
        return self.stage.consume(Looked("gate", state, self.now - round(age_ms * MS)), self.now)


COVERED = {"camera": "gate", "is": "covered"}


def test_a_rule_acts_on_a_state() -> None:
    one = Watch({"when": [COVERED], "then": FOR_5_S})
    assert not acts(one.looks("normal"))
    assert acts(one.wait(0.1).looks("covered"))


def test_a_claim_that_follows_ends_with_the_state() -> None:
    one = Watch({"when": [COVERED], "then": FOLLOW})
    assert acts(one.looks("covered"))
    assert lets_go(one.wait(0.1).looks("normal"))


def test_a_change_of_state_is_true_once() -> None:
    one = Watch({"when": [{"camera": "gate", "changed": True}], "then": FOR_5_S})
    assert [acts(one.wait(0.1).looks(state)) for state in ("normal", "normal", "black", "black", "normal")] == [
        False, False, True, False, True]


def test_unless_needs_a_state_that_is_known() -> None:
    one = Watch({"when": [{"model": "person", "label": "person", "at_least": 0.5}], "unless": [COVERED], "then": FOR_5_S})
    assert not acts(one.sees(0.9)), "nothing is known of the picture yet"
    one.looks("normal")
    assert acts(one.wait(0.1).sees(0.9))
    one.wait(10).looks("covered")
    assert not acts(one.wait(0.1).sees(0.9))


def test_a_state_goes_stale_and_a_late_one_is_counted() -> None:
    one = Watch({"when": [{"model": "person", "label": "person", "at_least": 0.5}], "unless": [COVERED], "then": FOR_5_S})
    one.looks("normal")
    assert not acts(one.wait(0.6).sees(0.9)), "max_age_ms is 500"
    one.looks("normal", age_ms=600)
    assert one.stage.sources["camera.gate"].late == 1


def test_a_camera_that_fails_leaves_its_state_unknown_and_ends_what_follows_it() -> None:
    one = Watch({"when": [COVERED], "then": FOLLOW})
    one.looks("covered")
    assert lets_go(one.wait(0.1).loses("camera.gate"))
    assert one.stage.rules[0].truth is None


def test_a_frozen_picture_can_be_acted_on_while_its_camera_is_down() -> None:
    one = Watch({"when": [{"camera": "gate", "is": "frozen"}], "then": FOR_5_S})
    one.loses("camera.gate")
    assert acts(one.wait(1).looks("frozen"))


def test_a_state_renews_what_a_required_camera_permits_but_a_frozen_one_does_not() -> None:
    camera = {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500, "required": True}}
    one = Watch({"when": [COVERED], "then": FOLLOW}, camera=camera)
    assert any(isinstance(command, Permit) for command in one.looks("covered"))
    assert not any(isinstance(command, Permit) for command in one.wait(0.1).looks("frozen"))


def test_a_state_that_no_rule_asks_for_is_not_followed() -> None:
    one = Watch({"when": [{"sensor": "button", "is": True}], "then": FOR_5_S})
    assert looked_at(one.stage.settings) == []
    assert one.looks("covered") == []


@pytest.mark.parametrize("condition", [
    {"camera": "gate"}, {"camera": "gate", "above": 3}, {"camera": "gate", "is": True}, {"camera": "gate", "changed": 2.0},
    {"camera": "gate", "sensor": "button", "is": "covered"}, {"camera": "gate", "edge": "rise"}])
def test_a_condition_that_no_picture_can_fulfil_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"condition|picture"):
        Watch({"when": [condition], "then": FOR_5_S})
