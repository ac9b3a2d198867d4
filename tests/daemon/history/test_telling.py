"""What reflexctl makes of the store: follows it whatever happens to it, and shows and exports what devices say."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reflexd.ctl import events
from reflexd.ctl.__main__ import main
from reflexd.history.reading import Reader, Wanted
from reflexd.history.store import FILE, Store
from reflexd.rules.items import Verdict
from tests.daemon.history.incidents import incident, run_named


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


def fill(path: Path, numbers: Sequence[int], **changes: Any) -> Path:
    store = Store(path)
    store.add(run_named(), [incident(number, **changes) for number in numbers], lambda _one: "hash")
    store.close()
    return path


def test_follow_goes_on_with_a_store_that_was_set_aside_and_begun_anew(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, range(1, 41))
    coming = events._following(path, Wanted(newest=1))
    assert next(coming)["id"] == "abc123-40"
    path.rename(path.parent / "aside")
    begun = threading.Timer(0.8, lambda: fill(path, [1, 2], rule="anew"))
    begun.start()
    assert [(one["id"], one["rule"]) for one in (next(coming), next(coming))] == [("abc123-1", "anew"), ("abc123-2", "anew")]
    begun.join()
    assert capsys.readouterr().err.count("\n") == 1, "told once"


def test_follow_notices_a_new_store_that_was_given_the_number_of_the_old_file(path: Path, tmp_path: Path) -> None:
    fill(path, range(1, 101))
    coming = events._following(path, Wanted(newest=1))
    next(coming)
    other = fill(tmp_path / "other.db", [1, 2])
    path.write_bytes(other.read_bytes())
    assert [next(coming)["id"], next(coming)["id"]] == ["abc123-1", "abc123-2"]


def test_a_rule_of_which_nothing_is_stored_is_told_with_what_may_have_been_meant(path: Path) -> None:
    fill(path, [1], rule="light the path")
    assert events.nothing(path, "light the pat") == (
        'no such event is stored of rule "light the pat"; did you mean "light the path"?')
    assert events.nothing(path, "zzz") == 'no such event is stored of rule "zzz"; known here: light the path'
    assert events.nothing(path, "light the path") == events.nothing(path, None) == "no such event is stored"


def test_what_a_device_says_stays_in_its_line_and_does_nothing_to_a_terminal(path: Path) -> None:
    odd = "été\n\x1b[2J\x9b\x00\u2028"
    fill(path, [1], reasons=(Verdict(True, "sensor.word is so", odd),))
    with Reader(path) as reader:
        (one,) = reader.find(Wanted())
    assert one["verdicts"][0]["observed"] == odd
    assert events.line(one).endswith(r"sensor.word is so: été\n\x1b[2J\x9b\x00\u2028")


def test_an_export_into_a_pipe_or_a_device_leaves_it_what_it_is(path: Path, tmp_path: Path) -> None:
    fill(path, range(1, 6))
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reading = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reading.start()
    assert main(["export", "--jsonl", "--store", str(path), str(pipe)]) == 0
    assert pipe.is_fifo()
    reading.join(20)
    assert got[0].count("\n") == 5


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_takes_the_place_of_a_file_when_it_is_whole(path: Path, tmp_path: Path, kind: str) -> None:
    fill(path, range(1, 1201), rule='said "é",\r\nand more', reasons=(Verdict(True, "a", "\udce9"),))
    file = tmp_path / "out"
    file.write_text("the one before")
    assert main(["export", f"--{kind}", "--store", str(path), str(file)]) == 0
    text = file.read_bytes().decode()
    assert text.count("abc123-") == 1200
    assert text.startswith("id,time,kind,") is (kind == "csv")
    before = file.read_bytes()
    path.write_bytes(path.read_bytes()[:40_000])
    assert main(["export", f"--{kind}", "--store", str(path), str(file)]) == 1
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_store_with_a_page_that_is_damaged_is_told_in_one_line_with_what_to_do(
        path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, range(1, 1201))
    with path.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(bytes(range(7, 256)) * 20)
    assert main(["prune", "--keep", "1", "--yes", "--store", str(path)]) == 1
    told = capsys.readouterr().err
    assert told.endswith("; start the daemon, which begins a new one\n")
    assert told.count("\n") == 1
    assert main(["events", "--store", str(path), "-n", "3"]) == 0, "what is whole can be read"
    assert capsys.readouterr().out.count("\n") == 3
