"""One rule: when it acts, for how long its claims live, and on what ground."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from reflexd.config.settings import Action, RuleSettings
from reflexd.rules.conditions import build
from reflexd.rules.items import NS, Claim, Command, Fired, Release, Verdict
from reflexd.rules.remembering import Test
from reflexd.rules.sources import Source

LEASE_NS = 500_000_000
HOUR_NS = 3600 * NS


class Rule:
    """The state of one rule: its conditions, its last action and the claims it believes to hold."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_acted_at", "_until", "_starts", "truth")

    def __init__(self, settings: RuleSettings, sources: dict[str, Source]) -> None:
        self.settings = settings
        self.name = settings.name
        self._when = tuple(build(one, sources) for one in settings.when)
        self._unless = tuple(build(one, sources) for one in settings.unless)
        self.tests: tuple[Test, ...] = self._when + self._unless
        self.sources = {test.source.name: test.source for test in self.tests}
        self._cooldown_ns = round(settings.cooldown_s * NS)
        self._acted_at = -1
        self._until = {action.actuator: 0 for action in settings.then}
        self._starts: deque[int] = deque(maxlen=settings.max_per_hour or 0)
        self.truth: bool | None = None
        self.verdicts: tuple[Verdict, ...] = ()

    def rest_like(self, other: Rule) -> None:
        """Take over when another acted: a reload is no way around cooldown_s and max_per_hour."""
        self._acted_at = other._acted_at
        self._starts = other._starts

    def decide(self, now: int, moved: Source, may_act: bool = True) -> list[Command]:
        """Evaluate after a new item of one of the rule's sources; act only while something above the rules allows it."""
        for test in self.tests:
            if test.source is moved:
                test.observe()
        return self._conclude(now, moved, may_act)

    def _conclude(self, now: int, moved: Source, may_act: bool) -> list[Command]:
        """Act if every `when` is true and every `unless` is known to be false."""
        wanted = tuple(test.judge(now, moved) for test in self._when)
        unwanted = tuple(test.judge(now, moved) for test in self._unless)
        self.verdicts = wanted + unwanted
        if any(one.truth is False for one in wanted) or any(one.truth is True for one in unwanted):
            self.truth = False
            return self._let_go()
        if any(one.truth is None for one in self.verdicts):
            self.truth = None
            return []
        self.truth = True
        return self._act(now) if may_act else []

    def _act(self, now: int) -> list[Command]:
        """Claim what the rule wants: living follow claims are kept, the rest starts (over) once the cooldown is past."""
        acting = any(now < until for until in self._until.values())
        if not acting and not self._may_start(now):
            return []
        rested = self._acted_at < 0 or now >= self._acted_at + self._cooldown_ns
        kept = [one for one in self.settings.then if one.follow and now < self._until[one.actuator]]
        started = [one for one in self.settings.then if one not in kept] if rested else []
        claims: list[Command] = [self._claim(one, now) for one in (*kept, *started)]
        if started:
            self._acted_at = now
            if not acting:
                self._starts.append(now)
                claims.append(Fired(self.name, self.verdicts))
        return claims

    def _may_start(self, now: int) -> bool:
        """Say whether the hour still allows an action."""
        full = self.settings.max_per_hour is not None and len(self._starts) == self.settings.max_per_hour
        return not full or now - self._starts[0] >= HOUR_NS

    def _claim(self, action: Action, now: int) -> Claim:
        """Claim a level for as long as the action says."""
        lasts = self.lease_ns if action.for_s is None else round(action.for_s * NS)
        self._until[action.actuator] = now + lasts
        return Claim(self.name, action.actuator, action.set, self.settings.priority, now + lasts, self.verdicts)

    def held(self, now: int) -> list[Claim]:
        """Tell again the claims that live, each with the moment until which it was made."""
        return [Claim(self.name, one.actuator, one.set, self.settings.priority, self._until[one.actuator], self.verdicts)
                for one in self.settings.then if now < self._until[one.actuator]]

    @property
    def lease_ns(self) -> int:
        """How long a follow claim lives without a renewal: 500 ms or 3 periods of the slowest source."""
        return max(LEASE_NS, *(3 * source.period_ns for source in self.sources.values()))

    def _let_go(self) -> list[Command]:
        """End what follows its evidence, now that the evidence is gone."""
        return self._release([action for action in self.settings.then if action.follow])

    def fail(self) -> list[Command]:
        """End every claim, but those that may outlast a fault, because a source failed."""
        self.truth = None
        return self._release([action for action in self.settings.then if not action.hold_on_fault])

    def end(self) -> list[Command]:
        """End every claim, because the rule itself goes or every output has to be safe."""
        return self._release(list(self.settings.then))

    def _release(self, actions: list[Action]) -> list[Command]:
        """Release those that were claimed."""
        held = [action.actuator for action in actions if self._until[action.actuator]]
        for actuator in held:
            self._until[actuator] = 0
        return [Release(self.name, actuator) for actuator in held]
