"""Events outlive the process: killed at any moment, none is lost that was told as stored; and what reflexctl makes of them."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.evidence.folders import FOLDER, Folders
from reflexd.history.reading import Reader, Wanted
from reflexd.history.store import FILE
from reflexd.replay.tape import End, read
from tests.system.storing import JPEG
from tests.system.test_process import reflexctl, reflexd, status

KILLS = 100
PATIENCE_S = 60

CONFIG = """
schema = 1
[daemon]
socket = "control.sock"
state_dir = "state"
[events]
durability = "full"
[sensor.away]
driver = "scripted"
path = "away.csv"
[actuator.lamp]
driver = "recorder"
path = "record.jsonl"
safe = "off"
max_on_s = 1
accept_unguarded = true
[[rule]]
name = "away"
when = [{ sensor = "away", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }]
"""


class Stored:
    """What a child told as stored, read from its pipe for as long as the test wants."""

    def __init__(self, pipe: int) -> None:
        self.runs: dict[str, int] = {}        # name of the run, highest number
        self._pipe = pipe
        self._rest = b""

    def lines(self, until: float) -> Iterator[list[str]]:
        while (left := until - time.monotonic()) > 0:
            if select.select([self._pipe], [], [], left)[0]:
                *whole, self._rest = (self._rest + os.read(self._pipe, 65536)).split(b"\n")
                for line in whole:
                    words = line.decode().split()
                    if words[0] == "stored":
                        self.runs[words[1]] = int(words[2])
                    yield words

    def wait_for(self, word: str) -> list[str]:
        for words in self.lines(time.monotonic() + PATIENCE_S):
            if words[0] == word:
                return words
        raise AssertionError(f"no {word} within {PATIENCE_S} s")


@pytest.mark.fault("F65", bound="at once", outcome="no event is lost that was told as stored; store and evidence are whole")
def test_f65_a_kill_at_any_moment_loses_no_event_that_was_told_as_stored(tmp_path: Path, root: Path, request: Any) -> None:
    chance = random.Random(7)
    kills = 10 * KILLS if request.config.getoption("--long") else KILLS
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(root / one) for one in ("daemon", "drivers", "models", "."))}
    child = subprocess.Popen([sys.executable, root / "tests" / "system" / "storing.py"], cwd=root, env=environment,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    stored = Stored(child.stdout.fileno())
    try:
        for _ in range(kills):
            child.stdin.write(f"{tmp_path / FILE} {chance.choice(('normal', 'full'))}\n".encode())
            child.stdin.flush()
            pid = int(stored.wait_for("began")[1])
            for _words in stored.lines(time.monotonic() + chance.uniform(0, 0.2)):
                pass
            os.kill(pid, signal.SIGKILL)
            stored.wait_for("dead")
    finally:
        child.stdin.close()
        child.wait(PATIENCE_S)
        child.stdout.close()
    assert len(stored.runs) > kills / 4, "most lived long enough to store something"
    check(tmp_path, stored.runs)


def check(folder: Path, runs: dict[str, int]) -> None:
    assert [one.name for one in folder.iterdir() if "damaged" in one.name] == []
    with sqlite3.connect(folder / FILE) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    with Reader(folder / FILE) as reader:
        there: dict[str, list[int]] = {}
        for one in reader.find(Wanted()):
            run, _, number = one["id"].rpartition("-")
            there.setdefault(run, []).append(int(number))
            assert one["verdicts"][0]["observed"] == 0.82
    for run, numbers in there.items():
        assert numbers == list(range(1, len(numbers) + 1)), f"{run}: in their order, with none missing between"
    lost = {run: number for run, number in runs.items() if len(there.get(run, ())) < number}
    assert lost == {}
    see_evidence(folder / FOLDER)


def see_evidence(place: Path) -> None:
    """See that each folder is whole, after what was cut off was removed as each start does."""
    folders = Folders(place)
    folders.open()
    found = list(place.iterdir())
    assert len(found) > 5, "of those that have room"
    assert {one.name for one in found} == {one.name for one in folders.entries}
    for one in found:
        assert json.loads((one / "event.json").read_text())["id"] == one.name
        assert any(isinstance(line, End) for line in read(one / "recording.jsonl.gz")), "whole"
        assert {file.read_bytes() for file in one.glob("frames/gate/*.jpg")} == {JPEG}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "reflexd.toml").write_text(CONFIG)
    (tmp_path / "away.csv").write_text("0,true\n6,false\n7,true\n")
    (tmp_path / "state").mkdir()
    return tmp_path / "reflexd.toml"


def events(config: Path, *more: str) -> list[dict[str, Any]]:
    told = reflexctl("events", "--config", str(config), "--json", *more)
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_what_a_daemon_did_is_read_while_it_runs_and_after_it_was_killed(config: Path) -> None:
    at = ("--socket", str(config.parent / "control.sock"))
    with reflexd(config) as running:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not ((report := status(config)) and report["events"]["stored"] > 2):
            time.sleep(0.1)
        found = events(config)
        text = reflexctl("status", *at).stdout
        running.kill()
        running.wait()
    assert [one["kind"] for one in found[:3]] == ["fired", "max-on", "fired"]
    fired, overran, _ = found[:3]
    assert (fired["rule"], fired["outputs"], fired["held"]) == ("away", {"lamp": "on"}, "")
    assert fired["why"] == "sensor.away is true: true"
    assert [one["truth"] for one in fired["verdicts"]] == [True]
    assert (overran["rule"], overran["outputs"], overran["why"]) == ("away", {"lamp": "off"}, "it was active for max_on_s = 1")
    assert 0.9e9 < overran["monotonic_ns"] - fired["monotonic_ns"] < 5e9
    assert fired["frame_age_ms"] is fired["latency_ms"] is None, "no frame had to do with it"
    assert re.search(r"events: (\d) stored, 0 waiting, 0 dropped; \1 kept in 0\.0\d+ MB", text)
    assert "MB written in 24 h of 20 MB, with which a card would last about 26 years" in text
    assert [one["id"] for one in events(config)[:3]] == [one["id"] for one in found[:3]], "it was told as stored"
    told(config, found)


def told(config: Path, found: list[dict[str, Any]]) -> None:
    """See what the verbs make of it, without a daemon."""
    lines = reflexctl("events", "--config", str(config), "--rule", "away").stdout.splitlines()
    assert f"{found[1]['id']:<12}  max-on of rule \"away\": lamp off: it was active for max_on_s = 1" in lines[1]
    assert reflexctl("events", "--config", str(config), "-n", "1").stdout.splitlines() == lines[-1:]
    none = reflexctl("events", "--config", str(config), "--rule", "awy").stderr
    assert none == 'reflexctl: no such event is stored of rule "awy"; did you mean "away"?\n'
    table = list(csv.DictReader(io.StringIO(reflexctl("export", "--csv", "--config", str(config)).stdout)))
    assert [one["id"] for one in table] == [one["id"] for one in events(config)]
    assert json.loads(table[0]["verdicts"]) == found[0]["verdicts"]
    file = config.parent / "out.jsonl"
    assert reflexctl("export", "--jsonl", str(file), "--since", "1h", "--config", str(config)).returncode == 0
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [one["id"] for one in events(config)]
    assert reflexctl("prune", "--keep", "1", "--config", str(config), "--socket", "none").returncode == 2, "nobody can be asked"
    gone = reflexctl("prune", "--keep", "1", "--yes", "--config", str(config), "--socket", "none").stdout
    assert gone == f"{len(table) - 1} events removed\n"
    assert [one["id"] for one in events(config)] == [table[-1]["id"]]


def test_follow_tells_what_comes_and_prune_goes_through_the_daemon(config: Path) -> None:
    (config.parent / "away.csv").write_text("0,false\n3,true\n")
    at = ("--socket", str(config.parent / "control.sock"))
    with reflexd(config) as running:
        deadline = time.monotonic() + PATIENCE_S
        while not (config.parent / "state" / FILE).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        command = [sys.executable, "-m", "reflexd.ctl", "events", "--follow", "--json", "--config", str(config)]
        following = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert following.stdout is not None
        first = json.loads(following.stdout.readline())
        assert (first["kind"], first["rule"]) == ("fired", "away")
        following.terminate()
        following.wait()
        following.stdout.close()
        assert reflexctl("prune", "--keep", "0", "--yes", *at).stdout.endswith("events removed\n")
        assert first["id"] not in [one["id"] for one in events(config)]
        running.terminate()
        assert running.wait(10) == 0
    assert "every output safe, leaving: SIGTERM" in [one["why"] for one in events(config)][-1]


@pytest.mark.parametrize(("arguments", "why"), [
    (("events", "--store", "none.db"), "none.db: no event has been stored there; see --store, and state_dir in [daemon]"),
    (("export", "--csv", "--store", "reflexd.toml"), "file is not a database; see --store"),
    (("prune", "--keep", "1", "--yes", "--store", "none.db"), "none.db: no event has been stored there"),
])
def test_what_cannot_be_read_is_one_clear_line(config: Path, arguments: tuple[str, ...], why: str) -> None:
    told_of = subprocess.run([sys.executable, "-m", "reflexd.ctl", *arguments], cwd=config.parent, capture_output=True, text=True,
                             check=False)
    assert told_of.returncode == 1
    assert why in told_of.stderr
    assert told_of.stderr.count("\n") == 1
    assert not (config.parent / "none.db").exists()


@pytest.mark.parametrize("wrong", ["10", "soon", "-3d", "1y"])
def test_a_time_without_a_unit_is_refused(wrong: str) -> None:
    told_of = reflexctl("events", f"--since={wrong}")
    assert told_of.returncode == 2
    assert "is no time; write a number and its unit, as 90s, 10m, 24h or 30d" in told_of.stderr
