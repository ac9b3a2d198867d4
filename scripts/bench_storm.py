"""Measure what a line that chatters at 100,000 edges a second costs the decision loop: in turn, in one run.

Frames come at a steady rate through a network to a rule. For one block the line is quiet, for the next it chatters, written by a
process of its own in the structures that the kernel's queue gives. The 99th percentile of arrival to
decision of each block is set beside that of the quiet block before it; the median of these ratios is shown.
For comparison the same with a callback in Python for each edge, as pin libraries do it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from bench_loop import DATA, Timed, write_frames

from reflexd.config.settings import Settings
from reflexd.journal import Journal
from reflexd.wiring import build
from reflexd_drivers import gpio
from reflexd_drivers.actuators import gpio_output
from reflexd_drivers.cameras import replay
from reflexd_drivers.gpio_edges import LAST, Edges
from reflexd_drivers.sensors import gpio_input
from tests.drivers.storm import Storm

NETWORK = "vww96_int8"
WAYS = ("the kernel's queue", "a callback for each edge")


class Called(Edges):
    """The same line as a library hears it: a thread reads one edge at a time and calls back."""

    def __init__(self, storm: Storm) -> None:
        self._out, self._into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._storm, self._ended = storm, False
        super().__init__("GPIO4", self._out, lambda: False, self._end)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        os.set_blocking(self._storm.out, True)
        while not self._ended:
            event = os.read(self._storm.out, LAST.size)
            at, kind, _, _, number = LAST.unpack(event)
            self._on_edge(at, kind, number)

    def _on_edge(self, at: int, kind: int, number: int) -> None:
        """Hand an edge on to who waits for it."""
        try:
            os.write(self._into, LAST.pack(at, kind, 4, number, number))
        except BlockingIOError:
            pass

    def _end(self) -> None:
        self._ended = True


def configured(frames: Path, rate_hz: float) -> Settings:
    """One camera, one network, one output, and a rule that also looks at the line."""
    camera = replay.Settings(driver="replay", path=frames, loop=True, rate_hz=rate_hz, max_age_ms=2000)
    lamp = gpio_output.Settings.model_validate({"driver": "gpio-output", "factory": "mock", "pin": "GPIO17", "safe": "off"})
    noisy = gpio_input.Settings.model_validate(
        {"driver": "gpio-input", "factory": "mock", "chip": "storm", "pin": "GPIO4", "pull": "down"})
    rules = [{"name": "bench", "when": [{"model": "bench", "label": "odd", "at_least": 0.5}],
              "then": [{"actuator": "lamp", "set": "on", "follow": True}]},
             {"name": "noise", "when": [{"sensor": "noisy", "is": True}, {"model": "bench", "label": "odd", "at_least": 1.0}],
              "then": [{"actuator": "lamp", "set": "on", "follow": True}]}]
    return Settings.model_validate({
        "schema": 1, "camera": {"bench": camera}, "model": {"bench": {"bundle": "-", "camera": "bench"}},
        "sensor": {"noisy": noisy}, "actuator": {"lamp": lamp}, "rule": rules})


def blocks(way: str, folder: Path, args: argparse.Namespace) -> tuple[list[float], float, Any]:
    """Run one daemon, quiet and stormy in turn. Returns the ratios, the quiet p99 in ms and what was counted."""
    storm = Storm(args.rate)
    called = (lambda *_: Called(storm)) if way == WAYS[1] else None
    gpio._headers["mock", "storm"] = storm.header(called)   # noqa: SLF001  where the pins of this process are kept
    model = Timed(DATA / "models" / f"{NETWORK}.tflite", hold=1)
    with open(os.devnull, "wb") as nowhere:   # noqa: PTH123  a descriptor is wanted
        journal = Journal(nowhere.fileno())
        daemon = build(configured(write_frames(folder, 96, 96), args.hz), journal, open_with=lambda *_: model)
        runner = threading.Thread(target=daemon.run)
        runner.start()
        time.sleep(2)
        pairs, edges = [], 0
        for number in range(args.rounds):
            order = (False, True) if number % 2 == 0 else (True, False)
            found = {}
            for stormy in order:
                if stormy:
                    storm.begin()
                time.sleep(0.5)         # the process that writes starts, or what it left is read
                found[stormy] = p99(daemon.loop, args.seconds)
                if stormy:
                    edges = storm.end()[0]
            pairs.append((found[False], found[True]))
        counted = daemon.parts.sensors["noisy"].counts.total()
        daemon.loop.stop("measured")
        runner.join(10)
        journal.close(1)
    return [b / a for a, b in pairs], statistics.median(a for a, _ in pairs), {"written": edges, **counted}


def p99(loop: Any, seconds: float) -> float:
    """Give the 99th percentile of arrival to decision over some seconds, in milliseconds."""
    before = loop.to_decision.count
    time.sleep(seconds)
    spans = loop.to_decision.spans()[-(loop.to_decision.count - before):]
    return float(np.percentile(spans, 99)) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench storm", description="Measure the loop beside a line that chatters.")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="pairs of blocks of each way, default 15")
    parser.add_argument("--seconds", type=float, default=3, metavar="N", help="of each block, default 3")
    parser.add_argument("--hz", type=float, default=100, metavar="N", help="frames a second, default 100")
    parser.add_argument("--rate", type=int, default=100_000, metavar="N", help="edges a second, default 100000")
    args = parser.parse_args()
    if not (DATA / "models").is_dir():
        print(f"no test data at {DATA}; set REFLEXD_TEST_DATA", file=sys.stderr)
        return 1
    met = True
    print(f"{f'{args.rate} edges a second through':36}{'quiet p99 ms':>14}{'p99 beside it':>15}{'wanted':>9}  counted")
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            ratios, quiet, counted = blocks(way, Path(folder), args)
            ratio, judged = statistics.median(ratios), way == WAYS[0]
            met = met and (ratio <= 1.1 or not judged)
            print(f"{way:36}{quiet:14.2f}{ratio:15.2f}{'1.10' if judged else '-':>9}  {counted}", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
