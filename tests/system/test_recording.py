"""A daemon and a recorder as programs: the shipped network reads drawn digits as fast as it can, and all of it is replayed.

With --long it runs for an hour of real time at 30 Hz.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from reflexd.replay.replayed import replay
from reflexd.replay.tape import Begin, Taken, read
from reflexd_drivers.base import View
from reflexd_models.bundle import find_bundle, open_camera_model
from reflexd_models.tasks.classify import Options
from tests.stopwatch import within

pytestmark = pytest.mark.once
SEED, FRAMES = 5, 400
TOML = """
schema = 1
[daemon]
socket = "control.sock"
[camera.gate]
driver = "replay"
path = "digits.npz"
loop = true
max_age_ms = 500
{pace}
[model.digit]
bundle = "digits-a"
camera = "gate"
[sensor.door]
driver = "scripted"
path = "door.csv"
max_age_ms = 20
[actuator.lamp]
driver = "recorder"
path = "lamp.jsonl"
safe = "off"
accept_unguarded = true
[[rule]]
name = "seven"
when = [
  {{ model = "digit", label = "7", at_least = 0.6, release_below = 0.3, hits = 3, of = 5 }},
  {{ sensor = "door", is = true }},
]
then = [{{ actuator = "lamp", set = "on", for_s = 0.05 }}]
"""


def write(folder: Path, long: bool) -> None:
    """Write a scene of digits, each for some frames, and a configuration."""
    chance = np.random.default_rng(SEED)
    frames = np.zeros((FRAMES, 28, 28, 3), np.uint8)
    for number, frame in enumerate(frames):
        picture = np.zeros((28, 28), np.uint8)
        cv2.putText(picture, str((7, 0, 7, 9)[number // 20 % 4]), (6 + int(chance.integers(-2, 3)), 22), cv2.FONT_HERSHEY_SIMPLEX,
                    0.7, 255, 2, cv2.LINE_AA)
        frame[:] = cv2.add(picture, chance.integers(0, 110, (28, 28), np.uint8))[..., None]
    np.savez(folder / "digits.npz", x=frames)
    (folder / "door.csv").write_text("0,0\n" + "".join(f"{second + 0.5},{1 - second % 2}\n" for second in range(3600)))
    (folder / "reflexd.toml").write_text(TOML.format(pace="rate_hz = 30" if long else 'pace = "fast"'))


def reflexctl(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reflexd.ctl", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONUNBUFFERED": "1"})


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Run a daemon in a folder."""
    write(tmp_path, bool(request.config.getoption("--long")))
    daemon = subprocess.Popen([sys.executable, "-m", "reflexd", "--config", str(tmp_path / "reflexd.toml")],
                              stderr=subprocess.PIPE, text=True)
    try:
        within(30, (tmp_path / "control.sock").exists)
        yield tmp_path
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert (daemon.wait(20), daemon.communicate()[1].count("Traceback")) == (0, 0)


def test_what_a_daemon_decided_is_decided_ten_times_to_one_hash(folder: Path, request: pytest.FixtureRequest) -> None:
    long = request.config.getoption("--long")
    file, seconds = folder / "day.jsonl.gz", 3600 if long else 2
    recorder = reflexctl("record", file, "--for", f"{seconds}s", "--last", "1s", "--socket", folder / "control.sock")
    said = recorder.communicate(timeout=seconds + 60)
    assert (recorder.returncode, said[1]) == (0, "")
    again = reflexctl("replay", file, "--times", "10", "--json")
    found = json.loads(again.communicate(timeout=60 if not long else 6000)[0])
    assert again.returncode == 0
    assert (found["identical"], found["times"], found["lost"], found["cut_off"]) == (True, 10, 0, False)
    assert found["sha256"] in said[0]
    assert found["items"] > (100_000 if long else 1000)
    assert found["rules"]["seven"]["fired"] >= 1, "something was decided that a hash can tell apart"
    assert any(isinstance(line, Begin) and line.bundles.get("digit") for line in read(file)), "which network spoke is recorded"


def framed(file: Path) -> dict[int, np.ndarray]:
    """Read the frames of a recording, by their moment, without any of the code that wrote them."""
    found = {}
    for line in file.read_text().splitlines():
        frame = json.loads(line).get("frame") if line.startswith("{") else None
        if frame is not None:
            kind, plane = frame["views"]["main"]
            assert (kind, frame["camera"]) == ("rgb", "gate")
            found[frame["taken_at"]] = cv2.cvtColor(
                cv2.imdecode(np.frombuffer(base64.b64decode(plane), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return found


def test_the_network_says_of_recorded_frames_what_it_said_and_another_one_what_it_says_of_them(folder: Path) -> None:
    file = folder / "day.jsonl"
    recorder = reflexctl("record", file, "--for", "2s", "--frames", "--socket", folder / "control.sock")
    said = recorder.communicate(timeout=60)
    assert (recorder.returncode, said[1]) == (0, "")
    again = reflexctl("replay", file, "--infer", "--json")
    told = json.loads(again.communicate(timeout=60)[0])["inferred"]
    digit, frames = told["models"]["digit"], framed(file)
    assert (again.returncode, told["identical"], digit["differing"]) == (0, True, 0)
    assert digit["with_frame"] == told["frames"] > 30, "at least as many in two seconds, on any machine"
    assert len(frames) == told["frames"] + told["frames_unused"]

    (folder / "other.toml").write_text((folder / "reflexd.toml").read_text().replace("digits-a", "digits-b"))
    other = reflexctl("replay", file, "--infer", "--config", folder / "other.toml", "--json")
    told = json.loads(other.communicate(timeout=60)[0])["inferred"]["models"]["digit"]
    network = open_camera_model(find_bundle("digits-b"), Options(), frozenset({"7"}))
    then = {line.item[3]: line.item[4]["7"] for line in read(file) if isinstance(line, Taken) and line.item[0] == "predicted"}
    now = {at: network.predict(View("rgb", (picture,)), at).scores["7"] for at, picture in frames.items() if at in then}
    assert (other.returncode, len(now)) == (0, told["with_frame"])
    assert 5 < told["differing"] == sum(now[at] != then[at] for at in now)
    assert told["scores"]["7"]["apart"] == max(abs(now[at] - then[at]) for at in now)
    assert sum(one["times"] for one in told["crossed"]) == sum(
        (now[at] >= threshold) is not (then[at] >= threshold) for at in now for threshold in (0.6, 0.3))


def test_a_recorder_that_stood_still_for_a_while_misses_nothing_that_the_trace_still_has(folder: Path) -> None:
    file = folder / "day.jsonl"
    recorder = reflexctl("record", file, "--socket", folder / "control.sock")
    within(30, file.exists)
    recorder.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic_ns()
    within(20, lambda: time.monotonic_ns() > stopped_at + 1_500_000_000)
    recorder.send_signal(signal.SIGCONT)
    resumed_at = time.monotonic_ns()
    within(30, lambda: any(isinstance(line, Taken) and line.now > resumed_at for line in read(file)))
    recorder.send_signal(signal.SIGINT)
    assert (recorder.communicate(timeout=30)[1], recorder.returncode) == ("", 0)
    found = replay(file)
    assert (found.same, found.whole, found.lost) == (True, True, 0)
    assert sum(stopped_at < line.now < resumed_at for line in read(file) if isinstance(line, Taken)) > 100
