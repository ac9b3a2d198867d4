"""Why each rule acted at a moment, or what stopped it first: found by deciding once more on what was recorded until then.

A decision is made when an item of one of the rule's sources comes, so what is told is the last one by that moment, how long
before it that was, and whether the sources have been silent for too long since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reflexd.config.settings import ArmedBy, SensorIs
from reflexd.replay.again import Step, again, stage_of
from reflexd.replay.tape import Begin, Line, Taken, TapeError
from reflexd.rules.items import NS, Fired, Verdict
from reflexd.rules.rule import Held, Rule
from reflexd.rules.sources import NEVER, Source, equals
from reflexd.rules.stage import Stage
from reflexd.rules.telling import Said, contrary, stopper, told

FIRED, GOES_ON, WAITS, HELD_BACK, FALSE, UNKNOWN = "fired", "goes on", "waits", "held back", "false", "unknown"


class Decided(NamedTuple):
    """A decision of one rule."""

    now: int
    verdicts: tuple[Verdict, ...]
    state: str                 # FIRED and so on
    held: Held | None          # of a rule that is true and held back; None where something above the rules does
    forbids: str               # that which is above the rules, and why


class Lapse(NamedTuple):
    """A rule is unknown since it was decided, because nothing more came."""

    what: str
    why: str
    since: int | None          # monotonic ns; None where that is not one moment


@dataclass(frozen=True, slots=True)
class Explained:
    """What there is to say of a rule at a moment."""

    rule: str
    state: str                     # of the last decision, or UNKNOWN since
    decided_at: int | None         # monotonic ns; None: not within what was recorded
    conditions: tuple[Said, ...]
    first: int | None              # the place of what stopped it first
    held: Held | None              # in that decision, of a rule that was true and held back
    rests: Held | None             # at the moment: what would keep it from beginning to act
    forbids: str                   # what above the rules kept outputs safe when it was decided, or does at the moment
    lapse: Lapse | None
    acts_in_s: float | None        # of one that was triggered and waits for its delay_s
    outputs: tuple[str, ...]       # what it drives when it acts
    claims: dict[str, float]       # for how many seconds more it claims each actuator, unless something ends that


class Decisions:
    """Follows what is decided, step by step, and keeps the last decision of each rule."""

    def __init__(self) -> None:
        self.stage: Stage | None = None
        self.last: dict[str, Decided] = {}
        self.voided: dict[str, int] = {}                    # when what a source said last was made void, by its name
        self._seen: dict[str, tuple[Verdict, ...]] = {}     # of the stage's rules, so that a new decision shows
        self._epochs: dict[str, int] = {}                   # of the stage's sources

    def begin(self, stage: Stage) -> None:
        """Go on with another stage; a rule that is the same in both has decided already."""
        before = {rule.name: rule.settings for rule in self.stage.rules} if self.stage else {}
        same = {rule.name for rule in stage.rules if before.get(rule.name) == rule.settings}
        self.stage, self._seen = stage, {}
        self._epochs = {name: source.epoch for name, source in stage.sources.items()}
        self.last = {name: one for name, one in self.last.items() if name in same}

    def add(self, step: Step) -> Iterator[tuple[Rule, Decided]]:
        """Take a step in; give what was decided in it."""
        if step.stage is not self.stage:
            self.begin(step.stage)
        for name, source in step.stage.sources.items():
            if source.epoch != self._epochs[name]:
                self._epochs[name], self.voided[name] = source.epoch, step.taken.now
        for rule in step.stage.rules:
            if rule.verdicts and rule.verdicts is not self._seen.get(rule.name):
                self._seen[rule.name] = rule.verdicts
                self.last[rule.name] = _decided(rule, step)
                yield rule, self.last[rule.name]

    def follow(self, lines: Iterable[Line], moment: int | None = None) -> Iterator[tuple[int, Rule, Decided]]:
        """Take all in that was consumed by a moment. Gives each decision with its now. Raises: TapeError."""
        newest: list[Begin] = []
        for step in again(_until(lines, moment, newest)):
            newest.clear()
            for rule, decided in self.add(step):
                yield step.taken.now, rule, decided
        if newest:                 # nothing has come since
            self.begin(stage_of(newest[-1]))


def _until(lines: Iterable[Line], moment: int | None, newest: list[Begin]) -> Iterator[Line]:
    for line in lines:
        if moment is not None and isinstance(line, (Begin, Taken)) and line.now > moment:
            return
        if isinstance(line, Begin):
            newest.append(line)
        yield line


def _decided(rule: Rule, step: Step) -> Decided:
    now, held, forbids = step.taken.now, None, ""
    if any(isinstance(one, Fired) and one.rule == rule.name for one in step.commands):
        state = FIRED
    elif rule.due is not None:
        state = WAITS
    elif rule.truth is not True:
        state = UNKNOWN if rule.truth is None else FALSE
    elif forbids := forbidden(step.stage, now):
        state = HELD_BACK
    elif rule.acting(now):
        state = GOES_ON
    else:
        state, held = HELD_BACK, rule.held_back(now)
    return Decided(now, rule.verdicts, state, held, forbids)


def forbidden(stage: Stage, now: int) -> str:
    """Say what above the rules keeps every output safe, and why; empty where nothing does."""
    return "; ".join(_forbids(stage, by, now) for by in stage.forbidding(now))


def _forbids(stage: Stage, by: str, now: int) -> str:
    safety = stage.settings.safety
    guard: SensorIs | None = {"stop": safety.stop, "arm": safety.arm}.get(by)
    name = by if guard is None else f"sensor.{guard.sensor}"
    source = stage.sources.get(name)
    if source is None:
        return f"{by} is required and was not heard in time"
    trouble = source.unusable(now)
    if guard is None:
        return f"{by} is required: {trouble or 'not heard in time'}"
    if isinstance(guard, ArmedBy) and not trouble and equals(source.value, guard.is_):
        return f"{by}: sensor {guard.sensor} has to say so for {guard.delay_s:g} s on end"
    return f"{by}: sensor {guard.sensor} {trouble or f'says {str(source.value).lower()}'}"


def explain(lines: Iterable[Line], moment: int) -> list[Explained]:
    """Explain every rule at a moment. Raises: TapeError."""
    found = Decisions()
    for _ in found.follow(lines, moment):
        pass
    return explained(found, moment)


def explained(found: Decisions, moment: int) -> list[Explained]:
    """Explain every rule of what was followed until a moment. Raises: TapeError."""
    if found.stage is None:
        raise TapeError("nothing was recorded by then; name a later moment")
    return [_explained(found, found.stage, rule, moment) for rule in found.stage.rules]


def _explained(found: Decisions, stage: Stage, rule: Rule, moment: int) -> Explained:
    decided = found.last.get(rule.name)
    by_now = tuple(test.judge(moment, None) for test in rule.tests)
    if decided is None:
        return _told(stage, rule, _standing(rule, by_now, moment), None, None, moment)
    ends = [_lapsed_at(test.source, found.voided.get(test.source.name, 0), decided.now, moment) for test in rule.tests]
    lapse = _lapse(rule, decided.verdicts, by_now, ends) if rule.due is None else None      # what was triggered outlives that
    return _told(stage, rule, decided, decided.now, lapse, moment)


def _standing(rule: Rule, by_now: tuple[Verdict, ...], moment: int) -> Decided:
    """Say what would be decided, of a rule that has decided nothing since the first mark."""
    first = stopper(by_now, rule.settings)
    if first is not None:
        return Decided(moment, by_now, UNKNOWN if by_now[first].truth is None else FALSE, None, "")
    return Decided(moment, by_now, GOES_ON if rule.acting(moment) else HELD_BACK, None, "")


def _told(stage: Stage, rule: Rule, decided: Decided, at: int | None, lapse: Lapse | None, moment: int) -> Explained:
    return Explained(
        rule.name, UNKNOWN if lapse else decided.state, at, told(rule, decided.verdicts, decided.now, moment),
        stopper(decided.verdicts, rule.settings), decided.held, rule.held_back(moment),
        decided.forbids or forbidden(stage, moment), lapse,
        None if rule.due is None else max(rule.due - moment, 0) / NS,
        tuple(dict.fromkeys(action.actuator for action in rule.settings.then)),
        {actuator: (until - moment) / NS for actuator, until in rule.acting(moment).items()})


def _lapse(rule: Rule, before: Sequence[Verdict], by_now: Sequence[Verdict], ends: Sequence[int | None]) -> Lapse | None:
    """Say since when the rule is unknown that was not when it was decided; `ends` are the moments in which conditions lapsed."""
    gone = [place for place, one in enumerate(by_now) if one.truth is None and before[place].truth is not None]
    left = [one._replace(truth=None) if place in gone else one for place, one in enumerate(before)]
    first, stops = stopper(before, rule.settings), stopper(left, rule.settings)
    if not gone or stops is None or left[stops].truth is not None or (first is not None and before[first].truth is None):
        return None                # something else makes it false, or it was unknown already
    # a rule that was true is unknown from the first lapse on, one that was false from the last of what made it so
    false = [place for place in gone if contrary(rule.settings, place, before[place].truth)]
    known = [(since, place) for place in (false or gone) if (since := ends[place]) is not None]
    since, place = (max if false else min)(known, default=(None, (false or gone)[0]))
    return Lapse(rule.tests[place].source.name, by_now[place].note, since)


def _lapsed_at(source: Source, voided_at: int, decided_at: int, moment: int) -> int | None:
    """Find from when on what a source had said at a decision did not count any more; None where that is not known."""
    stale = [one.taken_at + one.max_age_ns for one in (source, *(gate for gate, _ in source.gates)) if one.taken_at != NEVER]
    return min([at for at in stale if at < moment] + ([voided_at] if voided_at > decided_at else []), default=None)
