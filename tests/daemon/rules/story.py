"""A decision stage on a clock of its own: a test tells it a story and reads the commands."""

from __future__ import annotations

from typing import Any

from reflexd.config.settings import Settings
from reflexd.rules.items import Claim, Clock, Command, Down, Predicted, Release, Rested, Sensed, Verdict
from reflexd.rules.stage import Stage
from reflexd_drivers.base import Reading
from reflexd_models.base import Prediction

MS = 1_000_000
START = 1_000_000_000_000


def settings(*rules: dict[str, Any], **more: Any) -> Settings:
    """A camera at 10 Hz with a network, a button, a thermometer, a lamp and a fan, and these rules."""
    sensor = {"driver": "scripted", "max_age_ms": 1000}
    actuator = {"driver": "gpio-output", "safe": "off"}
    base: dict[str, Any] = {
        "schema": 1,
        "camera": {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500}},
        "model": {"person": {"bundle": "person", "camera": "gate"}},
        "sensor": {"button": sensor, "warmth": sensor},
        "actuator": {"lamp": actuator, "fan": actuator},
        "rule": [{"name": f"rule {number}", **rule} for number, rule in enumerate(rules)],
    }
    return Settings.model_validate({**base, **more})


class Story:
    """Feeds a stage and keeps the time."""

    def __init__(self, *rules: dict[str, Any], **more: Any) -> None:
        self.stage = Stage(settings(*rules, **more))
        self.now = START
        self.rises = 0

    def wait(self, seconds: float) -> Story:
        self.now += round(seconds * 1e9)
        return self

    def sees(self, score: float | None = None, age_ms: float = 10, label: str = "person", **prediction: Any) -> list[Command]:
        """The network gives a score (or a number: value=, spread=) for a frame of that age."""
        scores = {} if score is None else {label: score}
        taken_at = self.now - round(age_ms * MS)
        return self.stage.consume(Predicted("person", Prediction(taken_at, scores, **prediction)), self.now)

    def reads(self, model: str, value: float, spread: float = 0.0) -> list[Command]:
        """Another network gives a number for a frame of now."""
        return self.stage.consume(Predicted(model, Prediction(self.now, {}, value, spread)), self.now)

    def rests(self, age_ms: float = 10) -> list[Command]:
        """A frame of that age comes while the network rests."""
        return self.stage.consume(Rested("person", self.now - round(age_ms * MS)), self.now)

    def feels(self, sensor: str, value: Any, age_ms: float = 1, rises: int = 0, falls: int = 0) -> list[Command]:
        """A sensor gives a reading of that age."""
        taken_at = self.now - round(age_ms * MS)
        return self.stage.consume(Sensed(sensor, Reading(value, taken_at, taken_at, rises, falls)), self.now)

    def tells(self, utc_s: float | None = None, offset_s: int = 0) -> list[Command]:
        """The wall clock says so many seconds since 1970; without, that it is not known to be right."""
        return self.stage.consume(Clock(None if utc_s is None else round(utc_s * 1e9), offset_s, self.now), self.now)

    def verdict(self, rule: int = 0, condition: int = 0) -> Verdict:
        """Give what a condition said when its rule was decided last."""
        return self.stage.rules[rule].verdicts[condition]

    def loses(self, source: str) -> list[Command]:
        return self.stage.consume(Down(source, "gone"), self.now)


def acts(commands: list[Command]) -> bool:
    return any(isinstance(command, Claim) for command in commands)


def lets_go(commands: list[Command]) -> bool:
    return any(isinstance(command, Release) for command in commands)


FOR_5_S = [{"actuator": "lamp", "set": "on", "for_s": 5}]
FOLLOW = [{"actuator": "lamp", "set": "on", "follow": True}]
