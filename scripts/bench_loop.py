"""Measure the whole daemon beside the bare invoke() of the same network, in turn, in one run.

Throughput: a model that fulfils the daemon's own contract counts blocks. For one block the daemon
works as it always does, an output moving now and then; for the next the same interpreter is invoked
bare, while the rest of the daemon waits for it. The ratio of each pair of blocks is taken, and the median of the ratios is shown:
1 would mean that reading a frame, resampling, deciding and driving cost nothing.

Every other block of the daemon keeps nothing: no trace of what is decided, no events, no frames for evidence. The blocks
between keep all three, the events in a store on the disk. What that costs is the median of what each such block has over the
next one, which keeps them, with its standard error; beside it stands what one note of the trace takes. Blocks last a second
or two, so that frames are encoded in each, as many as by default, and its events are written, up to ten a second. Other work on
the machine shows in the error, which more rounds make smaller.

Latency: at 30 frames a second, the time from a frame's arrival until its output stands, less the time
that invoke() took of it. The scene changes with each frame, so each frame moves a pin.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns, perf_counter_ns
from typing import Any

import cv2
import numpy as np

from reflexd.config.settings import Settings
from reflexd.history.recorder import nowhere
from reflexd.journal import Journal
from reflexd.lifecycle import Daemon
from reflexd.rules.items import Command, Item
from reflexd.trace import Trace
from reflexd.wiring import build
from reflexd_drivers.actuators import gpio_output
from reflexd_drivers.cameras import replay
from reflexd_models import bundle as bundles
from reflexd_models.base import Model, Prediction, View
from reflexd_models.sight import Sight, intake_for

DATA = Path(os.environ.get("REFLEXD_TEST_DATA", Path(__file__).resolve().parent.parent.parent / "shared"))
ROWS = [   # name, file, side in px, block, throughput that is expected at the model's size and from 640x480
    ("VWW", "vww96_int8", 96, 2000, (0.80, 0.45)),
    ("MobileNet v1 224", "mobilenet_v1_0.25_224_quant_meta", 224, 400, (0.97, 0.86)),
    ("COCO SSD", "coco_ssd_mobilenet_v1_quant_meta", 300, 20, (0.98, 0.96)),
]
LATENCY_US = 450
COSTS = 0.02               # of the throughput, at most
COMMIT_S = 0.5             # between two commits of events, so that most fall into the block that they are of


class Interpreter:
    """The interpreter, with a clock around invoke()."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self.spans: list[int] = []

    def invoke(self) -> None:
        began = perf_counter_ns()
        self._interpreter.invoke()
        self.spans.append(perf_counter_ns() - began)


class Timed:
    """The daemon's own way from a view to a prediction, whatever the network gives; the score flips every `hold` frames."""

    labels = ("odd",)

    def __init__(self, path: Path, hold: int) -> None:
        bundle = bundles.of_file(path)
        self.network = bundles.load(bundle)
        self._sight = Sight(self.network, intake_for(bundle, self.network))
        self._hold = hold
        self._seen = 0

    def predict(self, view: View, taken_at: int) -> Prediction:
        self._sight.look(view)
        self._seen += 1
        return Prediction(taken_at, {"odd": float(self._seen // self._hold % 2)})

    def given(self, view: View) -> list[Any]:
        return self._sight.given(view)


class Pausing(Trace):
    """A trace that can be told to keep nothing."""

    pauses = False

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[int] = []

    def note(self, item: Item, now: int, commands: Sequence[Command]) -> None:
        if not self.pauses:
            began = perf_counter_ns()
            super().note(item, now, commands)
            self.spans.append(perf_counter_ns() - began)


class Keeping:
    """What a daemon keeps of what it does, to be turned off and on again: trace, events, frames for evidence."""

    def __init__(self, daemon: Daemon) -> None:
        self.trace = daemon.loop.trace = Pausing()
        self.trace.begin(daemon.loop.stage, monotonic_ns())
        self._recorder = daemon.loop.recorder
        self._put = self._recorder._put             # noqa: SLF001  no other daemon has two minds about it
        (self._camera,) = daemon.parts.cameras.values()
        self._guests = self._camera._guests         # noqa: SLF001
        daemon.history._pause_s = COMMIT_S          # noqa: SLF001

    @property
    def on(self) -> bool:
        return not self.trace.pauses

    def turn(self) -> None:
        self.trace.pauses = self.on
        self._recorder._put = self._put if self.on else nowhere      # noqa: SLF001
        self._guests = self._camera._guests or self._guests          # noqa: SLF001
        self._camera._guests = self._guests if self.on else ()       # noqa: SLF001


class InTurn(Timed):
    """For one block as ever, for the next bare; every other block as ever keeps nothing of what it does."""

    def __init__(self, path: Path, block: int) -> None:
        super().__init__(path, hold=50)
        self.keeping: Keeping | None = None
        self._block = block
        self._calls = 0
        self._began = 0
        self.ratios: list[float] = []
        self.without: list[float] = []

    def predict(self, view: View, taken_at: int) -> Prediction:
        if self._calls % self._block == 0:
            self._turn()
        self._calls += 1
        return super().predict(view, taken_at)

    def _turn(self) -> None:
        """End a block of the daemon, and invoke as often bare."""
        whole = perf_counter_ns() - self._began
        invoke = self.network._interpreter.invoke   # noqa: SLF001  the call itself is what is measured
        began = perf_counter_ns()
        for _ in range(self._block):
            invoke()
        bare = perf_counter_ns() - began
        assert self.keeping is not None, "set before the first frame"
        if self._calls:
            (self.ratios if self.keeping.on else self.without).append(bare / whole)
        self.keeping.turn()
        self._began = perf_counter_ns()


def write_frames(folder: Path, width: int, height: int) -> Path:
    """Write a few photographs of that size as an array of frames."""
    names = ("grace_hopper.bmp", "cat.bmp", "bird.bmp", "cats_and_dogs.jpg")
    pictures = [cv2.imread(str(DATA / "images" / name)) for name in names]
    frames = [cv2.cvtColor(cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB) for one in pictures]
    path = folder / f"{width}x{height}.npz"
    np.savez(path, x=np.stack(frames))
    return path


def configured(frames: Path, **pace: Any) -> Settings:
    """One camera, one network, one rule that moves a pin with each frame."""
    camera = replay.Settings(driver="replay", path=frames, loop=True, max_age_ms=2000, **pace)
    lamp = gpio_output.Settings(driver="gpio-output", factory="mock", pin="GPIO17", safe=0.0)
    rule = {"name": "bench", "when": [{"model": "bench", "label": "odd", "at_least": 0.5}],
            "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
    return Settings.model_validate({
        "schema": 1, "daemon": {"state_dir": str(frames.parent)}, "events": {"write_budget_mb_per_day": 100_000},
        "evidence": {"rules": ["another"]},      # frames in memory: no rule fires fifty times a second
        "camera": {"bench": camera}, "model": {"bench": {"bundle": "-", "camera": "bench"}},
        "actuator": {"lamp": lamp}, "rule": [rule]})


def run(settings: Settings, model: Model, frames: int) -> Any:
    """Run the daemon with a model until it decided so many frames; give its loop."""
    with open(os.devnull, "wb") as nowhere:   # noqa: PTH123  a descriptor is wanted
        journal = Journal(nowhere.fileno())
        daemon = build(settings, journal, open_with=lambda *_: model)
        if isinstance(model, InTurn):
            model.keeping = Keeping(daemon)
        daemon.run(seconds=300, frames=frames)
        journal.close(1)
    return daemon.loop


def error_of_median(values: Sequence[float]) -> float:
    """Give the standard error of a median, for values that lie as those of a bell curve but for a few."""
    low, _, high = statistics.quantiles(values, n=4)
    return float(1.253 * (high - low) / 1.349 / len(values) ** 0.5)


def throughput(folder: Path, rounds: int) -> bool:
    met = True
    print(f"{'throughput beside bare invoke()':34}{'median':>8}{'wanted':>8}{'keeping costs':>21}{'at most':>9}{'note, us':>10}")
    for name, file, side, block, wanted in ROWS:
        for size, bar in zip(((side, side), (640, 480)), wanted, strict=True):
            model = InTurn(DATA / "models" / f"{file}.tflite", block)
            run(configured(write_frames(folder, *size), pace="fast"), model, block * rounds * 2)
            ratio = statistics.median(model.ratios)
            differences = [without - kept for without, kept in zip(model.without, model.ratios, strict=False)]
            costs, error = statistics.median(differences), error_of_median(differences)
            met = met and ratio >= bar and costs - 2 * error <= COSTS
            assert model.keeping is not None, "it has run"
            note_us, row = statistics.median(model.keeping.trace.spans) / 1000, f"{name} from {size[0]}x{size[1]}"
            print(f"{row:34}{ratio:8.3f}{bar:8.2f}{costs:13.3f} ± {error:.3f}{COSTS:9.2f}{note_us:10.1f}", flush=True)
    return met


def latency(folder: Path, seconds: float) -> bool:
    met = True
    print(f"\n{'30 Hz, arrival to pin less invoke':34}{'p50 us':>10}{'p90 us':>9}{'wanted p50':>12}")
    for name, file, side, _, _ in ROWS:
        for size in ((side, side), (640, 480)):
            network = DATA / "models" / f"{file}.tflite"
            model = Timed(network, hold=1)
            clocked = Interpreter(model.network._interpreter)   # noqa: SLF001
            model.network._interpreter = clocked                # noqa: SLF001
            settings = configured(write_frames(folder, *size), rate_hz=30)
            loop = run(settings, model, round(seconds * 30))
            pins = loop.to_pin.spans()
            over = sorted((pin - invoke) / 1000 for pin, invoke in zip(pins, clocked.spans, strict=False))
            p50, p90 = over[len(over) // 2], over[len(over) * 9 // 10]
            judged = size == (side, side)      # from 640x480 the resampling of a frame that no cache holds comes on top
            met = met and (p50 <= LATENCY_US or not judged)
            wanted = f"{LATENCY_US:12d}" if judged else f"{'-':>12}"
            print(f"{name + f' from {size[0]}x{size[1]}':34}{p50:10.0f}{p90:9.0f}{wanted}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench loop", description="Measure the daemon beside bare invoke(), in one run.")
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="blocks of each row, default 21")
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="of each row of the latency, default 10")
    args = parser.parse_args()
    if not (DATA / "models").is_dir():
        print(f"no test data at {DATA}; set REFLEXD_TEST_DATA", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        fast_enough = throughput(Path(folder), args.rounds)
        quick_enough = latency(Path(folder), args.seconds)
    return 0 if fast_enough and quick_enough else 1


if __name__ == "__main__":
    sys.exit(main())
