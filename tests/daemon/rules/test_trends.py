"""How fast a value moves, or that it does not: against what all readings say, kept whole."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from math import isfinite, isnan
from typing import Any

import numpy as np
import pytest

from reflexd.rules.memory import taken
from reflexd.rules.trends import PARTS
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, Story, acts, lets_go

NONE = float("nan")
AGE_S = 1.0      # max_age_ms of the story's sensors


def story(**condition: Any) -> Story:
    return Story({"when": [{"sensor": "warmth", **condition}], "then": FOR_5_S})


def say(one: Story, value: float, after_s: float) -> bool | None:
    one.wait(after_s).feels("warmth", value, age_ms=0)
    return one.verdict().truth


def test_a_rate_is_known_once_it_was_measured_over_the_whole_time() -> None:
    one = story(rate_above=0.5, over_s=3)
    said = [say(one, 20 + 0.6 * number, 1) for number in range(6)]
    assert said == [None, None, None, True, True, True]
    assert one.verdict().observed == pytest.approx(0.6)
    assert one.verdict().margin == pytest.approx(0.1)
    assert str(one.verdict()) == "sensor.warmth rate above 0.5 a second over 3 s: 0.6"


def test_a_falling_value_has_a_negative_rate() -> None:
    one = story(rate_below=-2, over_s=1)
    assert [say(one, -3.0 * number, 0.5) for number in range(4)] == [None, None, True, True]
    assert one.verdict().margin == pytest.approx(4)
    assert [say(one, -9 - 0.9 * number, 0.5) for number in range(1, 4)] == [True, False, False]


def test_a_pause_or_what_is_no_number_begins_the_time_anew() -> None:
    one = story(rate_above=0, over_s=1)
    assert [say(one, number, 0.5) for number in range(4)] == [None, None, True, True]
    assert [say(one, NONE, 0.5), say(one, 5, 0.4), say(one, 6, 0.5)] == [None, True, True], "one that is none is left out"
    assert [say(one, NONE, 0.5) for _ in range(3)] == [None] * 3
    assert [say(one, number, 0.5) for number in range(7, 10)] == [None, None, True], "heard, and yet nothing was known"
    assert [say(one, 10, 1.5), say(one, 11, 0.6), say(one, 12, 0.6)] == [None, None, True]


def test_one_reading_is_too_few_however_long_it_was_heard() -> None:
    one = story(rate_above=0, over_s=0.5)
    assert [say(one, number, 0.9) for number in range(3)] == [None] * 3
    assert one.verdict().note == "too few readings, or numbers too large"
    assert one.stage.rules[0].tests[0].threshold() == 0


@pytest.mark.parametrize("value", [1e308, -1e308, 1e-320])
def test_no_number_is_too_large_for_it(value: float) -> None:
    one = story(rate_above=1, over_s=1)
    for number in range(9):
        truth = say(one, value * (-1) ** number, 0.25)
        rate = one.verdict().observed
        assert truth is (None if rate is None else rate > 1)
        assert rate is None or (number >= 4 and isinstance(rate, float) and isfinite(rate))
        json.dumps(one.stage.memory(), allow_nan=False)


def test_a_rate_beyond_what_can_be_counted_is_unknown() -> None:
    one = story(rate_above=1, over_s=1)
    assert [say(one, value, 0.25) for value in (-1e308, -1e308, 0, 1e308, 1e308)] == [None] * 5
    assert one.verdict()[2:5] == (None, "too few readings, or numbers too large", None)


def test_what_is_remembered_does_not_grow_with_the_rate() -> None:
    one = story(rate_above=1, over_s=2)
    sizes = []
    for number in range(8000):
        one.wait(0.001).feels("warmth", number * 0.002, age_ms=0)
        sizes.append(len(taken(one.stage.rules[0].tests[0])["_parts"]))
    assert max(sizes) == PARTS + 1
    assert one.verdict().observed == pytest.approx(2)


def whole(readings: list[tuple[int, float]], over_ns: int) -> float | None:
    """Fit a line by another library, to the parts of all readings that count."""
    numbers = [(at, value) for at, value in readings if not isnan(value)]
    breaks = [index for index, (one, two) in enumerate(pairwise(numbers), 1) if two[0] - one[0] > AGE_S * 1e9]
    numbers = numbers[breaks[-1] if breaks else 0:]
    newest = numbers[-1][0]
    if newest - numbers[0][0] < over_ns:
        return None
    part = over_ns // PARTS
    groups: dict[int, list[tuple[int, float]]] = {}
    for at, value in numbers:
        if at // part >= newest // part - PARTS:
            groups.setdefault(at // part, []).append((at - newest, value))
    points = np.array([np.mean(group, axis=0) for group in groups.values()])
    return float(np.polyfit(points[:, 0] / 1e9, points[:, 1], 1)[0]) if len(points) > 1 else None


@pytest.mark.parametrize("seed", range(4))
def test_a_rate_is_that_of_all_readings(seed: int) -> None:
    chance = random.Random(seed)
    one = story(rate_above=0.3, over_s=2)
    readings: list[tuple[int, float]] = []
    value, known = 20.0, 0
    for _ in range(600):
        value += chance.gauss(0.02, 0.2)
        one.wait(1.5 if chance.random() < 0.005 else chance.expovariate(12))
        readings.append((one.now, value if chance.random() < 0.95 else NONE))
        one.feels("warmth", readings[-1][1], age_ms=0)
        if isnan(readings[-1][1]):
            assert one.verdict().truth is None
            continue
        expected, said = whole(readings, 2_000_000_000), one.verdict()
        if expected is None:
            assert said.truth is None
        else:
            known += 1
            assert said.observed == pytest.approx(expected, abs=1e-6)
            assert said.truth is (expected > 0.3) or abs(expected - 0.3) < 1e-6
    assert known > 300


def test_a_number_of_a_network_has_a_rate_too() -> None:
    one = Story({"when": [{"model": "person", "rate_above": 1, "over_s": 0.4}], "then": FOLLOW},
                model={"person": {"bundle": "meter", "camera": "gate"}})
    said = [(one.wait(0.2).sees(value=2.0 * number * 0.2 * (number < 4), spread=1.0), one.verdict().truth)[1]
            for number in range(5)]
    assert said == [None, None, True, True, False]


def test_stuck_is_unknown_until_a_change_was_seen_or_the_time_is_over() -> None:
    one = story(stuck_for_s=2)
    assert [say(one, 20, 0.5) for _ in range(5)] == [None, None, None, None, True]
    assert one.verdict().margin == 0
    assert [say(one, value, 0.5) for value in (20.1, 20.1, 20.1, 20.1, 20.1)] == [False] * 4 + [True]
    assert one.verdict().observed == 2


def test_a_pulse_between_two_readings_is_a_change() -> None:
    one = Story({"when": [{"sensor": "button", "stuck_for_s": 1}], "then": FOLLOW})
    one.feels("button", False, age_ms=0)
    assert acts(one.wait(1).feels("button", False, age_ms=0))
    assert lets_go(one.wait(0.5).feels("button", False, age_ms=0, rises=1, falls=1))
    assert one.verdict().truth is False


@pytest.mark.parametrize("seed", range(4))
def test_stuck_is_what_all_readings_since_the_last_gap_say(seed: int) -> None:
    chance = random.Random(seed)
    one = story(stuck_for_s=1.5)
    heard: list[tuple[int, float]] = []
    seen = set()
    for _ in range(800):
        one.wait(1.2 if chance.random() < 0.01 else chance.uniform(0.05, 0.5))
        value = NONE if chance.random() < 0.02 else 1.0 if chance.random() < 0.7 else 2.0
        if isnan(value) or (heard and one.now - heard[-1][0] > AGE_S * 1e9):
            heard = []
        one.feels("warmth", value, age_ms=0)
        if isnan(value):
            assert one.verdict().truth is None
            continue
        heard.append((one.now, value))
        same = next((index for index, (_, before) in enumerate(reversed(heard)) if before != value), len(heard))
        stood = one.now - heard[-same][0]
        expected = True if stood >= 1500 * MS else False if same < len(heard) else None
        assert one.verdict().truth is expected
        seen.add(expected)
    assert seen == {True, False, None}
