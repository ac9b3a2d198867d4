"""What goes by the time that passes: silence that lasts, and what is remembered of what is over."""

from __future__ import annotations

import random
from typing import Any

import pytest

from reflexd.rules.items import Looked, Predicted
from reflexd.rules.stage import Stage
from reflexd_models.base import Prediction
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, START, Story, acts, lets_go

HELD = [{"actuator": "lamp", "set": "on", "for_s": 60}]


def alarm(*, then: Any = FOLLOW, **subject: Any) -> Story:
    return Story({"when": [{"silent_for_s": 3, **(subject or {"sensor": "warmth"})}], "then": then})


def clocks(one: Story, count: int) -> list[bool | None]:
    """The clock speaks each second, of a time that is not known."""
    return [(one.wait(1).tells(), one.verdict().truth)[1] for _ in range(count)]


def test_what_never_spoke_is_silent_once_the_time_is_over() -> None:
    one = alarm()
    assert clocks(one, 5) == [None, None, None, True, True]
    assert one.verdict().observed == 4
    assert one.verdict().margin == 1
    assert str(one.verdict()) == "sensor.warmth silent for 3 s: 4 s (has said nothing yet)"


def test_what_speaks_is_not_silent_and_what_falls_silent_is() -> None:
    one = alarm()
    clocks(one, 1)
    one.wait(0.5).feels("warmth", 20, age_ms=0)
    assert clocks(one, 3) == [False, False, True]
    assert not lets_go(one.feels("warmth", 20, age_ms=0)), "it is asked by the clock"
    assert lets_go(one.wait(1).tells())


def test_what_is_heard_at_the_moment_at_which_listening_begins_is_heard() -> None:
    one = alarm()
    one.feels("warmth", 20, age_ms=0)
    one.tells()
    assert one.verdict().truth is False


def test_what_is_late_was_not_heard() -> None:
    one = alarm()
    clocks(one, 1)
    for _ in range(2):
        one.wait(0.5).feels("warmth", 20, age_ms=2000)
        assert one.stage.sources["sensor.warmth"].late
        clocks(one, 1)
    assert one.verdict().truth is True


def test_a_failure_of_what_is_listened_to_releases_nothing() -> None:
    one = alarm(then=HELD)
    clocks(one, 1)
    one.feels("warmth", 20)
    assert not lets_go(one.loses("sensor.warmth"))
    clocks(one, 3)
    assert one.verdict().truth is True
    assert one.verdict().note == "gone"
    assert not lets_go(one.loses("sensor.warmth"))
    assert one.stage.rules[0].truth is True


def test_a_rule_that_also_acts_on_it_fails_with_it() -> None:
    both = [{"sensor": "warmth", "above": 10}, {"model": "person", "silent_for_s": 3}]
    one = Story({"when": both, "then": HELD})
    clocks(one, 4)
    assert acts(one.feels("warmth", 20, age_ms=0))
    assert not lets_go(one.loses("model.person")), "it is silent, and that is known"
    assert lets_go(one.loses("sensor.warmth"))


def test_a_follow_claim_beside_a_clock_lives_no_longer_than_without() -> None:
    one = Story({"when": [{"model": "person", "label": "person", "at_least": 0.5}],
                 "unless": [{"sensor": "warmth", "silent_for_s": 3}], "then": FOLLOW},
                {"when": [{"sensor": "warmth", "silent_for_s": 3}], "then": FOLLOW})
    assert [rule.lease_ns for rule in one.stage.rules] == [500 * MS, 3000 * MS]


def test_a_model_and_the_picture_of_a_camera_fall_silent_too() -> None:
    for subject in ({"model": "person"}, {"camera": "gate"}):
        one = alarm(**subject)
        clocks(one, 1)
        for _ in range(5):
            one.wait(0.9)
            one.sees(0.1)
            one.stage.consume(Looked("gate", "normal", one.now), one.now)
            one.wait(0.1).tells()
            assert one.verdict().truth is False
        assert clocks(one, 3) == [False, False, True]


def test_a_network_that_rests_is_not_silent() -> None:
    one = Story({"when": [{"model": "person", "silent_for_s": 3}], "then": FOLLOW},
                model={"person": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]}})
    for _ in range(6):
        one.wait(1).feels("button", False)
        one.tells()
        assert one.verdict().truth is None
        assert one.verdict().note == "gated by only_while"
    said = []
    for _ in range(4):
        one.wait(1).feels("button", True)
        one.tells()
        said.append(one.verdict().truth)
    assert said == [None, None, True, True], "it counts from when it might have spoken"


def test_after_a_stop_and_after_a_pause_of_the_loop_it_listens_anew() -> None:
    one = Story({"when": [{"sensor": "warmth", "silent_for_s": 3}], "then": FOLLOW},
                safety={"stop": {"sensor": "button", "is": True}})
    assert clocks(one, 4)[-1] is True
    one.feels("button", True)
    assert one.wait(0.1).feels("button", False) is not None
    assert clocks(one, 4) == [None, None, None, True]
    one.wait(5)
    assert clocks(one, 4) == [None, None, None, True]


@pytest.mark.parametrize("seed", range(3))
def test_silence_is_the_time_since_the_last_fresh_item(seed: int) -> None:
    chance, one = random.Random(seed), alarm()
    heard, began, seen = -1, -1, set()
    for _ in range(3000):
        one.wait(0.1)
        if (one.now - START) % 1_000_000_000 == 0:
            one.tells(utc_s=chance.choice([None, 0, 1e9]))
            began = one.now if began < 0 else began
            silent = one.now - max(heard, began) >= 3000 * MS
            expected = True if silent else False if heard >= began else None
            assert one.verdict().truth is expected
            seen.add(expected)
        elif chance.random() < 0.02:
            one.loses("sensor.warmth")
        elif chance.random() < 0.08:
            age_ms = chance.choice([0, 0, 50, 1500])
            one.feels("warmth", chance.choice([1.0, float("nan")]), age_ms=age_ms)
            source = one.stage.sources["sensor.warmth"]
            heard = source.taken_at if source.taken_at >= 0 else heard
    assert seen == {True, False, None}


def muted(**condition: Any) -> Story:
    """A person lights the lamp, unless something was there a while ago."""
    condition = condition or {"model": "dog", "label": "dog", "at_least": 0.5}
    return Story({"when": [{"model": "person", "label": "person", "at_least": 0.5}],
                  "unless": [{**condition, "within_s": 10}], "then": FOR_5_S},
                 model={name: {"bundle": name, "camera": "gate"} for name in ("person", "dog")},
                 safety={"stop": {"sensor": "button", "is": True}})


def dog(one: Story, score: float) -> None:
    one.stage.consume(Predicted("dog", Prediction(one.now, {"dog": score})), one.now)


def person(one: Story) -> bool:
    one.feels("button", False, age_ms=0)
    return acts(one.sees(0.9, age_ms=0))


def test_a_dog_mutes_the_alarm_for_a_while() -> None:
    one = muted()
    dog(one, 0.1)
    assert person(one)
    dog(one.wait(0.1), 0.9)
    assert not person(one)
    dog(one.wait(9.9), 0.1)
    assert not person(one)
    assert one.verdict(0, 1).truth is True
    assert one.verdict(0, 1).margin == pytest.approx(0.1)
    assert str(one.verdict(0, 1)) == "model.dog dog at least 0.5 within 10 s: 9.9 s (since it was true)"
    dog(one.wait(0.2), 0.1)
    assert person(one)


@pytest.mark.parametrize("stopped", [False, True])
def test_right_after_the_machine_was_started_nothing_was_true_a_while_ago(stopped: bool) -> None:
    one = muted()
    one.now = 5_000 * MS           # less than the ten seconds that are looked at
    one.feels("button", stopped)
    dog(one.wait(0.1), 0.1)
    assert person(one)


def test_what_was_true_a_while_ago_is_handed_over() -> None:
    one = muted()
    dog(one, 0.9)
    recalled = Stage(one.stage.settings)
    recalled.recall(one.stage.memory())
    one.stage = recalled
    dog(one.wait(1), 0.1)
    assert not person(one)
    assert one.verdict(0, 1).observed == 1


def test_what_was_true_is_remembered_over_gaps_failures_and_what_is_not_true_again() -> None:
    one = muted()
    dog(one, 0.9)
    one.loses("model.dog")
    assert not person(one.wait(2))
    assert one.verdict(0, 1).truth is True
    dog(one.wait(2), 0.1)
    assert not person(one)
    assert not person(one.wait(7)), "silent now, which is unknown"
    assert one.verdict(0, 1).truth is None
    dog(one.wait(0.1), 0.1)
    assert person(one)


def test_a_stop_ends_what_was_remembered() -> None:
    one = muted()
    dog(one, 0.9)
    one.wait(0.1).feels("button", True)
    one.wait(0.1).feels("button", False)
    dog(one.wait(0.1), 0.1)
    assert person(one)


def test_a_press_mutes_too() -> None:
    one = muted(sensor="warmth", edge="rise")
    one.feels("warmth", False, age_ms=0)
    assert person(one)
    one.wait(0.2).feels("warmth", False, age_ms=0, rises=1, falls=1)
    assert one.verdict(0, 1)[:4] == (True, "sensor.warmth rise within 10 s", False, "1 new"), "it is true by this very reading"
    assert not person(one)
    for after_s, muted_still in ((0.9, True), (9.1, True), (0.1, False)):
        one.wait(after_s).feels("warmth", False, age_ms=0, rises=1, falls=1)
        assert person(one) is not muted_still


def test_silence_that_is_over_mutes_too() -> None:
    one = muted(sensor="warmth", silent_for_s=2)
    one.tells()
    for _ in range(3):
        one.wait(1).tells()
    assert not person(one)
    for after_s in range(1, 14):
        one.wait(0.5).feels("warmth", 20, age_ms=0)
        one.wait(0.5).tells()
        assert person(one) is (after_s > 10)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_muted_is_what_was_true_at_any_item_of_the_last_seconds(seed: int) -> None:
    chance, one = random.Random(seed), muted()
    one.feels("button", False)
    trues: list[int] = []
    seen = set()
    for _ in range(400):
        one.wait(chance.choice([0.1, 0.2, 0.3, 2.0]))
        score = 0.9 if chance.random() < 0.03 else 0.1
        spoke = chance.random() < 0.7
        if spoke:
            dog(one, score)
            trues += [one.now] if score > 0.5 else []
        elif chance.random() < 0.05:
            one.loses("model.dog")
        person(one)
        expected = True if any(one.now - at <= 10_000 * MS for at in trues) else False if spoke else None
        if expected is not None or one.stage.sources["model.dog"].unusable(one.now):
            assert one.verdict(0, 1).truth is expected
            seen.add(expected)
    assert seen == {True, False, None}
