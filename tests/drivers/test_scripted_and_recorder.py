"""The timeline sensor and the actuator that writes down what it was told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from reflexd_drivers.actuators import recorder
from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.sensors import scripted
from tests.stopwatch import Stopwatch


def timeline(folder: Path, text: str, **table: Any) -> scripted.Scripted:
    (folder / "timeline.csv").write_text(text)
    settings = {"driver": "scripted", "path": "timeline.csv", **table}
    return scripted.connect(scripted.Settings.model_validate(settings, context={"base": folder}))


def test_a_change_in_the_timeline_ends_a_read_at_its_moment(tmp_path: Path) -> None:
    sensor = timeline(tmp_path, "at_s,value   # a heading\n\n0,false\n0.1,true  # pressed\n")
    first = sensor.read(0)
    with Stopwatch() as took:
        second = sensor.read(5)
    assert (first.value, second.value, second.rises, second.falls) == (False, True, 1, 0)
    assert took.seconds < 0.3
    assert 0.09e9 < second.changed_at - first.changed_at < 0.11e9
    assert sensor.read(0.01).value is True


def test_a_press_that_is_over_before_the_next_read_shows_in_the_counts(tmp_path: Path) -> None:
    sensor = timeline(tmp_path, "0,false\n0.01,true\n0.02,false\n")
    sensor.read(0)
    sleep(0.05)
    reading = sensor.read(0.01)
    assert (reading.value, reading.rises, reading.falls) == (False, 1, 1)


def test_a_line_may_have_several_numbers_and_none_that_was_passed_over_is_lost(tmp_path: Path) -> None:
    sensor = timeline(tmp_path, "at_s,x,y\n0,1,2\n0.01,1,4\n0.02,5,6\n", columns=["x", "y"])
    sleep(0.05)
    reading = sensor.read(0)
    passed = sensor.passed_over()
    assert (reading.value, reading.values) == (5.0, (5.0, 6.0))
    assert [one.values for one in passed] == [(1.0, 2.0), (1.0, 4.0)]
    assert passed[1].taken_at - passed[0].taken_at == 10_000_000
    assert reading.taken_at >= passed[1].taken_at
    assert sensor.passed_over() == []
    assert sensor.read(0).values == (5.0, 6.0)
    assert sensor.passed_over() == []


@pytest.mark.parametrize("line", ["1,2", "1,2,3,4", "1,x,2", "-1,2,3", "nan,1,2", "1,2,inf", ""])
def test_a_line_with_other_columns_says_where(tmp_path: Path, line: str) -> None:
    with pytest.raises(DriverError, match=r"empty" if not line else r"timeline.csv:1: a line is at_s,x,y .*found"):
        timeline(tmp_path, line, columns=["x", "y"])


def test_before_its_first_line_a_timeline_knows_nothing(tmp_path: Path) -> None:
    sensor = timeline(tmp_path, "0.1,21.5\n")
    with pytest.raises(SilentError, match="has not begun"):
        sensor.read(0.01)
    assert sensor.read(1).value == 21.5


def test_a_loop_starts_over_at_the_time_of_the_last_line(tmp_path: Path) -> None:
    sensor = timeline(tmp_path, "0,false\n0.02,true\n0.04,false\n", loop=True)
    values = [sensor.read(1).value for _ in range(6)]
    assert values == [False, True] * 3


def test_text_and_numbers_are_values_too(tmp_path: Path) -> None:
    assert timeline(tmp_path, "0,summer").read(0).value == "summer"
    assert timeline(tmp_path, "0,1.5e3").read(0).value == 1500.0


@pytest.mark.parametrize(("text", "found"), [
    ("", "empty"), ("# nothing\n", "empty"),
    ("0,true\n1;false\n", 'timeline.csv:2: .*found "1;false"'), ("-1,true\n", "from 0 on"), ("nan,true\n", "from 0 on"),
    ("0,\n", "found"), ("1,true\n0,false\n", "sort the lines"),
    ("0,true\n1,2\n", "one kind of value"),
])
def test_a_timeline_that_is_wrong_says_where(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(DriverError, match=found):
        timeline(tmp_path, text)


def test_one_moment_cannot_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="one moment cannot be repeated"):
        timeline(tmp_path, "0,true\n", loop=True)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(DriverError, match="cannot be read"):
        scripted.connect(scripted.Settings.model_validate({"driver": "scripted", "path": path}))


def record(path: Path, **table: Any) -> recorder.Recorder:
    return recorder.connect(recorder.Settings.model_validate({"driver": "recorder", "path": path, "safe": "off", **table}))


def test_each_command_is_a_line_that_is_there_when_set_returns(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    device = record(path)
    device.set(0.25)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["level"] for line in lines] == [0.0, 0.25]
    assert lines[0]["at_ns"] < lines[1]["at_ns"]
    device.close()


def test_a_record_that_is_there_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record(path).close()
    record(path).close()
    assert len(path.read_text().splitlines()) == 4


def test_a_full_disk_is_a_fault_and_not_a_crash() -> None:
    with pytest.raises(DriverError, match="/dev/full: the record did not take a line: No space left on device; make room"):
        record(Path("/dev/full"))


def test_a_fifo_that_nobody_reads_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with Stopwatch() as took, pytest.raises(DriverError, match="cannot be written"):
        record(tmp_path / "fifo")
    assert took.seconds < 1


def test_a_fifo_whose_reader_stopped_gives_a_fault_when_it_is_full(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    device = record(tmp_path / "fifo")
    with pytest.raises(DriverError, match="did not take a line|bytes"):  # noqa: PT012, RUF043
        for _ in range(100_000):
            device.set(1.0)
    with pytest.raises(DriverError):
        device.close()
    device.close()
    os.close(reader)


def test_a_folder_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="Is a directory"):
        record(tmp_path)
