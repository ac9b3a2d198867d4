"""Which outputs would have been active, how often and for how long: the gate itself, over actuators that take every level.

Its deadlines are settled in order of time, each at its moment. What stood at the gate when the recording begins follows from
what the rules remember: claims that live, and who permits. How long an output had been active by then is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reflexd.config.settings import Settings
from reflexd.output import Channel
from reflexd.outputs import Outputs
from reflexd.replay.again import Step
from reflexd.rules.items import Command, Lift, Release
from reflexd.rules.stage import Stage
from reflexd_drivers.base import ActuatorSettings


class Willing:
    """An actuator that takes every level at once."""

    settled = True
    trouble = ""
    failures = 0

    def set(self, level: float) -> None:
        """Take it."""

    def safe(self) -> None:
        """Take that too."""

    def check(self, now: int) -> None:
        """The world follows."""


@dataclass
class Activity:
    """How often an output became active, and for how long it was."""

    times: int = 0
    active_ns: int = 0
    since: int | None = None       # when it became active; None while it is safe


class Driven:
    """Follows the commands of one decision stage after the other."""

    def __init__(self) -> None:
        self.activity: dict[str, Activity] = {}
        self._outputs = Outputs({})
        self._stage: Stage | None = None
        self._now = 0

    def add(self, step: Step) -> None:
        """Take over what was decided on an item."""
        self._settle(step.taken.now)
        if step.stage is not self._stage:
            self._exchange(step.stage, step.taken.now)
        if step.commands:
            self._apply(step.commands, step.taken.now)

    def end(self) -> dict[str, Activity]:
        """Give what was found; what is active at the end counts until then."""
        for one in self.activity.values():
            if one.since is not None:
                one.active_ns, one.since = one.active_ns + self._now - one.since, None
        return self.activity

    def _settle(self, until: int) -> None:
        """Let pass what lapses by itself until then."""
        while (due := self._outputs.due) is not None and due <= until:
            self._outputs.settle(due)
            self._note(due)
        self._now = until

    def _apply(self, commands: Iterable[Command], now: int) -> None:
        self._outputs.apply(commands, now)
        self._note(now)

    def _exchange(self, stage: Stage, now: int) -> None:
        """Go on as another stage has it: its outputs, and the claims that live there."""
        wanted, driven = stage.settings.actuator, self._outputs.outputs
        same = {name for name in wanted.keys() & driven.keys() if driven[name].settings == wanted[name]}
        held = stage.held(now)
        living = {(one.rule, one.actuator) for one in held}
        ended = [Release(rule, name) for name in same for rule in driven[name].claims if (rule, name) not in living]
        above = {one.by for one in stage.standing(now)}
        lifted = [Lift(one.by) for one in (self._stage.standing(now) if self._stage else ()) if one.by not in above]
        self._outputs.let_go([name for name in driven if name not in same], "another configuration", now)
        self._note(now)                   # before another output of that name takes its place
        self._outputs.take_over(channels(stage.settings, wanted.keys() - same))
        self.activity.update({name: Activity() for name in wanted if name not in self.activity})
        self._stage = stage
        self._apply([*lifted, *stage.standing(now), *ended, *held], now)

    def _note(self, now: int) -> None:
        """Follow which outputs are active; in the pauses of a pattern one is."""
        self._outputs.changes.clear()
        for name, one in self.activity.items():
            output = self._outputs.outputs.get(name)      # None: it was let go, which sets it safe
            active = output is not None and output.active
            if active and one.since is None:
                one.times, one.since = one.times + 1, now
            elif not active and one.since is not None:
                one.active_ns, one.since = one.active_ns + now - one.since, None


def channels(settings: Settings, names: Iterable[str]) -> dict[str, tuple[ActuatorSettings, Channel]]:
    """Give the gate these outputs."""
    return {name: (settings.actuator[name], Willing()) for name in names}
