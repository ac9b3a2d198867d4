"""The log: lines in order, never waited for, counted when dropped."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from reflexd.journal import QUEUE, Journal, Priority


def test_lines_arrive_in_order_and_name_what_is_grave(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        journal = Journal(file.fileno())
        journal.say(Priority.NOTICE, "lamp on")
        journal.say(Priority.ERROR, "relay broken\nin two lines")
        journal.close(1)
    first, second, third = (tmp_path / "log").read_text().splitlines()
    assert first[8:] == " lamp on"
    assert second[8:] == " error: relay broken"
    assert third.strip() == "in two lines"


def test_under_systemd_each_line_has_its_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("wb") as file:
        stat = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        journal = Journal(file.fileno())
        journal.say(Priority.WARNING, "camera gone\nsince noon")
        journal.close(1)
    assert (tmp_path / "log").read_text() == "<4>camera gone\n<4>  since noon\n"


def test_f63_a_reader_that_stopped_reading_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    journal = Journal(writer)
    began = time.monotonic()
    for number in range(QUEUE + 2000):
        journal.say(Priority.INFO, f"line {number} " + "x" * 200)
    journal.close(0.2)
    assert time.monotonic() - began < 1.5
    assert journal.dropped > 0
    os.close(reader)
    os.close(writer)


def test_a_reader_that_left_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    journal = Journal(writer)
    journal.say(Priority.INFO, "nobody hears")
    journal.close(1)
    os.close(writer)
    assert journal.dropped == 0
