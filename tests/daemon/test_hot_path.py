"""The way from a frame to a pin: nothing of a frame's size is allocated on it."""

from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reflexd.config.settings import Settings
from reflexd.journal import Journal
from reflexd.lifecycle import Daemon
from reflexd.wiring import build
from reflexd_drivers.actuators import gpio_output
from reflexd_drivers.cameras import replay
from reflexd_models.bundle import find_bundle
from reflexd_models.tasks import load

FRAME = 480 * 640 * 3


def recording(folder: Path, kind: str) -> Path:
    """Write a few noisy frames as an array, or as a video that has to be decoded."""
    frames = np.random.default_rng(1).integers(0, 255, (6, 480, 640, 3), np.uint8)
    if kind == "npz":
        np.savez(folder / "frames.npz", x=frames)
        return folder / "frames.npz"
    video = cv2.VideoWriter(str(folder / "frames.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (640, 480))   # type: ignore[attr-defined]
    for frame in frames:
        video.write(frame)
    video.release()
    return folder / "frames.avi"


def peak_over(daemon: Daemon, frames: int) -> int:
    """Give the most that was allocated at any moment while so many frames were decided on."""
    tracemalloc.reset_peak()
    before, begun = tracemalloc.get_traced_memory()[0], daemon.loop.decided
    wait_for(lambda: daemon.loop.decided > begun + frames)
    return tracemalloc.get_traced_memory()[1] - before


ARRANGED: dict[str, Any] = {"rotate": 90, "flip": "vertical", "crop": [0, 0.1, 1, 0.9], "masks": [[[0, 0], [1, 0], [0, 0.2]]]}


@pytest.mark.parametrize(("kind", "keys"), [("npz", {}), ("video", {}), ("npz", ARRANGED)], ids=["npz", "video", "arranged"])
def test_no_frame_is_allocated_once_the_loop_is_warm(tmp_path: Path, kind: str, keys: dict[str, Any]) -> None:
    regions = [[0.1 + 0.1 * number, 0.2, 0.08, 0.3] for number in range(5)]
    options = load(find_bundle("meter").task).Options.model_validate({"regions": regions})
    camera = replay.Settings(driver="replay", path=recording(tmp_path, kind), pace="fast", loop=True, rate_hz=30, **keys)
    lamp = gpio_output.Settings.model_validate({"driver": "gpio-output", "factory": "mock", "pin": "GPIO22", "safe": "off"})
    settings = Settings.model_validate({
        "schema": 1, "camera": {"gate": camera}, "actuator": {"lamp": lamp},
        "model": {"meter": {"bundle": "meter", "camera": "gate", "options": options, "plausible": {"max_rise_per_min": 60}}},
        "rule": [{"name": "flows", "when": [{"model": "meter", "above": 1}],
                  "then": [{"actuator": "lamp", "set": "on", "for_s": 1}]}],
    })
    with (tmp_path / "log").open("wb") as log:
        journal = Journal(log.fileno())
        daemon = build(settings, journal)
        runner = threading.Thread(target=daemon.run)
        runner.start()
        wait_for(lambda: daemon.loop.decided > 50)
        tracemalloc.start()
        wait_for(lambda: daemon.loop.decided > 100)
        peak = min(peak_over(daemon, frames=100) for _ in range(3))     # a pool may still grow once, on a busy computer
        tracemalloc.stop()
        daemon.loop.stop("measured")
        runner.join(5)
        journal.close(1)
    assert peak < FRAME / 4, f"{peak} bytes were allocated at once"


def wait_for(true: object) -> None:
    deadline = time.monotonic() + 60
    while not true():   # type: ignore[operator]
        assert time.monotonic() < deadline, "the daemon does not come on"
        time.sleep(0.01)
