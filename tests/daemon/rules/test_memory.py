"""What a stage remembers can be taken out at any moment, kept in a file, and gone on with."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from reflexd.rules import memory
from reflexd.rules.items import Claim, Fired, Release
from reflexd.rules.packing import packed, unpacked
from reflexd.rules.stage import Stage
from tests.daemon.rules.random_runs import Day, busy


@pytest.mark.parametrize("seed", range(4))
def test_a_stage_that_recalls_decides_on_as_the_one_before(seed: int) -> None:
    settings = busy()
    going, told = Stage(settings), Counter[str]()
    for number, (item, now) in enumerate(Day(seed).items(4000)):
        if number % 20 == 0:
            recalled = Stage(settings)
            recalled.recall(json.loads(json.dumps(going.memory())))
            assert recalled.memory() == going.memory()
        commands = going.consume(item, now)
        assert recalled.consume(item, now) == commands
        told.update(one.rule for one in commands if isinstance(one, Claim))
    assert len(told) == len(settings.rule), f"a rule that never acted shows nothing: {told}"


def test_what_was_taken_out_does_not_change_with_what_is_decided_later() -> None:
    stage = Stage(busy())
    day = Day(1).items(2000)
    for _, (item, now) in zip(range(1000), day, strict=False):
        stage.consume(item, now)
    before = stage.memory()
    copy = json.dumps(before)
    for item, now in day:
        stage.consume(item, now)
    assert json.dumps(before) == copy


def test_every_item_is_read_as_it_was_written() -> None:
    seen = set()
    for item, _ in Day(3).items(3000):
        assert unpacked(json.loads(json.dumps(packed(item)))) == item
        seen.add(type(item).__name__)
    assert seen == {"Predicted", "Rested", "Sensed", "Looked", "Armed", "Clock", "Down"}


@pytest.mark.parametrize("plain", [["person"], ["predicted", "gate"], ["sensed", "warmth", 1.0], ["down", 1, 2, 3], ["clock"]])
def test_what_is_no_item_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="no item"):
        unpacked(plain)


def test_what_cannot_be_kept_is_a_mistake_that_is_told() -> None:
    class Odd:
        REMEMBERS = ("it",)
        it = object()

    with pytest.raises(TypeError, match="object cannot be kept"):
        memory.taken(Odd())


def test_a_rule_that_goes_on_is_told_to_have_fired_once() -> None:
    stage, until, count = Stage(busy()), dict[str, int](), 0       # each of these rules drives one output
    for item, now in Day(5).items(4000):
        fired, begun = [], []
        for one in stage.consume(item, now):
            if isinstance(one, Claim):
                begun += [one.rule] if until.get(one.rule, 0) <= now else []
                until[one.rule] = one.until
            elif isinstance(one, Release):
                until[one.rule] = 0
            elif isinstance(one, Fired):
                fired.append(one.rule)
        assert fired == begun
        count += len(begun)
    assert count > 50
