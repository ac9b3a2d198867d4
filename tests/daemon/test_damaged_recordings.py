"""Damaged recordings: an answer or one line that says what is wrong, in bounded time and memory; never a traceback."""

from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reflexd.ctl.__main__ import main
from reflexd.replay.inferring import infer
from reflexd.replay.plain import plain_of
from reflexd.replay.replayed import replay
from reflexd.replay.reporting import as_plain as reported
from reflexd.replay.reporting import asked
from reflexd.replay.tape import LONGEST, Begin, Taken, TapeError, Writer
from reflexd.replay.telling import Clockwork, as_plain, changes
from reflexd.replay.whatif import what_if
from reflexd.rules.packing import ordered, packed
from reflexd.rules.stage import Stage
from reflexd_models.base import ModelError
from tests.daemon.rules.random_runs import Day, busy
from tests.daemon.test_inferring import recorded

often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DEEP = "[" * 200_000
ODD: list[Any] = [
    None, True, -1, 0, 1 << 61, 10 ** 400, 1e308, -1e308, float("nan"), float("inf"), "", "x" * 10_000, "\x1b[2J\n", [], {},
    [[[[]]]], {"tuple": 3}, {"dict": [[[], 1]]}, {"Stay": {}}, {"Track": []}, {"a": 1, "b": 2}, {"tuple": [{"dict": 1}]}]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Give the lines of a recording that is whole, with a mark from the middle of a run."""
    stage, day = Stage(busy()), Day(3)
    for item, now in day.items(400):
        stage.consume(item, now)
    written: list[bytes] = []
    path = Path("/tmp") / f"reflexd-test-{id(written)}.jsonl"
    writer = Writer(path, "0.1.0", "boot")
    writer.begin(Begin(day.now, plain_of(stage.settings), stage.memory(), 1.7e9))
    for item, now in day.items(60):
        writer.take(Taken(now, packed(item), [ordered(one) for one in stage.consume(item, now)]))
    writer.lose(3)
    writer.end()
    written += path.read_bytes().splitlines(keepends=True)
    path.unlink()
    return written


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Give the lines of a recording with frames, of which networks can be asked."""
    return recorded(tmp_path_factory.mktemp("filmed"), count=8).file.read_bytes().splitlines(keepends=True)


def look_again(path: Path) -> object:
    found, clock = what_if(path, None, said := infer(path)), Clockwork(0, 0.0)
    return [*changes(found), *asked(said, clock), json.dumps([as_plain(found), reported(said, clock)])]


def answer(path: Path, *more: Callable[[Path], object]) -> str:
    """Have it read in every way; give the one line in which it is refused, empty if it is not."""
    said = ""
    for way in (lambda path: replay(path).remarks,
                lambda path: [*changes(found := what_if(path, busy())), json.dumps(as_plain(found))], *more):
        try:
            way(path)
        except (TapeError, ModelError) as error:
            said = str(error)
            assert "\n" not in said
            assert len(said) < 500
    return said


def test_it_is_whole_before_it_is_damaged(lines: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"".join(lines))
    assert answer(tmp_path / "it") == ""
    assert replay(tmp_path / "it").whole


@often
@given(data=st.data())
def test_flipped_bytes(lines: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(b"".join(lines))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    (tmp_path / "it").write_bytes(raw)
    answer(tmp_path / "it")


@often
@given(data=st.data())
def test_flipped_and_cut_compressed_bytes(lines: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(gzip.compress(b"".join(lines)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "it.gz").write_bytes(raw[:data.draw(st.integers(0, len(raw)))])
    answer(tmp_path / "it.gz")


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, one in inner for place in places(one, (*way, key)))]


def put(value: Any, way: tuple[Any, ...], odd: Any) -> Any:
    if not way:
        return odd
    value[way[0]] = put(value[way[0]], way[1:], odd)
    return value


@pytest.mark.once
@settings(often, max_examples=150)
@given(data=st.data())
def test_values_of_other_kinds_and_sizes(lines: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from((1, 1, 1, *range(len(lines)))))
    what = json.loads(lines[number])
    way = data.draw(st.sampled_from(places(what)))
    changed = json.dumps(put(what, way, data.draw(st.sampled_from(ODD)))).encode() + b"\n"
    (tmp_path / "it").write_bytes(b"".join([*lines[:number], changed, *lines[number + 1:]]))
    answer(tmp_path / "it")


@settings(often, max_examples=40)
@given(data=st.data())
def test_flipped_bytes_with_frames(filmed: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(b"".join(filmed))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=3)):
        raw[place] = data.draw(st.integers(0, 255))
    (tmp_path / "it").write_bytes(raw)
    answer(tmp_path / "it", look_again)


@settings(often, max_examples=60)
@given(data=st.data())
def test_frames_of_other_kinds_and_sizes(filmed: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from((1, 2, *range(len(filmed)))))
    what = json.loads(filmed[number])
    way = data.draw(st.sampled_from(places(what)))
    changed = json.dumps(put(what, way, data.draw(st.sampled_from(ODD))), separators=(",", ":")).encode() + b"\n"
    (tmp_path / "it").write_bytes(b"".join([*filmed[:number], changed, *filmed[number + 1:]]))
    answer(tmp_path / "it", look_again)


@pytest.mark.parametrize(("line", "words"), [
    (DEEP.encode() + b"\n", "is no line of a recording"), (b"9" * 5000 + b"\n", "is no line of a recording"),
    (b'[1e999,["looked","a","b",1],[]]\n', "is no line of a recording"), (b"x" * (LONGEST + 5), "a line is longer than 8 MiB"),
    (b'{"mark":' + b'{"a":' * 100_000 + b"\n", "is no line of a recording"),
    (b'[' + b"1" * 4000 + b',["looked","a","b",1],[]]\n', "is no line of a recording"),
    (b'\xff\xfe[1]\n', "is no line of a recording"),
])
def test_what_would_cost_much_is_refused(lines: list[bytes], tmp_path: Path, line: bytes, words: str) -> None:
    (tmp_path / "it").write_bytes(b"".join([*lines[:5], line, *lines[5:]]))
    assert words in answer(tmp_path / "it")


def test_a_bomb_of_zeros_costs_a_line_of_memory(tmp_path: Path, lines: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(tmp_path / "it.gz", "wb", 9) as file:
        file.writelines(lines[:3])
        for _ in range(64):
            file.write(b" " * (1 << 20))
    assert (tmp_path / "it.gz").stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["replay", str(tmp_path / "it.gz")]) == 1
    assert "a line is longer than 8 MiB" in capsys.readouterr().err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
