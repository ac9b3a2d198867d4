"""Which detection is the one of the prediction before: a small tracker by overlap.

Boxes of one label that overlap most are taken to be the same thing, the best pair first. A track outlives a few
predictions that miss it, or a second, whichever is longer; no id is used twice. It is a function of what it was
given, and of nothing else. It is our own because those to be had bring more than they are: docs/dependencies.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from reflexd.rules.items import NS
from reflexd.rules.memory import kept
from reflexd.rules.zones import Point
from reflexd_models.base import Detection

Box: TypeAlias = tuple[float, float, float, float]

LEAST_OVERLAP = 0.2     # of the union: what walks at 5 predictions a second still meets its last box
MISSES = 3
MISSED_NS = NS
MOST_SEEN = 32          # detections of one prediction that are followed, the best ones
MOST_TRACKS = 64        # a bound on the work: 32 x 64 pairs take a millisecond or two


def lost(taken_at: int, seen_at: int, missed: int) -> bool:
    """Say whether what was seen last at `seen_at`, and missed in so many predictions since, is given up."""
    return missed > MISSES and taken_at - seen_at > MISSED_NS


def overlap(one: Box, other: Box) -> float:
    """Give the share of the union of two boxes that both have."""
    left, top, right, bottom = one
    width = min(right, other[2]) - max(left, other[0])
    height = min(bottom, other[3]) - max(top, other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((right - left) * (bottom - top) + (other[2] - other[0]) * (other[3] - other[1]) - both)


@kept
@dataclass(slots=True)
class Track:
    """One thing, as long as it can be followed."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("number", "label", "box", "at", "before", "best", "seen_at", "missed")

    number: int
    label: str
    box: Box
    at: Point               # where it stands
    before: Point | None    # where it stood when it was seen before that; None at first sight
    best: float             # the highest score that it has had
    seen_at: int
    missed: int = 0         # predictions since


class Tracker:
    """Follows what one network sees."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("tracks", "_next")

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._next = 1

    def forget(self) -> None:
        """Follow nothing of what was seen before."""
        self.tracks = []

    def follow(self, seen: Sequence[tuple[Detection, Point]], taken_at: int) -> list[Track | None]:
        """Say which track each detection belongs to, with where it stands; None for those beyond the bound.

        `seen` comes best first. A track that is not among the answers was missed.
        """
        followed = seen[:MOST_SEEN]
        found: list[Track | None] = [None] * len(seen)
        matched: set[int] = set()
        for _, place, index in sorted(self._pairs(followed)):
            track = self.tracks[place]
            if found[index] is None and track.number not in matched:
                matched.add(track.number)
                found[index] = track
        for index, (detection, at) in enumerate(followed):
            known = found[index]
            if known is None:
                found[index] = self._begin(detection, at, taken_at)
            else:
                known.before, known.at, known.box = known.at, at, detection.box
                known.best = max(known.best, detection.score)
                known.seen_at, known.missed = taken_at, -1
        self._let_go(taken_at)
        return found

    def _pairs(self, seen: Sequence[tuple[Detection, Point]]) -> list[tuple[float, int, int]]:
        """List what may be the same, best first once sorted: older tracks and better detections win a draw."""
        pairs = []
        for place, track in enumerate(self.tracks):
            label, box = track.label, track.box
            left, top, right, bottom = box
            for index, (detection, _) in enumerate(seen):
                other = detection.box
                if (detection.label == label and other[0] < right and left < other[2] and other[1] < bottom and top < other[3]
                        and (share := overlap(box, other)) >= LEAST_OVERLAP):
                    pairs.append((-share, place, index))
        return pairs

    def _begin(self, detection: Detection, at: Point, taken_at: int) -> Track:
        track = Track(self._next, detection.label, detection.box, at, None, detection.score, taken_at, -1)
        self._next += 1
        self.tracks.append(track)
        return track

    def _let_go(self, taken_at: int) -> None:
        """Count the misses; give up what was missed for too long, and above the bound what was seen longest ago."""
        for track in self.tracks:
            track.missed += 1
        self.tracks = [track for track in self.tracks if not lost(taken_at, track.seen_at, track.missed)]
        if len(self.tracks) > MOST_TRACKS:
            kept = sorted(self.tracks, key=lambda track: (track.missed, track.number))[:MOST_TRACKS]
            self.tracks = sorted(kept, key=lambda track: track.number)
