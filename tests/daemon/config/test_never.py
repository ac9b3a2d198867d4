"""A rule of which check says that it never acts does not, whatever comes; and a plain one of which it says nothing does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from reflexd.config.conditions import ValueCondition
from reflexd.config.lint import never, pace, quiet, times
from reflexd.config.lint.demands import possible, what_is_given
from reflexd.config.lint.facts import Facts
from reflexd.config.settings import Settings
from reflexd.rules.items import NS, Claim, Clock, Item, Predicted, Sensed
from reflexd.rules.stage import Stage
from reflexd_drivers.base import Reading
from reflexd_models.base import Prediction
from tests.daemon.rules import story

LOOKS = (never.contradictions, never.suppressed_by_itself, never.two_moments, quiet.silent_and_heard, quiet.stuck_and_moving,
         times.times_that_never_come)
THRESHOLDS = (0, 1, 2, 3)
VALUES: tuple[float | bool, ...] = (-0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5)
GATES = st.sampled_from([[], [{"sensor": "key", "is": True}], [{"sensor": "key", "is": False}]])


def configured(when: list[dict[str, Any]], unless: list[dict[str, Any]], gate: list[dict[str, Any]]) -> Settings:
    sensor = {"driver": "scripted", "max_age_ms": 1000}
    return story.settings({"when": when, "unless": unless, "then": story.FOR_5_S},
                          sensor={"key": sensor, "warmth": sensor},
                          model={"person": {"bundle": "person", "camera": "gate", "only_while": gate}})


def never_acts(configuration: Settings) -> bool:
    facts = Facts(configuration, {}, str)
    return any("never acts" in one.what for look in LOOKS for one in look(facts))


def of_key() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"sensor": st.just("key"), "is": st.booleans()})


def of_warmth(*more: str) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions that depend on the value alone; `more`: also on the values before."""
    at = st.sampled_from(THRESHOLDS)
    plain = [st.fixed_dictionaries({"sensor": st.just("warmth"), key: at}) for key in ("is", "above", "below")]
    released = [
        st.tuples(at, at).map(lambda two: {"sensor": "warmth", "above": max(two), "release_below": min(two)}),
        st.tuples(at, at).map(lambda two: {"sensor": "warmth", "below": min(two), "release_above": max(two)}),
        st.sampled_from([{"sensor": "warmth", "changed": True}, {"sensor": "key", "edge": "rise"}]),
        st.sampled_from([0.1, 0.3]).map(lambda time: {"sensor": "warmth", "rising_for_s": time}),
        st.sampled_from([1.0, 2.0]).map(lambda time: {"sensor": "warmth", "silent_for_s": time}),
        st.sampled_from([0.05, 0.3]).map(lambda time: {"sensor": "warmth", "stuck_for_s": time}),
        st.sampled_from([-1, 0, 1]).map(lambda rate: {"sensor": "warmth", "rate_above": rate, "over_s": 0.5}),
    ]
    return st.one_of(*plain, *(released if more else []))


def of_score() -> st.SearchStrategy[dict[str, Any]]:
    score = st.sampled_from([0.25, 0.5, 0.75])
    often = st.sampled_from([(1, 1), (1, 2), (2, 2), (2, 3), (3, 3)])
    return st.tuples(score, score, often).map(lambda one: {
        "model": "person", "label": "person", "at_least": max(one[:2]), "release_below": min(one[:2]), "hits": one[2][0],
        "of": one[2][1]})


def conditions(*more: str, least: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    kinds = (of_key(), of_warmth(*more), *((of_score(),) if more else ()))
    return st.lists(st.one_of(*kinds), min_size=least, max_size=3)


def a_day(seed: int, count: int) -> Iterator[tuple[Item, int]]:
    """Bring readings and predictions in any order, some late, with gaps."""
    chance, now, rises, score = random.Random(seed), story.START, 0, 0.5
    for _ in range(count):
        now += chance.choice((10, 30, 100, 300)) * story.MS + (2_000 * story.MS if chance.random() < 0.01 else 0)
        taken_at = now - chance.choice((1, 5, 80)) * story.MS
        which = chance.random()
        if which < 0.1:
            yield Clock(None, 0, now), now
        elif which < 0.4:
            score = min(max(score + chance.choice((-0.25, 0, 0.25)), 0), 1)
            yield Predicted("person", Prediction(taken_at, {"person": score})), now
        elif which < 0.6:
            rises += chance.random() < 0.5
            yield Sensed("key", Reading(chance.random() < 0.5, taken_at, taken_at, rises)), now
        else:
            yield Sensed("warmth", Reading(chance.choice(VALUES), taken_at, taken_at)), now


@settings(max_examples=150, deadline=None)
@given(conditions("memory", least=1), conditions("memory", least=0), GATES, st.integers(0, 1_000_000))
def test_what_never_acts_never_does(when, unless, gate, seed):
    configuration = configured(when, unless, gate)
    said = never_acts(configuration)
    event(f"said to act never: {said}")
    if said:
        stage = Stage(configuration)
        assert not any(story.acts(stage.consume(item, now)) for item, now in a_day(seed, 400))


@settings(max_examples=150, deadline=None)
@given(conditions(least=1), conditions(least=0))
def test_of_values_alone_everything_that_never_acts_is_found_and_nothing_else(when, unless):
    configuration = configured(when, unless, [])
    event(f"acts never: {never_acts(configuration)}")
    assert never_acts(configuration) is not any(acts_with(configuration, *values) for values in product((False, True), VALUES))


def acts_with(configuration: Settings, key: bool, warmth: float) -> bool:
    """Ask the rules themselves with one value of each sensor."""
    stage, now, commands = Stage(configuration), story.START, []
    for sensor, value in (("key", key), ("warmth", warmth)):
        commands += stage.consume(Sensed(sensor, Reading(value, now, now)), now)
    return any(isinstance(one, Claim) for one in commands)


def test_a_source_of_which_nothing_is_known_may_say_anything():
    facts = Facts(configured([{"sensor": "key", "is": True}], [], []), {}, str)
    assert what_is_given(facts, "sensor.key") is None
    assert possible([])


def test_hits_are_forgotten_where_a_frame_counts_for_less_than_the_time_to_the_next():
    for max_age_ms, acts in ((500, False), (1100, True)):
        configuration = story.settings(
            {"when": [{"model": "person", "label": "person", "at_least": 0.5, "hits": 2, "of": 3}], "then": story.FOR_5_S},
            camera={"gate": {"driver": "replay", "rate_hz": 1, "max_age_ms": max_age_ms}})
        stage, now = Stage(configuration), story.START
        done = [stage.consume(Predicted("person", Prediction(now + at * NS, {"person": 0.9})), now + at * NS)
                for at in range(20)]
        assert any(map(story.acts, done)) is acts
        found = list(pace.nothing_counted(Facts(configuration, {}, str)))
        assert bool(found) is not acts


class Lately(ValueCondition):
    """A kind of condition that nobody has told check of."""

    within_s: float = 5


def test_what_is_not_known_is_left_alone():
    configuration = configured([{"sensor": "key", "is": True}, {"sensor": "key", "is": False}], [], [])
    assert never_acts(configuration)
    (rule,) = configuration.rule
    later = rule.model_copy(update={"when": (rule.when[0], Lately.model_validate({"sensor": "key", "is": False}))})
    assert not never_acts(configuration.model_copy(update={"rule": (later,)}))


DAYS = st.lists(st.sampled_from(["mon", "tue", "sat", "sun"]), min_size=1, max_size=2, unique=True)
MOMENTS = st.sampled_from(["00:00", "06:00", "12:00", "18:00", "23:59"])
SPANS = st.one_of(
    st.fixed_dictionaries({"days": DAYS}),
    st.fixed_dictionaries({"between": st.tuples(MOMENTS, MOMENTS).filter(lambda two: two[0] != two[1])}),
    st.fixed_dictionaries({"between": st.tuples(MOMENTS, MOMENTS).filter(lambda two: two[0] != two[1]), "days": DAYS,
                           "otherwise": st.booleans()}))
MONDAY_S = 1_774_224_000      # 2026-03-23, 00:00 UTC


@settings(max_examples=60, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=3), st.lists(SPANS, max_size=2))
def test_of_times_everything_that_never_comes_is_found_and_nothing_else(when, unless):
    configuration = configured(when, unless, [])
    said = bool(list(times.times_that_never_come(Facts(configuration, {}, str))))
    event(f"never comes: {said}")
    acts = []
    turns = (day * 1440 + at for day in range(7) for at in (0, 360, 720, 1080, 1439))
    for minute in [None, *range(-1, 7 * 1440, 359), *turns]:
        stage = Stage(configuration)
        utc_ns = None if minute is None else (MONDAY_S + minute * 60) * NS
        acts.append(any(isinstance(one, Claim) for one in stage.consume(Clock(utc_ns, 0, story.START), story.START)))
    assert said is not any(acts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.001, 0.02, 0.1, 0.9]), st.sampled_from([0, 1])), min_size=5, max_size=60),
       st.booleans())
def test_no_rate_is_steeper_than_check_takes_for_possible(steps, late):
    over_s = 2.0
    condition = {"sensor": "warmth", "rate_above": 0, "over_s": over_s}
    one, steepest = story.Story({"when": [condition], "then": story.FOR_5_S}), 0.0
    for after_s, value in [(0.9, 0), (0.9, 0), *(reversed(steps) if late else steps)]:
        one.wait(after_s).feels("warmth", value, age_ms=0)
        steepest = max(steepest, abs(one.verdict().observed or 0.0))
    assert steepest * over_s < quiet.STEEPEST
