"""A cat walks through a picture, a detector follows it, and a zone and a line drive outputs; the daemon as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

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


def test_a_cat_that_walks_away_and_comes_back_is_followed_over_a_line_and_found_in_its_zone(tmp_path, shared):
    away = list(range(0, 281, 20))
    places = [0] * 4 + away + [280] * 2 + away[::-1] + [0] * 4
    walk(tmp_path / "walk", shared, places)
    network = shared / "models" / "coco_ssd_mobilenet_v1_quant_meta.tflite"
    (tmp_path / "reflexd.toml").write_text(CONFIG.format(network=network))
    command = [sys.executable, "-m", "reflexd", "--config", str(tmp_path / "reflexd.toml"), "--frames", str(len(places))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    log = done.stderr
    assert done.returncode == 0, log
    assert re.findall(r"(\w+) (on|off)(?:, safe)?: (?=rule|no rule)", log)[:5] == [
        ("lamp", "on"), ("lamp", "off"), ("bell", "on"), ("horn", "on"), ("lamp", "on")], log
    assert re.search(r"cat at least 0\.6 in bed: 0\.\d+ \(3 of 4 hits, 3 needed\)", log)
    assert "cat crosses door forward: true (1 new)" in log
    assert "cat crosses door backward: true (1 new)" in log
