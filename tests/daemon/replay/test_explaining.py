"""What is told of a moment agrees with what plain code works out from the same items; see own.py."""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest

from reflexd.replay import wording
from reflexd.replay.explaining import Explained, explain
from reflexd.replay.misses import Misses, misses
from reflexd.replay.plain import plain_of
from reflexd.replay.tape import Begin, Line, Lost, Taken, TapeError
from reflexd.rules.items import Down, Item, Predicted, Sensed
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from tests.daemon.replay.own import Decision, Own, S, configuration, first_of, truth_of
from tests.daemon.rules.random_runs import Day, busy
from tests.daemon.rules.story import START
from tests.daemon.test_trace import lines

ITEMS = 4000
EVERY = 50             # items from one mark to the next
BACK = 2 * S           # as far before a moment what is asked for begins at least


def known(item: Item) -> bool:
    """Leave out what the simpler configuration has no source for."""
    if isinstance(item, Predicted):
        return item.model == "gate"
    return isinstance(item, Sensed) or (isinstance(item, Down) and item.source != "model.yard")


class Recorded:
    """A random day before a stage, with many marks."""

    def __init__(self, seed: int) -> None:
        stage = Stage(configuration())
        self.taken: list[Taken] = []
        self.begins: list[Begin] = []
        settings = plain_of(stage.settings)
        for item, now in Day(seed).items(ITEMS):
            if not known(item):
                continue
            if len(self.taken) % EVERY == 0:
                self.begins.append(Begin(self.taken[-1].now if self.taken else START, settings, stage.memory(), 1_000_000.0))
            self.taken.append(Taken(now, packed(item), [ordered(command) for command in stage.consume(item, now)]))

    def lines(self, moment: int) -> Iterator[Line]:
        """Begin at the last mark by then, or at the first."""
        first = max(bisect_right([one.now for one in self.begins], moment) - 1, 0)
        yield self.begins[first]
        yield from self.taken[first * EVERY:]


run = cache(Recorded)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_what_is_told_of_random_moments_agrees_with_plain_code(seed: int) -> None:
    day = run(seed)
    chance, own, fed = random.Random(seed), Own(), 0
    states: Counter[str] = Counter()
    for moment in sorted(chance.randrange(START + S, day.taken[-1].now + 2 * S) for _ in range(250)):
        upto = bisect_right([one.now for one in day.taken], moment)
        for one in day.taken[fed:upto]:
            own.take(one.now, json.loads(json.dumps(one.item)))
        fed = upto
        found = explain(day.lines(moment - BACK), moment)
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
    day = run(seed)
    own, since = Own(), day.taken[len(day.taken) // 3].now
    for one in day.taken:
        own.take(one.now, one.item)
    found = misses(day.lines(since), f"rule {number}", since)
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
    day = run(1)
    found = misses(day.lines(START), "rule 0", START - 600 * S)
    assert isinstance(found, Misses)
    assert found.since == START
    assert misses(day.lines(day.taken[-1].now), "no rule", START) == [f"rule {number}" for number in range(4)]


def test_before_the_first_item_conditions_are_told_as_they_stand_and_before_the_first_mark_nothing_is() -> None:
    day = run(1)
    first = explain(day.lines(START), START)
    assert [(one.decided_at, one.state) for one in first] == [(None, "unknown")] * 4
    assert first[1].conditions[0].note == "has said nothing yet"
    assert first[1].first == 0
    with pytest.raises(TapeError, match="nothing was recorded by then"):
        explain(day.lines(START), START - 1)


def test_every_kind_of_condition_is_told_in_words() -> None:
    trace, stage, told = Trace(1 << 20), Stage(busy()), set[str]()
    trace.begin(stage, START)
    for number, (item, now) in enumerate(Day(6).items(1500)):
        trace.note(item, now, stage.consume(item, now))
        if number % 50 == 49:
            found = explain(lines(trace, moment=now - BACK), now)
            assert [one.rule for one in found] == [rule.name for rule in stage.rules]
            for one, rule in zip(found, stage.rules, strict=True):
                failed = any(source.taken_at < 0 for source in rule.sources.values())      # what else makes it false is told
                assert (one.acts_in_s is not None) is (rule.due is not None)
                assert rule.due is None or one.decided_at is None or one.state == "waits"
                truth = {"unknown": None, "false": False}.get(one.state, True)
                assert one.lapse or failed or rule.settings.delay_s or one.decided_at is None or rule.truth is truth
            rows = list(wording.told(found, lambda _: 0.0, lambda name: [f"{name} off"], str))
            assert all(len(row) in (3, 5) and row[-2 if len(row) == 5 else -1] for row in rows)
            told |= {row[3] if len(row) == 5 else row[2] for row in rows}
            assert len(wording.aligned(rows)) == len(rows)
    for words in (" needed", "zone path ok", "zone path: none in", "stands for ", " new", "does not rise", "is covered",
                  "since it was true", "from the line", "gated by only_while", "last heard ", "unplugged", "starts anew",
                  "short by ", "was triggered, acts in ", "level 0."):
        assert any(words in one for one in told), words


def test_over_a_reload_a_rule_that_is_the_same_has_decided_and_a_changed_one_has_not() -> None:
    trace, stage, day = Trace(), Stage(configuration()), Day(2)
    trace.begin(stage, START)
    for item, now in day.items(200):
        if known(item):
            trace.note(item, now, stage.consume(item, now))
    settings = configuration()
    changed = settings.model_copy(update={"rule": (settings.rule[0].model_copy(update={"cooldown_s": 1.0}), *settings.rule[1:])})
    stage.let_go({"rule 1", "rule 2", "rule 3"}, [], day.now)
    trace.begin(stage, day.now)
    trace.begin(Stage(changed, stage), day.now + 1)
    found = explain(lines(trace), day.now + 2)
    assert [one.decided_at is None for one in found] == [True, False, False, False]
    assert "not decided since what is kept begins" in next(wording.told(found, lambda one: None, lambda _: [], str))[-1]


def test_what_is_lost_in_between_is_counted() -> None:
    day = run(1)
    parts = list(day.lines(START))
    found = misses([*parts[:50], Lost(7), *parts[50:]], "rule 0", START)
    assert isinstance(found, Misses)
    assert found.lost == 7
    assert ("! 7 items missing: what follows them may differ from what was decided",) in wording.summed(found, 1, 1, str)


@pytest.mark.parametrize(("observed", "threshold", "margin", "words"), [
    (0.68, 0.7, -0.02, "0.68 < 0.70, short by 0.02"), (0.699, 0.7, -0.001, "0.699 < 0.700, short by 0.001"),
    (0.7, 0.7, 0.0, "0.70 = 0.70"), (26.5, 23.0, 3.5, "26.50 > 23.00, by 3.5"), (18.0, 19.0, 1.0, "18.00 < 19.00, by 1"),
])
def test_two_numbers_are_told_apart(observed: float, threshold: float, margin: float, words: str) -> None:
    assert wording.compared(observed, threshold, margin) == words


ROWS = [("a rule", "goes on", "all conditions hold"),
        ("    when", "true", "model.person person at least 0.8", "0.84 > 0.70, by 0.14; 5 of 5 hits, 3 needed", "0.1 s old"),
        ("    then", "", 'lamp on: rule "a rule": model.person person at least 0.8: 0.844 (3 of 5 hits, 3 needed), for 2.2 s'),
        ("", "", "", "2 of 5 hits", "04:46:35")]


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_a_table_fits_the_terminal_and_loses_no_word(columns: int) -> None:
    lines = [line for text in wording.aligned(ROWS, columns) for line in text.splitlines()]
    assert all(len(line) <= columns for line in lines)
    assert " ".join(lines).split() == " ".join(" ".join(row) for row in ROWS).split()
    assert lines == wording.aligned(ROWS) if columns > 116 else lines != wording.aligned(ROWS)
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_long_name_moves_no_other_row() -> None:
    without, more = wording.aligned(ROWS), wording.aligned([*ROWS, ("x" * 100, "false", "a reason")])
    assert (more[:-1], more[-1]) == (without, f"{'x' * 100}  false    a reason")
