"""Measure what is done to the frames of every camera: turning, cropping, masks, and the look at the state of the picture.

Each row is the median over frames that are all different and lie in no cache, less what a camera costs that
does nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from time import monotonic_ns, perf_counter_ns
from typing import Any, cast

import numpy as np

from reflexd_drivers.base import Camera, CameraSettings, Frame, Slot, View
from reflexd_drivers.cameras.arranged import arrange
from reflexd_drivers.cameras.picture_state import PictureJudge

SIZES = ((640, 480), (1280, 720), (1920, 1080))
QUARTER = [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]
ROWS: dict[str, dict[str, Any]] = {
    "mirrored": {"flip": "horizontal"}, "turned by 180": {"rotate": 180}, "turned by 90": {"rotate": 90},
    "cropped to the half": {"crop": [0.25, 0, 0.5, 1]}, "a quarter masked": {"masks": [QUARTER]},
    "turned by 90, cropped, masked": {"rotate": 90, "crop": [0, 0.25, 1, 0.5], "masks": [QUARTER]},
}


class Pictures:
    """A camera with noise of that size, a picture after the other."""

    lossless = False

    def __init__(self, width: int, height: int) -> None:
        many = max(8, 60_000_000 // (width * height * 3))
        noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
        views = [View("rgb", (np.roll(noise, number, axis=1),)) for number in range(many)]
        self.slots = [Slot({"main": view}, lambda _slot: None) for view in views]
        self._sequence = 0

    def read(self, timeout_s: float) -> Frame:
        self._sequence += 1
        slot = self.slots[self._sequence % len(self.slots)]
        slot.retain()
        return Frame(monotonic_ns(), self._sequence, slot)

    def close(self) -> None:
        """Nothing is open."""


def median_us(work: Callable[[], object], count: int) -> float:
    spans = []
    for _ in range(count):
        began = perf_counter_ns()
        work()
        spans.append(perf_counter_ns() - began)
    return statistics.median(spans[count // 10:]) / 1000


def arranged(camera: Pictures, table: dict[str, Any], count: int) -> float:
    one = arrange(cast("Camera", camera), CameraSettings.model_validate({"driver": "bench", **table}))
    return median_us(lambda: one.read(1).release(), count)


def look(camera: Pictures, count: int) -> float:
    judge, numbers = PictureJudge(5.0), iter(range(1, 10 * count))
    views = [slot.views["main"] for slot in camera.slots]

    def once() -> None:
        number = next(numbers)
        judge.look(views[number % len(views)], number * 100_000_000)

    for _ in range(60):      # until it has settled and learned
        once()
    return median_us(once, count)


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench cameras", description="Measure what is done to the frames of every camera.")
    parser.add_argument("--count", type=int, default=300, metavar="N", help="frames of each row, default 300")
    args = parser.parse_args()
    cameras = {f"{width}x{height}": Pictures(width, height) for width, height in SIZES}
    print(f"{'us a frame, RGB':34}" + "".join(f"{name:>12}" for name in cameras))
    bare = {name: arranged(camera, {}, args.count) for name, camera in cameras.items()}
    for row, table in ROWS.items():
        cells = [f"{arranged(camera, table, args.count) - bare[name]:12.0f}" for name, camera in cameras.items()]
        print(f"{row:34}{''.join(cells)}", flush=True)
    cells = [f"{look(camera, args.count):12.0f}" for camera in cameras.values()]
    print(f"{'a look at its state, 10 a second':34}{''.join(cells)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
