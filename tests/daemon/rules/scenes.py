"""A detector in place of the story's network: what it finds is told in words of a few letters."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, settings

from reflexd.rules.items import Command, Predicted
from reflexd_models.base import Detection, Options, Prediction
from tests.daemon.rules.story import FOLLOW, MS, Story

PATIENT = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])    # for a machine that is busy
LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
BOX = 0.4      # width and height of whatever is found


class Finds(Options):
    """The options of a task that gives detections."""

    gives_detections: ClassVar[bool] = True


def at(x: float, y: float, score: float = 0.9, label: str = "person", size: float = BOX) -> Detection:
    """Something whose feet are there; a box that would reach out of the frame is cut."""
    return Detection(label, score, (max(x - size / 2, 0), max(y - size, 0), min(x + size / 2, 1), min(y, 1)))


class Scene(Story):
    """A story that a detector tells, ten predictions a second."""

    def __init__(self, *conditions: dict[str, Any], **model: Any) -> None:
        given = {"bundle": "person", "camera": "gate", "options": Finds(), "zones": {"path": LEFT},
                 "lines": {"gate": [[0.5, 0], [0.5, 1]]}, **model}
        super().__init__({"when": [{"model": "person", "label": "person", **one} for one in conditions], "then": FOLLOW},
                         model={"person": given})

    def finds(self, *found: Detection, after_s: float = 0.1, watched: tuple[str, ...] = ("person",)) -> list[Command]:
        self.wait(after_s)
        best = {label: max((one.score for one in found if one.label == label), default=0.0) for label in watched}
        ordered = tuple(sorted(found, key=lambda one: -one.score))
        return self.stage.consume(Predicted("person", Prediction(self.now - 10 * MS, best, detections=ordered)), self.now)

    @property
    def truth(self) -> bool | None:
        return self.stage.rules[0].truth

    @property
    def verdict(self) -> str:
        return str(self.stage.rules[0].verdicts[0])

    def truths(self, *steps: tuple[Detection, ...] | Detection) -> list[bool | None]:
        """Say after each prediction what the rule knows."""
        told = []
        for step in steps:
            self.finds(*([step] if isinstance(step, Detection) else step))
            told.append(self.truth)
        return told
