"""One rule: when it acts, for how long its claims live, and on what ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from reflexd.config.settings import Action, LevelOf, PlaceSettings, RuleSettings
from reflexd.rules.conditions import build
from reflexd.rules.items import CLOCK, NS, Claim, Command, Fired, Pattern, Release, Triggered, Verdict
from reflexd.rules.levels import Following, source_of_level
from reflexd.rules.remembering import Test
from reflexd.rules.sources import Source

LEASE_NS = 500_000_000
HOUR_NS = 3600 * NS
LATE_NS = 2 * NS            # two Clock items: where every source is silent, one comes once a second


class Held(NamedTuple):
    """What keeps a rule from acting although its conditions may hold."""

    by: str            # "cooldown_s" or "max_per_hour"
    left_ns: int

    def __str__(self) -> str:
        """Write it with what is left of it."""
        if self.by == "cooldown_s":
            return f"cooldown, {self.left_ns / NS:.1f} s left"
        return f"max_per_hour is full, {self.left_ns / (60 * NS):.1f} min left"


class Rule:
    """The state of one rule: its conditions, its last action and the claims it believes to hold."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_acted_at", "_until", "_starts", "truth", "due")

    def __init__(self, settings: RuleSettings, sources: dict[str, Source], place: PlaceSettings | None = None) -> None:
        self.settings = settings
        self.name = settings.name
        self._when = tuple(build(one, sources, place) for one in settings.when)
        self._unless = tuple(build(one, sources, place, unwanted=True) for one in settings.unless)
        self._levels = {one.actuator: Following(sources[source_of_level(one.set)], one.set)
                        for one in settings.then if isinstance(one.set, LevelOf)}
        self.tests: tuple[Test, ...] = (*self._when, *self._unless, *self._levels.values())
        self.sources = {test.source.name: test.source for test in self.tests}
        self._delay_ns = round(settings.delay_s * NS)
        self.due: int | None = None       # when it acts, once it was triggered; monotonic ns
        if self._delay_ns:
            self.sources[CLOCK] = sources[CLOCK]      # a delay passes although every sensor is silent
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

    def decide(self, now: int, moved: Source, may_act: bool) -> list[Command]:
        """Evaluate after a new item of one of the rule's sources; act only while something above the rules allows it."""
        for test in self.tests:
            if test.source is moved:
                test.observe()
        return self._conclude(now, moved, may_act)

    def _conclude(self, now: int, moved: Source, may_act: bool) -> list[Command]:
        """Act if every `when` is true and every `unless` is known to be false."""
        wanted = tuple(test.judge(now, moved) for test in self._when)
        unwanted = tuple(test.judge(now, moved) for test in self._unless)
        self.verdicts = wanted + unwanted + tuple(level.judge(now, moved) for level in self._levels.values())
        if any(one.truth is False for one in wanted) or any(one.truth is True for one in unwanted):
            self.truth = False
        else:
            self.truth = None if any(one.truth is None for one in self.verdicts) else True
        if self.due is not None:
            return self._wait(self.due, unwanted, may_act, now)
        if self.truth is False:
            return self._let_go()
        return self._act(now) if self.truth and may_act else []

    def _wait(self, due: int, unwanted: tuple[Verdict, ...], may_act: bool, now: int) -> list[Command]:
        """Act once the delay is over, on the first item from then on at which all of `unless` is known to be false.

        That it is true at any moment ends the wait; so does that it stays unknown for longer than a lease, or two Clock items.
        """
        if any(one.truth for one in unwanted) or now > due + max(self.lease_ns, LATE_NS):
            self.due = None
        elif now >= due and may_act and all(one.truth is False for one in unwanted):
            self.due = None
            ago = Verdict(True, "triggered", round((now - due + self._delay_ns) / NS, 3), "s ago")
            return self._begin(self._allowed(self.settings.then, now), (ago, *unwanted), now)
        return []

    def forget_trigger(self) -> None:
        """Act on nothing that has triggered it."""
        self.due = None

    def _act(self, now: int) -> list[Command]:
        """Claim what the rule wants: living follow claims are kept, the rest starts (over) once the cooldown is past."""
        rested = self._acted_at < 0 or now >= self._acted_at + self._cooldown_ns
        kept = [one for one in self.settings.then if one.follow and now < self._until[one.actuator]]
        started = self._allowed([one for one in self.settings.then if one not in kept], now) if rested else []
        if self._delay_ns and started:
            self.due = now + self._delay_ns
            return [Triggered(self.name, self.due, self.verdicts)]
        return [*(self._claim(one, self.verdicts, now) for one in kept), *(self._begin(started, self.verdicts, now))]

    def _begin(self, actions: Sequence[Action], reasons: tuple[Verdict, ...], now: int) -> list[Command]:
        """Act, and count it where some action of it is a beginning: another one that goes on hides none from max_per_hour."""
        acting = self.acting(now)
        claims: list[Command] = [self._claim(one, reasons, now) for one in actions]
        if claims:
            self._acted_at = now
            if any(one.actuator not in acting for one in actions):
                self._starts.append(now)
            if not acting:
                claims.append(Fired(self.name, reasons))
        return claims

    def acting(self, now: int) -> dict[str, int]:
        """Give the claims that it believes to hold: until when, by the actuator."""
        return {actuator: until for actuator, until in self._until.items() if now < until}

    def held_back(self, now: int) -> Held | None:
        """Say what would keep it from beginning to act now, though all of its conditions were true: what lasts longest."""
        held = [Held("cooldown_s", self._acted_at + self._cooldown_ns - now)] if self._acted_at >= 0 else []
        if not self._may_start(now):
            held.append(Held("max_per_hour", self._starts[0] + HOUR_NS - now))
        return max((one for one in held if one.left_ns > 0), key=lambda one: one.left_ns, default=None)

    def _may_start(self, now: int) -> bool:
        """Say whether the hour still allows an action."""
        full = self.settings.max_per_hour is not None and len(self._starts) == self.settings.max_per_hour
        return not full or now - self._starts[0] >= HOUR_NS

    def _allowed(self, actions: Sequence[Action], now: int) -> list[Action]:
        """Leave out what would be a further beginning, where the hour allows none."""
        return [one for one in actions if self._may_start(now) or now < self._until[one.actuator]]

    def _claim(self, action: Action, reasons: tuple[Verdict, ...], now: int) -> Claim:
        """Claim a level for as long as the action says."""
        lasts = self.lease_ns if action.for_s is None else round(action.for_s * NS)
        self._until[action.actuator] = now + lasts
        return self._claimed(action, reasons)

    def _claimed(self, action: Action, reasons: tuple[Verdict, ...]) -> Claim:
        """Write a claim until the moment that is noted for it."""
        return Claim(self.name, action.actuator, self._level(action), self.settings.priority, self._until[action.actuator],
                     reasons, _pattern(action), isinstance(action.set, LevelOf))

    def _level(self, action: Action) -> float:
        """Give the level that an action wants now."""
        if not isinstance(action.set, LevelOf):
            return action.set
        level = self._levels[action.actuator].level
        assert level is not None, "a rule with an unknown level does not act"
        return level

    def held(self, now: int) -> list[Claim]:
        """Tell again the claims that live, each with the moment until which it was made."""
        return [self._claimed(one, self.verdicts) for one in self.settings.then if now < self._until[one.actuator]
                and (one.actuator not in self._levels or self._levels[one.actuator].level is not None)]

    @property
    def lease_ns(self) -> int:
        """How long a follow claim lives without a renewal: 500 ms or 3 periods of the slowest source.

        Beside another source the clock does not count: it renews nothing that would not be renewed without it.
        """
        sources = [source for source in self.sources.values() if source.name != CLOCK] or list(self.sources.values())
        return max(LEASE_NS, *(3 * source.period_ns for source in sources))

    def _let_go(self) -> list[Command]:
        """End what follows its evidence, now that the evidence is gone."""
        return self._release([action for action in self.settings.then if action.follow])

    def fail(self) -> list[Command]:
        """End every claim, but those that may outlast a fault, because a source failed. A delay does if all that follows may."""
        self.truth = None
        if not all(action.hold_on_fault for action in self.settings.then):
            self.forget_trigger()
        return self._release([action for action in self.settings.then if not action.hold_on_fault])

    def void(self) -> None:
        """Forget what would outlast a gap."""
        for test in self.tests:
            test.void()

    def end(self) -> list[Command]:
        """End every claim, because the rule itself goes or every output has to be safe."""
        self.forget_trigger()
        return self._release(list(self.settings.then))

    def _release(self, actions: list[Action]) -> list[Command]:
        """Release those that were claimed."""
        held = [action.actuator for action in actions if self._until[action.actuator]]
        for actuator in held:
            self._until[actuator] = 0
        return [Release(self.name, actuator) for actuator in held]


def _pattern(action: Action) -> Pattern | None:
    """Give the pattern of an action in nanoseconds."""
    return None if action.pattern is None else Pattern(tuple(round(one * NS) for one in action.pattern), action.times or 0)
