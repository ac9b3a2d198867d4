"""What another configuration would have decided: both decide on the same items, side by side, and what differs is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from reflexd.config.settings import Settings
from reflexd.replay.again import Step, again
from reflexd.replay.driven import Activity, Driven
from reflexd.replay.explaining import forbidden
from reflexd.replay.tape import Begin, Line, TapeError, read, shortly
from reflexd.replay.unknown import missing
from reflexd.rules.items import Fired
from reflexd.rules.rule import Rule
from reflexd.rules.stage import Stage
from reflexd.rules.telling import kind_of, stopper

MOST = 100       # moments that are kept of a rule


class Moment(NamedTuple):
    """A rule fired under one configuration only."""

    at: int                # monotonic ns
    now: bool              # under the new one; else under the recorded one
    why: str               # what kept it under the other


@dataclass
class RuleChange:
    """A rule under both configurations."""

    then: int | None = None                  # how often it fired; None: there was no such rule
    now: int | None = None
    differing: int = 0                       # moments, of which the first are kept
    moments: list[Moment] = field(default_factory=list)
    unknown_ns: dict[str, int] = field(default_factory=dict)     # for how long the recording lacks what it depends on

    def unknown(self, whole_ns: int) -> bool:
        """Say whether nothing can be told of it: over all of the recording something is lacking."""
        return any(lacking >= whole_ns for lacking in self.unknown_ns.values())


class Said(Protocol):
    """What networks said when they were asked again."""

    @property
    def asked(self) -> frozenset[str]:
        """Name them."""
        ...

    def lines(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Give a recording as it would be with that."""
        ...

    def lacks(self, number: int, model: str | None) -> bool | None:
        """Say whether it is not known what a model would have said in that item; None: that item says nothing of it."""
        ...


class WhatIf:
    """Collects what differs."""

    def __init__(self, said: Said | None = None) -> None:
        """`said` has what networks said when they were asked again."""
        self.rules: dict[str, RuleChange] = {}
        self.items = self.otherwise = 0        # so many were decided otherwise by this version than is recorded
        self.first = self.last = 0             # moments of its beginning and of its last item; monotonic ns
        self.utc_s: float | None = None        # of its beginning, by the wall clock
        self._then, self._now = Driven(), Driven()
        self._stage: Stage | None = None
        self._missing: dict[str, list[str]] = {}
        self._said = said
        self._lacking: dict[str, str] = {}       # models of whose last frame nobody knows what they would have said; and why
        self._driven_by: dict[str, list[str]] = {}

    @property
    def outputs(self) -> dict[str, tuple[Activity | None, Activity | None]]:
        """Give what each output did under the recorded configuration and would have done; None where it has no such output."""
        then, now = self._then.end(), self._now.end()
        return {name: (then.get(name), now.get(name)) for name in {**then, **now}}

    def doubts(self, output: str) -> list[str]:
        """Name the rules that bear on an output and of which something is not known."""
        return [name for name in self._driven_by.get(output, ()) if self.rules[name].unknown_ns]

    def add(self, then: Step, now: Step) -> None:
        """Compare what both decided on an item."""
        at = then.taken.now
        if then.stage is not self._stage:
            self._begin(then.stage, now.stage)
        self._pass(at - self.last)
        if self._said is not None:
            self._hear(self._said, then, now)
        self.items += 1
        self.last = at
        self.otherwise += then.orders != then.taken.orders
        self._then.add(then)
        self._now.add(now)
        if then.commands or now.commands:
            self._compare(then, now)

    def _hear(self, said: Said, then: Step, now: Step) -> None:
        """Follow whether what a network would have said of its last frame is known."""
        model = then.taken.item[1] if then.taken.item[0] == "predicted" else None
        if (lacks := said.lacks(self.items, model)) is not None and lacks is not (model in self._lacking):
            if lacks:
                self._lacking[str(model)] = f"model {model} says something else now, and not all of its frames were recorded"
            else:
                del self._lacking[str(model)]
            self._begin(then.stage, now.stage)

    def _begin(self, then: Stage, now: Stage) -> None:
        self._stage, self._driven_by = then, driven_by(now.settings)
        self._missing = missing(then, now, self._said.asked if self._said else frozenset())
        for rule in now.rules:
            self._missing.setdefault(rule.name, []).extend(
                why for model, why in self._lacking.items() if f"model.{model}" in rule.sources)
        for rule in then.rules:
            one = self.rules.setdefault(rule.name, RuleChange())
            one.then = one.then or 0
        for rule in now.rules:
            one = self.rules.setdefault(rule.name, RuleChange())
            one.now = one.now or 0
            one.unknown_ns.update({reason: one.unknown_ns.get(reason, 0) for reason in self._missing.get(rule.name, ())})

    def _pass(self, elapsed_ns: int) -> None:
        for name, reasons in self._missing.items():
            for reason in reasons:
                self.rules[name].unknown_ns[reason] += elapsed_ns

    def _compare(self, then: Step, now: Step) -> None:
        before, after = fired(then), fired(now)
        for name in before:
            self.rules[name].then = (self.rules[name].then or 0) + 1
        for name in after:
            self.rules[name].now = (self.rules[name].now or 0) + 1
        for name in sorted(before ^ after):
            one = self.rules[name]
            one.differing += 1
            if len(one.moments) < MOST:
                other = then.stage if name in after else now.stage
                one.moments.append(Moment(then.taken.now, name in after, kept_by(other, name, then.taken.now)))


def driven_by(settings: Settings) -> dict[str, list[str]]:
    """Name the rules that bear on each output: those that drive it, or an interlocked partner of it."""
    tables, found = settings.actuator, {}
    for output, table in tables.items():
        bears = {name for name, one in tables.items() if table.interlock and one.interlock == table.interlock} | {output}
        found[output] = [rule.name for rule in settings.rule if bears & {action.actuator for action in rule.then}]
    return found


def fired(step: Step) -> set[str]:
    """Name the rules that began to act."""
    return {command.rule for command in step.commands if isinstance(command, Fired)}


def kept_by(stage: Stage, name: str, at: int) -> str:
    """Say what kept a rule from firing at this moment."""
    rule = next((one for one in stage.rules if one.name == name), None)
    if rule is None:
        return "there is no such rule"
    return next(_hindrances(rule, stage, at), "its conditions had held before")


def _hindrances(rule: Rule, stage: Stage, at: int) -> Iterator[str]:
    if rule.due is not None:       # whatever its conditions say by then
        yield "it was triggered and waits for its delay_s"
    place = stopper(rule.verdicts, rule.settings)
    if place is not None:
        yield f"{'unless ' if kind_of(rule.settings, place) == 'unless' else ''}{rule.verdicts[place]}"
    if above := forbidden(stage, at):
        yield f"kept safe by {above}"
    if rule.acting(at):
        yield "it acts already"
    if held := rule.held_back(at):
        yield str(held)


def what_if(path: Path, settings: Settings | None, said: Said | None = None) -> WhatIf:
    """Decide on a recording by its own configuration, and by another one or on what networks said when they were asked again.

    Raises: TapeError, OSError.
    """
    found = WhatIf(said)
    other = said.lines(read(path)) if said else read(path)
    for then, now in zip(again(_timed(read(path), found)), again(other, settings), strict=True):
        try:
            found.add(then, now)
        except Exception as error:      # whatever damaged settings lead to: the gate trusts them
            raise TapeError(f"{path}: what it decides cannot be driven: {type(error).__name__}: {shortly(error)}; "
                            f"record anew") from None
    if not found.items:
        raise TapeError(f"{path}: has no items; record anew")
    return found


def _timed(lines: Iterator[Line], found: WhatIf) -> Iterator[Line]:
    for line in lines:
        if isinstance(line, Begin) and not found.items:
            found.first, found.last, found.utc_s = line.now, line.now, line.utc_s
        yield line
