"""Two networks, or one of them twice, on the same frames: in what they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reflexd.config.conditions import CrossingCondition, ScoreCondition
from reflexd.config.settings import Settings
from reflexd_models.base import Detection, Prediction

MOST = 100       # moments that are kept of a model
SAME = 0.5       # overlap (share of the union) from which two boxes of a label are one thing


class Apart(NamedTuple):
    """The largest difference of a label's score."""

    by: float
    now: int           # when that frame was decided on; monotonic ns
    then: float
    again: float


@dataclass
class Differences:
    """What became of the predictions of a model."""

    predictions: int = 0
    framed: int = 0              # of which a frame was recorded
    identical: int = 0           # of those
    scores: dict[str, Apart] = field(default_factory=dict)
    crossed: dict[tuple[str, float], int] = field(default_factory=dict)      # how often one side only reaches a label's threshold
    values: int = 0              # numbers that are read otherwise
    missing: int = 0             # things that were found then, and are not now
    added: int = 0
    moments: list[tuple[int, str]] = field(default_factory=list)

    @property
    def differing(self) -> int:
        """Count the predictions that are otherwise."""
        return self.framed - self.identical

    def add(self, now: int, then: Prediction, again: Prediction, thresholds: Sequence[tuple[str, float]]) -> bool:
        """Compare two predictions of one frame; true where they are the same."""
        self.framed += 1
        words = [*self._scores(now, then, again), *self._value(then, again), *self._seen(then, again)]
        for label, threshold in thresholds:
            if label in then.scores and label in again.scores and \
                    (then.scores[label] >= threshold) is not (again.scores[label] >= threshold):
                self.crossed[label, threshold] = self.crossed.get((label, threshold), 0) + 1
        if not words:
            self.identical += 1
        elif len(self.moments) < MOST:
            self.moments.append((now, ", ".join(words)))
        return not words

    def _scores(self, now: int, then: Prediction, again: Prediction) -> Iterator[str]:
        """Compare what both tell: another configuration may ask for other labels, and they are no difference."""
        for label in sorted(then.scores.keys() & again.scores.keys()):
            before, after = then.scores[label], again.scores[label]
            if before != after:
                apart = Apart(abs(after - before), now, before, after)
                self.scores[label] = max(self.scores.get(label, apart), apart)
                yield f"{label} {before:.4g} then, {after:.4g} now"

    def _value(self, then: Prediction, again: Prediction) -> Iterator[str]:
        if (then.value, then.spread, then.unsure) != (again.value, again.spread, again.unsure):
            self.values += 1
            yield f"{_read(then)} then, {_read(again)} now"
        elif then.parts != again.parts:
            yield "parts with other labels or scores"

    def _seen(self, then: Prediction, again: Prediction) -> Iterator[str]:
        common = then.scores.keys() & again.scores.keys()
        before = [one for one in then.detections if one.label in common]
        after = [one for one in again.detections if one.label in common]
        gone, come = unmatched(before, after)
        self.missing += len(gone)
        self.added += len(come)
        yield from (f"{one.label} {one.score:.4g} found only then" for one in gone)
        yield from (f"{one.label} {one.score:.4g} found only now" for one in come)
        if not gone and not come and before != after:
            yield "boxes or scores of what was found"
        if then.cut != again.cut:
            yield "more may have been found than is told, " + ("then" if then.cut else "now")


def _read(one: Prediction) -> str:
    return f"unsure ({one.unsure})" if one.value is None and one.unsure else f"value {one.value}"


def unmatched(before: Sequence[Detection], after: Sequence[Detection]) -> tuple[list[Detection], list[Detection]]:
    """Give what only one side found; each takes the one of its label that it overlaps most."""
    left, gone = list(after), []
    for one in before:
        alike = [other for other in left if other.label == one.label]
        near = max(alike, key=lambda other: overlap(one.box, other.box), default=None)
        if near is not None and overlap(one.box, near.box) >= SAME:
            left.remove(near)
        else:
            gone.append(one)
    return gone, left


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the share of the union of two boxes that both cover."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def thresholds_of(settings: Settings, model: str) -> list[tuple[str, float]]:
    """List the scores of labels at which some rule changes its mind."""
    found = []
    for rule in settings.rule:
        for one in (*rule.when, *rule.unless):
            if isinstance(one, (ScoreCondition, CrossingCondition)) and one.model == model:
                found.append((one.label, one.at_least))
                if isinstance(one, ScoreCondition) and one.release_below is not None:
                    found.append((one.label, one.release_below))
    return sorted(set(found))
