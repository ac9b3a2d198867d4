"""Decide once more on what a recording has, by the same decision stage, and compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reflexd.config.settings import Settings
from reflexd.replay.plain import plain_of, settings_of
from reflexd.replay.tape import WRONG, Begin, Digest, End, Line, Lost, Taken, TapeError, shortly
from reflexd.rules.asked import stands, subjects_of, watched_by
from reflexd.rules.items import NS, Command, Item, Predicted, Rested, Sensed
from reflexd.rules.packing import Order, ordered, unpacked
from reflexd.rules.stage import Stage


class Step(NamedTuple):
    """An item was decided on once more; `stage` stands as it does after it."""

    stage: Stage
    taken: Taken
    commands: list[Command]
    orders: list[Order]       # `commands` as plain values


def stage_of(begin: Begin, settings: Settings | None = None) -> Stage:
    """Make the stage as it was then; with other settings, as a reload at that moment would have left it. Raises: TapeError."""
    try:
        before = Stage(settings_of(begin.settings))
        before.recall(begin.memory)
    except (*WRONG, IndexError) as error:
        raise TapeError(f"the recording's settings cannot be used: {shortly(error)}; use the reflexd that made it") from None
    return before if settings is None else _reloaded(before, settings, begin.now)


def _reloaded(before: Stage, settings: Settings, now: int) -> Stage:
    """Take over by another configuration: what is the same in both goes on, the rest begins anew."""
    new = settings_of(plain_of(settings))       # without what only drivers and tasks know, as the recording is
    changed = {f"{section}.{name}" for section in ("camera", "sensor", "model")
               for name, one in getattr(before.settings, section).items() if getattr(new, section).get(name) != one}
    leaving = {*changed, *(f"model.{name}" for name, model in before.settings.model.items()
                           if changed & {*watched_by(model), *(f"sensor.{one.sensor}" for one in model.only_while)})}
    rules = {rule.name for rule in new.rule if stands(rule, before.settings, new) and not leaving & subjects_of(rule)}
    before.let_go(rules, leaving & before.sources.keys(), now)
    return Stage(new, before)


def again(lines: Iterable[Line], settings: Settings | None = None) -> Iterator[Step]:
    """Decide on every item; over a loss the stage goes on as it is. Raises: TapeError."""
    stage = None
    for line in lines:
        if isinstance(line, Begin):
            if stage is None or settings is None:      # another configuration knows nothing of the recorded one's reloads
                stage = stage_of(line, settings)
        elif isinstance(line, Taken):
            if stage is None:
                raise TapeError("the recording has an item before its first mark; record anew")
            yield _step(stage, line)


def _step(stage: Stage, taken: Taken) -> Step:
    try:
        item = unpacked(taken.item)
        commands = stage.consume(item, taken.now) if _concerns(stage, item) else []
    except Exception as error:      # whatever a damaged item or memory leads to: rules trust both
        raise TapeError(f"the recording has an item that this version cannot decide on, at {taken.now / NS:.3f} s: "
                        f"{type(error).__name__}: {shortly(error)}; use the reflexd that made it") from None
    return Step(stage, taken, commands, [ordered(command) for command in commands])


def _concerns(stage: Stage, item: Item) -> bool:
    """Say whether the configuration has that source at all; another one than the recorded one may not."""
    if isinstance(item, (Predicted, Rested)):
        return f"model.{item.model}" in stage.sources
    return not isinstance(item, Sensed) or f"sensor.{item.sensor}" in stage.sources


class Comparison:
    """What is the same, and where the first difference is."""

    def __init__(self) -> None:
        self.items = self.lost = 0
        self.first: Step | None = None         # that was decided otherwise
        self.end: End | None = None
        self.digest = Digest()

    def watch(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Pass lines on, and note what the recording says of itself."""
        for line in lines:
            if isinstance(line, Lost):
                self.lost += line.items
            elif isinstance(line, End):
                self.end = line
            yield line

    def add(self, step: Step) -> None:
        """Compare what was decided on an item."""
        self.items += 1
        self.digest.add(step.taken.now, step.orders)
        if self.first is None and step.orders != step.taken.orders:
            self.first = step


def compare(lines: Iterable[Line]) -> Comparison:
    """Decide on all once more. Raises: TapeError."""
    found = Comparison()
    for step in again(found.watch(lines)):
        found.add(step)
    return found
