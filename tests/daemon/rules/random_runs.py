"""A run of items as a random day could bring them, for a configuration that has a condition of every kind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from reflexd.config.settings import Settings
from reflexd.rules.items import NS, Armed, Clock, Down, Item, Looked, Predicted, Rested, Sensed
from reflexd_drivers.base import Reading
from reflexd_models.base import Detection, Prediction
from tests.daemon.rules.scenes import LEFT, Finds
from tests.daemon.rules.story import FOLLOW, FOR_5_S, MS, START, settings

LAMP = [{"actuator": "lamp", "set": "on", "for_s": 2, "hold_on_fault": True}]
RULES: list[dict[str, Any]] = [
    {"when": [{"model": "gate", "label": "person", "at_least": 0.6, "release_below": 0.4, "hits": 3, "of": 5}], "then": FOR_5_S,
     "cooldown_s": 8, "max_per_hour": 3},
    {"when": [{"model": "yard", "label": "dog", "at_least": 0.5, "zone": "path", "dwell_s": 1}],
     "unless": [{"sensor": "button", "is": True}], "then": FOLLOW},
    {"when": [{"model": "yard", "label": "dog", "crosses": "gate", "direction": "forward"}], "then": LAMP},
    {"when": [{"sensor": "warmth", "above": 25, "release_below": 22}, {"sensor": "button", "is": False}], "then": FOLLOW},
    {"when": [{"sensor": "warmth", "changed": 3}], "then": LAMP},
    {"when": [{"sensor": "warmth", "rising_for_s": 1}], "then": FOLLOW},
    {"when": [{"sensor": "button", "edge": "rise"}], "then": FOR_5_S, "cooldown_s": 1},
    {"when": [{"model": "meter", "rising_for_s": 0.5, "pause_s": 2}], "then": FOLLOW},
    {"when": [{"camera": "gate", "is": "covered"}], "then": FOLLOW},
    {"when": [{"sensor": "button", "is": False}],
     "then": [{"actuator": "fan", "follow": True, "set": {"sensor": "warmth", "from": [18, 24], "to": [0.1, 1], "step": 0.2}}]},
    {"when": [{"sensor": "button", "is": False}],
     "then": [{"actuator": "fan", "follow": True, "set": {"model": "meter", "from": [99, 130], "to": [1, 0]}}]},
    {"when": [{"sensor": "button", "edge": "fall"}],
     "then": [{"actuator": "lamp", "set": "on", "for_s": 2, "pattern": [0.1, 0.2, 0.1, 0.6], "times": 2}]},
    {"when": [{"sensor": "button", "edge": "rise"}], "unless": [{"sensor": "warmth", "above": 35}], "then": FOR_5_S,
     "delay_s": 1},
    {"when": [{"model": "gate", "label": "person", "at_least": 0.7}], "then": LAMP, "delay_s": 0.3, "cooldown_s": 1},
    {"when": [{"sensor": "warmth", "rate_above": 0.5, "over_s": 2}], "then": FOLLOW},
    {"when": [{"model": "meter", "rate_below": 5, "over_s": 0.5}], "then": LAMP, "cooldown_s": 5},
    {"when": [{"sensor": "stop", "stuck_for_s": 3}], "then": FOLLOW},
    {"when": [{"camera": "gate", "silent_for_s": 2}], "then": LAMP},
    {"when": [{"model": "gate", "label": "person", "at_least": 0.6}],
     "unless": [{"sensor": "button", "edge": "rise", "within_s": 2},
                {"model": "yard", "label": "dog", "crosses": "gate", "within_s": 5},
                {"model": "yard", "label": "dog", "at_least": 0.8, "dwell_s": 1, "within_s": 1}], "then": FOLLOW},
    {"when": [{"sensor": "warmth", "above": 0}, {"between": ["23:00", "00:30"], "days": ["sat"]}], "then": FOLLOW},
    {"when": [{"between": ["sunset", "sunrise-05:15"], "otherwise": False}], "then": FOLLOW},
    {"when": [{"model": "gate", "label": "person", "at_least": 0.3}],
     "unless": [{"model": "gate", "label": "person", "at_least": 0.7, "hits": 3, "of": 4},
                {"model": "yard", "label": "dog", "at_least": 0.9, "dwell_s": 0.4}], "then": FOLLOW},
    {"when": [{"model": "gate", "label": "person", "at_least": 0.3}],
     "unless": [{"model": "meter", "rising_for_s": 3, "pause_s": 0.2}], "then": FOLLOW},
]
WALL_S = 1_774_740_480       # Saturday 2026-03-28, 23:28 UTC, in the first minutes of a Sunday there
PLACE = {"latitude": 52.52, "longitude": 13.4}


SAFETY = {"stop": {"sensor": "stop", "is": True}, "arm": {"sensor": "stop", "is": False, "delay_s": 0.5}}


def busy() -> Settings:
    """Give a camera with a classifier, a detector and a meter, a button, a thermometer, and a condition of every kind."""
    model: dict[str, Any] = {
        "gate": {"bundle": "person", "camera": "gate"},
        "idle": {"bundle": "person", "camera": "gate", "only_while": [{"sensor": "button", "is": True}]},
        "yard": {"bundle": "dog", "camera": "gate", "options": Finds(), "zones": {"path": LEFT},
                 "lines": {"gate": [[0.5, 0], [0.5, 1]]}},
        "meter": {"bundle": "meter", "camera": "gate", "plausible": {"max_rise_per_min": 60}},
    }
    rules = [*RULES, {"when": [{"model": "idle", "label": "person", "at_least": 0.6}], "then": FOLLOW}]
    return settings(*rules, model=model, place=PLACE, safety=SAFETY, sensor={
        "button": {"driver": "scripted", "max_age_ms": 1000},
        "warmth": {"driver": "scripted", "max_age_ms": 1000, "required": True},
        "stop": {"driver": "scripted", "max_age_ms": 3000}})


class Day:
    """Makes items; what comes next depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self._chance = random.Random(seed)
        self._warmth, self._pressed, self._rises, self._count, self._at = 20.0, False, 0, 100.0, 0.2
        self._score = 0.5
        self._told_at = 0

    def items(self, count: int) -> Iterator[tuple[Item, int]]:
        """Give items, each with the moment in which it is consumed."""
        for _ in range(count):
            if self.now - self._told_at >= NS:
                yield self._clock(), self.now
                continue
            self.now += round(self._chance.expovariate(1 / 40) * MS) + 1
            if self._chance.random() < 0.002:
                self.now += 2_000 * MS
            yield self._item(), self.now

    def _clock(self) -> Item:
        """Tell the time; for a minute of each quarter of an hour it is not known."""
        self._told_at = self.now
        utc_s = WALL_S + (self.now - START) // NS
        return Clock(utc_s * NS if utc_s % 900 >= 60 else None, 3600, self.now - MS)

    def _item(self) -> Item:
        roll, chance = self._chance.random(), self._chance
        taken_at = self.now - round(chance.expovariate(1 / 15) * MS)
        if roll < 0.3:
            self._score = min(max(self._score + chance.gauss(0, 0.15), 0), 1)
            return Predicted(chance.choice(("gate", "gate", "idle")), Prediction(taken_at, {"person": self._score}))
        if roll < 0.55:
            return self._dog(taken_at)
        if roll < 0.65:
            self._count += 0.1 if chance.random() < 0.9 else 5
            return Predicted("meter", Prediction(taken_at, {}, self._count, 0.1))
        return self._other(roll, taken_at)

    def _dog(self, taken_at: int) -> Item:
        self._at = min(max(self._at + self._chance.gauss(0, 0.08), 0), 1)
        found = Detection("dog", self._chance.uniform(0.3, 1), (max(self._at - 0.2, 0), 0.2, min(self._at + 0.2, 1), 0.8))
        seen = (found,) if self._chance.random() < 0.9 else ()
        return Predicted("yard", Prediction(taken_at, {"dog": found.score if seen else 0.0}, detections=seen))

    def _other(self, roll: float, taken_at: int) -> Item:
        if roll < 0.78:
            self._warmth += self._chance.gauss(0, 0.8)
            return Sensed("warmth", Reading(self._warmth, taken_at, taken_at))
        if roll < 0.88:
            self._pressed = not self._pressed
            self._rises += self._pressed
            return Sensed("button", Reading(self._pressed, taken_at, taken_at, self._rises, self._rises - self._pressed))
        if roll < 0.95:
            return Sensed("stop", Reading(self._chance.random() < 0.03, taken_at, taken_at))
        if roll < 0.98:
            return Looked("gate", self._chance.choice(("normal", "covered", "frozen")), taken_at)
        if roll < 0.99:
            return Rested("idle", taken_at) if roll < 0.988 else Armed(roll < 0.989, self.now)
        return Down(self._chance.choice(("camera.gate", "sensor.warmth", "sensor.button", "model.yard")), "unplugged")
