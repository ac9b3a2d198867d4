"""Levels that follow a value: on the line, not for noise, one line of the log for one activation, and at real devices."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexd.rules.items import Claim, Command
from reflexd_drivers import gpio
from tests.daemon.rules.story import Story, acts
from tests.daemon.test_faults import CONFIG, Devices, Start
from tests.daemon.test_outputs import START, Bench, S
from tests.stopwatch import within

FAN = {"sensor": "warmth", "from": [20, 30], "to": [0.2, 1.0]}
COOL: dict[str, Any] = {"when": [{"sensor": "button", "is": True}], "then": [{"actuator": "fan", "set": FAN, "follow": True}]}


def level(commands: list[Command]) -> float | None:
    return next((one.level for one in commands if isinstance(one, Claim)), None)


def warm(story: Story, *values: Any) -> list[float | None]:
    """Give the level after each value, a moment apart."""
    return [level(story.wait(0.1).feels("warmth", value)) for value in values]


def pressed(**function: Any) -> Story:
    then = [{"actuator": "fan", "set": {**FAN, **function}, "follow": True}]
    story = Story({**COOL, "then": then}, sensor={"button": {"driver": "scripted", "max_age_ms": 60_000},
                                                  "warmth": {"driver": "scripted", "max_age_ms": 1000}})
    story.feels("button", True)
    return story


def test_a_level_lies_on_the_line_and_stays_at_its_ends_beyond_it() -> None:
    assert warm(pressed(), 25, 20, 30, -5, 99, 22.5) == [0.6, 0.2, 1.0, 0.2, 1.0, 0.4]
    assert warm(pressed(to=["on", "off"]), 25, 18, 31) == [0.5, 1.0, 0.0], "it may fall with the value"
    assert warm(pressed(**{"from": [30, 20]}), 20, 22.5) == [1.0, 0.8], "and the values may come in either order"


def test_a_level_is_told_to_the_millionth_and_an_end_as_it_was_written() -> None:
    assert warm(pressed(), 70 / 3) == [0.466667]
    assert warm(pressed(to=[0.12345678, 0.87654321]), 20, 30) == [0.12345678, 0.87654321]


def test_what_is_less_than_a_step_is_not_followed_and_no_step_is_lost() -> None:
    assert warm(pressed(step=0.1), 25, 25.9, 24.2, 25.9, 26, 26.9, 27.05) == [0.6, 0.6, 0.6, 0.6, 0.68, 0.68, 0.764]
    assert warm(pressed(step=0.1), 21, 20.1, 20, 20.5) == [0.28, 0.28, 0.2, 0.2], "an end is always reached"
    whole = {"from": [0, 1], "to": [0, 1], "step": 0.5}
    assert warm(pressed(**whole), 0.25, 0.5, 0.75, 0.5) == [0.25, 0.25, 0.75, 0.75], "a step itself is driven"


@given(st.lists(st.floats(-10, 60, allow_nan=False), min_size=1, max_size=60), st.floats(0.001, 0.5))
def test_a_level_is_never_further_from_the_line_than_a_step(values: list[float], step: float) -> None:
    driven = warm(pressed(step=step), *values)
    for value, found in zip(values, driven, strict=True):
        line = 0.2 + 0.8 * min(max((value - 20) / 10, 0), 1)
        assert found is not None
        assert abs(found - line) < step * 0.8 + 1e-5
        assert 0.2 <= found <= 1.0
        assert found == line or not (value <= 20 or value >= 30)


@pytest.mark.fault("F38", bound="the lease", outcome="a level that follows it is let go: the output is safe")
def test_without_a_number_that_is_known_the_rule_does_not_act_and_its_claim_lapses() -> None:
    story = pressed()
    assert level(story.feels("warmth", 25)) == 0.6
    assert not acts(story.wait(1.1).feels("button", True)), "stale"
    assert story.stage.rules[0].truth is None
    assert "sensor.warmth gives the level: unknown (last heard 1.1 s ago)" in map(str, story.stage.rules[0].verdicts)
    for value in ("warm", float("nan"), float("inf")):
        assert not acts(story.wait(0.1).feels("warmth", value)), value
    assert level(story.wait(0.1).feels("warmth", 21)) == 0.28
    released = story.loses("sensor.warmth")
    assert [type(one).__name__ for one in released] == ["Release"]


def test_over_a_gap_and_a_stop_a_level_begins_anew() -> None:
    story = pressed(step=0.5)
    assert warm(story, 25, 26) == [0.6, 0.6]
    assert level(story.wait(2).feels("warmth", 26)) == 0.68


def test_a_level_is_renewed_by_what_its_conditions_look_at_too() -> None:
    story = pressed()
    assert level(story.feels("warmth", 25)) == 0.6
    assert level(story.wait(0.2).feels("button", True)) == 0.6
    assert not acts(story.feels("button", False))


def follow(bench: Bench, at: float, to: float, rule: str = "r") -> None:
    bench.at(at)
    bench.gate.apply([Claim(rule, "lamp", to, 0, bench.now + S // 2, (), follows=True)], bench.now)


def test_the_log_tells_begin_and_end_and_no_step() -> None:
    bench = Bench()
    for tenth in range(10):
        follow(bench, tenth / 10, 0.3 + tenth / 20)
    bench.at(3)
    assert bench.relays["lamp"].written == [0.3 + tenth / 20 for tenth in range(10)] + [0.0]
    assert [str(one) for one in bench.gate.changes] == ['lamp 0.3: rule "r": ', "lamp off, safe: no rule claims it"]
    assert bench.gate.outputs["lamp"].changes == 2


def test_a_level_that_is_the_safe_one_is_not_active() -> None:
    bench = Bench(lamp={"max_on_s": 1, "min_off_s": 0.25})
    told = []
    for tenth, to in enumerate([0.5, 0.2, 0.0, 0.0, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]):
        follow(bench, tenth / 10, to)
        told.append(bench.levels()[0])
    assert told[:5] == [0.5, 0.2, 0.0, 0.0, 0.0], "it rests for min_off_s"
    assert told[5:14] == [0.5] * 9, "and max_on_s counts from the new beginning"
    bench.at(1.5)
    assert bench.levels() == [0.0]
    assert [one.level for one in bench.gate.changes] == [0.5, 0.0, 0.4, 0.0]
    assert 'rule "r" wants it so' in str(bench.gate.changes[1])


def test_another_rule_that_takes_over_is_told() -> None:
    bench = Bench()
    follow(bench, 0, 0.5)
    bench.gate.apply([Claim("s", "lamp", 0.9, 1, START + S // 4, ())], bench.now)
    follow(bench, 0.1, 0.6)
    bench.at(0.3)
    assert [one.level for one in bench.gate.changes] == [0.5, 0.9, 0.6]


def test_a_fan_and_a_flap_follow_the_temperature(start: Start, devices: Devices) -> None:
    chip = "test_levels"
    devices["sensor"].value = 25.0
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    mock = {"factory": "mock", "chip": chip, "method": "software"}
    config["actuator"] = {"fan": {"driver": "pwm", "pin": "GPIO18", "safe": "off", **mock},
                          "flap": {"driver": "servo", "pin": "GPIO13", "safe": "off", "accept_unguarded": True, **mock}}
    function = {"sensor": "button", "from": [20, 30], "to": [0.2, 1.0]}
    config["rule"] = [{"name": "cool", "when": [{"sensor": "button", "above": 20}],
                       "then": [{"actuator": "fan", "set": function, "follow": True},
                                {"actuator": "flap", "set": {**function, "to": ["off", "on"]}, "follow": True}]}]
    daemon = start(config)
    fan, flap = (gpio.open_header("mock", chip).factory.pin(name) for name in ("GPIO18", "GPIO13"))
    for celsius, share, pulse in ((25.0, 0.6, 0.075), (27.5, 0.8, 0.0875), (30.0, 1.0, 0.1)):
        devices["sensor"].value = celsius
        within(5, lambda share=share: (fan.state if fan.share is None else fan.share) == pytest.approx(share))
        within(5, lambda pulse=pulse: flap.share == pytest.approx(pulse))      # 1 to 2 ms, 50 times a second
    assert daemon.status()["outputs"]["fan"]["changes"] == 1
    devices["sensor"].silent = True
    within(5, lambda: daemon.status()["outputs"]["fan"]["level"] == "off")
    within(5, lambda: flap.share == pytest.approx(0.05))
    assert not fan.state
