"""What is told of a moment agrees with what plain code works out from the same items; see own.py."""

from __future__ import annotations

import json
import marshal
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from reflexd.replay.explaining import Explained, explain
from reflexd.replay.misses import Misses, misses
from reflexd.replay.plain import plain_of
from reflexd.replay.tape import Begin, Line, Taken, TapeError
from reflexd.rules.items import Down, Item, Predicted, Sensed
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from tests.daemon.replay.own import Decision, Own, S, configuration, first_of, truth_of
from tests.daemon.rules.random_runs import Day
from tests.daemon.rules.story import START

ITEMS = 4000
BACK = 3 * S           # as far before a moment what is asked for begins at least


def known(item: Item) -> bool:
    """Leave out what the simpler configuration has no source for."""
    if isinstance(item, Predicted):
        return item.model == "gate"
    return isinstance(item, Sensed) or (isinstance(item, Down) and item.source != "model.yard")


@cache
def run(seed: int) -> tuple[Trace, list[Taken]]:
    """Let a random day pass before a stage and a trace with many marks."""
    trace, stage = Trace(1 << 20), Stage(configuration())
    trace.begin(stage, START)
    for item, now in Day(seed).items(ITEMS):
        if known(item):
            trace.note(item, now, stage.consume(item, now))
    return trace, [line for line in lines(trace, START) if isinstance(line, Taken)]


def lines(trace: Trace, moment: int) -> Iterator[Line]:
    chunk = trace.since(moment)
    while chunk.notes or chunk.mark:
        if chunk.mark is not None:
            yield Begin(chunk.mark.now, plain_of(chunk.mark.settings), chunk.mark.memory, 1_000_000.0)
        yield from (Taken(*marshal.loads(note)) for note in chunk.notes)
        chunk = trace.following(chunk.number + len(chunk.notes))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_what_is_told_of_random_moments_agrees_with_plain_code(seed: int) -> None:
    trace, taken = run(seed)
    chance, own, fed = random.Random(seed), Own(), 0
    states: Counter[str] = Counter()
    for moment in sorted(chance.randrange(START + S, taken[-1].now + 2 * S) for _ in range(250)):
        upto = bisect_right([one.now for one in taken], moment)
        for one in taken[fed:upto]:
            own.take(one.now, json.loads(json.dumps(one.item)))
        fed = upto
        found = explain(lines(trace, moment - BACK), moment)
        for number, rule in enumerate(found):
            agrees(own, number, rule, moment)
        states.update(rule.state for rule in found)
        states.update("lapsed" for rule in found if rule.lapse)
        states.update("forbidden" for rule in found if rule.forbids)
    assert states.keys() == {"fired", "goes on", "held back", "false", "unknown", "lapsed", "forbidden"}


def agrees(own: Own, number: int, rule: Explained, moment: int) -> None:
    last = next((one for one in reversed(own.decisions) if one.rule == number), None)
    if rule.decided_at is None:
        assert last is None or last.now <= moment - BACK
        return
    assert last is not None
    assert rule.decided_at == last.now
    asked = own.rules[number]
    for said, says in zip(rule.conditions, last.says, strict=True):
        assert (said.truth, said.observed, said.threshold, said.hits) == (says.truth, says.observed, says.threshold, says.hits)
        assert said.margin == (None if says.margin is None else pytest.approx(says.margin))
    assert [one.stops for one in rule.conditions] == [one.truth is not (not place.unless)
                                                     for one, place in zip(last.says, asked, strict=True)]
    assert rule.first == first_of(asked, last.says)
    lapses = lapse_of(own, number, last, moment)
    assert (rule.lapse.since if rule.lapse else None) == lapses
    assert rule.state == ("unknown" if lapses is not None or rule.lapse else last.state)
    assert (rule.lapse is not None) is (truth_by(own, number, last, moment) is None and last.state != "unknown")
    assert (rule.rests.by if rule.rests else "", rule.rests.left_ns if rule.rests else 0) == own.rests(number, moment)
    assert (rule.held is not None) is (last.left > 0)
    if rule.held is not None:
        assert (rule.held.by, rule.held.left_ns) == (last.by, last.left)
    forbidding = [by for by, until in own.permits.items() if until <= moment]
    assert bool(rule.forbids) is (bool(forbidding) or last.by in own.permits)
    claims = own.until[number] - moment
    assert list(rule.claims.values()) == ([claims / S] if claims > 0 else [])


def truth_by(own: Own, number: int, last: Decision, moment: int) -> bool | None:
    """Say what is left of a decision by a moment, with what has fallen silent since taken as unknown."""
    asked = own.rules[number]
    left = [says if own.usable(one, moment) else own.asked(one, moment) for one, says in zip(asked, last.says, strict=True)]
    return truth_of(asked, left)


def lapse_of(own: Own, number: int, last: Decision, moment: int) -> int | None:
    """Find when it became unknown: the first moment after the decision from which nothing is left of it."""
    if last.state == "unknown" or truth_by(own, number, last, moment) is not None:
        return None
    ends = [own.ended(one, moment) for one, says in zip(own.rules[number], last.says, strict=True)
            if not own.usable(one, moment) and (last.state != "false" or says.truth is one.unless)]
    return (max if last.state == "false" else min)(ends)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("number", range(4))
def test_near_misses_sum_up_to_what_plain_code_counts(seed: int, number: int) -> None:
    trace, taken = run(seed)
    own, since = Own(), taken[len(taken) // 3].now
    for one in taken:
        own.take(one.now, one.item)
    found = misses(lines(trace, since), f"rule {number}", since)
    assert isinstance(found, Misses)
    mine = [one for one in own.decisions if one.rule == number and one.now >= since]
    assert (found.decisions, found.since, found.lost) == (len(mine), since, 0)
    assert found.states == Counter(one.state for one in mine)
    held = Counter(one.by.replace("warmth", "warmth is required") for one in mine if one.state == "held back")
    assert found.held == held
    asked = own.rules[number]
    for place, one in enumerate(asked):
        for unknown in (False, True):
            stopped = [decision for decision in mine if first_of(asked, decision.says) == place
                       and (decision.says[place].truth is None) is unknown]
            told = found.stopped.get((place, unknown))
            assert (told.times if told else 0) == len(stopped)
            if told is None or unknown:
                continue
            short = [(abs(says.margin), decision.now) for decision in stopped if (says := decision.says[place]).margin is not None
                     and (says.margin >= 0) is one.unless]
            assert (told.closest is not None) is bool(short)
            if told.closest is not None:
                least = min(short)
                assert (abs(told.closest.by), told.closest.now) == (pytest.approx(least[0]), least[1])
            hits = [(decision.says[place].hits, -decision.now) for decision in stopped if decision.says[place].hits is not None]
            assert (told.hits is None) is (not hits or one.unless)
            if told.hits is not None:
                assert (told.hits.by, -told.hits.now) == max(hits)


def test_a_trace_that_begins_later_says_so_and_an_unknown_rule_is_none() -> None:
    trace, taken = run(1)
    found = misses(lines(trace, START), "rule 0", START - 600 * S)
    assert isinstance(found, Misses)
    assert found.since == START
    assert misses(lines(trace, taken[-1].now), "no rule", START) == [f"rule {number}" for number in range(4)]


def test_before_the_first_item_conditions_are_told_as_they_stand_and_before_the_first_mark_nothing_is() -> None:
    trace, _ = run(1)
    first = explain(lines(trace, START), START)
    assert [(one.decided_at, one.state) for one in first] == [(None, "unknown")] * 4
    assert first[1].conditions[0].note == "has said nothing yet"
    assert first[1].first == 0
    with pytest.raises(TapeError, match="nothing was recorded by then"):
        explain(lines(trace, START), START - 1)
