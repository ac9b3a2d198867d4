"""Evidence in a daemon that runs: rules and outputs have nothing to do with it, and a reload takes it over."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reflexd.evidence.folders import FOLDER, write_file
from tests.daemon.devices import Device
from tests.daemon.history.test_happened import configured
from tests.stopwatch import Stopwatch, within

Devices = dict[str, Device]
Start = Callable[..., Any]
EVIDENCE = {"before_s": 1, "after_s": 0.2, "rate_hz": 20, "size_px": 32}


@pytest.fixture
def begun(start: Start, devices: Devices, tmp_path: Path) -> Any:
    """A daemon that keeps evidence, whose camera has seen something."""
    running = start(configured(tmp_path, evidence=EVIDENCE))
    within(20, lambda: running.daemon.evidence.keeper.encoded > 2)
    return running


def press(devices: Devices, times: int = 1) -> None:
    """Have the fan go on and off again by a button."""
    for _ in range(times):
        devices["sensor"].value = True
        within(10, lambda: devices["fan"].level == 1.0)
        devices["sensor"].value = False
        within(10, lambda: devices["fan"].level == 0.0)


def test_an_event_is_kept_while_outputs_act(begun: Any, devices: Devices, tmp_path: Path) -> None:
    press(devices)
    within(20, lambda: begun.status()["evidence"]["written"] == 1)
    (found,) = (tmp_path / FOLDER).iterdir()
    assert len(list(found.glob("frames/*/*.jpg"))) > 2
    assert begun.status()["evidence"]["kept"] == 1


@pytest.mark.fault("F62", bound="at once", outcome="outputs act as ever; evidence is left out and counted")
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_f62_outputs_have_nothing_to_do_with_a_disk_that_does_not_take_evidence(
        begun: Any, devices: Devices, tmp_path: Path, how: str) -> None:
    goes_on, reached = threading.Event(), threading.Event()

    def write(path: Path, data: bytes) -> None:
        reached.set()
        if how == "fails":
            raise OSError(errno.EIO, "Input/output error")
        goes_on.wait(60)
        write_file(path, data)

    begun.daemon.evidence._folders.write = write
    press(devices)
    within(20, reached.is_set)
    press(devices, times=3)
    within(20, lambda: begun.status()["events"]["stored"] >= 4)
    assert begun.status()["evidence"]["written"] == 0
    if how == "fails":
        within(20, lambda: "input/output error" in begun.status()["evidence"]["trouble"])
        begun.daemon.evidence._folders.write = write_file
    goes_on.set()
    within(20, lambda: begun.status()["evidence"]["written"] == 4)


def test_a_reload_begins_changes_and_ends_it(begun: Any, devices: Devices, tmp_path: Path) -> None:
    keeper = begun.daemon.evidence.keeper
    told = begun.reload({**begun.written, "evidence": {**EVIDENCE, "rate_hz": 10}})
    assert told == "[evidence] changed"
    (tap,) = keeper._taps.values()
    assert [pace._period_ns for pace, _ in tap.job._guests] == [100_000_000]
    without = {key: one for key, one in begun.written.items() if key != "evidence"}
    begun.reload(without)
    assert tap.job._guests == ()
    within(10, lambda: len(keeper.ring) == 0)
    press(devices)
    assert begun.status()["evidence"]["enabled"] is False
    begun.reload({**without, "evidence": EVIDENCE})
    encoded = keeper.encoded
    within(20, lambda: keeper.encoded > encoded + 2)
    press(devices)
    within(20, lambda: begun.status()["evidence"]["written"] == 1)


def test_a_camera_that_a_reload_replaces_is_followed_anew(begun: Any, devices: Devices) -> None:
    keeper = begun.daemon.evidence.keeper
    (before,) = keeper._taps.values()
    cameras = {name: {**one, "max_age_ms": 400} for name, one in begun.written["camera"].items()}
    begun.reload({**begun.written, "camera": cameras})
    (after,) = keeper._taps.values()
    assert after.job is not before.job
    assert before.job._guests == ()
    encoded = keeper.encoded
    within(20, lambda: keeper.encoded > encoded + 2)


def test_what_is_under_way_is_written_at_a_stop_which_does_not_take_longer_for_it(
        start: Start, devices: Devices, tmp_path: Path) -> None:
    running = start(configured(tmp_path, evidence={**EVIDENCE, "after_s": 60}))
    within(20, lambda: running.daemon.evidence.keeper.encoded > 2)
    press(devices)
    within(20, lambda: running.status()["evidence"]["waiting"] == 1)
    with Stopwatch() as took:
        assert running.stop() == 0
    assert took.seconds < 1.5
    (found,) = (tmp_path / FOLDER).iterdir()
    assert (found / "recording.jsonl.gz").stat().st_size > 100
