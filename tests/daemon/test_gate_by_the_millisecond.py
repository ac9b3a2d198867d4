"""The gate against an account of its own, which looks at every millisecond and knows no deadlines.

Claims, patterns, priorities, interlocks, max_on_s, min_off_s and stops come at random; levels have to agree at each moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from reflexd.outputs import Outputs
from reflexd.rules.items import Claim, Inhibit, Pattern, Permit, Release
from tests.daemon.relays import Relay, settings

MS = 1_000_000
START = 10**12
LASTS_MS = 3000
PRIORITIES = {"low": 0, "middle": 1, "high": 2}


@dataclass
class Wish:
    """What a rule claims; times in ms."""

    level: float
    until: int
    pattern: tuple[int, ...] = ()
    times: int = 0
    begun: int | None = None


@dataclass
class Account:
    """One output."""

    safe: float
    max_on: float
    min_off: float
    wishes: dict[str, Wish] = field(default_factory=dict)
    active_since: int | None = None
    rested_since: float = float("-inf")
    tripped: bool = False

    def wanted(self, t: int) -> str:
        """Name the rule by which it would be active; empty for none."""
        self.wishes = {rule: wish for rule, wish in self.wishes.items() if wish.until > t}
        if not self.wishes:
            self.tripped = False
            return ""
        rule = max(self.wishes, key=PRIORITIES.__getitem__)
        wish = self.wishes[rule]
        if wish.level == self.safe:
            return ""
        self.tripped = self.tripped or (self.active_since is not None and t - self.active_since >= self.max_on)
        rests = self.active_since is None and t - self.rested_since < self.min_off
        length = sum(wish.pattern) * wish.times - sum(wish.pattern[-1:])
        through = wish.times and wish.begun is not None and t - wish.begun >= length
        return "" if self.tripped or rests or through else rule

    def end(self, t: int) -> bool:
        """Be safe; says whether it was not."""
        was = self.active_since is not None
        if was:
            self.active_since, self.rested_since = None, t
        return was

    def level(self, rule: str, t: int) -> float:
        """Be active by a rule, and give the level of that moment."""
        wish = self.wishes[rule]
        self.active_since = t if self.active_since is None else self.active_since
        wish.begun = t if wish.begun is None else wish.begun
        line = [index % 2 == 0 for index, length in enumerate(wish.pattern) for _ in range(length)] or [True]
        return wish.level if line[(t - wish.begun) % len(line)] else self.safe


@dataclass
class Accounts:
    """All of them; "up" and "down" are interlocked."""

    of: dict[str, Account]
    stopped: bool = False

    def levels(self, t: int) -> list[float]:
        """Give where every output has to be."""
        while True:
            if self.stopped:
                for one in self.of.values():
                    one.wishes.clear()
            wanted = {name: one.wanted(t) for name, one in self.of.items()}
            if wanted["up"] and wanted["down"]:
                up, down = ((PRIORITIES[wanted[name]], self.of[name].active_since is not None) for name in ("up", "down"))
                wanted["down" if up >= down else "up"] = ""
            ended = [one.end(t) for name, one in self.of.items() if not wanted[name]]
            if not any(ended):      # whoever ended makes room
                return [one.level(wanted[name], t) if wanted[name] else one.safe for name, one in self.of.items()]


class Chance:
    """Makes outputs and what happens to them; it depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        given: dict[str, dict[str, Any]] = {
            "up": {"interlock": "motor", "max_on_s": self.pick.choice([9, 0.5])},
            "down": {"interlock": "motor", "min_off_s": self.pick.choice([0, 0.3])},
            "fan": {"safe": "on", "max_on_s": self.pick.choice([9, 0.7]), "min_off_s": self.pick.choice([0, 0.2])},
            "dimmer": {"max_on_s": self.pick.choice([9, 0.4])}}
        kinds = {name: settings(**more) for name, more in given.items()}
        self.relays = {name: Relay(one.safe) for name, one in kinds.items()}
        self.gate = Outputs({name: (one, self.relays[name]) for name, one in kinds.items()})
        self.accounts = Accounts({name: Account(one.safe, (one.max_on_s or LASTS_MS) * 1000, one.min_off_s * 1000)
                                  for name, one in kinds.items()})
        self.moments = sorted(self.pick.randrange(LASTS_MS) for _ in range(40))

    def happens(self, t: int) -> None:
        name, rule, roll = self.pick.choice(list(self.relays)), self.pick.choice(list(PRIORITIES)), self.pick.random()
        now, wishes = START + t * MS, self.accounts.of[name].wishes
        if roll < 0.65:
            self.claims(name, rule, t)
        elif roll < 0.85:
            wishes.pop(rule, None)
            self.gate.apply([Release(rule, name)], now)
        else:
            self.accounts.stopped = True
            self.accounts.levels(t)
            self.accounts.stopped = roll < 0.87
            permit = [] if self.accounts.stopped else [Permit("stop", now + 9000 * MS)]
            self.gate.apply([Inhibit("stop", "pressed"), *permit], now)

    def claims(self, name: str, rule: str, t: int) -> None:
        """Claim, or renew: then with the pattern that the claim has."""
        account = self.accounts.of[name]
        level = self.pick.choice([0.3, 1.0, 0.0]) if name == "dimmer" else 1.0 - account.safe
        until = t + self.pick.choice([50, 200, 500, 1500])
        wish = account.wishes.get(rule)
        if wish is None:
            blinks = level != account.safe and self.pick.random() < 0.5
            phases = tuple(self.pick.choice([20, 50, 130]) for _ in range(self.pick.choice([2, 4]))) if blinks else ()
            wish = account.wishes[rule] = Wish(level, until, phases, self.pick.choice([0, 1, 3]) if blinks else 0)
        wish.level, wish.until = level, until
        pattern = Pattern(tuple(one * MS for one in wish.pattern), wish.times) if wish.pattern else None
        self.gate.apply([Claim(rule, name, level, PRIORITIES[rule], START + until * MS, (), pattern)], START + t * MS)


@pytest.mark.parametrize("seed", range(40))
def test_levels_are_those_of_an_account_that_looks_at_every_millisecond(seed: int) -> None:
    run, active = Chance(seed), 0
    for t in range(LASTS_MS):
        if run.gate.due is not None and run.gate.due <= START + t * MS:
            run.gate.settle(START + t * MS)
        levels = run.accounts.levels(t)
        while run.moments and run.moments[0] == t:
            run.moments.pop(0)
            run.happens(t)
            levels = run.accounts.levels(t)
        assert [relay.level for relay in run.relays.values()] == levels, f"at {t} ms"
        for name, one in run.accounts.of.items():
            assert run.gate.outputs[name].active == (one.active_since is not None), f"{name} at {t} ms"
            active += one.active_since is not None
    assert active > LASTS_MS / 10
