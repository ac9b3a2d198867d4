"""Takes down what happened, on the loop's thread: a number, a handful of values, and a queue that never waits.

An id is known at the moment of the decision, before anything is driven and without the disk, so that the log can carry it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from reflexd.config.settings import Settings
from reflexd.events import ALL_SAFE, NOT_SAFE, PERMITTED, Event
from reflexd.history.incident import Incident, Kind, Run, unknown
from reflexd.output import Change
from reflexd.rules.items import Claim, Command, Fired
from reflexd.rules.stage import Stage

KINDS: dict[Event, Kind] = {ALL_SAFE: Kind.ALL_SAFE, PERMITTED: Kind.PERMITTED, NOT_SAFE: Kind.NOT_SAFE}


def nowhere(_incident: Incident) -> None:
    """Keep nothing."""


class Recorder:
    """What the loop tells of what happens."""

    def __init__(self, run: Run, put: Callable[[Incident], None] = nowhere,
                 synchronised: Callable[[], bool | None] = unknown) -> None:
        """Hand everything to `put`, which must not wait; `synchronised` says whether the wall clock is."""
        self.synchronised = synchronised
        self._run = run
        self._put = put
        self._numbers = count(1)
        self._settings: Settings | None = None
        self._jobs: Mapping[str, Any] = {}
        self._models: dict[str, list[str]] = {}

    def rewire(self, stage: Stage, jobs: Mapping[str, Any]) -> None:
        """Tell from now on what that stage decides, with the networks of these jobs."""
        self._settings, self._jobs = stage.settings, jobs
        self._models = {rule.name: [name.removeprefix("model.") for name in rule.sources if name.startswith("model.")]
                        for rule in stage.rules}

    def new_id(self) -> str:
        """Give what happens now its id."""
        return f"{self._run.name}-{next(self._numbers)}"

    def fired(self, ids: Mapping[str, str], commands: Sequence[Command], now: int, taken_at: int, held: str) -> None:
        """Take down the rules that fired, by the ids that they got; outputs stand by now. `taken_at` of the frame, or 0."""
        latency_ns = time.monotonic_ns() - taken_at if taken_at else None
        for one in commands:
            if isinstance(one, Fired):
                outputs = tuple((claim.actuator, claim.level) for claim in commands
                                if isinstance(claim, Claim) and claim.rule == one.rule)
                self._take(ids[one.rule], Kind.FIRED, one.rule, now, reasons=one.reasons, outputs=outputs, held=held,
                           frame_age_ns=now - taken_at if taken_at else None, latency_ns=latency_ns)

    def told(self, change: Change, now: int) -> None:
        """Take down what the gate did, where that is more than the rules did."""
        kind = Kind.MAX_ON if change.overran else KINDS.get(change.event)
        if kind is not None:
            outputs = ((change.output, change.level),) if change.output else ()
            self._take(change.event_id, kind, change.overran, now, text=str(change.cause), outputs=outputs)

    def left(self, why: str, now: int) -> None:
        """Take down that every output is safe because the daemon ends."""
        self._take(self.new_id(), Kind.ALL_SAFE, "", now, text=why)

    def _take(self, event_id: str, kind: Kind, rule: str, now: int, *, reasons: tuple[Any, ...] = (), text: str = "",
              outputs: tuple[tuple[str, float], ...] = (), held: str = "", frame_age_ns: int | None = None,
              latency_ns: int | None = None) -> None:
        assert self._settings is not None, "rewired before"
        models = {name: self._jobs[name].held.origin.sha256 for name in self._models.get(rule, ())
                  if name in self._jobs and self._jobs[name].held.origin is not None}
        self._put(Incident(event_id, int(event_id.rpartition("-")[2]), kind, rule, reasons, text, outputs, held, self._settings,
                           models, frame_age_ns, latency_ns, time.time_ns(), now, self.synchronised()))
