"""Measure two cameras and three networks in one daemon: what each camera keeps of its 30 Hz, and how long each network takes.

A third camera, which nothing looks at, says what this machine can do at the same time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import numpy as np

from reflexd.config.load import load
from reflexd.journal import Journal
from reflexd.wiring import build

DATA = Path(os.environ.get("REFLEXD_TEST_DATA", Path(__file__).resolve().parent.parent.parent / "shared"))
CAMERAS = ("gate", "yard", "alone")
NETWORKS = {"small": ("gate", "mobilenet_v1_0.25_128_quant"), "same": ("yard", "mobilenet_v1_0.25_128_quant"),
            "large": ("yard", "mobilenet_v1_0.25_224_quant_meta")}


def written(folder: Path) -> Path:
    """Write a configuration with its recordings."""
    lot, text = np.random.default_rng(1), "schema = 1\n"
    for name in CAMERAS:
        np.savez(folder / f"{name}.npz", x=lot.integers(0, 256, (4, 480, 640, 3), dtype=np.uint8))
        text += f'[camera.{name}]\ndriver = "replay"\npath = "{name}.npz"\nloop = true\nrate_hz = 30\nmax_age_ms = 2000\n'
    for name, (camera, file) in NETWORKS.items():
        text += f'[model.{name}]\nbundle = "{DATA}/models/{file}.tflite"\ncamera = "{camera}"\n'
    (folder / "reflexd.toml").write_text(text)
    return folder / "reflexd.toml"


def measured(path: Path, seconds: float) -> tuple[Any, Any]:
    """Run the daemon; give what it says of itself once every network works, and in the end."""
    with open(os.devnull, "wb") as nowhere:   # noqa: PTH123  a descriptor is wanted
        journal = Journal(nowhere.fileno())
        daemon = build(load(path).settings, journal)
        looks: list[Any] = []

        def look() -> None:
            while len(looks) < 2:
                sleep(0.2)
                found = daemon.loop.between_cycles(daemon.observer)
                works = all(one["predictions"] for one in found["models"].values())
                if works and (not looks or found["uptime_s"] - looks[0]["uptime_s"] >= seconds):
                    looks.append(found)
            daemon.loop.stop("measured")

        Thread(target=look, daemon=True).start()
        daemon.run(seconds=60 + seconds)
        journal.close(1)
    return looks[0], looks[1]


def main() -> int:
    """Print the rates and the latencies; 1 when a camera that networks look at keeps less than 95 % of what the other does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        first, last = measured(written(Path(folder)), seconds)
    span = last["uptime_s"] - first["uptime_s"]
    rates = {name: (last["cameras"][name]["frames"] - first["cameras"][name]["frames"]) / span for name in CAMERAS}
    for name, rate in rates.items():
        print(f"camera {name:8}{rate:8.2f} Hz")
    for name, one in last["models"].items():
        made = (one["predictions"] - first["models"][name]["predictions"]) / span
        spans = ", ".join(f"{what.replace('_', ' ')} p50 {found['p50']:.2f} p99 {found['p99']:.2f} ms"
                          for what, found in one["latency_ms"].items())
        print(f"model {name:9}{made:8.2f} Hz  {spans}")
    return int(min(rates.values()) < 0.95 * rates["alone"])


if __name__ == "__main__":
    sys.exit(main())
