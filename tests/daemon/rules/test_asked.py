"""What the rules of a configuration ask of each source: what nobody asks for need not be computed."""

from __future__ import annotations

from typing import Any

import pytest

from reflexd.config.settings import Settings
from reflexd.rules import asked
from reflexd.rules.sources import Source
from reflexd.rules.stage import Stage
from tests.daemon.rules.story import FOR_5_S, MS, settings

S = 1_000_000_000
CAMERA = {"driver": "replay", "rate_hz": 10, "max_age_ms": 500}
MODELS = {
    "person": {"bundle": "person", "camera": "gate"},
    "dog": {"bundle": "dog", "camera": "gate", "lines": {"fence": [[0, 0.5], [1, 0.5]]}},
    "meter": {"bundle": "meter", "camera": "gate"},
    "shake": {"bundle": "shake", "sensors": ["warmth", "button"], "window": {"rate_hz": 20, "length": 20, "hop": 10}},
}
RULES: list[dict[str, Any]] = [
    {"when": [{"model": "person", "label": "adult", "at_least": 0.8, "release_below": 0.6},
              {"model": "person", "label": "child", "at_least": 0.7, "dwell_s": 2}]},
    {"when": [{"model": "dog", "label": "dog", "crosses": "fence", "at_least": 0.4}],
     "unless": [{"model": "dog", "label": "cat", "at_least": 0.5}]},
    {"when": [{"model": "meter", "above": 5}, {"camera": "gate", "is": "covered"}, {"camera": "gate", "is": "black"}]},
]


@pytest.fixture
def given() -> Settings:
    """Rules that ask of three models, of a fourth none does."""
    return settings(*({**one, "then": FOR_5_S} for one in RULES), model=MODELS)


@pytest.mark.parametrize(("model", "labels", "followed", "least"), [
    ("person", {"adult", "child"}, {"child"}, 0.6), ("dog", {"dog", "cat"}, {"dog"}, 0.4),
    ("meter", set(), set(), 1.0), ("shake", set(), set(), 1.0),
])
def test_the_labels_and_scores_that_rules_ask_about(
    given: Settings, model: str, labels: set[str], followed: set[str], least: float,
) -> None:
    assert asked.labels_of(given, model) == labels
    assert asked.followed_by(given, model) == followed
    assert asked.least_asked(given, model) == least


def test_each_camera_whose_picture_is_asked_about_is_named_once(given: Settings) -> None:
    assert asked.looked_at(given) == ["gate"]


def test_a_model_watches_its_camera_or_its_sensors(given: Settings) -> None:
    assert asked.watched_by(given.model["dog"]) == ("camera.gate",)
    assert asked.watched_by(given.model["shake"]) == ("sensor.warmth", "sensor.button")


@pytest.mark.parametrize(("camera", "model", "pace"), [
    ({"rate_hz": 10}, {}, (500 * MS, 100 * MS, False)),
    ({"rate_hz": 10}, {"rate_hz": 2}, (500 * MS, 500 * MS, False)),
    ({"rate_hz": 10}, {"rate_hz": 20}, (500 * MS, 100 * MS, False)),
    ({}, {}, (500 * MS, 500 * MS, True)),
])
def test_the_pace_of_a_network_is_its_own_or_that_of_its_camera(
    camera: dict[str, Any], model: dict[str, Any], pace: tuple[int, int, bool],
) -> None:
    given = settings(camera={"gate": {"driver": "replay", "max_age_ms": 500, **camera}},
                     model={"person": {**MODELS["person"], **model}})
    assert asked.pace_of(given, given.model["person"]) == pace


def test_a_window_counts_as_long_as_its_oldest_sensor_may_and_until_the_next_is_due() -> None:
    sensor = {"warmth": {"driver": "scripted", "max_age_ms": 900}, "button": {"driver": "scripted", "max_age_ms": 300}}
    given = settings(sensor=sensor, model={"shake": MODELS["shake"]})
    assert asked.pace_of(given, given.model["shake"]) == (800 * MS, 500 * MS, False)


def test_what_a_rule_is_about(given: Settings) -> None:
    assert [sorted(asked.subjects_of(one)) for one in given.rule] == [
        ["model.person"], ["model.dog"], ["camera.gate", "model.meter"]]


@pytest.mark.parametrize("subject", ["sensor.warmth", "model.meter"])
def test_a_rule_is_also_about_what_its_level_follows(subject: str) -> None:
    kind, name = subject.split(".")
    level = {kind: name, "from": [0, 10], "to": [0, 1]}
    given = settings({"when": [{"sensor": "button", "is": True}], "then": [{"actuator": "fan", "set": level, "follow": True}]},
                     model=MODELS)
    assert asked.subjects_of(given.rule[0]) == {"sensor.button", subject}
    assert Stage(given).rules[0].sources.keys() == {"sensor.button", subject}


@pytest.mark.parametrize(("camera", "sources"), [
    ({"rate_hz": 10}, [Source("camera.gate", 500 * MS, 250 * MS, expected_ns=250 * MS),
                       Source("model.person", 500 * MS, 100 * MS, False, 100 * MS)]),
    ({}, [Source("camera.gate", 500 * MS, 500 * MS, expected_ns=500 * MS),
          Source("model.person", 500 * MS, 500 * MS, True, 500 * MS)]),
])
def test_how_often_each_source_is_expected_to_speak(camera: dict[str, Any], sources: list[Source]) -> None:
    given = settings({"when": [{"camera": "gate", "is": "black"}, {"sensor": "warmth", "silent_for_s": 5}], "then": FOR_5_S},
                     camera={"gate": {"driver": "replay", "max_age_ms": 500, **camera}})
    expected = [Source("sensor.warmth", S, S // 2, expected_ns=S // 2), Source("clock", 3 * S, S, expected_ns=S), *sources]
    made = Stage(given).sources
    assert [made[one.name] for one in expected] == expected


NIGHT: dict[str, Any] = {"name": "night", "when": [{"between": ["sunset", "sunrise"]}], "then": FOR_5_S}
EVENING: dict[str, Any] = {"name": "evening", "when": [{"between": ["18:00", "22:00"]}], "then": FOR_5_S}
WARM: dict[str, Any] = {"name": "warm", "when": [{"sensor": "warmth", "above": 30}], "then": FOR_5_S}
HERE, THERE = {"latitude": 50, "longitude": 10}, {"latitude": 40, "longitude": 10}


def test_a_rule_stands_over_a_reload_unless_it_asks_for_the_sun_of_another_place() -> None:
    old, same, moved = (settings(NIGHT, EVENING, WARM, place=one) for one in (HERE, HERE, THERE))
    assert [asked.stands(rule, old, same) for rule in same.rule] == [True, True, True]
    assert [asked.stands(rule, old, moved) for rule in moved.rule] == [False, True, True]
    other = settings({**WARM, "cooldown_s": 1}, place=HERE)
    assert not asked.stands(other.rule[0], old, other)


def test_whether_some_rule_asks_for_the_time() -> None:
    assert asked.asks_time(settings(WARM, EVENING))
    assert asked.asks_time(settings({**WARM, "unless": EVENING["when"]}))
    assert not asked.asks_time(settings(WARM))


@pytest.mark.parametrize(("condition", "asks"), [
    (EVENING["when"][0], True), ({"sensor": "warmth", "silent_for_s": 5}, True), ({"sensor": "warmth", "above": 5}, False),
    ({"model": "person", "label": "person", "at_least": 0.5}, False),
])
def test_which_conditions_are_decided_as_time_passes(condition: dict[str, Any], asks: bool) -> None:
    given = settings({"when": [condition], "then": FOR_5_S})
    assert asked.asks_clock(given.rule[0].when[0]) is asks
    assert ("clock" in Stage(given).sources) is asks
