"""The trace: bounded, always from a mark on, and never two configurations in one part."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reflexd.replay.again import again, compare
from reflexd.replay.plain import plain_of, settings_of
from reflexd.replay.tape import Begin, End, Line, Lost, Taken, TapeError, Writer, read
from reflexd.rules.items import Fired, Looked, Sensed
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd.trace import BYTES, EACH, MARKS, Trace
from reflexd_drivers.base import Reading
from tests.daemon.rules.random_runs import Day, busy
from tests.daemon.rules.story import START


def run(trace: Trace, items: int, seed: int = 1) -> Stage:
    stage = Stage(busy())
    trace.begin(stage, START)
    feed(trace, stage, Day(seed), items)
    return stage


def feed(trace: Trace, stage: Stage, day: Day, items: int) -> None:
    for item, now in day.items(items):
        trace.note(item, now, stage.consume(item, now))


def lines(trace: Trace, number: int | None = None, moment: int = 0) -> Iterator[Line]:
    """Give what the trace has as the lines of a recording."""
    chunk = trace.since(moment) if number is None else trace.following(number)
    while True:
        if chunk.lost:
            yield Lost(chunk.lost)
        if chunk.mark is not None:
            yield Begin(chunk.mark.now, plain_of(chunk.mark.settings), chunk.mark.memory)
        for note in chunk.notes:
            yield Taken(*marshal.loads(note))
        if not chunk.notes:
            return
        chunk = trace.following(chunk.number + len(chunk.notes))


def test_what_was_decided_is_decided_once_more() -> None:
    trace = Trace()
    run(trace, 5000)
    found = compare(lines(trace))
    assert (found.items, found.first, found.lost) == (5000, None, 0)


@pytest.mark.once
def test_from_any_moment_on_and_within_its_bytes() -> None:
    trace = Trace(200_000)
    run(trace, 20_000)
    notes = [line for line in lines(trace) if isinstance(line, Taken)]
    assert sum(len(marshal.dumps(tuple(note))) + EACH for note in notes) < 200_000
    assert 500 < len(notes) < 2000
    asked = notes[len(notes) // 2].now
    later = list(lines(trace, moment=asked))
    assert isinstance(later[0], Begin)
    assert later[0].now <= asked
    assert compare(later).first is None
    assert len(later) < len(notes) * 0.65, "it begins near what was asked for"


@pytest.mark.once
def test_who_asks_for_what_comes_from_now_on_is_given_little_else() -> None:
    trace, day = Trace(), Day(6)
    stage = Stage(busy())
    trace.begin(stage, START)
    feed(trace, stage, day, 2000)
    first = trace.since(day.now)
    assert (first.number, first.notes) == (2000, ())
    assert first.mark is not None
    feed(trace, stage, day, 20)
    assert len(trace.since(day.now).notes) == 20, "the mark is not old"
    found = compare([Begin(first.mark.now, plain_of(first.mark.settings), first.mark.memory), *lines(trace, 2000)])
    assert (found.items, found.first) == (20, None)
    for _ in range(100):
        feed(trace, stage, day, 200)
        trace.since(day.now)
    assert len(trace._marks) <= 3 * MARKS, "nobody can have it keep more"


def test_who_fetches_too_late_is_told_what_is_lost_and_goes_on_from_a_mark() -> None:
    trace = Trace(100_000)
    stage = run(trace, 100)
    feed(trace, stage, Day(2), 5000)
    lost, begin, *rest = lines(trace, number=100)
    assert isinstance(lost, Lost)
    assert lost.items > 3000
    assert isinstance(begin, Begin)
    assert compare([begin, *rest]).first is None


def test_another_configuration_begins_in_a_part_of_its_own() -> None:
    trace, day = Trace(), Day(4)
    first = Stage(busy())
    trace.begin(first, START)
    feed(trace, first, day, 300)
    first.let_go([], [], day.now)
    trace.begin(first, day.now)
    second = Stage(busy(), first)
    trace.begin(second, day.now)
    feed(trace, second, day, 300)
    assert len(trace.following(0).notes) == 300
    told = list(lines(trace))
    assert [isinstance(line, Begin) for line in told].count(True) == 2
    assert isinstance(told[301], Begin)
    assert compare(told).first is None


def test_what_was_decided_while_a_reload_opened_devices_is_decided_once_more() -> None:
    trace, day, stage = Trace(), Day(4), Stage(busy())
    trace.begin(stage, START)
    feed(trace, stage, day, 300)
    leaving = {"sensor.button", "model.idle"}
    stage.let_go([rule.name for rule in stage.rules if not leaving & rule.sources.keys()], leaving, day.now)
    trace.begin(stage, day.now)
    for item, now in day.items(400):
        name = f"sensor.{item.sensor}" if isinstance(item, Sensed) else f"model.{getattr(item, 'model', '')}"
        if name in stage.sources or isinstance(item, Looked):      # as the loop does
            trace.note(item, now, stage.consume(item, now))
    second = Stage(busy(), stage)
    trace.begin(second, day.now)
    feed(trace, second, day, 300)
    found = compare(lines(trace))
    assert found.first is None
    assert 700 < found.items < 1000


def test_settings_are_the_same_once_written_and_read() -> None:
    settings = busy()
    plain = plain_of(settings)
    for model in plain["model"].values():
        del model["options"]["said"]          # is for who asks the network again, and no part of what decides
    assert plain_of(settings_of(plain_of(settings))) == plain
    with pytest.raises(ValueError, match="settings that this version does not know"):
        settings_of({"schema": 7})


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_a_recording_is_read_as_it_was_written_and_decided_on_to_one_hash(tmp_path, name: str) -> None:
    trace = Trace()
    run(trace, 3000)
    path = tmp_path / name
    digest = write(path, trace)
    found = list(read(path))
    begin, *taken = lines(trace)
    assert found[0] == begin
    assert json.dumps(found[1:-1]) == json.dumps(taken)
    assert found[-1] == End(3000, digest)
    again_found = compare(found)
    assert str(again_found.digest) == digest
    assert again_found.end == End(3000, digest)


def write(path, trace: Trace) -> str:
    writer = Writer(path, "0.1.0", "boot")
    for line in lines(trace):
        if isinstance(line, Begin):
            writer.begin(line)
        elif isinstance(line, Taken):
            writer.take(line)
    return writer.end()


@pytest.mark.fault("F71", bound="at the next reading", outcome="a recording is read as far as it goes")
@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path, name: str) -> None:
    trace = Trace()
    run(trace, 1000)
    path = tmp_path / name
    write(path, trace)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = compare(read(path))
    assert 200 < found.items < 1000
    assert found.first is None
    assert found.end is None


@pytest.mark.parametrize(("content", "words"), [
    (b"", ""), (b"hello\nworld\n", "is no recording, and if it is compressed"), (b"{}\n", "is no recording; make one"),
    (b'{"recording": 9, "version": "4.0"}\n', "is of format 9, and this reflexd reads 1 and 2; use the one that made it, 4.0"),
    (b'{"recording": 1}\n[1]\n{}\n', "line 2: is no line of a recording"),
    (b'{"recording": 1}\n{"mark": {"now": 1}}\n[]\n', "line 2: is no line of a recording"),
    (b'{"recording": 1}\n[1, ["looked", "a", "b", 1], []]\n', "an item before its first mark"),
    (b'{"recording": 1}\n{"mark": {"now": 1, "settings": {"schema": 1}, "memory": {}}}\n', "settings cannot be used"),
])
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, content: bytes, words: str) -> None:
    path = tmp_path / "it"
    path.write_bytes(content)
    said = ""
    try:
        compare(read(path))
    except TapeError as error:
        said = str(error)
    assert words in said
    assert "\n" not in said
    assert bool(said) is bool(words)


def test_a_changed_threshold_decides_otherwise_and_what_is_the_same_goes_on() -> None:
    trace = Trace()
    run(trace, 4000)
    told = list(lines(trace, moment=START + 60_000_000_000))      # from a mark in the middle of it
    rules = [rule.model_copy(update={"cooldown_s": 0.0, "max_per_hour": None}) if rule.name == "rule 0" else rule
             for rule in busy().rule]
    counts: list[dict[str, int]] = []
    for settings in (None, busy(), busy().model_copy(update={"rule": tuple(rules)})):
        fired = [command.rule for step in again(told, settings) for command in step.commands if isinstance(command, Fired)]
        counts.append({name: fired.count(name) for name in sorted(set(fired))})
    recorded, same, other = counts
    assert recorded == same
    assert other["rule 0"] > recorded["rule 0"]
    assert {**other, "rule 0": 0} == {**recorded, "rule 0": 0}


def test_orders_say_what_commands_order() -> None:
    stage, kinds = Stage(busy()), set()
    for item, now in Day(1).items(3000):
        packed(item)
        kinds |= {str(ordered(command)[0]) for command in stage.consume(item, now)}
    assert kinds == {"claim", "release", "fired", "triggered", "permit", "inhibit"}


def test_what_is_nearly_a_number_is_noted_as_one_and_decided_on_alike() -> None:
    trace, stage = Trace(), Stage(busy())
    trace.begin(stage, START)
    for number, value in enumerate((np.float64(20.5), np.float32(26.5), np.int64(30), True, np.bool_(True), 3 + 1j)):
        now = START + number * 1_000_000
        item = Sensed("warmth", Reading(value, now, now, values=(value, 2.0)))      # type: ignore[arg-type]
        trace.note(item, now, stage.consume(item, now))
    noted = [line for line in lines(trace) if isinstance(line, Taken)]
    assert [line.item[2] for line in noted] == [20.5, 26.5, 30, True, True, "(3+1j)"]
    assert noted[0].item[-1] == (20.5, 2.0)
    assert compare(lines(trace)).first is None


@pytest.mark.once
def test_a_long_trace_is_read_from_any_number_on() -> None:
    trace = Trace()
    run(trace, 30_000)
    everything = [line for line in lines(trace) if isinstance(line, Taken)]
    for number in (0, 1, 7_000, 14_999, 15_000, 15_001, 29_000, 29_999, 30_000):
        assert [line for line in lines(trace, number) if isinstance(line, Taken)] == everything[number:]


MEMORY = """
import json, sys
from reflexd.rules.items import Predicted
from reflexd.rules.stage import Stage
from reflexd.trace import Trace
from reflexd_models.base import Prediction
from tests.daemon.rules.story import FOR_5_S, MS, START, settings

def held():      # bytes of this process
    return int(open("/proc/self/statm").read().split()[1]) * 4096

rule = {"when": [{"model": "person", "label": "person", "at_least": 0.5}], "then": FOR_5_S}
stage, trace, found = Stage(settings(rule)), Trace(), []
trace.begin(stage, START)
for number in range(int(sys.argv[1])):
    now = START + number * 33 * MS
    item = Predicted("person", Prediction(now, {"person": number % 100 / 100, "dog": 0.25 + number / 1e9}))
    trace.note(item, now, stage.consume(item, now))
    if number in (0, 80_000):
        found.append(held())
print(json.dumps([*found, held()]))
"""


@pytest.mark.once
def test_memory_stays_within_its_bound(root: Path, request: pytest.FixtureRequest) -> None:
    """Over 200,000 frames that were decided on, and with --long over a million."""
    count = 1_000_000 if request.config.getoption("--long") else 200_000
    said = subprocess.run([sys.executable, "-c", MEMORY, str(count)], cwd=root, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": f"{root}/daemon:{root}/drivers:{root}/models:{root}"})
    empty, full, end = json.loads(said.stdout)
    assert 4 << 20 < full - empty < BYTES + (2 << 20), "the ring, and 16 marks"
    assert end - full < 1 << 20
