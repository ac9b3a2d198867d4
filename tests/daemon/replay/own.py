"""What rules say, worked out anew in plain code from the items of a recording; nothing of reflexd.rules is called.

The configuration is simpler than a real one, so that this stays short enough to be believed: scores with hysteresis and hits,
above, below and is, cooldown and max_per_hour, a stop sensor and a required one. Zones, tracks, lines and plausibility are left
to their own tests; whatever a condition is, it is explained in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reflexd.config.settings import Settings
from tests.daemon.rules.story import settings

S = 1_000_000_000
RULES: list[dict[str, Any]] = [
    {"when": [{"model": "gate", "label": "person", "at_least": 0.6, "release_below": 0.4, "hits": 3, "of": 5}],
     "then": [{"actuator": "lamp", "set": "on", "for_s": 2}], "cooldown_s": 6, "max_per_hour": 4},
    {"when": [{"sensor": "warmth", "above": 22, "release_below": 20}, {"sensor": "button", "is": False}],
     "then": [{"actuator": "lamp", "set": "on", "follow": True}]},
    {"when": [{"sensor": "warmth", "below": 19, "release_above": 20.5}], "unless": [{"sensor": "button", "is": True}],
     "then": [{"actuator": "lamp", "set": "on", "for_s": 1}], "cooldown_s": 3},
    {"when": [{"model": "gate", "label": "person", "at_least": 0.5}, {"sensor": "button", "is": True}],
     "unless": [{"sensor": "warmth", "above": 24}],
     "then": [{"actuator": "fan", "set": "on", "follow": True}], "cooldown_s": 2, "max_per_hour": 30},
]
AGES = {"model.gate": S // 2, "sensor.warmth": S, "sensor.button": S, "sensor.stop": 3 * S}
EXPECTED = {name: S // 10 if name == "model.gate" else age // 2 for name, age in AGES.items()}


def configuration() -> Settings:
    return settings(*RULES, model={"gate": {"bundle": "person", "camera": "gate"}},
                    safety={"stop": {"sensor": "stop", "is": True}}, sensor={"button": {"driver": "scripted", "max_age_ms": 1000},
                            "warmth": {"driver": "scripted", "max_age_ms": 1000, "required": True},
                            "stop": {"driver": "scripted", "max_age_ms": 3000}})


@dataclass
class Heard:
    age: int
    expected: int             # between two items
    period: int               # as they come, but no less
    at: int | None = None
    down: int | None = None
    value: Any = None
    between: int = 0          # the newest two items


@dataclass
class Asked:
    """A condition."""

    table: dict[str, Any]
    unless: bool
    held: bool = False
    begun: bool = False       # since the last gap, failure or stop
    void_at: int = 0          # the moment of that
    hits: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"model.{self.table['model']}" if "model" in self.table else f"sensor.{self.table['sensor']}"

    def bounds(self) -> tuple[int, float, float]:
        """Give the direction, and the thresholds to begin and to go on."""
        one = self.table
        if "at_least" in one:
            return 1, one["at_least"], one.get("release_below", one["at_least"])
        if "above" in one:
            return 1, one["above"], one.get("release_below", one["above"])
        return -1, one["below"], one.get("release_above", one["below"])

    def see(self, source: Heard) -> None:
        if not self.begun:
            self.begun, self.held, self.hits = True, False, []
        if "is" in self.table:
            return
        way, enter, leave = self.bounds()
        value = source.value * way
        if "at_least" in self.table:
            self.held = value >= (leave if self.held else enter)
            self.hits = [*self.hits, (source.at or 0, self.held)][-self.table.get("of", 1):]
        else:
            begins, stays = value > enter * way, self.held and leave != enter and value >= leave * way
            self.held = begins or stays


@dataclass(frozen=True)
class Says:
    truth: bool | None
    observed: Any = None
    threshold: float | None = None
    margin: float | None = None
    hits: int | None = None


@dataclass
class Decision:
    now: int
    rule: int
    says: list[Says]
    state: str = ""
    by: str = ""              # of one that is held back
    left: int = 0             # how long that will last


@dataclass
class Own:
    """The rules, as the documents describe them."""

    heard: dict[str, Heard] = field(default_factory=lambda: {
        name: Heard(age, EXPECTED[name], EXPECTED[name]) for name, age in AGES.items()})
    rules: list[list[Asked]] = field(default_factory=lambda: [
        [*(Asked(one, False) for one in rule["when"]), *(Asked(one, True) for one in rule.get("unless", ()))] for rule in RULES])
    acted: list[int | None] = field(default_factory=lambda: [None] * len(RULES))
    begun: list[list[int]] = field(default_factory=lambda: [[] for _ in RULES])
    until: list[int] = field(default_factory=lambda: [0] * len(RULES))
    permits: dict[str, int] = field(default_factory=lambda: {"stop": 0, "sensor.warmth": 0})
    decisions: list[Decision] = field(default_factory=list)

    def take(self, now: int, item: list[Any]) -> None:
        if item[0] == "down":
            self.fail(item[1].replace("camera.", "model."), now)
            return
        name = f"model.{item[1]}" if item[0] == "predicted" else f"sensor.{item[1]}"
        at, value = (item[3], item[4]["person"]) if item[0] == "predicted" else (item[3], item[2])
        source = self.heard[name]
        before = [-1 if source.down is None else source.down + 1, -1 if source.at is None else source.at]
        if now - at > source.age or at < max(before):
            return
        self.put(name, source, at, value, now)
        if name == "sensor.stop":
            self.stop(value, at, now)
        if name == "sensor.warmth":
            self.permit("sensor.warmth", at + source.age, now)
        for number, rule in enumerate(self.rules):
            if any(one.source == name for one in rule):
                self.decide(number, name, now)

    def put(self, name: str, source: Heard, at: int, value: Any, now: int) -> None:
        gap = source.at is None or at - source.at > source.age
        if gap:
            self.forget(now, name)
            source.between = 0
        elif source.at is not None and at > source.at:
            if source.between:
                period = source.period + (min(source.between, 2 * source.period) - source.period) // 8
                source.period = max(period, source.expected)
            source.between = at - source.at
        source.at, source.value = at, value

    def forget(self, now: int, name: str = "") -> None:
        for rule in self.rules:
            for one in rule:
                if name in ("", one.source):
                    one.begun, one.void_at = False, now

    def fail(self, name: str, now: int) -> None:
        self.heard[name].at, self.heard[name].down = None, now
        self.forget(now, name)
        for number, rule in enumerate(self.rules):
            if any(one.source == name for one in rule):
                self.until[number] = 0
        if name == "sensor.warmth":
            self.permits[name], self.until = 0, [0] * len(RULES)

    def stop(self, pressed: bool, at: int, now: int) -> None:
        if pressed:
            self.permits["stop"], self.until = 0, [0] * len(RULES)
            self.forget(now)
        else:
            self.permit("stop", at + AGES["sensor.stop"], now)

    def permit(self, by: str, until: int, now: int) -> None:
        if self.permits[by] <= now:
            self.until = [0] * len(RULES)
        self.permits[by] = until

    def usable(self, one: Asked, now: int) -> bool:
        source = self.heard[one.source]
        return one.begun and source.at is not None and now - source.at <= source.age

    def ended(self, one: Asked, now: int) -> int:
        """Find since when it is not usable."""
        source = self.heard[one.source]
        stale = [] if source.at is None or now - source.at <= source.age else [source.at + source.age]
        return min(stale + ([] if one.begun else [one.void_at]))

    def asked(self, one: Asked, now: int) -> Says:
        source = self.heard[one.source]
        if not self.usable(one, now):
            return Says(None)
        if "is" in one.table:
            return Says(source.value == one.table["is"], source.value)
        way, enter, leave = one.bounds()
        threshold = leave if one.held else enter
        margin = (source.value - threshold) * way
        if "at_least" not in one.table:
            return Says(one.held, source.value, threshold, margin)
        window = one.table.get("of", 1)
        hits = len([1 for at, hit in one.hits if hit and now - at <= window * 2 * source.period])
        return Says(one.held if window == 1 else hits >= one.table["hits"], source.value, threshold, margin, hits)

    def decide(self, number: int, moved: str, now: int) -> None:
        rule, table = self.rules[number], RULES[number]
        for one in rule:
            if one.source == moved:
                one.see(self.heard[moved])
        decision = Decision(now, number, [self.asked(one, now) for one in rule])
        self.decisions.append(decision)
        follow = "follow" in table["then"][0]
        truth = truth_of(rule, decision.says)
        if truth is not True:
            decision.state = "unknown" if truth is None else "false"
            if truth is False and follow:
                self.until[number] = 0
            return
        forbidding = [by for by, until in self.permits.items() if until <= now]
        if forbidding:
            decision.state, decision.by = "held back", forbidding[0]
            return
        self.act(number, decision, follow)

    def act(self, number: int, decision: Decision, follow: bool) -> None:
        now, table, acting = decision.now, RULES[number], decision.now < self.until[number]
        by, left = self.rests(number, now)
        lasts = self.lease(number) if follow else round(table["then"][0]["for_s"] * S)
        if acting:
            decision.state = "goes on"
            if follow or not self.cooling(number, now):
                self.until[number] = now + lasts
            if not follow and not self.cooling(number, now):
                self.acted[number] = now
        elif by:
            decision.state, decision.by, decision.left = "held back", by, left
        else:
            decision.state = "fired"
            self.acted[number], self.until[number] = now, now + lasts
            self.begun[number].append(now)

    def lease(self, number: int) -> int:
        return max(S // 2, *(3 * self.heard[one.source].period for one in self.rules[number]))

    def cooling(self, number: int, now: int) -> int:
        acted = self.acted[number]
        return 0 if acted is None else max(0, acted + round(RULES[number].get("cooldown_s", 0) * S) - now)

    def rests(self, number: int, now: int) -> tuple[str, int]:
        """Say what would keep it from beginning to act: what lasts longest, and how long."""
        most = RULES[number].get("max_per_hour")
        hour = [at for at in self.begun[number] if now - at < 3600 * S]
        full = hour[-most] + 3600 * S - now if most is not None and len(hour) >= most else 0
        cooling = self.cooling(number, now)
        if not cooling and not full:
            return "", 0
        return ("cooldown_s", cooling) if cooling >= full else ("max_per_hour", full)


def truth_of(rule: list[Asked], says: list[Says]) -> bool | None:
    """Join conditions: all of `when` true, all of `unless` known to be false."""
    if any(one.truth is asked.unless for asked, one in zip(rule, says, strict=True)):
        return False
    return None if any(one.truth is None for one in says) else True


def first_of(rule: list[Asked], says: list[Says]) -> int | None:
    """Find what stopped a rule first: what makes it false, or else what is unknown."""
    contrary = [place for place, one in enumerate(says) if one.truth is rule[place].unless]
    unknown = [place for place, one in enumerate(says) if one.truth is None]
    return (contrary + unknown or [None])[0]
