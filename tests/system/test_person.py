"""The example of the lamp that is on while somebody is seen, on photographs in place of its camera."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.system.meter import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "person"
EACH = 20      # frames of a photograph: four times what the rule looks at


def lamp(folder: Path, shared: Path, photographs: list[str]) -> list[str]:
    """Show photographs one after the other, as fast as the network takes them; give the levels of the lamp."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    shutil.copy(shared / "models" / "vww96_int8.tflite", folder / "person")
    (folder / "seen").mkdir()
    for place, name in enumerate(photographs):
        picture = cv2.resize(cv2.imread(str(shared / "images" / name)), (640, 480))
        for number in range(EACH):
            cv2.imwrite(str(folder / "seen" / f"{place}-{number:02}.png"), picture)
    text = (folder / "reflexd.toml").read_text()
    for pattern, new in [
        (r"\[daemon\]\ninitially = .*\n", '[daemon]\nsocket = "control.sock"\nstate_dir = "state"\n\n[gpio]\nfactory = "mock"\n'),
        (r'driver = "usb"\ndevice = .*\nsize_px = .*\n', 'driver = "replay"\npath = "seen"\npace = "fast"\n'),
    ]:
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    (folder / "reflexd.toml").write_text(text)
    limit = ["--frames", str(EACH * len(photographs))]
    command = [sys.executable, "-m", "reflexd", "--config", str(folder / "reflexd.toml"), *limit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return re.findall(r"lamp (on|off)", done.stderr)


@pytest.mark.parametrize(("photographs", "levels"), [
    (["cat.bmp", "grace_hopper.bmp", "bird.bmp", "grace_hopper.bmp", "cats_and_dogs.jpg"], ["on", "off", "on", "off"]),
    (["cat.bmp", "bird.bmp", "cat_720p.jpg"], []),
], ids=["somebody comes and goes twice", "nobody comes"])
def test_the_lamp_is_on_while_somebody_is_seen(
        tmp_path: Path, shared: Path, photographs: list[str], levels: list[str]) -> None:
    assert lamp(tmp_path, shared, photographs) == levels
