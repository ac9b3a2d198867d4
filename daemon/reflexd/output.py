"""One actuator as the gate sees it: what is wanted of it, what it does, and how that is told.

An output is active while it is not at its safe level, and in the pauses of a pattern, which is one activation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from reflexd.events import OUTPUT, Event
from reflexd.patterns import phase
from reflexd.rules.items import Claim
from reflexd_drivers.base import ActuatorSettings

NEVER = -1


class Channel(Protocol):
    """An actuator as the gate drives it: directly, or through the worker of one that blocks."""

    @property
    def settled(self) -> bool:
        """Say whether the last command has been carried out."""
        ...

    @property
    def trouble(self) -> str:
        """Say why it cannot be driven and is opened again; empty while it can be."""
        ...

    @property
    def failures(self) -> int:
        """Count how often it got into trouble, so that none is missed that is over already."""
        ...

    def set(self, level: float) -> None:
        """Drive a level. Raises: DriverError."""
        ...

    def safe(self) -> None:
        """Drive the safe level. Raises: DriverError."""
        ...

    def check(self, now: int) -> None:
        """Look whether the world followed, where that can be seen; never waits. Raises: DriverError."""
        ...


class Change(NamedTuple):
    """Something that the log should tell; put into words only after every output stands."""

    event: Event
    output: str              # "" for all of them
    level: float
    cause: Claim | str
    dry: bool = False        # noted in a dry run, which may have ended before it is told
    event_id: str = ""       # of the event that it belongs to
    overran: str = ""        # the rule whose claim max_on_s ended by this

    def fields(self) -> dict[str, str]:
        """Give what a reader of the journal can select by."""
        rule = self.cause.rule if isinstance(self.cause, Claim) else self.overran
        named = {"output": self.output, "rule": rule, "event_id": self.event_id}
        return {name: value for name, value in named.items() if value}

    def __str__(self) -> str:
        """Write it as a line."""
        if self.event is not OUTPUT:
            return str(self.cause)
        return f"{self.output} {described(self.level, self.cause)}{' (dry run: not driven)' if self.dry else ''}"


def described(level: float, cause: Claim | str) -> str:
    """Say where an output is and why."""
    if isinstance(cause, Claim):
        how = " in a pattern" if cause.pattern is not None else ""
        return f'{level_text(level)}{how}: rule "{cause.rule}": {"; ".join(map(str, cause.reasons))}'
    return f"{level_text(level)}, safe: {cause}"


@dataclass(slots=True)
class Output:
    """One actuator and what is wanted of it."""

    name: str
    settings: ActuatorSettings
    channel: Channel
    level: float                 # of its activation; the actuator is there, but for the pauses of a pattern
    paused: bool = False         # in a pause: active, and the actuator stands at its safe level
    claims: dict[str, Claim] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)      # since when the pattern that a rule claims goes, by rule
    active_since: int = NEVER
    rested_since: int = NEVER
    tripped: bool = False        # ran into max_on_s; cleared when every claim has ended
    failed: bool = False         # the last write failed: it is tried again until it is safe
    retry_at: int = 0
    failures: int = 0            # of its channel, as far as they were taken in
    leaving: str = ""            # why it is set safe while it is let go
    astray: float | None = None  # the level at which the world was told not to have followed
    changes: int = 0
    cause: Claim | str = "no rule claims it"     # why it is where it is
    event_id: str = ""           # of the event that made it active; its end belongs to that as well

    @property
    def active(self) -> bool:
        """Say whether it is away from its safe level, or in a pause of a pattern."""
        return self.level != self.settings.safe

    @property
    def driven(self) -> float:
        """Give the level that the actuator was set to last."""
        return self.settings.safe if self.paused else self.level

    @property
    def winner(self) -> Claim:
        """Give the claim that counts, of those that there are."""
        return max(self.claims.values(), key=lambda one: one.priority)

    def end(self, rule: str) -> Claim | None:
        """End a rule's claim and give it, if there is one."""
        self.begun.pop(rule, None)
        return self.claims.pop(rule, None)

    def end_all(self) -> None:
        """End every claim."""
        self.claims.clear()
        self.begun.clear()

    def begin_pattern(self, level: float, now: int) -> None:
        """Let the pattern of the claim that counts begin, where the output may be active and it has not begun."""
        if level != self.settings.safe and self.winner.pattern is not None:
            self.begun.setdefault(self.winner.rule, now)

    def through(self, now: int) -> bool:
        """Say whether the pattern of the claim that counts was repeated as often as it should be."""
        pattern, since = self.winner.pattern, self.begun.get(self.winner.rule)
        return pattern is not None and since is not None and phase(pattern, since, now).over

    def edge(self, now: int) -> int | None:
        """Say when a pattern goes on to its next phase."""
        if not self.active or not self.claims or self.winner.pattern is None or self.winner.rule not in self.begun:
            return None
        return phase(self.winner.pattern, self.begun[self.winner.rule], now).until

    def pauses(self, level: float, now: int) -> bool:
        """Say whether a pattern rests at this moment, where the output may have that level."""
        if level == self.settings.safe or self.winner.pattern is None:
            return False
        return not phase(self.winner.pattern, self.begun[self.winner.rule], now).on

    @property
    def why(self) -> str:
        """Write for a person where it is, and why."""
        return described(self.level, self.cause)


def level_text(level: float) -> str:
    """Write a level as the configuration does."""
    return {0.0: "off", 1.0: "on"}.get(level, f"{level:g}")
