"""A cat walks through a picture, a detector follows it, and a zone and a line drive outputs; the daemon as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (640, 360)
CONFIG = """\
schema = 1

[daemon]
socket = "control.sock"
state_dir = "state"

[gpio]
factory = "mock"

[camera.yard]
driver = "replay"
path = "walk"
pace = "fast"
max_age_ms = 10000

[model.cats]
bundle = "{network}"
camera = "yard"
zones.bed = [[0, 0.5], [0.4, 0.5], [0.4, 1], [0, 1]]
lines.door = [[0.5, 1], [0.5, 0]]      # upwards: forward is from left to right

[actuator.lamp]
driver = "gpio-output"
pin = "GPIO17"
safe = "off"

[actuator.bell]
driver = "gpio-output"
pin = "GPIO27"
safe = "off"

[actuator.horn]
driver = "gpio-output"
pin = "GPIO22"
safe = "off"

[[rule]]
name = "in bed"
when = [ {{ model = "cats", label = "cat", at_least = 0.6, hits = 3, of = 4, zone = "bed" }} ]
then = [ {{ actuator = "lamp", set = "on", follow = true }} ]

[[rule]]
name = "goes right"
when = [ {{ model = "cats", label = "cat", crosses = "door", direction = "forward" }} ]
then = [ {{ actuator = "bell", set = "on", for_s = 60 }} ]

[[rule]]
name = "goes left"
when = [ {{ model = "cats", label = "cat", crosses = "door", direction = "backward" }} ]
then = [ {{ actuator = "horn", set = "on", for_s = 60 }} ]
"""


def walk(folder: Path, shared: Path, places: list[int]) -> None:
    """Show a cat that moves to the right: a frame for each place, in pixels."""
    cat = cv2.resize(cv2.imread(str(shared / "images" / "cat.bmp")), (360, 240))
    folder.mkdir()
    for number, left in enumerate(places):
        picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        picture[100:340, left:left + 360] = cat
        cv2.imwrite(str(folder / f"{number:03}.png"), picture)


@pytest.mark.parametrize(("backwards", "expected"), [
    (False, ["lamp", "bell"]),
    (True, ["horn", "lamp"]),
], ids=["out of its bed", "into its bed"])
def test_a_cat_that_walks_is_found_followed_and_told_apart_by_its_way(tmp_path, shared, backwards, expected):
    places = [0] * 5 + list(range(20, 281, 20)) + [280] * 3
    walk(tmp_path / "walk", shared, places[::-1] if backwards else places)
    network = shared / "models" / "coco_ssd_mobilenet_v1_quant_meta.tflite"
    (tmp_path / "reflexd.toml").write_text(CONFIG.format(network=network))
    command = [sys.executable, "-m", "reflexd", "--config", str(tmp_path / "reflexd.toml"), "--frames", str(len(places))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    log = done.stderr
    assert re.findall(r"(\w+) on: rule", log) == expected, log
    assert "cat at least 0.6 in bed: 0." in log
    assert "cat crosses door " in log
    if not backwards:
        assert log.index("lamp off") < log.index("bell on"), log
