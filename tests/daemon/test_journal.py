"""The log: lines in order, never waited for, counted when dropped."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflexd import events
from reflexd.journal import QUEUE, Folding, Journal, Journald, Line
from tests.stopwatch import Stopwatch


def test_lines_arrive_in_order_and_name_what_is_grave(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        journal = Journal(file.fileno())
        journal.say(events.OUTPUT, "lamp on")
        journal.say(events.REFUSED, "relay broken\nin two lines")
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
        journal.say(events.SOURCE_DEGRADED, "camera gone\nsince noon")
        journal.close(1)
    assert (tmp_path / "log").read_text() == "<4>camera gone\n<4>  since noon\n"


def test_f63_a_reader_that_stopped_reading_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    journal = Journal(writer)
    with Stopwatch() as took:
        for number in range(QUEUE + 2000):
            journal.say(events.OUTPUT, f"line {number} " + "x" * 200)
        journal.close(0.2)
    assert took.seconds < 1.5
    assert journal.dropped > 0
    os.close(reader)
    os.close(writer)


def test_a_reader_that_left_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    journal = Journal(writer)
    journal.say(events.OUTPUT, "nobody hears")
    journal.close(1)
    os.close(writer)
    assert journal.dropped == 1


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket such as journald listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5)
        yield server


def fields_of(entry: bytes) -> dict[str, str]:
    """Read an entry as journald does: NAME=value lines, and lengths where a value has several lines."""
    found = {}
    while entry:
        line, _, entry = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack("<Q", entry[:8])[0]
            value, entry = entry[8:8 + size], entry[8 + size + 1:]
        found[name.decode()] = value.decode()
    return found


def test_journald_gets_fields_that_a_reader_can_select_by(journald: socket.socket, tmp_path: Path) -> None:
    journal = Journal(Journald(str(tmp_path / "journal")))
    journal.say(events.OUTPUT, 'lamp on: rule "a"\nin two lines', output="lamp", rule="a")
    told = fields_of(journald.recv(65536))
    journal.close(1)
    assert told == {
        "MESSAGE": 'lamp on: rule "a"\nin two lines', "PRIORITY": "5", "SYSLOG_IDENTIFIER": "reflexd",
        "MESSAGE_ID": events.OUTPUT.message_id, "REFLEXD_EVENT": "output", "REFLEXD_OUTPUT": "lamp", "REFLEXD_RULE": "a"}


@pytest.mark.fault("F63", bound="at once", outcome="nothing blocks; lines are dropped and counted")
def test_f63_a_journald_that_does_not_read_costs_lines_and_nothing_else(journald: socket.socket, tmp_path: Path) -> None:
    journal = Journal(Journald(str(tmp_path / "journal")))
    with Stopwatch() as took:
        for number in range(QUEUE + 3000):
            journal.say(events.OUTPUT, f"line {number} " + "x" * 500)
    assert took.seconds < 1, "saying a line never waits"
    assert journal.dropped > 0
    journal.close(0.1)


@pytest.mark.fault("F63", bound="one line", outcome="the log goes on, with the count of what it missed")
def test_f63_a_journald_that_comes_back_gets_the_next_line_and_the_count(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(str(path))
    journal = Journal(Journald(str(path)))
    first.close()
    path.unlink()
    journal.say(events.OUTPUT, "into nowhere")
    time.sleep(0.4)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(path))
        second.settimeout(5)
        journal.say(events.OUTPUT, "here again")
        told = {fields_of(second.recv(65536))["MESSAGE"] for _ in range(2)}
    journal.close(1)
    assert told == {"here again", "1 lines of the log were dropped"}


def test_a_line_that_comes_again_and_again_is_folded() -> None:
    folding = Folding()
    line = Line(events.SOURCE_DEGRADED, "camera.gate: degraded: gone", {})
    assert [folding.admits(line, now) for now in (0, 1, 2, 3)] == [True, False, False, False]
    assert folding.due(59) == []
    assert [one.text for one in folding.due(60)] == ["camera.gate: degraded: gone (repeated 3 times)"]
    assert folding.admits(line, 61)


def test_what_an_output_did_is_never_folded() -> None:
    line = Line(events.OUTPUT, "lamp on", {})
    folding = Folding()
    assert folding.admits(line, 0)
    assert folding.admits(line, 1)


def test_folding_keeps_a_bounded_number_of_lines() -> None:
    folding = Folding()
    for number in range(1000):
        folding.admits(Line(events.SOURCE_DEGRADED, str(number), {}), 0)
        folding.due(0)
    assert sum(folding.admits(Line(events.SOURCE_DEGRADED, str(number), {}), 0) for number in range(1000)) > 900


def test_the_catalog_explains_every_event(root: Path) -> None:
    text = (root / "systemd" / "reflexd.catalog").read_text()
    entries = dict(re.findall(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |\Z)", text, re.DOTALL | re.MULTILINE))
    assert set(entries) == {event.message_id for event in events.ALL}
    assert len({event.name for event in events.ALL}) == len(events.ALL) == len(entries)
    for entry in entries.values():
        assert re.search(r"^Subject: \S.*\nDefined-By: reflexd\nDocumentation: \S+\n\n\S", entry)
