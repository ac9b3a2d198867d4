"""Two cameras and three networks in one daemon: each camera keeps its rate, nothing piles up, and status tells the latencies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.system.meter import ROOT

RATE_HZ = 30
SECONDS = 5.0
MODELS = {"person": "gate", "things": "yard", "digits": "yard"}     # on which camera each is
ON_THE_WAY = 15     # what one of two counters may have and the other not yet: half a second of a machine that is busy

CONFIG = """\
schema = 1

[daemon]
socket = "control.sock"
state_dir = "state"

[gpio]
factory = "mock"

[camera.gate]
driver = "replay"
path = "gate.npz"
loop = true
rate_hz = 30
max_age_ms = 2000

[camera.yard]
driver = "replay"
path = "yard.npz"
loop = true
rate_hz = 30
max_age_ms = 2000

[camera.alone]                 # no network looks at it: what this machine can do
driver = "replay"
path = "gate.npz"
loop = true
rate_hz = 30

[model.person]
bundle = "./person"
camera = "gate"

[model.things]
bundle = "{models}/mobilenet_v1_0.25_128_quant.tflite"
camera = "yard"

[model.digits]
bundle = "meter"
camera = "yard"
rate_hz = 10
regions = [[0.1, 0.1, 0.2, 0.4], [0.4, 0.1, 0.2, 0.4]]

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"

[[rule]]
name = "see"
when = [ {{ model = "digits", above = 3 }} ]
then = [ {{ actuator = "lamp", set = "on", follow = true }} ]
"""


def reflexctl(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "reflexd.ctl", *arguments, "--socket", str(folder / "control.sock")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def status(folder: Path) -> dict[str, Any]:
    told = reflexctl(folder, "status", "--json")
    return json.loads(told) if told else {}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """What status said at the begin and at the end of a few seconds in which every network worked, and the text of it."""
    folder = tmp_path_factory.mktemp("several")
    lot = np.random.default_rng(3)
    for name in ("gate", "yard"):
        np.savez(folder / f"{name}.npz", x=lot.integers(0, 256, (6, 120, 160, 3), dtype=np.uint8))
    shutil.copytree(ROOT / "docs" / "examples" / "person" / "person", folder / "person")
    shutil.copy(shared / "models" / "vww96_int8.tflite", folder / "person")
    (folder / "reflexd.toml").write_text(CONFIG.format(models=shared / "models"))
    command = [sys.executable, "-m", "reflexd", "--config", str(folder / "reflexd.toml")]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        first: dict[str, Any] = {}
        while not first or not all(one["predictions"] for one in first["models"].values()):
            assert time.monotonic() < deadline, first
            time.sleep(0.1)
            first = status(folder)
        time.sleep(SECONDS)
        yield first, status(folder), reflexctl(folder, "status")
    finally:
        daemon.terminate()
        daemon.wait(20)


def test_every_camera_keeps_its_rate_as_one_does_that_nothing_looks_at(told):
    first, last, _ = told
    seconds = last["uptime_s"] - first["uptime_s"]
    frames = {name: one["frames"] - first["cameras"][name]["frames"] for name, one in last["cameras"].items()}
    lost = {name: one["gaps"] - first["cameras"][name]["gaps"] for name, one in last["cameras"].items()}
    assert seconds >= SECONDS
    for name in ("gate", "yard"):
        assert frames[name] >= 0.95 * frames["alone"] - ON_THE_WAY, (frames, seconds)
        # a frame late is caught up with, and one that was lost is counted
        assert frames[name] + lost[name] >= RATE_HZ * (seconds - 1), (frames, lost, seconds)
        assert frames[name] <= RATE_HZ * (seconds + 1), "no faster either"


def test_no_frame_and_no_prediction_piles_up_or_is_lost_without_being_counted(told):
    for moment in told[:2]:
        for name, camera in MODELS.items():
            one = moment["models"][name]
            taken = one["frames_dropped"] + one["frames_unread"] + one["predictions"]
            assert abs(moment["cameras"][camera]["frames"] - taken) <= ON_THE_WAY, (name, one)
        models = moment["models"].values()
        decided = moment["decided"] + sum(one["predictions_dropped"] for one in models)
        assert abs(sum(one["predictions"] for one in models) - decided) <= ON_THE_WAY * len(MODELS)


def test_a_network_with_a_rate_keeps_to_it(told):
    first, last, _ = told
    seconds = last["uptime_s"] - first["uptime_s"]
    made = {name: one["predictions"] - first["models"][name]["predictions"] for name, one in last["models"].items()}
    assert made["digits"] <= 10 * seconds + ON_THE_WAY
    assert min(made.values()) >= 2 * seconds, "all of them work, even on a machine that is busy"


def test_status_tells_the_latencies_of_each_network(told):
    _, last, text = told
    for name in MODELS:
        spans = last["models"][name]["latency_ms"]
        assert set(spans) == {"frame_to_prediction", "inference"}
        for found in spans.values():
            assert 0 < found["p50"] <= found["p90"] <= found["p99"] <= found["max"]
        assert spans["inference"]["p50"] <= spans["frame_to_prediction"]["p50"]
    lines = text.splitlines()
    for name in MODELS:
        (place,) = [number for number, line in enumerate(lines) if line.startswith(f"model {name}: run")]
        assert "frame to prediction p50" in lines[place + 1]
        assert "inference p50" in lines[place + 1]
