"""reflexctl test and watch against reflexd as a process, with an output that writes down what it was told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.test_process import reflexctl, reflexd, status

CONFIG = """
schema = 1
[daemon]
socket = "control.sock"
state_dir = "state"
[sensor.away]
driver = "scripted"
path = "away.csv"
[actuator.lamp]
driver = "recorder"
path = "record.jsonl"
safe = "off"
max_on_s = 5
accept_unguarded = true
[[rule]]
name = "away"
when = [{ sensor = "away", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "reflexd.toml").write_text(CONFIG)
    (tmp_path / "away.csv").write_text("0,false\n")
    return tmp_path / "reflexd.toml"


@pytest.fixture
def daemon(config: Path) -> Iterator[subprocess.Popen[str]]:
    with reflexd(config) as running:
        deadline = time.monotonic() + 20
        while (status(config) or {"state": ""})["state"] != "RUN" and time.monotonic() < deadline:
            time.sleep(0.1)
        yield running
        if running.poll() is None:
            running.kill()


def at(config: Path) -> tuple[str, str]:
    return "--socket", str(config.parent / "control.sock")


def levels(config: Path) -> list[float]:
    return [json.loads(line)["level"] for line in (config.parent / "record.jsonl").read_text().splitlines()]


def wait_for(config: Path, wanted: list[float]) -> None:
    """Wait until so much was written, and perhaps more."""
    deadline = time.monotonic() + 20
    while len(levels(config)) < len(wanted) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert levels(config)[:len(wanted)] == wanted


def test_an_output_is_driven_and_told(config: Path, daemon: subprocess.Popen[str]) -> None:
    done = reflexctl("test", "lamp", "--for", "150ms", "--yes", *at(config))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("lamp was on for ")
    assert levels(config) == [0.0, 1.0, 0.0]
    daemon.send_signal(signal.SIGTERM)
    log = daemon.communicate(timeout=10)[1]
    assert 'lamp on: rule "reflexctl test": asked for: 150 ms' in log


def test_whoever_asked_may_be_killed_and_the_output_goes_safe_in_time(config: Path, daemon: subprocess.Popen[str]) -> None:
    command = [sys.executable, "-m", "reflexd.ctl", "test", "lamp", "--for", "700ms", "--yes", *at(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
        wait_for(config, [0.0, 1.0])
        asking.kill()
    wait_for(config, [0.0, 1.0, 0.0])
    first, on, off = (json.loads(line)["at_ns"] for line in (config.parent / "record.jsonl").read_text().splitlines())
    assert first < on <= off - 600_000_000
    assert daemon.poll() is None


def test_a_stop_ends_a_test(config: Path, daemon: subprocess.Popen[str]) -> None:
    command = [sys.executable, "-m", "reflexd.ctl", "test", "lamp", "--for", "5s", "--yes", *at(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as asking:
        wait_for(config, [0.0, 1.0])
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
        assert levels(config)[-1] == 0.0
        said = asking.communicate(timeout=20)[1]
    assert asking.returncode == 1
    assert said.startswith("reflexctl: ")
    assert "Traceback" not in said


def test_longer_than_max_on_s_or_ten_seconds_is_refused(config: Path, daemon: subprocess.Popen[str]) -> None:
    for time_, words in (("6s", "max_on_s = 5; say --for 5s or less"), ("11s", "too long; from 10ms to 10s")):
        done = reflexctl("test", "lamp", "--for", time_, "--yes", *at(config))
        assert done.returncode == (1 if time_ == "6s" else 2)
        assert words in done.stderr
    assert levels(config) == [0.0]


def test_a_source_is_watched(config: Path, daemon: subprocess.Popen[str]) -> None:
    done = reflexctl("watch", "away", "--for", "500ms", "--json", *at(config))
    assert {json.loads(line)["value"] for line in done.stdout.splitlines()} == {False}
    assert (done.returncode, done.stderr) == (0, "")
