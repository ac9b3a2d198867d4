"""Conditions on the value of a sensor or a model, and what each remembers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.rules.story import FOR_5_S, Story, acts


def story(condition: dict[str, Any], **more: Any) -> Story:
    return Story({"when": [condition], "then": FOR_5_S}, **more)


def said(one: Story, sensor: str, values: list[Any], every_s: float = 0.2) -> list[bool]:
    return [acts(one.wait(every_s).feels(sensor, value)) for value in values]


def test_is_compares_booleans_numbers_and_texts() -> None:
    assert said(story({"sensor": "button", "is": False}), "button", [True, False]) == [False, True]
    assert said(story({"sensor": "warmth", "is": 3}), "warmth", [3.5, 3.0]) == [False, True]
    assert said(story({"sensor": "warmth", "is": "open"}), "warmth", ["shut", "open"]) == [False, True]


def test_above_holds_until_the_release() -> None:
    one = story({"sensor": "warmth", "above": 30, "release_below": 28})
    assert said(one, "warmth", [29, 30, 31, 29, 28, 27, 29]) == [False, False, True, True, True, False, False]


def test_below_holds_until_the_release() -> None:
    one = story({"sensor": "warmth", "below": 5, "release_above": 7})
    assert said(one, "warmth", [6, 5, 4, 6, 7, 8, 6]) == [False, False, True, True, True, False, False]


def test_above_without_release_follows_the_threshold() -> None:
    assert said(story({"sensor": "warmth", "above": 30}), "warmth", [31, 30, 31]) == [True, False, True]


def test_a_text_is_neither_above_nor_below() -> None:
    one = story({"sensor": "warmth", "above": 30})
    assert said(one, "warmth", ["hot"]) == [False]
    assert one.stage.rules[0].truth is None


def test_changed_is_true_once_for_each_step_away_from_the_last_change() -> None:
    one = story({"sensor": "warmth", "changed": 2})
    assert said(one, "warmth", [10, 11, 12, 13, 14, 14, 12]) == [False, False, True, False, True, False, True]


def test_changed_at_all_works_for_booleans() -> None:
    assert said(story({"sensor": "button", "changed": True}), "button", [True, True, False]) == [False, False, True]


def test_a_change_is_not_seen_again_when_another_source_speaks() -> None:
    one = Story({"when": [{"sensor": "warmth", "changed": 2}, {"sensor": "button", "is": True}], "then": FOR_5_S})
    one.feels("warmth", 10)
    one.wait(0.1).feels("warmth", 20)
    assert not acts(one.feels("button", True))


def test_rising_needs_rises_over_the_whole_time() -> None:
    one = story({"sensor": "warmth", "rising_for_s": 1})
    assert said(one, "warmth", [1, 2, 3, 4, 5, 6, 7, 8]) == [False] * 6 + [True, True]


def test_a_pause_ends_the_rise() -> None:
    one = story({"sensor": "warmth", "rising_for_s": 1, "pause_s": 0.3})
    assert said(one, "warmth", [1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 8, 8]) == [False] * 10 + [True, False]


def test_a_fall_ends_the_rise() -> None:
    assert not any(said(story({"sensor": "warmth", "rising_for_s": 1}), "warmth", [1, 2, 3, 4, 2, 3, 4, 5, 6]))


def test_an_edge_counts_once_and_is_not_lost_between_two_wakes() -> None:
    one = story({"sensor": "button", "edge": "rise"})
    assert not acts(one.feels("button", False, rises=4, falls=4)), "what was counted before we looked is old"
    assert acts(one.wait(0.1).feels("button", False, rises=5, falls=5)), "pressed and released within one wake"
    assert not acts(one.wait(0.1).feels("button", False, rises=5, falls=5))
    assert not acts(one.wait(0.1).feels("button", True, rises=5, falls=6)), "a fall is no rise"


@pytest.mark.parametrize("gap_s", [1.5, 20])
def test_what_was_remembered_is_forgotten_over_a_gap(gap_s: float) -> None:
    one = story({"sensor": "warmth", "above": 30, "release_below": 28})
    said(one, "warmth", [31])
    assert said(one, "warmth", [29], every_s=gap_s) == [False]


METER = {"person": {"bundle": "meter", "camera": "gate", "plausible": {"max_rise_per_min": 60, "settle": 2}}}


def believed(one: Story, values: list[float | None]) -> list[object]:
    """What is left of each number that the network reads; None is a reading that it is unsure of."""
    return [_believed(one.wait(0.1), value) for value in values]


def _believed(one: Story, value: float | None) -> object:
    one.sees(value=value, spread=1.0, unsure=None if value is not None else "wheel 2 is between two digits")
    return one.stage.sources["model.person"].value


def meter() -> Story:
    return story({"model": "person", "above": 0}, model=METER)


def test_a_number_counts_once_enough_readings_agree() -> None:
    assert believed(meter(), [100.0, 500.0, 500.0, 500.0]) == [None, None, 500.0, 500.0]


def test_a_number_that_rises_too_fast_is_unknown() -> None:
    assert believed(meter(), [100.0, 100.0, 101.0, 131.0, 101.0]) == [
        None, 100.0, 101.0, None, 101.0]


def test_a_number_that_runs_back_is_unknown() -> None:
    assert believed(meter(), [100.0, 100.0, 99.0, 100.0]) == [None, 100.0, None, 100.0]


def test_a_number_may_run_back_where_that_is_allowed() -> None:
    model = {"person": {**METER["person"], "plausible": {"max_rise_per_min": 60, "settle": 2, "backwards": True}}}
    one = story({"model": "person", "above": 0}, model=model)
    assert believed(one, [100.0, 100.0, 99.0]) == [None, 100.0, 99.0]


def test_an_unsure_number_is_unknown_and_nothing_acts_on_it() -> None:
    one = meter()
    assert believed(one, [100.0, 100.0, None]) == [None, 100.0, None]
    assert one.stage.rules[0].truth is None
    assert "between" in str(one.stage.rules[0].verdicts[0])


def test_a_wheel_between_two_digits_keeps_the_number_at_what_it_is_at_least() -> None:
    one = meter()
    believed(one, [109.0, 109.0])
    one.wait(0.1).sees(value=100.0, spread=10.0)
    assert one.stage.sources["model.person"].value == 109.0
    one.wait(0.1).sees(value=110.0, spread=10.0)
    assert one.stage.sources["model.person"].value == 110.0
    one.wait(0.1).sees(value=90.0, spread=10.0)
    assert one.stage.sources["model.person"].value is None, "90 to 100 is behind 110"


def test_a_number_that_rises_behind_blurred_readings_is_believed_when_it_is_sharp_again() -> None:
    one = meter()
    believed(one, [100.0, 100.0])
    for _ in range(50):
        one.wait(0.1).sees(value=100.0, spread=10.0)
    assert believed(one, [105.0]) == [105.0], "one a second is allowed, and five seconds have passed"
    assert believed(one, [108.0]) == [None]


def test_a_number_is_believed_on_after_the_camera_was_away() -> None:
    one = meter()
    believed(one, [100.0, 100.0])
    one.loses("camera.gate")
    assert believed(one.wait(5), [103.0, 150.0]) == [103.0, None]


def muted(condition: dict[str, Any]) -> Story:
    sensor = {"button": {"driver": "scripted", "max_age_ms": 60_000}, "warmth": {"driver": "scripted", "max_age_ms": 1000}}
    return Story({"when": [{"sensor": "button", "is": True}], "unless": [condition], "then": FOR_5_S}, sensor=sensor)


@pytest.mark.parametrize(("scores", "truths"), [
    ([0.9, 0.9], [None, True]),                  # that it was there before is not known to be false
    ([0.9, 0.1, 0.1, 0.1], [None, None, False, False]),
    ([0.1, 0.1, 0.1], [None, False, False]),     # one that was not seen is not enough any more
])
def test_hits_that_may_hide_in_what_was_not_seen_keep_a_rule_from_acting(scores: list[float], truths: list[Any]) -> None:
    one = muted({"model": "person", "label": "person", "at_least": 0.7, "hits": 2, "of": 3})
    one.feels("button", True)
    for score, truth in zip(scores, truths, strict=True):
        assert acts(one.wait(0.1).sees(score)) == (truth is not None and not truth)
        assert one.verdict(condition=1).truth == truth


def test_after_a_gap_hits_of_unless_are_unknown_again() -> None:
    one = muted({"model": "person", "label": "person", "at_least": 0.7, "hits": 2, "of": 3})
    one.feels("button", True)
    said = [acts(one.wait(wait).sees(0.1)) for wait in (0.1, 0.1, 0.1, 0.6, 0.1)]
    assert said == [False, True, True, False, True]


def test_what_rose_at_the_first_look_already_is_not_known_to_rise_for_no_longer() -> None:
    one = muted({"sensor": "warmth", "rising_for_s": 2, "pause_s": 1})
    one.feels("button", True)
    truths = []
    for value in (1, 2, 3, 4, 5, 6, 5, 6):
        one.wait(0.5).feels("warmth", value)
        truths.append(one.verdict(condition=1).truth)
    assert truths == [None, None, None, None, None, True, False, False]
    flat = muted({"sensor": "warmth", "rising_for_s": 2, "pause_s": 1})
    flat.feels("button", True)
    assert [acts(flat.wait(0.5).feels("warmth", 7)) for _ in range(5)] == [False, False, False, True, True]
