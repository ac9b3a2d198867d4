"""Measure what zones, tracks and lines add to a decision: microseconds for each prediction, beside a plain score.

The same predictions go through the decision stage of the daemon, with rules that ask for more and more.
"""

from __future__ import annotations

import argparse
import sys
import timeit
from typing import Any, ClassVar

from reflexd.config.settings import Settings
from reflexd.rules.items import Predicted
from reflexd.rules.stage import Stage
from reflexd_models.base import Detection, Options, Prediction

ROWS: list[tuple[str, list[dict[str, Any]]]] = [
    ("a score", [{"at_least": 0.5}]),
    ("hits in a zone", [{"at_least": 0.5, "hits": 3, "of": 5, "zone": "path"}]),
    ("dwell in a zone", [{"at_least": 0.5, "zone": "path", "dwell_s": 1}]),
    ("a zone, a dwell and a line", [{"at_least": 0.5, "zone": "path"}, {"at_least": 0.5, "zone": "path", "dwell_s": 1},
                                   {"crosses": "gate"}]),
]
FOUND = (0, 1, 5, 20)
PERIOD_NS = 33_333_333


class Finds(Options):
    """The options of a detector."""

    gives_detections: ClassVar[bool] = True


def stage_with(conditions: list[dict[str, Any]]) -> Stage:
    """Make a stage with one rule."""
    model = {"bundle": "-", "camera": "gate", "options": Finds(), "lines": {"gate": [[0.5, 0], [0.5, 1]]},
             "zones": {"path": [[0.1, 0.4], [0.9, 0.4], [0.9, 1], [0.1, 1]]}}
    when = [{"model": "person", "label": "person", **one} for one in conditions]
    return Stage(Settings.model_validate({
        "schema": 1, "camera": {"gate": {"driver": "replay", "rate_hz": 30}}, "model": {"person": model},
        "actuator": {"lamp": {"driver": "gpio-output", "safe": "off"}},
        "rule": [{"name": "bench", "when": when, "then": [{"actuator": "lamp", "set": "on", "follow": True}]}]}))


def cost_us(conditions: list[dict[str, Any]], found: int, times: int) -> float:
    """Give what a prediction with so many detections costs, at best."""
    stage, now = stage_with(conditions), 0
    boxes = [(number % 8 / 8, number // 8 / 5, number % 8 / 8 + 0.12, number // 8 / 5 + 0.2) for number in range(found)]
    detections = tuple(Detection("person", 0.9 - place / 100, box) for place, box in enumerate(boxes))

    def predict() -> None:
        nonlocal now
        now += PERIOD_NS
        stage.consume(Predicted("person", Prediction(now - 1000, {"person": 0.9 if found else 0.0}, detections=detections)), now)

    return min(timeit.repeat(predict, number=times, repeat=7)) / times * 1e6


def main() -> int:
    """Print the table; 1 when a rule with five things in sight takes longer than half a millisecond."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=500, help="predictions of a measurement")
    times = parser.parse_args().times
    print(f"{'microseconds a prediction':30}" + "".join(f"{f'{found} found':>10}" for found in FOUND))
    worst = 0.0
    for name, conditions in ROWS:
        costs = [cost_us(conditions, found, times) for found in FOUND]
        worst = max(worst, costs[FOUND.index(5)])
        print(f"{name:30}" + "".join(f"{cost:10.1f}" for cost in costs))
    return int(worst > 500)


if __name__ == "__main__":
    sys.exit(main())
