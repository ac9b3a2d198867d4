"""Evidence, as a user has it: a folder for each event, with frames before and after it, and a recording that decides the same."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.system.test_process import reflexctl, reflexd

PATIENCE_S = 60
NS = 1_000_000_000
CONFIG = """
schema = 1
[daemon]
socket = "control.sock"
state_dir = "state"
[evidence]
before_s = 2
after_s = 1
rate_hz = 8
size_px = 160
rules = ["away"]
[camera.gate]
driver = "pattern"
scene = "bars"
masks = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
[camera.yard]
driver = "pattern"
format = "yuv420"
scene = "bars"
masks = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
[sensor.away]
driver = "scripted"
path = "away.csv"
[actuator.lamp]
driver = "recorder"
path = "record.jsonl"
safe = "off"
max_on_s = 60
accept_unguarded = true
[[rule]]
name = "away"
when = [{ sensor = "away", is = true }]
then = [{ actuator = "lamp", set = "on", follow = true }]
[[rule]]
name = "of no matter"
priority = 1
when = [{ sensor = "away", is = false }]
then = [{ actuator = "lamp", set = "off", for_s = 1 }]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence")
    (folder / "reflexd.toml").write_text(CONFIG)
    (folder / "away.csv").write_text("0,false\n3,true\n60,true\n")
    (folder / "state").mkdir()
    return folder / "reflexd.toml"


@pytest.fixture(scope="module")
def kept(config: Path) -> Iterator[Path]:
    """The evidence of an event, while the daemon runs on."""
    place = config.parent / "state" / "evidence"
    with reflexd(config) as running:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not whole(place) and running.poll() is None:
            time.sleep(0.1)
        assert running.poll() is None, running.stderr.read() if running.stderr else ""
        (found,) = whole(place)
        yield found
        running.terminate()
        assert running.wait(10) == 0


def whole(place: Path) -> list[Path]:
    return [one for one in place.glob("*") if not one.name.endswith(".part")]


def events(config: Path) -> list[dict[str, Any]]:
    told = reflexctl("events", "--config", str(config), "--json").stdout.splitlines()
    return [json.loads(line) for line in told]


def test_frames_from_before_and_after_the_event_of_every_camera_are_there(kept: Path, config: Path) -> None:
    event = json.loads((kept / "event.json").read_text())
    for camera in ("gate", "yard"):
        moments = sorted(int(one.stem) - event["monotonic_ns"] for one in (kept / "frames" / camera).glob("*.jpg"))
        before, after = [one / NS for one in moments if one <= 0], [one / NS for one in moments if one > 0]
        assert len(before) >= 6, "of sixteen, on a machine that is busy with others"
        assert len(after) >= 3
        assert -2 <= before[0] < -1.0
        assert 0.5 < after[-1] <= 1
        assert len(moments) <= 3 * 8 + 1


def test_a_kept_frame_is_black_where_a_mask_is(kept: Path) -> None:
    for file in kept.glob("frames/*/*.jpg"):
        picture = cv2.imread(str(file))
        assert picture.shape == (120, 160, 3)
        assert picture[:, :72].max() < 12, "but for what a JPEG smears over an edge"
        assert np.ptp(picture[:, 88:].reshape(-1, 3), axis=0).max() > 150, "the bars beside it"


def test_the_event_is_told_as_it_is_stored(kept: Path, config: Path) -> None:
    event = json.loads((kept / "event.json").read_text())
    (stored,) = [one for one in events(config) if one["id"] == kept.name]
    assert event == {key: value for key, value in stored.items() if key not in ("seq", "evidence")}
    assert (event["rule"], event["kind"]) == ("away", "fired")


def test_the_recording_gives_the_same_decisions(kept: Path) -> None:
    told = reflexctl("replay", str(kept / "recording.jsonl.gz"), "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["identical"] is True
    assert found["cut_off"] is False
    assert found["rules"]["away"]["fired"] == 1
    assert found["seconds"] >= 2.9, "until a second after the event"


def test_an_id_is_enough_to_replay_it_and_to_list_it(kept: Path, config: Path) -> None:
    store = ("--store", str(kept.parent.parent / "events.db"))
    by_id, by_file = (json.loads(reflexctl("replay", one, *store, "--json").stdout)
                      for one in (kept.name, str(kept / "recording.jsonl.gz")))
    assert by_id == by_file
    (other,) = [one for one in events(config) if one["rule"] != "away"][:1]
    refused = reflexctl("replay", other["id"], *store)
    assert refused.returncode == 1
    assert refused.stderr == (f"reflexctl: {other['id']}: has no evidence, or it may not be read by this user; use sudo, or see "
                              "--store and [evidence]\n")
    assert [one["evidence"] for one in events(config) if one["id"] in (kept.name, other["id"])] == [None, str(kept)]
    listed = reflexctl("events", "--config", str(config), "--rule", "away").stdout.splitlines()
    assert listed[0].endswith("sensor.away is true: true [evidence]")
    told = reflexctl("status", "--socket", str(config.parent / "control.sock")).stdout
    assert re.search(r"evidence: 1 kept of this run, 0 under way, 0 left out; 1 in 0\.\d+ MB\n    [1-6]?\d frames in memory, "
                     r"0\.\d+ MB of 16 MB", told)


def test_its_event_is_explained_by_it_when_the_trace_is_gone_and_goes_with_it(kept: Path, config: Path) -> None:
    """Last, because it removes it."""
    gone = ("--socket", "none.sock", "--config", str(config))
    told = reflexctl("explain", kept.name, *gone)
    assert told.returncode == 0, told.stderr
    assert "nothing else is known" not in told.stdout
    assert re.search(r"^away +fired", told.stdout, re.MULTILINE), told.stdout
    assert reflexctl("prune", "--keep", "0", "--yes", "--socket", str(config.parent / "control.sock")).returncode == 0
    assert not kept.exists()
    missing = reflexctl("explain", kept.name, *gone)
    assert f"no event is called {kept.name}" in missing.stderr
