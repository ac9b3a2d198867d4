"""The meter watcher on a recording of a test's own: drawn, run as a user runs it, and read back."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "meter"
RECORDER = """
[actuator.record]
driver = "recorder"
path = "record.jsonl"
safe = "off"
accept_unguarded = true
"""
REACTION_S = 4.5     # two seconds of rising, the first rise and its confirmation, and a noisy machine


@dataclass
class Meter:
    """A recording with a leak, and the daemon that watches it.

    The leak begins late: when the last one leaves the tap has to have been closed for a second, and a machine that is busy with
    others plays a recording slowly at first.
    """

    folder: Path
    leak_at: float
    leak_rate: float
    seed: int
    draw_options: tuple[str, ...] = ()

    @classmethod
    def drawn_by_lot(cls, folder: Path, seed: int) -> Meter:
        folder.mkdir()
        lot = random.Random(seed)
        return cls(folder, round(lot.uniform(6.6, 7.6), 1), round(lot.uniform(1.6, 4.0), 2), seed)

    def draw(self) -> None:
        command = [sys.executable, str(ROOT / "scripts" / "draw-meter"), "-o", str(self.folder / "meter.avi"),
                   "--seconds", "12.5", "--seed", str(self.seed),
                   "--leak-at", str(self.leak_at), "--leak-rate", str(self.leak_rate)]
        subprocess.run([*command, *self.draw_options], check=True, capture_output=True)
        text = (EXAMPLE / "reflexd.toml").read_text()
        text = re.sub(r'socket = "[^"]*"', 'socket = "control.sock"', text)
        first = "then = ["
        text = text.replace(first, first + '{ actuator = "record", set = "on", for_s = 60 }, ')
        (self.folder / "reflexd.toml").write_text(text + RECORDER)

    def start(self, seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "reflexd", "--config", str(self.folder / "reflexd.toml"), "--seconds", str(seconds)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})

    def closings(self) -> list[float]:
        """When the valve was closed, in seconds after the daemon connected its outputs."""
        lines = [json.loads(line) for line in (self.folder / "record.jsonl").read_text().splitlines()]
        return [(line["at_ns"] - lines[0]["at_ns"]) / 1e9 for line in lines if line["level"] == 1.0]
