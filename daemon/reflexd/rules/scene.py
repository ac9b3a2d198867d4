"""What a detector's predictions mean in its scene: what counts, where it stands, and which is which.

A Scene belongs to one model. It keeps tracks only of labels that some rule wants to follow, and forgets them over a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import ClassVar, NamedTuple

from reflexd.config.scene import Scene as SceneSettings
from reflexd.rules.tracks import Track, Tracker
from reflexd.rules.zones import Point, inside
from reflexd_models.base import Detection, Prediction


class Seen(NamedTuple):
    """A detection that counts."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    at: Point                    # where it stands
    track: Track | None = None   # None where no rule follows its label


class Scene:
    """Reads the detections of one model."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_epoch",)

    def __init__(self, settings: SceneSettings, followed: Collection[str]) -> None:
        """`followed` are the labels whose things keep their identity from one prediction to the next."""
        self.followed = frozenset(followed)
        self.tracker = Tracker()
        self._masks = settings.masks
        self._least = 0.0 if settings.min_area is None else settings.min_area
        self._most = 1.0 if settings.max_area is None else settings.max_area
        self._picks = bool(self._masks) or settings.min_area is not None or settings.max_area is not None
        self._centre = settings.stands_at == "centre"
        self._epoch = -1

    def continues(self, other: Scene) -> None:
        """Follow on what another followed: rules have changed, and the model is still the same."""
        self.tracker, self._epoch = other.tracker, other._epoch
        self.tracker.tracks = [track for track in self.tracker.tracks if track.label in self.followed]

    def read(self, prediction: Prediction, epoch: int) -> tuple[tuple[Seen, ...], Mapping[str, float]]:
        """Give what counts, best first, and the highest score of each label of the prediction.

        A number that is none makes all of it unknown: no label has a score then; nor has one of which nothing counts
        while more may have been found than is told. A track that waits stays
        as it was, for a prediction that says nothing is no miss.
        """
        if epoch != self._epoch:
            self.tracker.forget()
            self._epoch = epoch
        if not all(isfinite(sum(one.box) + one.score) for one in prediction.detections):
            return (), {}
        counted = [(one, at) for one in prediction.detections if self._counts(one, at := self._stands(one))]
        scores = prediction.scores
        if self._picks:
            best = {label: max((one.score for one, _ in counted if one.label == label), default=0.0) for label in scores}
            scores = {label: score for label, score in best.items() if score > 0} if prediction.cut else best
        return self._identify(counted, prediction.taken_at), scores

    def _stands(self, one: Detection) -> Point:
        left, top, right, bottom = one.box
        return (left + right) / 2, (top + bottom) / 2 if self._centre else bottom

    def _counts(self, one: Detection, at: Point) -> bool:
        if not self._picks:
            return True
        left, top, right, bottom = one.box
        return self._least <= (right - left) * (bottom - top) <= self._most and not any(inside(mask, at) for mask in self._masks)

    def _identify(self, counted: list[tuple[Detection, Point]], taken_at: int) -> tuple[Seen, ...]:
        if not self.followed:
            return tuple(Seen(*one, at) for one, at in counted)
        tracks = iter(self.tracker.follow([pair for pair in counted if pair[0].label in self.followed], taken_at))
        return tuple(Seen(*one, at, next(tracks) if one.label in self.followed else None) for one, at in counted)
