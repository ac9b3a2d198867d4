"""What each kind of condition says of itself, to the log and to `reflexctl explain`: words, number, note, margin, threshold."""

from __future__ import annotations

from typing import Any

import pytest

from reflexd.rules.items import Looked, Verdict
from reflexd.rules.scores import Score
from reflexd.rules.sources import NEVER, Source
from tests.daemon.rules.scenes import Scene, at
from tests.daemon.rules.story import FOR_5_S, MS, Story, acts

S = 1_000_000_000
NAN = float("nan")
WARM = {"sensor": "warmth"}
PERSON = {"model": "person", "label": "person"}


def told(condition: dict[str, Any], *values: Any, every_s: float = 0.5, **more: Any) -> tuple[tuple[Any, ...], float | None]:
    """Give the verdict after these readings of the thermometer, and the threshold that counts next."""
    story = Story({"when": [{**WARM, **condition}], "then": FOR_5_S}, **more)
    for value in values:
        story.wait(every_s).feels("warmth", value, age_ms=0)
    return tuple(story.verdict()), story.stage.rules[0].tests[0].threshold()


@pytest.mark.parametrize(("condition", "values", "verdict", "threshold"), [
    ({"is": True}, [1], (True, "sensor.warmth is true", 1, "", None), None),
    ({"is": 3}, [5], (False, "sensor.warmth is 3", 5, "", -2), 3),
    ({"is": "open"}, [3], (None, "sensor.warmth is open", 3, "values of two kinds", None), None),
    ({"above": 30}, [32.5], (True, "sensor.warmth above 30", 32.5, "", 2.5), 30),
    ({"above": 30}, [28], (False, "sensor.warmth above 30", 28, "", -2), 30),
    ({"above": 30, "release_below": 20}, [25], (False, "sensor.warmth above 30", 25, "", -5), 30),
    ({"above": 30, "release_below": 20}, [31, 22], (True, "sensor.warmth above 30", 22, "", 2), 20),
    ({"below": 5}, [4], (True, "sensor.warmth below 5", 4, "", 1), 5),
    ({"below": 5}, [7.5], (False, "sensor.warmth below 5", 7.5, "", -2.5), 5),
    ({"below": 5, "release_above": 8}, [4, 7], (True, "sensor.warmth below 5", 7, "", 1), 8),
    ({"above": 5}, ["hot"], (None, "sensor.warmth above 5", "hot", "", None), 5),
    ({"changed": True}, [1, 1], (False, "sensor.warmth changed", 1, "0 new", None), None),
    ({"changed": True}, [1, 2], (True, "sensor.warmth changed", 2, "1 new", None), None),
    ({"changed": True}, [1, 1.25], (True, "sensor.warmth changed", 1.25, "1 new", None), None),
    ({"changed": 0.5}, [5, "open"], (True, "sensor.warmth changed by 0.5", "open", "1 new", None), None),
    ({"changed": 0.5}, [1, 1.375], (False, "sensor.warmth changed by 0.5", 0.375, "", -0.125), 0.5),
    ({"changed": 0.5}, [1, 2], (True, "sensor.warmth changed by 0.5", 1, "", 0.5), 0.5),
    ({"rising_for_s": 1}, [1, 2, 3, 4], (True, "sensor.warmth rising for 1 s", 1.0, "", 0.0), 1),
    ({"rising_for_s": 1}, [1, 2, 3], (False, "sensor.warmth rising for 1 s", 0.5, "", -0.5), 1),
    ({"rising_for_s": 1, "pause_s": 0.5}, [1, 2, 3, 4, 4],
     (True, "sensor.warmth rising for 1 s", 1.5, "", 0.5), 1),
    ({"rising_for_s": 1}, [1, 1, 1], (False, "sensor.warmth rising for 1 s", 0.0, "does not rise", -1.0), 1),
    ({"stuck_for_s": 1}, [1, 2, 2], (False, "sensor.warmth stuck for 1 s", 0.5, "", -0.5), 1),
    ({"stuck_for_s": 1}, [2, 2], (None, "sensor.warmth stuck for 1 s", 0.5, "no change was seen yet", -0.5), 1),
    ({"stuck_for_s": 1}, [2, 2, 2, 2], (True, "sensor.warmth stuck for 1 s", 1.5, "2 all the time", 0.5), 1),
    ({"rate_above": 1, "over_s": 1}, [0, 1, 2], (True, "sensor.warmth rate above 1 a second over 1 s", 2, "", 1), 1),
    ({"rate_below": -1, "over_s": 1}, [4, 2, 0], (True, "sensor.warmth rate below -1 a second over 1 s", -4, "", 3), -1),
    ({"stuck_for_s": 1}, [2, NAN], (None, "sensor.warmth stuck for 1 s", None, "says nan, which is no number", None), 1),
    ({"rate_above": 1, "over_s": 1}, [0, "hot"],
     (None, "sensor.warmth rate above 1 a second over 1 s", None, "no number", None), 1),
    ({"rate_above": 1, "over_s": 1}, ["hot"], (None, "sensor.warmth rate above 1 a second over 1 s", None, "no number", None), 1),
    ({"rate_above": 0, "over_s": 1}, [3, 3, 3], (False, "sensor.warmth rate above 0 a second over 1 s", 0, "", 0), 0),
    ({"rate_below": 0, "over_s": 1}, [3, 3, 3], (False, "sensor.warmth rate below 0 a second over 1 s", 0, "", 0), 0),
    ({"rate_below": -1, "over_s": 2}, [4, 4],
     (None, "sensor.warmth rate below -1 a second over 2 s", None, "heard for 0.5 of 2 s", None), -1),
])
def test_a_condition_on_a_value(condition: dict[str, Any], values: list[Any], verdict: tuple[Any, ...], threshold: Any) -> None:
    said, counts = told(condition, *values)
    assert said[:4] == verdict[:4]
    assert said[4] == (None if verdict[4] is None else pytest.approx(verdict[4]))
    assert counts == threshold


@pytest.mark.parametrize(("condition", "first", "second", "notes"), [
    ({"edge": "rise"}, {"rises": 0}, {"rises": 1}, ("1 new", "0 new, the last 0.5 s before")),
    ({"changed": True}, {"value": 1.0}, {"value": 2.0}, ("1 new", "0 new, the last 0.5 s before")),
    ({"changed": 0.5}, {"value": 1.0}, {"value": 2.0}, ("", "not new")),
])
def test_what_is_true_of_one_item_says_that_it_is_over_when_another_source_speaks(
    condition: dict[str, Any], first: dict[str, Any], second: dict[str, Any], notes: tuple[str, str],
) -> None:
    story = Story({"when": [{**WARM, **condition}, {"sensor": "button", "is": True}], "then": FOR_5_S})
    for reading in (first, second):
        story.wait(0.1).feels("warmth", age_ms=0, **{"value": 0.0, **reading})
    assert (story.verdict().truth, story.verdict().note) == (True, notes[0])
    story.wait(0.5).feels("button", True)
    assert (story.verdict().truth, story.verdict().note) == (False, notes[1])


def test_a_time_is_told_in_seconds() -> None:
    story = Story({"when": [{**WARM, "rising_for_s": 1}], "then": FOR_5_S})
    for value in (1, 2, 3):
        story.wait(0.5).feels("warmth", value)
    assert str(story.verdict()) == "sensor.warmth rising for 1 s: 0.5 s"


@pytest.mark.parametrize(("edge", "rises", "falls"), [("rise", 2, 0), ("fall", 0, 2)])
def test_an_edge(edge: str, rises: int, falls: int) -> None:
    what = f"sensor.button {edge}"
    story = Story({"when": [{"sensor": "button", "edge": edge}], "then": FOR_5_S})
    story.feels("button", False, rises=5, falls=5)
    assert story.verdict()[:5] == (False, what, False, "0 new", None)
    story.wait(0.1).feels("button", False, rises=5 + rises, falls=5 + falls)
    assert story.verdict()[:5] == (True, what, False, "2 new", None)
    assert story.stage.rules[0].tests[0].threshold() is None


def test_an_edge_does_not_come_from_a_sensor_that_counts_anew() -> None:
    story = Story({"when": [{"sensor": "button", "edge": "rise"}], "then": FOR_5_S})
    story.feels("button", False, rises=5)
    assert not acts(story.wait(0.1).feels("button", False, rises=3))
    assert story.verdict().note == "0 new"


@pytest.mark.parametrize(("condition", "scores", "verdict", "threshold"), [
    ({"at_least": 0.7}, [0.75], (True, "model.person person at least 0.7", 0.75, "", 0.05), 0.7),
    ({"at_least": 0.7}, [0.25], (False, "model.person person at least 0.7", 0.25, "", -0.45), 0.7),
    ({"at_least": 0.7, "release_below": 0.5}, [0.75, 0.625], (True, "model.person person at least 0.7", 0.625, "", 0.125), 0.5),
    ({"at_least": 0.7, "release_below": 0.5}, [0.75, 0.45, 0.625],
     (False, "model.person person at least 0.7", 0.625, "", -0.075), 0.7),
    ({"at_least": 0.7, "hits": 2, "of": 3}, [0.75, 0.25, 0.5],
     (False, "model.person person at least 0.7", 0.5, "1 of 3 hits, 2 needed", -0.2), 0.7),
    ({"at_least": 0.7, "hits": 2, "of": 3}, [0.75, 0.25, 0.75],
     (True, "model.person person at least 0.7", 0.75, "2 of 3 hits, 2 needed", 0.05), 0.7),
])
def test_a_score(condition: dict[str, Any], scores: list[float], verdict: tuple[Any, ...], threshold: float) -> None:
    story = Story({"when": [{**PERSON, **condition}], "then": FOR_5_S})
    for score in scores:
        story.wait(0.1).sees(score)
    assert story.verdict()[:4] == verdict[:4]
    assert story.verdict().margin == pytest.approx(verdict[4])
    assert story.stage.rules[0].tests[0].threshold() == threshold


@pytest.mark.parametrize(("apart_s", "hits"), [(0.4, 2), (0.401, 1)])
def test_a_hit_counts_for_twice_the_time_that_the_predictions_take(apart_s: float, hits: int) -> None:
    story = Story({"when": [{**PERSON, "at_least": 0.7, "hits": 2}], "then": FOR_5_S})
    story.sees(0.9, age_ms=0)
    story.wait(apart_s).sees(0.9, age_ms=0)
    assert story.verdict()[:4] == (hits == 2, "model.person person at least 0.7", 0.9, f"{hits} of 2 hits, 2 needed")
    score = story.stage.rules[0].tests[0].parts[-1]
    assert isinstance(score, Score)
    assert (score.hits(story.now), score.hits(story.now + S)) == (hits, 0)


def test_a_score_that_is_not_given() -> None:
    story = Story({"when": [{**PERSON, "at_least": 0.7}], "then": FOR_5_S})
    story.sees(0.9, label="dog")
    assert story.verdict()[:5] == (None, "model.person person at least 0.7", None, "the network gave no score for it", None)


@pytest.mark.parametrize(("condition", "steps", "verdict"), [
    ({"at_least": 0.5, "zone": "path", "count": 2}, [[at(0.2, 0.9, 0.8), at(0.3, 0.9, 0.75)]],
     (True, "model.person person at least 0.5, 2 of them in path", 0.75, "", 0.25)),
    ({"at_least": 0.5, "count": 2}, [[at(0.2, 0.9, 0.8)]],
     (False, "model.person person at least 0.5, 2 of them", 0.0, "", -0.5)),
    ({"at_least": 0.5, "dwell_s": 0.2}, [[at(0.2, 0.9)]] * 3,
     (True, "model.person person at least 0.5 for 0.2 s", 0.9, "stands for 0.2 s", 0.4)),
    ({"at_least": 0.5, "dwell_s": 5, "hits": 2, "of": 3}, [[at(0.2, 0.9)]] * 3,
     (False, "model.person person at least 0.5 for 5 s", 0.2, "0 of 3 hits, 2 needed, score 0.90", -4.8)),
    ({"crosses": "gate"}, [[at(0.4, 0.9)], [at(0.6, 0.9)]], (True, "model.person person crosses gate", True, "1 new", None)),
    ({"crosses": "gate", "direction": "forward"}, [[at(0.4, 0.9)], [at(0.45, 0.9)]],
     (False, "model.person person crosses gate forward", False, "0 new, the nearest 0.05 from the line", None)),
])
def test_what_a_detector_shows(condition: dict[str, Any], steps: list[Any], verdict: tuple[Any, ...]) -> None:
    scene = Scene(condition)
    for step in steps:
        scene.finds(*step)
    assert scene.stage.rules[0].verdicts[0][:4] == verdict[:4]
    assert scene.stage.rules[0].verdicts[0].margin == (None if verdict[4] is None else pytest.approx(verdict[4]))


def test_a_label_of_which_a_detector_says_nothing() -> None:
    scene = Scene({"crosses": "gate"})
    scene.finds(watched=("dog",))
    verdict = scene.stage.rules[0].verdicts[0]
    assert verdict[:5] == (None, "model.person person crosses gate", False, "the network gave no score for it", None)


def test_silence_and_what_was_true_a_while_ago() -> None:
    story = Story({"when": [{"sensor": "button", "silent_for_s": 2}],
                   "unless": [{"sensor": "warmth", "above": 30, "within_s": 10}], "then": FOR_5_S})
    silent, within = story.stage.rules[0].tests
    assert (silent.threshold(), within.threshold()) == (2, 10)
    story.tells()
    assert story.verdict()[:5] == (None, "sensor.button silent for 2 s", 0.0, "", -2.0)
    story.wait(0.5).feels("button", True, age_ms=0)
    story.wait(1).tells()
    assert story.verdict()[:5] == (False, "sensor.button silent for 2 s", 1.0, "", -1.0)
    assert story.verdict(0, 1)[:5] == (None, "sensor.warmth above 30 within 10 s", None, "has said nothing yet", None)
    story.wait(0.5).feels("warmth", 35.0, age_ms=0)
    assert story.verdict(0, 1)[:5] == (True, "sensor.warmth above 30 within 10 s", 35.0, "", 5.0)
    story.wait(2).tells()
    story.wait(2).tells()
    assert story.verdict()[:5] == (True, "sensor.button silent for 2 s", 5.5, "", 3.5)
    assert story.verdict(0, 1)[:5] == (True, "sensor.warmth above 30 within 10 s", 4.0, "since it was true", 6.0)


def test_a_level_that_follows() -> None:
    level = {"sensor": "warmth", "from": [20, 40], "to": [0.25, 0.75]}
    story = Story({"when": [{"sensor": "button", "is": True}], "then": [{"actuator": "fan", "set": level, "follow": True}]})
    story.feels("warmth", 30.0)
    assert story.verdict(0, 1)[:5] == (True, "sensor.warmth gives the level", 30.0, "level 0.5", None)
    story.wait(0.1).feels("warmth", "broken")
    assert story.verdict(0, 1)[:5] == (None, "sensor.warmth gives the level", "broken", "no number", None)


def test_why_a_source_says_nothing() -> None:
    gated = {"person": {"bundle": "person", "camera": "gate", "only_while": [{**WARM, "is": True}]}}
    story = Story({"when": [{**WARM, "above": 30}, {**PERSON, "at_least": 0.5}], "then": FOR_5_S}, model=gated)
    story.sees(0.9)
    source = story.stage.sources["sensor.warmth"]
    assert source.unusable(story.now) == "has said nothing yet"
    assert story.stage.sources["model.person"].unusable(story.now) == "gated by only_while"
    story.feels("warmth", float("nan"), age_ms=0)
    assert story.verdict()[:5] == (None, "sensor.warmth above 30", None, "says nan, which is no number", None)
    assert source.unusable(story.now + S) == ""
    assert source.unusable(story.now + S + 1) == "last heard 1.0 s ago"
    story.wait(0.1).loses("sensor.warmth")
    assert source.unusable(story.now) == "gone"


def test_a_network_that_gives_no_number_and_no_reason() -> None:
    story = Story({"when": [{"model": "person", "above": 5}], "then": FOR_5_S})
    story.sees(0.9)
    assert story.verdict()[:5] == (None, "model.person above 5", None, "no value", None)


def test_a_clock_that_is_not_known_to_be_right() -> None:
    story = Story({"when": [{"between": ["00:00", "24:00"]}], "then": FOR_5_S})
    story.tells()
    assert (story.verdict().truth, story.verdict().note) == (None, "the clock is not synchronised")
    assert acts(story.wait(1).tells(utc_s=0))
    assert story.stage.sources["clock"].trouble == ""


def test_a_condition_starts_anew_until_the_first_item_after_a_gap() -> None:
    story = Story({"when": [{**WARM, "above": 30}, {"sensor": "button", "is": True}], "then": FOR_5_S},
                  sensor={name: {"driver": "scripted", "max_age_ms": 1000} for name in ("button", "warmth", "halt")},
                  safety={"stop": {"sensor": "halt", "is": True}})
    story.feels("warmth", 40.0)
    story.feels("halt", True)
    story.wait(0.1).feels("button", True)
    assert story.verdict()[:5] == (None, "sensor.warmth above 30", None, "starts anew", None)


@pytest.mark.parametrize(("verdict", "text"), [
    (Verdict(True, "a above 1", 2.0), "a above 1: 2"),
    (Verdict(False, "a above 1", 0.123456, "why"), "a above 1: 0.123 (why)"),
    (Verdict(True, "b is true", True), "b is true: true"),
    (Verdict(None, "b is true", None), "b is true: unknown"),
    (Verdict(None, "b is true", 0.5, "late"), "b is true: unknown (late)"),
])
def test_a_verdict_in_words(verdict: Verdict, text: str) -> None:
    assert str(verdict) == text


def source(**more: Any) -> Source:
    return Source("sensor.x", max_age_ns=1000, period_ns=100, **more)


def test_an_item_is_admitted_while_it_is_fresh_and_newer_and_else_counted() -> None:
    one = source()
    assert one.admits(5000, 6000), "as old as it may be"
    assert not one.admits(5000, 6001)
    assert not one.admits(5000, 6001)
    assert (one.late, one.early) == (2, 0)
    assert not one.admits(5001, 5000), "from the time that is to come"
    assert one.admits(5000, 5000)
    one.put(5000)
    assert one.admits(5000, 5500), "two items of one moment"
    assert not one.admits(4999, 5500)
    one.fail(5600, "gone")
    assert not one.admits(5600, 5600)
    assert one.admits(5601, 5601)
    assert (one.late, one.early) == (2, 3)


def test_a_pause_longer_than_max_age_is_a_gap() -> None:
    one = source()
    one.put(1000)
    epoch = one.epoch
    one.put(2000)
    assert one.epoch == epoch, "as long as it may be"
    one.put(3001)
    assert (one.epoch, one.interval_ns) == (epoch + 1, 0)
    assert (one.taken_at, one.heard_at, one.trouble) == (3001, 3001, "")


def test_the_period_follows_items_that_come_more_slowly_an_eighth_of_the_way_each_time() -> None:
    one = source(expected_ns=100)
    for taken_at in (1000, 1180, 1360):
        one.put(taken_at)
    assert (one.interval_ns, one.period_ns) == (180, 110), "what is between two counts from the next one on"
    told = []
    for taken_at in (1361, 1362, 1363):
        one.put(taken_at)
        told.append(one.period_ns)
    assert told == [118, 103, 100], "never shorter than is expected"


def test_a_second_item_of_one_moment_says_nothing_of_the_pace() -> None:
    one = source(expected_ns=100)
    for taken_at in (1000, 1180, 1180):
        one.put(taken_at)
    assert (one.interval_ns, one.period_ns) == (180, 100)


def test_an_interval_counts_as_two_periods_at_most() -> None:
    one = source(expected_ns=100)
    for taken_at in (1000, 1900, 2000):
        one.put(taken_at)
    assert one.period_ns == 112


def test_a_measured_period_may_become_shorter() -> None:
    one = source(measured=True, expected_ns=100)
    for taken_at in (1000, 1020, 1040):
        one.put(taken_at)
    assert one.period_ns == 90


def test_nothing_is_left_of_what_a_source_showed_when_it_fails() -> None:
    scene = Scene({"at_least": 0.5, "zone": "path", "dwell_s": 0.1})
    scene.finds(at(0.2, 0.9))
    one = scene.stage.sources["model.person"]
    epoch = one.epoch
    scene.loses("model.person")
    assert (one.value, one.scores, one.detections, one.seen, one.tracks) == (None, {}, (), (), ())
    assert (one.taken_at, one.down_at, one.epoch, one.trouble) == (NEVER, scene.now, epoch + 1, "gone")


def test_the_state_of_a_picture() -> None:
    story = Story({"when": [{"camera": "gate", "is": "covered"}], "then": FOR_5_S})
    story.stage.consume(Looked("gate", "covered", story.now - MS), story.now)
    assert story.verdict()[:5] == (True, "camera.gate is covered", "covered", "", None)
