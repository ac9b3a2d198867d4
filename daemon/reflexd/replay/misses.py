"""Near misses of one rule: how often it decided, what stopped it first how often, and how close it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from reflexd.replay.explaining import FIRED, HELD_BACK, WAITS, Decided, Decisions
from reflexd.replay.tape import Begin, Line, Lost
from reflexd.rules.items import Verdict
from reflexd.rules.rule import Rule
from reflexd.rules.scores import Score
from reflexd.rules.telling import hits_of, kind_of, stopper, threshold_of


class Near(NamedTuple):
    """How close a condition came, and when."""

    by: float                        # the margin, or the hits
    observed: float | bool | str | None
    threshold: float | None
    now: int
    unit: str = ""

    def nearer(self, other: Near | None) -> bool:
        """Say whether it was closer than another one; what only lacks time was closer than what lacks its score."""
        return other is None or (self.unit != "s", abs(self.by)) < (other.unit != "s", abs(other.by))


@dataclass(slots=True)
class Stopped:
    """A condition, in the decisions that it was the first to stop."""

    kind: str                        # "when", "unless" or "level"
    what: str
    unknown: bool                    # whether it was unknown in them, and not just contrary
    times: int = 0
    closest: Near | None = None      # the smallest distance to the threshold, where that was what it missed
    hits: Near | None = None         # the most hits
    needed: int | None = None
    of: int | None = None
    note: str = ""                   # of the newest
    newest: int = 0


@dataclass(slots=True)
class Misses:
    """All decisions of a rule in a span of time."""

    rule: str
    since: int                                        # monotonic ns: from here on something is known
    decisions: int = 0
    states: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)       # of those that were true and held back: by what
    stopped: dict[tuple[int, bool], Stopped] = field(default_factory=dict)
    lost: int = 0                                     # items that are missing

    def add(self, rule: Rule, decided: Decided) -> None:
        """Count a decision."""
        self.decisions += 1
        self.states[decided.state] += 1
        if decided.state == HELD_BACK:
            self.held[decided.held.by if decided.held else decided.forbids.partition(":")[0]] += 1
        place = stopper(decided.verdicts, rule.settings)
        if place is not None and decided.state not in (FIRED, WAITS):       # one with a delay acts on what was
            self._stop(rule, place, decided.verdicts[place], decided.now)

    def _stop(self, rule: Rule, place: int, verdict: Verdict, now: int) -> None:
        unknown, kind = verdict.truth is None, kind_of(rule.settings, place)
        one = self.stopped.setdefault((place, unknown), Stopped(kind, verdict.what, unknown))
        one.times, one.note, one.newest = one.times + 1, verdict.note, now
        if unknown:
            return
        test = rule.tests[place]
        margin, hits, core = verdict.margin, hits_of(test, now), test.parts[-1]
        missed = margin is not None and ((margin < 0) is (kind == "when") or (margin == 0 and not isinstance(core, Score)))
        if margin is not None and missed:
            near = Near(margin, verdict.observed, threshold_of(test, verdict), now, verdict.unit)
            one.closest = near if near.nearer(one.closest) else one.closest
        if hits is not None and kind == "when" and (one.hits is None or hits > one.hits.by):
            one.hits = Near(hits, verdict.observed, threshold_of(test, verdict), now)
        if isinstance(core, Score):
            one.needed, one.of = core.needed, core.window


def misses(lines: Iterable[Line], name: str, since: int, until: int | None = None) -> Misses | list[str]:
    """Sum up what one rule decided in a span of time; where none is called so, give the names there are. Raises: TapeError."""
    followed, found = Decisions(), Misses(name, since)
    first: list[int] = []
    for now, rule, decided in followed.follow(_watch(lines, first, found), until):
        if rule.name == name and now >= since:
            found.add(rule, decided)
    found.since = max(since, *first) if first else since
    names = [rule.name for rule in followed.stage.rules] if followed.stage else []
    return found if name in names or found.decisions else names


def _watch(lines: Iterable[Line], first: list[int], found: Misses) -> Iterable[Line]:
    """Note where the lines begin, and what is missing among them."""
    for line in lines:
        if isinstance(line, Begin) and not first:
            first.append(line.now)
        elif isinstance(line, Lost):
            found.lost += line.items
        yield line
