"""By how much a condition holds, or what it is short of: its numbers, and the sentence that `reflexctl explain` has of it."""

from __future__ import annotations

from typing import Any

import pytest

from reflexd.replay.explaining import FALSE, Decided
from reflexd.replay.misses import Misses, Near
from reflexd.replay.wording import short
from reflexd.rules.telling import Said, told
from tests.daemon.rules.scenes import Scene, at
from tests.daemon.rules.story import FOLLOW, START, Story

LEFT_OF_LINE, ON_LINE, RIGHT_OF_LINE = at(0.4, 0.9), at(0.505, 0.9), at(0.55, 0.9)
SATURDAY_23_30 = 1_774_740_600


def said(one: Story, place: int = 0) -> Said:
    rule = one.stage.rules[0]
    return told(rule, rule.verdicts, one.now, one.now)[place]


def felt(condition: dict[str, Any], values: list[Any], every_s: float = 0.5) -> Said:
    one = Story({"when": [{"sensor": "warmth", **condition}], "then": FOLLOW})
    for value in values:
        one.wait(every_s).feels("warmth", value)
    return said(one)


@pytest.mark.parametrize(("condition", "values", "words", "margin"), [
    ({"is": 5}, [3], "warmth 3.00 < 5.00, short by 2", -2),
    ({"is": 5}, [5], "warmth 5.00 = 5.00", 0),
    ({"is": True}, [False], "warmth is false", None),
    ({"is": "Open"}, ["Shut"], "warmth is Shut", None),
    ({"changed": 3}, [20, 21.5], "warmth 1.50 < 3.00, short by 1.5", -1.5),
    ({"changed": 3}, [20, 23.5], "warmth 3.50 > 3.00, by 0.5", 0.5),
    ({"changed": 3}, [20, 23.5, 23], "warmth 0.50 < 3.00, short by 2.5", -2.5),
    ({"changed": True}, [20, 21, 21, 21], "sensor.warmth changed: 0 new, the last 1.0 s before", None),
    ({"changed": True}, [20], "sensor.warmth changed: 0 new", None),
    ({"rising_for_s": 2}, [1, 2, 3, 4], "warmth 1.00 < 2.00 s, short by 1", -1),
    ({"rising_for_s": 2}, [1, 2, 3, 2], "warmth 0.00 < 2.00 s, short by 2; does not rise", -2),
    ({"rising_for_s": 1}, [1, 2, 3, 4], "warmth 1.00 = 1.00 s", 0),
    ({"stuck_for_s": 3}, [1, 2, 2], "warmth 0.50 < 3.00 s, short by 2.5", -2.5),
    ({"rate_above": 2, "over_s": 1}, [1, 1.5, 2, 2.5], "warmth 1.00 < 2.00, short by 1", -1),
])
def test_what_a_value_is_short_of(condition: dict[str, Any], values: list[Any], words: str, margin: float | None) -> None:
    found = felt(condition, values)
    assert short(found) == words
    assert found.margin == (None if margin is None else pytest.approx(margin))


def test_a_change_is_not_told_as_new_when_another_source_speaks() -> None:
    one = Story({"when": [{"sensor": "warmth", "changed": 3}, {"sensor": "button", "edge": "rise"}], "then": FOLLOW})
    one.feels("warmth", 20)
    one.feels("button", False)
    one.wait(0.1).feels("warmth", 24)
    assert (said(one).truth, short(said(one))) == (True, "warmth 4.00 > 3.00, by 1")
    one.wait(0.1).feels("button", True, rises=2)
    assert (said(one).truth, short(said(one))) == (False, "warmth 4.00 > 3.00, by 1; not new")
    assert short(said(one, 1)) == "sensor.button rise: 2 new"
    one.wait(0.1).feels("warmth", 24)
    assert short(said(one, 1)) == "sensor.button rise: 0 new, the last 0.1 s before"


def test_silence_is_told_of_what_is_silent() -> None:
    one = Story({"when": [{"sensor": "warmth", "silent_for_s": 3}], "then": FOLLOW})
    one.tells()
    one.feels("warmth", 1, age_ms=0)
    one.wait(1).tells()
    assert short(said(one)) == "warmth 1.00 < 3.00 s, short by 2"


def test_a_time_of_day_tells_when_it_begins_and_ends() -> None:
    one = Story({"when": [{"between": ["23:45", "00:30"]}], "then": FOLLOW})
    one.tells(SATURDAY_23_30)
    assert short(said(one)) == "clock is sat 23:30:00, begins in 15.0 min"
    one.wait(1).tells(SATURDAY_23_30 + 3540)
    assert short(said(one)) == "clock is sun 00:29:00, ends in 60.0 s"


def test_hits_are_told_within_a_suppressor_too() -> None:
    dog = {"model": "person", "label": "dog", "at_least": 0.6, "hits": 2, "of": 3, "within_s": 5}
    one = Story({"when": [{"sensor": "button", "is": False}], "unless": [dog], "then": FOLLOW})
    one.feels("button", False, age_ms=0)
    for score in (0.1, 0.1, 0.8):
        one.wait(0.1).sees(score, label="dog")
    assert short(said(one, 1)) == "dog 0.80 > 0.60, by 0.2; 1 of 3 hits, 2 needed"
    assert (said(one, 1).hits, said(one, 1).needed, said(one, 1).of) == (1, 2, 3)
    one.wait(0.1).sees(0.8, label="dog")
    for _ in range(3):
        one.wait(0.1).sees(0.1, label="dog")
    mutes = said(one, 1)
    assert (mutes.truth, short(mutes)) == (True, "dog 0.21 < 5.00 s, by 4.79; since it was true")
    assert (mutes.threshold, mutes.unit) == (5, "s")


def seen(condition: dict[str, Any], *steps: Any) -> Said:
    one = Scene(condition)
    one.truths(*steps)
    return said(one)


@pytest.mark.parametrize(("condition", "steps", "words", "margin"), [
    ({"at_least": 0.7, "zone": "path"}, [at(0.3, 0.9, 0.6)], "person 0.60 < 0.70, short by 0.1; zone path ok", -0.1),
    ({"at_least": 0.7, "zone": "path"}, [at(0.7, 0.9, 0.8)],
     "person 0.00 < 0.70, short by 0.7; zone path: none in it, 0.80 elsewhere", -0.7),
    ({"at_least": 0.7, "zone": "path", "count": 2}, [at(0.3, 0.9, 0.8)],
     "person 0.00 < 0.70, short by 0.7; 1 of 2 in zone path", -0.7),
    ({"at_least": 0.7, "count": 2}, [(at(0.3, 0.9, 0.8), at(0.8, 0.9, 0.6))], "person 0.60 < 0.70, short by 0.1; 2 of 2", -0.1),
    ({"at_least": 0.7, "zone": "path", "dwell_s": 1}, [at(0.3, 0.9, 0.8)] * 5,
     "person 0.40 < 1.00 s, short by 0.6; zone path ok; score 0.80", -0.6),
    ({"at_least": 0.7, "zone": "path", "dwell_s": 0.3}, [at(0.3, 0.9, 0.8)] * 5,
     "person 0.80 > 0.70, by 0.1; zone path ok; stands for 0.4 s", 0.1),
    ({"at_least": 0.7, "dwell_s": 1}, [at(0.3, 0.9, 0.6)] * 5, "person 0.60 < 0.70, short by 0.1", -0.1),
    ({"at_least": 0.7, "dwell_s": 1}, [()], "person 0.00 < 0.70, short by 0.7", -0.7),
    ({"crosses": "gate"}, [LEFT_OF_LINE], "model.person person crosses gate: 0 new, the nearest 0.10 from the line", None),
    ({"crosses": "gate"}, [LEFT_OF_LINE, ON_LINE],
     "model.person person crosses gate: 0 new, the nearest 0.01 from the line", None),
    ({"crosses": "gate"}, [LEFT_OF_LINE, RIGHT_OF_LINE], "model.person person crosses gate: 1 new", None),
    ({"crosses": "gate"}, [LEFT_OF_LINE, RIGHT_OF_LINE, ()],
     "model.person person crosses gate: 0 new, the last 0.1 s before", None),
    ({"crosses": "gate", "at_least": 0.95}, [LEFT_OF_LINE, RIGHT_OF_LINE],
     "person 0.90 < 0.95, short by 0.05; crossed, and was never sure enough", -0.05),
    ({"crosses": "gate"}, [()], "model.person person crosses gate: 0 new", None),
])
def test_what_a_detection_is_short_of(condition: dict[str, Any], steps: list[Any], words: str, margin: float | None) -> None:
    found = seen(condition, *steps)
    assert short(found) == words
    assert found.margin == (None if margin is None else pytest.approx(margin))


def test_who_only_has_to_stay_longer_was_closer_than_who_was_not_sure_enough() -> None:
    one, found = Scene({"at_least": 0.7, "dwell_s": 1}), Misses("rule 0", START)
    for step in (*[at(0.3, 0.9, 0.8)] * 5, *[()] * 20, *[at(0.3, 0.9, 0.69)] * 5):
        one.truths(step)
        found.add(one.stage.rules[0], Decided(one.now, one.stage.rules[0].verdicts, FALSE, None, ""))
    ((_, stopped),) = found.stopped.items()
    assert stopped.closest is not None
    assert (stopped.closest.by, stopped.closest.unit) == (pytest.approx(-0.6), "s")
    assert Near(-0.1, 0.6, 0.7, 0).nearer(Near(-0.2, 0.5, 0.7, 0))
