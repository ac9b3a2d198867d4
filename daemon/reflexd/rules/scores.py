"""Conditions on what a network says of a label: how sure it is, where that stands, how many, for how long, which way.

What stands in a zone is told as a score too: the score of the last of those that are needed, 0 where there
are fewer. So thresholds, hysteresis and hits mean the same with and without a zone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from reflexd.config.conditions import CrossingCondition, ScoreCondition
from reflexd.rules.items import NS
from reflexd.rules.memory import kept
from reflexd.rules.remembering import Remembering, new
from reflexd.rules.scene import Seen
from reflexd.rules.sources import Source
from reflexd.rules.tracks import Track, lost
from reflexd.rules.zones import away, crossing, inside

CLEAR = 0.01      # how far from a line, in shares of the frame, what crossed it has to be: feet on the line tremble


class Score(Remembering):
    """Enough of the last predictions were sure enough of a label."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_score", "_hits", "_held", "doubt")

    def __init__(self, source: Source, condition: ScoreCondition) -> None:
        super().__init__(source, f"{source.name} {condition.label} at least {condition.at_least:g}{_where(condition)}")
        self._label = condition.label
        self._enter = condition.at_least
        self._leave = condition.at_least if condition.release_below is None else condition.release_below
        self.needed = condition.hits
        self.window = condition.window
        self.forget()

    def forget(self) -> None:
        """Start with no hits."""
        self._hits: deque[tuple[int, bool]] = deque(maxlen=self.window)
        self._held = False
        self._score: float | None = None
        self.doubt = ""      # why there is no score, where the network gave one

    def see(self) -> None:
        """Count a hit or a miss, with hysteresis."""
        score = self._score = self.score()
        self._held = score is not None and score >= (self._leave if self._held else self._enter)
        self._hits.append((self.source.taken_at, self._held))

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Count the hits that are not too old: where predictions are missing, there is no hit."""
        if self._score is None or not isfinite(self._score):
            return None, self.doubt or "the network gave no score for it"
        if self.window == 1:
            return self._held, ""
        recent = self._recent(now)
        hits, missing = sum(recent), self.window - len(recent)
        note = f"{hits} of {self.window} hits, {self.needed} needed"
        if self.unwanted and hits < self.needed <= hits + missing:
            return None, f"{note}, {missing} not seen"
        return hits >= self.needed, note

    def hits(self, now: int) -> int:
        """Count those that are not too old."""
        return sum(self._recent(now))

    def _recent(self, now: int) -> list[bool]:
        """Give what is not too old: hits and misses."""
        oldest = now - self.window * 2 * self.source.period_ns
        return [held for taken_at, held in self._hits if taken_at >= oldest]

    def score(self) -> float | None:
        """Read the score that counts, of the newest prediction; None where it tells none."""
        return self.source.scores.get(self._label)

    def observed(self) -> float | None:
        """Give the last score."""
        return self._score

    def threshold(self) -> float:
        """Give the one to begin, or to go on."""
        return self._leave if self._held else self._enter

    def margin(self) -> float | None:
        """Compare with the threshold that counts."""
        observed = self.observed()
        return None if observed is None else observed - self.threshold()


@kept
@dataclass(slots=True)
class Stay:
    """How long something has stood where it is looked for."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("since", "sure_at", "missed")

    since: int
    sure_at: int
    missed: int = 0     # predictions since


class Standing(Score):
    """Enough things stand in a zone, each for long enough; without a zone, anywhere."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_stays", "there", "_best", "_stood_ns", "_first")

    def __init__(self, source: Source, condition: ScoreCondition) -> None:
        super().__init__(source, condition)
        self._zone = None if condition.zone is None else source.zones[condition.zone]
        self.count = condition.count
        self._dwell_ns = None if condition.dwell_s is None else round(condition.dwell_s * NS)

    def forget(self) -> None:
        """Start with no hits, and with nothing that stands there."""
        super().forget()
        self._stays: dict[int, Stay] = {}     # by the number of the track
        self._first = -1      # the first prediction after a gap: what it shows may have stood there before
        self._stand_nowhere()

    def _stand_nowhere(self) -> None:
        self.there = 0                         # things in the zone, however sure and however long
        self._best = 0.0                       # score of the last one of them that is needed
        self.doubt = ""
        self._stood_ns: int | None = None      # how long that many have stood there; None where fewer do

    def score(self) -> float | None:
        """Give the score of the last one that is needed, 0 if there are fewer; None where more may be there than is told."""
        self._stand_nowhere()
        if self._label not in self.source.scores:
            return None
        there = [one for one in self.source.seen if one.label == self._label and self._in_zone(one)]
        self.there, self._best = len(there), self._last_needed(there)
        stayed = there if self._dwell_ns is None else self._long_enough(there, self._dwell_ns)
        if len(stayed) >= self.count:
            return self._last_needed(stayed)
        self.doubt = self._doubt(there)
        return None if self.doubt else 0.0

    def _doubt(self, there: list[Seen]) -> str:
        """Say why enough may be there for long enough all the same; empty when they are not."""
        if self.source.cut:
            return "more may be there than the network tells"
        if self._dwell_ns is not None and any(one.track is None for one in there):
            return "more are there than can be followed"
        if self._dwell_ns is not None and self.unwanted and self._may_stand_longer(self._dwell_ns):
            return "what was there at the first look may have come before it"
        return ""

    def _last_needed(self, there: list[Seen]) -> float:
        scores = sorted((one.score for one in there), reverse=True)
        return scores[self.count - 1] if len(scores) >= self.count else 0.0

    def _in_zone(self, one: Seen) -> bool:
        return self._zone is None or inside(self._zone, one.at)

    def _long_enough(self, there: list[Seen], dwell_ns: int) -> list[Seen]:
        """Keep what has stood there long enough; what only seems to be gone stays as long as its track does."""
        now = self.source.taken_at
        self._first = now if self._first < 0 else self._first
        here = {one.track.number for one in there if one.track is not None}
        gone = {one.track.number for one in self.source.seen if one.track is not None} - here
        for number in gone & self._stays.keys():
            del self._stays[number]
        for stay in self._stays.values():
            stay.missed += 1
        for one in there:
            self._note(one, now)
        self._stays = {number: stay for number, stay in self._stays.items() if not lost(now, stay.sure_at, stay.missed)}
        stood = {number: now - stay.since for number, stay in self._stays.items() if number in here}
        self._stood_ns = sorted(stood.values(), reverse=True)[self.count - 1] if len(stood) >= self.count else None
        return [one for one in there if one.track is not None and stood.get(one.track.number, -1) >= dwell_ns]

    def _may_stand_longer(self, dwell_ns: int) -> bool:
        """Say whether something stands there, not for long enough yet, that was there at the first look after a gap."""
        return (self.source.taken_at - self._first < dwell_ns
                and any(stay.since == self._first for stay in self._stays.values()))

    def _note(self, one: Seen, now: int) -> None:
        """Begin a stay with a score that is a hit, and go on with one that does not release."""
        if one.track is None:
            return
        stay = self._stays.get(one.track.number)
        if one.score >= (self._enter if stay is None else self._leave):
            since = now if stay is None else stay.since
            self._stays[one.track.number] = Stay(since, now)

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Tell how long it has stood there besides; where that is what it is short of, with which score."""
        truth, note = super().says(now, moved)
        if self._stood_ns is None or truth is None:
            return truth, note
        stood = f"score {self._best:.2f}" if self._too_short else f"stands for {self._stood_ns / NS:.1f} s"
        return truth, f"{note}, {stood}" if note else stood

    @property
    def _too_short(self) -> bool:
        """Say whether all is as it should be, but not for long enough."""
        return self._dwell_ns is not None and self._stood_ns is not None and self._stood_ns < self._dwell_ns

    def observed(self) -> float | None:
        """Give the last score, also of what has not stood there for long; or else the seconds that it has."""
        if self._too_short and self._stood_ns is not None:
            return self._stood_ns / NS
        return self._score or (None if self._score is None else self._best)

    def unit(self) -> str:
        """What is observed may be a time."""
        return "s" if self._too_short else ""

    def threshold(self) -> float:
        """Give that of the score, or the seconds that it takes."""
        if self._too_short and self._dwell_ns is not None:
            return self._dwell_ns / NS
        return super().threshold()


class Crossing(Remembering):
    """Something crossed a line and is clear of it again; true for the one prediction that shows it."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_over", "_new", "_new_at", "_nearest", "_unsure")

    def __init__(self, source: Source, condition: CrossingCondition) -> None:
        way = "" if condition.direction == "either" else f" {condition.direction}"
        super().__init__(source, f"{source.name} {condition.label} crosses {condition.crosses}{way}")
        self._line = source.lines[condition.crosses]
        self._ways = {"forward": (1,), "backward": (-1,), "either": (1, -1)}[condition.direction]
        self._label = condition.label
        self._least = condition.at_least
        self.forget()

    def forget(self) -> None:
        """Nothing has crossed."""
        self._over: dict[int, int] = {}        # by the number of the track that crossed and is not clear yet: which way
        self._new = 0
        self._new_at = -1                      # when the newest prediction was taken that brought one
        self._nearest: float | None = None     # how far from the line what is nearest to it stands
        self._unsure = 0.0                     # best score of one that crossed, and was never sure enough

    def see(self) -> None:
        """Follow each track by its last step."""
        tracks = [one.track for one in self.source.seen if one.track is not None and one.label == self._label]
        self._unsure = 0.0
        self._new = sum(self._crossed(track) in self._ways for track in tracks)
        self._new_at = self.source.taken_at if self._new else self._new_at
        self._nearest = min((away(self._line, track.at) for track in tracks), default=None)
        if self._over:
            followed = {track.number for track in self.source.tracks}
            self._over = {number: ways for number, ways in self._over.items() if number in followed}

    def _crossed(self, track: Track) -> int:
        """Say which way it is over the line by now, once it is clear of it; 0 if it is not."""
        ways = self._over.pop(track.number, 0)
        if track.before is not None:
            ways += crossing(self._line, track.before, track.at)
        if not ways:
            return 0
        if away(self._line, track.at) < CLEAR:
            self._over[track.number] = ways
            return 0
        way = 1 if ways > 0 else -1
        if track.best >= self._least:
            return way
        self._unsure = max(self._unsure, track.best if way in self._ways else 0.0)
        return 0

    def says(self, now: int, moved: bool) -> tuple[bool | None, str]:
        """Say so once for the prediction that brought it; else how near it came."""
        if self._label not in self.source.scores:
            return None, "the network gave no score for it"
        if moved and self._new:
            return True, f"{self._new} new"
        if self._unsure:
            return False, "crossed, and was never sure enough"
        near = "" if self._nearest is None else f", the nearest {self._nearest:.2f} from the line"
        return False, new(0, self._new_at, now) + near

    def observed(self) -> float | bool:
        """Say whether the newest prediction brought one; or else the score of what crossed and does not count."""
        return self._new > 0 or self._unsure or False

    def threshold(self) -> float | None:
        """Give the score that it takes, where that was missed."""
        return self._least if self._unsure and not self._new else None

    def margin(self) -> float | None:
        """Compare with it."""
        least = self.threshold()
        return None if least is None else self._unsure - least


def _where(condition: ScoreCondition) -> str:
    """Write what a condition asks for besides a score."""
    many = f", {condition.count} of them" if condition.count > 1 else ""
    place = "" if condition.zone is None else f" in {condition.zone}"
    return f"{many}{place}" + ("" if condition.dwell_s is None else f" for {condition.dwell_s:g} s")


def about_label(source: Source, condition: ScoreCondition) -> Score:
    """Make the condition that a score needs: what is only a score, is one of a classifier too."""
    if condition.zone is None and condition.count == 1 and condition.dwell_s is None:
        return Score(source, condition)
    return Standing(source, condition)
