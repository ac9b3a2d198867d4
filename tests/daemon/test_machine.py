"""Rules and gate under random items, delays, stale and unknown inputs, stops, reloads and failures.

The machine keeps its own account of what was said and ordered, and compares it with what the relays
do at every write and after every step. Defects planted in the gate and in the stage have to be found by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from reflexd.config.settings import LevelOf, SensorIs, Settings
from reflexd.output import Output
from reflexd.outputs import Outputs
from reflexd.rules.items import (
    TEST,
    TEST_PRIORITY,
    Armed,
    Claim,
    Command,
    Down,
    Inhibit,
    Predicted,
    Release,
    Sensed,
    Triggered,
)
from reflexd.rules.stage import Stage
from reflexd_drivers.base import Reading
from reflexd_models.base import Prediction
from tests.daemon.relays import Relay
from tests.daemon.rules.story import START

S = 1_000_000_000
MAX_AGE = {"model.person": S // 2, "sensor.button": S, "sensor.stop": 2 * S, "sensor.warmth": S, "sensor.key": S}
PERSON = {"model": "person", "label": "person", "at_least": 0.6, "release_below": 0.4}
RULES: dict[str, dict[str, Any]] = {
    "follow": {"when": [PERSON], "then": [{"actuator": "up", "set": "on", "follow": True}]},
    "hold": {"when": [{**PERSON, "hits": 2, "of": 3}, {"sensor": "button", "is": False}],
             "then": [{"actuator": "down", "set": "on", "for_s": 2, "pattern": [0.2, 0.4]}], "priority": 1},
    "press": {"when": [{"sensor": "button", "edge": "rise"}], "unless": [PERSON],
              "then": [{"actuator": "lamp", "set": "on", "for_s": 1.5, "hold_on_fault": True}], "cooldown_s": 0.4},
    "long": {"when": [{"sensor": "button", "is": True}],
             "then": [{"actuator": "lamp", "set": "on", "for_s": 9, "pattern": [0.3, 0.3]},
                      {"actuator": "fan", "set": "off", "follow": True}]},
    "entry": {"when": [{"sensor": "button", "is": True}], "unless": [PERSON],
              "then": [{"actuator": "siren", "set": "on", "for_s": 1}], "delay_s": 1},
    "dim": {"when": [{"sensor": "button", "is": False}],
            "then": [{"actuator": "dimmer", "follow": True,
                      "set": {"sensor": "warmth", "from": [20, 30], "to": [0, 1], "step": 0.2}}]},
}
CONFIG: dict[str, Any] = {
    "schema": 1,
    "safety": {"stop": {"sensor": "stop", "is": True}, "arm": {"sensor": "key", "is": True, "delay_s": 0.5}},
    "camera": {"gate": {"driver": "replay", "rate_hz": 10, "max_age_ms": 500}},
    "model": {"person": {"bundle": "person", "camera": "gate"}},
    "sensor": {"button": {"driver": "scripted", "max_age_ms": 1000}, "stop": {"driver": "scripted", "max_age_ms": 2000},
               "warmth": {"driver": "scripted", "max_age_ms": 1000}, "key": {"driver": "scripted", "max_age_ms": 1000}},
    "actuator": {
        "up": {"driver": "gpio-output", "safe": "off", "interlock": "motor", "max_on_s": 3},
        "down": {"driver": "gpio-output", "safe": "off", "interlock": "motor", "min_off_s": 0.7},
        "lamp": {"driver": "gpio-output", "safe": "off", "max_on_s": 2},
        "fan": {"driver": "gpio-output", "safe": "on", "max_on_s": 4},
        "siren": {"driver": "gpio-output", "safe": "off"},
        "dimmer": {"driver": "recorder", "safe": "off", "max_on_s": 3, "min_off_s": 0.2},
    },
}


def configured(names: list[str]) -> Settings:
    return Settings.model_validate({**CONFIG, "rule": [{"name": name, **RULES[name]} for name in names]})


class Watched(Relay):
    """A relay that lets the machine see each write as it happens."""

    def __init__(self, machine: Machine, name: str, safe: float) -> None:
        super().__init__(safe)
        self._machine, self._name = machine, name

    def set(self, level: float) -> None:
        was_safe = self.level == self.safe_level
        super().set(level)
        if was_safe and level != self.safe_level:
            self._machine.note_activation(self._name)
        if level == self.safe_level and not was_safe:
            self._machine.rested_at[self._name] = self._machine.now
        self._machine.check_interlock(self._name)


class Machine(RuleBasedStateMachine):
    gate_class: ClassVar[type[Outputs]] = Outputs
    stage_class: ClassVar[type[Stage]] = Stage

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.settings = configured(list(RULES))
        self.stage = self.stage_class(self.settings)
        self.relays = {name: Watched(self, name, one.safe) for name, one in self.settings.actuator.items()}
        pairs: Mapping[str, Any] = {name: (self.settings.actuator[name], relay) for name, relay in self.relays.items()}
        self.gate = self.gate_class(pairs)
        self.activated_at: dict[str, int] = {}
        self.rested_at: dict[str, int] = {}
        self.blinks: dict[str, tuple[str, int]] = {}          # the rule whose pattern an output follows, and since when it claims
        self.since: dict[tuple[str, str], int] = {}           # rule and actuator → since when it claims without a gap
        self.released_since = 0
        self.warmth = 0.0
        self.key_since, self.key_until, self.key_permits_until = 0, 0, 0
        self.triggered: dict[str, int] = {}                   # rule → when it may act
        self.claims: dict[tuple[str, str], int] = {}          # rule and actuator → until
        self.fresh_until: dict[str, int] = {}                 # source → when its newest good item is too old
        self.newest: dict[str, int] = {}
        self.down_at: dict[str, int] = {}
        self.released_until = 0                               # until when stop is known to be released
        self.presses, self.presses_seen = 0, None             # of stop: so far, and as its newest good reading had them
        self.counts = [0, 0]
        self._carry_out(self.stage.begin())

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Claim):
                self._check_evidence(command, command.rule not in self.triggered)
                self._check_delay(command)
                key = command.rule, command.actuator
                if self.claims.get(key, 0) <= self.now:
                    self.since[key] = self.now
                self.claims[key] = command.until
                self.claims.pop((TEST, command.actuator), None)     # a rule ends a test for good
            elif isinstance(command, Release):
                self.claims.pop((command.rule, command.actuator), None)
            elif isinstance(command, Inhibit):
                self.claims.clear()
                self.triggered.clear()
            elif isinstance(command, Triggered):
                self._check_evidence(command)
                self.triggered[command.rule] = self.now + S
        self.gate.apply(commands, self.now)

    def _check_delay(self, claim: Claim) -> None:
        """A rule with a delay acts after it, once for each trigger, and not for long after."""
        if claim.rule == "entry":
            due = self.triggered.pop("entry", None)
            assert due is not None, "acted on a trigger that was ended"
            assert due <= self.now <= due + 3 * S, "acted at another time than when its delay was over"

    def _check_evidence(self, claim: Claim | Triggered, when: bool = True) -> None:
        """No action on stale or unknown input; what triggered a rule with a delay may be over."""
        settings_of = next(one for one in self.settings.rule if one.name == claim.rule)
        functions = [one.set for one in settings_of.then if isinstance(one.set, LevelOf)]
        for condition in (*(settings_of.when if when else ()), *settings_of.unless, *functions):
            sensor = getattr(condition, "sensor", None)
            source = f"sensor.{sensor}" if sensor else f"model.{condition.model}"
            assert self.fresh_until.get(source, 0) >= self.now, f"{claim.rule} acted although {source} is unknown"
        assert all(reason.truth is not None for reason in claim.reasons)
        if functions and isinstance(claim, Claim):
            assert abs(claim.level - min(max((self.warmth - 20) / 10, 0), 1)) < 0.2, "a level that does not follow its value"

    def note_activation(self, name: str) -> None:
        """An output that goes on after the pause of a pattern is in the same activation; any other begins one after its rest."""
        if not self.in_a_pattern(name):
            rested_for = self.now - self.rested_at.get(name, 0)
            assert rested_for >= self.settings.actuator[name].min_off_s * S, f"{name} did not rest for min_off"
            self.activated_at[name] = self.now
        claim = max((one for one in self.gate.outputs[name].claims.values()), key=lambda one: one.priority)
        self.blinks.pop(name, None)
        if claim.pattern is not None:
            self.blinks[name] = claim.rule, self.since[claim.rule, name]

    def in_a_pattern(self, name: str) -> bool:
        """Say whether the claim whose pattern an output followed last has lived on since."""
        if name not in self.blinks:
            return False
        rule, since = self.blinks[name]
        return (self.claims.get((rule, name), 0) > self.now and self.since[rule, name] == since
                and since >= self.released_since and self.released_until > self.now
                and since >= self.key_since and self.key_permits_until > self.now)

    def check_interlock(self, written: str) -> None:
        """Never two of a pair at once, not even between two writes or in the pause of a pattern."""
        assert [self.relays[name].level for name in ("up", "down")] != [1.0, 1.0], "both of an interlocked pair are active"
        if written == "up" and self.relays["up"].level == 1.0:
            assert not self.in_a_pattern("down"), "one of an interlocked pair is active in a pause of the other"

    def _notes(self, source: str, taken_at: int) -> bool:
        """Keep our own account of what is known of a source. Returns whether the item counts."""
        good = self.now - taken_at <= MAX_AGE[source] and taken_at > self.down_at.get(source, -1)
        if not good or taken_at < self.newest.get(source, -1):
            return False
        self.newest[source] = taken_at
        self.fresh_until[source] = taken_at + MAX_AGE[source]
        return True

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.1, 0.3, 0.49, 0.5, 0.9, 1.1, 2.5]))
    def time_passes(self, seconds: float) -> None:
        target = self.now + round(seconds * S)
        while self.gate.due is not None and self.gate.due <= target:
            self.now = max(self.now, self.gate.due)
            self.gate.settle(self.now)
            self.outputs_are_bounded()
        self.now = target

    @rule(score=st.sampled_from([0.0, 0.3, 0.45, 0.59, 0.6, 0.9]), age=st.sampled_from([0.0, 0.01, 0.2, 0.51, 3.0]))
    def network_says(self, score: float, age: float) -> None:
        taken_at = self.now - round(age * S)
        self._notes("model.person", taken_at)
        self._carry_out(self.stage.consume(Predicted("person", Prediction(taken_at, {"person": score})), self.now))

    @rule(scores=st.integers(1, 8))
    def somebody_stays(self, scores: int) -> None:
        for _ in range(scores):
            self.time_passes(0.1)
            self.network_says(0.9, 0.01)

    @rule(value=st.booleans(), age=st.sampled_from([0.0, 0.4, 1.2]), presses=st.integers(0, 2))
    def button_says(self, value: bool, age: float, presses: int) -> None:
        taken_at = self.now - round(age * S)
        self._notes("sensor.button", taken_at)
        self.counts[0] += presses
        reading = Reading(value, taken_at, taken_at, self.counts[0], self.counts[0])
        self._carry_out(self.stage.consume(Sensed("button", reading), self.now))

    @rule(turned=st.sampled_from([True, True, True, False]), age=st.sampled_from([0.0, 0.0, 0.4, 1.2]))
    def key_says(self, turned: bool, age: float) -> None:
        taken_at = self.now - round(age * S)
        if self._notes("sensor.key", taken_at):
            if not turned or self.now > self.key_until:
                self.key_since = self.now
            self.key_until = taken_at + MAX_AGE["sensor.key"] if turned else 0
            self.key_permits_until = self.key_until if self.now - self.key_since >= S // 2 else 0
        self._carry_out(self.stage.consume(Sensed("key", Reading(turned, taken_at, taken_at)), self.now))

    @rule(armed=st.booleans())
    def somebody_arms_or_disarms(self, armed: bool) -> None:
        self.triggered.clear()
        self._carry_out(self.stage.consume(Armed(armed, self.now), self.now))

    @rule(armed=st.booleans())
    def somebody_comes_in_and_disarms(self, armed: bool) -> None:
        self.nothing_happens_for_a_while(4, True, 0.1)
        self.somebody_arms_or_disarms(armed)
        self.nothing_happens_for_a_while(4, False, 0.1)

    @rule(value=st.sampled_from([15.0, 20.0, 21.0, 25.0, 26.5, 30.0, 40.0]), age=st.sampled_from([0.0, 0.0, 0.4, 1.2]))
    def thermometer_says(self, value: float, age: float) -> None:
        taken_at = self.now - round(age * S)
        if self._notes("sensor.warmth", taken_at):
            self.warmth = value
        self._carry_out(self.stage.consume(Sensed("warmth", Reading(value, taken_at, taken_at)), self.now))

    @rule(times=st.integers(1, 12), value=st.booleans(), score=st.sampled_from([0.1, 0.9]))
    def nothing_happens_for_a_while(self, times: int, value: bool, score: float) -> None:
        for _ in range(times):
            self.time_passes(0.3)
            self.stop_says(False, 0.0)
            self.key_says(True, 0.0)
            self.button_says(value, 0.0, 0)
            self.network_says(score, 0.01)
            self.thermometer_says(22.0 + times, 0.0)

    @rule(pressed=st.sampled_from([False, False, False, True]), age=st.sampled_from([0.0, 0.0, 0.5, 2.5]))
    def stop_says(self, pressed: bool, age: float) -> None:
        taken_at, moment = self.now - round(age * S), False
        if self._notes("sensor.stop", taken_at):
            moment = self.presses_seen is not None and self.presses > self.presses_seen
            self.presses_seen = self.presses
            if self.released_until <= self.now or moment:
                self.released_since = self.now
            self.released_until = 0 if pressed else taken_at + MAX_AGE["sensor.stop"]
        self._carry_out(self.stage.consume(Sensed("stop", Reading(pressed, taken_at, taken_at, self.presses)), self.now))
        assert not moment or all(relay.level == relay.safe_level for relay in self.relays.values()), "went on through a stop"

    @rule()
    def stop_is_pressed_for_a_moment(self) -> None:
        self.presses += 1
        self.stop_says(False, 0.0)

    @rule(source=st.sampled_from(["camera.gate", "model.person", "sensor.button", "sensor.stop", "sensor.warmth", "sensor.key"]))
    def source_fails(self, source: str) -> None:
        for name in ("model.person", source) if source == "camera.gate" else (source,):
            self.fresh_until[name], self.down_at[name], self.newest[name] = 0, self.now, -1
        if source == "sensor.stop":
            self.released_until, self.presses_seen = 0, None
        if source == "sensor.key":
            self.key_until = self.key_permits_until = 0
        if source in ("camera.gate", "model.person", "sensor.button"):
            self.triggered.clear()
        self._carry_out(self.stage.consume(Down(source, "it was unplugged"), self.now))

    @rule(names=st.lists(st.sampled_from(list(RULES)), unique=True))
    def reload(self, names: list[str]) -> None:
        self.settings = configured(names)
        same = [one.name for one in self.settings.rule if one in self.stage.settings.rule]
        self._carry_out(self.stage.let_go(same, [], self.now))
        self.stage = self.stage_class(self.settings, self.stage)
        self.triggered.clear()
        self._carry_out(self.stage.begin())

    @rule(name=st.sampled_from(["up", "down", "lamp", "fan", "dimmer"]))
    def reload_exchanges_an_actuator(self, name: str) -> None:
        """Another device takes its place, at its safe level; what it drove is over, and its rest goes on."""
        self.claims = {key: until for key, until in self.claims.items() if key[1] != name}
        self.blinks.pop(name, None)
        self.gate.let_go([name], "a reload closes it", self.now)
        assert self.relays[name].level == self.relays[name].safe_level, "let go, and not safe"
        self.relays[name].settled = True
        others = [one.name for one in self.settings.rule if name not in {action.actuator for action in one.then}]
        self._carry_out(self.stage.let_go(others, [], self.now))
        self.triggered.clear()
        self.stage = self.stage_class(self.settings, self.stage)
        self.relays[name] = Watched(self, name, self.settings.actuator[name].safe)
        self.gate.take_over({name: (self.settings.actuator[name], self.relays[name])})      # type: ignore[dict-item]
        self._carry_out(self.stage.begin())

    @rule(name=st.sampled_from(["up", "down", "lamp", "fan", "dimmer"]), seconds=st.sampled_from([0.2, 1.0, 5.0, 10.0]))
    def somebody_tests(self, name: str, seconds: float) -> None:
        output = self.gate.outputs[name]
        if output.claims or self.gate.hindrance(output, self.now):
            return
        self.claims[TEST, name] = self.now + round(seconds * S)
        level = 1.0 - output.settings.safe
        self.gate.apply([Claim(TEST, name, level, TEST_PRIORITY, self.claims[TEST, name], ())], self.now)
        assert self.relays[name].level == level, f"nothing hindered a test of {name}, and it was not driven"

    @rule(name=st.sampled_from(["up", "down"]), settled=st.booleans())
    def worker_is_slow(self, name: str, settled: bool) -> None:
        self.relays[name].settled = settled
        if not settled:       # whoever knows no more that its partner is safe ends what it does, a pattern too
            self.blinks.pop("down" if name == "up" else "up", None)
        self.gate.settle(self.now)

    @rule(name=st.sampled_from(["lamp", "down"]), seconds=st.sampled_from([0.0, 0.3, 1.5]))
    def actuator_is_unplugged_and_comes_back(self, name: str, seconds: float) -> None:
        """Its worker tells the trouble, then the failure; it comes back at its safe level, maybe before the gate looked."""
        relay = self.relays[name]
        relay.level, relay.trouble = relay.safe_level, "it was unplugged"
        relay.failures += 1
        if seconds:
            self.gate.settle(self.now)
            self.claims.clear()
            assert all(one.level == one.safe_level for one in self.relays.values()), "active without an actuator"
            self.time_passes(seconds)
            self.button_says(True, 0.0, 1)
            assert all(one.level == one.safe_level for one in self.relays.values()), "active without an actuator"
        relay.trouble = ""
        self.gate.settle(self.now)
        self.claims.clear()
        assert self.gate.outputs[name].level == relay.safe_level == relay.level, "the gate knows where it stands"

    @rule()
    def stop_and_begin_anew(self) -> None:
        self.gate.make_safe("SIGTERM", self.now)
        assert all(relay.level == relay.safe_level for relay in self.relays.values())
        self.begin()

    @invariant()
    def outputs_are_bounded(self) -> None:
        if not hasattr(self, "gate"):
            return
        for name, relay in self.relays.items():
            if relay.level == relay.safe_level:
                continue
            lives = [until for (_, actuator), until in self.claims.items() if actuator == name and until > self.now]
            assert lives, f"{name} is active past its lease"
            assert self.released_until > self.now, f"{name} is active although stop is not known to be released"
            assert self.key_permits_until > self.now, f"{name} is active, and the key was not turned for its delay"
            assert self.gate.outputs[name].winner.level == relay.level, f"{name} is not at the level that is claimed"
            bound = self.settings.actuator[name].max_on_s
            active_for = self.now - self.activated_at[name]
            assert bound is None or active_for < bound * S, f"{name} is active past max_on"


def run(part: type[Outputs | Stage], examples: int) -> None:
    """Run the machine on a gate, or on a stage."""
    kind = "gate_class" if issubclass(part, Outputs) else "stage_class"
    machine = type("MachineUnderTest", (Machine,), {kind: part})
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=60, deadline=None, derandomize=True, database=None,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck), print_blob=False))


@pytest.mark.once
def test_the_gate_keeps_its_bounds() -> None:
    run(Outputs, 200)


class ClaimsNeverLapse(Outputs):
    def _lapse_claims(self, output: Output, now: int) -> None:
        """Defect."""


class MaxOnIsIgnored(Outputs):
    def _overrun(self, output: Output, now: int) -> bool:
        return False


class InterlockIsIgnored(Outputs):
    def _interlock(self, group: list[Output], wanted: dict[str, float]) -> None:
        """Defect."""


class TroubleIsIgnored(Outputs):
    def _look_at_channels(self) -> None:
        """Defect."""


class PausesDoNotCount(Outputs):
    def _drive(self, output: Output, level: float, now: int) -> bool:
        if output.paused:
            output.active_since = now
        return super()._drive(output, level, now)


class PartnerGoesInPauses(Outputs):
    def _interlock(self, group: list[Output], wanted: dict[str, float]) -> None:
        super()._interlock([output for output in group if not output.paused], wanted)


class LevelsStick(Outputs):
    def _moves(self, output: Output, wanted: float, now: int) -> bool:
        return super()._moves(output, wanted, now) and not (output.active and wanted not in (0.0, 1.0))


class RestIsIgnored(Outputs):
    def _resting(self, output: Output, now: int) -> bool:
        return False


class MomentsAreIgnored(Outputs):
    def apply(self, commands: Iterable[Command], now: int) -> None:
        for command in commands:
            self._take(command, now)
        self.settle(now)


class TriggersOutliveArming(Stage):
    def _armed(self) -> list[Command]:
        return []


class ExitDelayIsIgnored(Stage):
    def _confirm(self, by: str, guard: SensorIs, until: int, now: int) -> list[Command]:
        return self._renew(by, until, now)


@pytest.mark.parametrize(("part", "found"), [
    (MomentsAreIgnored, "went on through a stop"),
    (TriggersOutliveArming, "a trigger that was ended"),
    (ExitDelayIsIgnored, "the key was not turned for its delay"),
    (PausesDoNotCount, "past max_on"),
    (PartnerGoesInPauses, "in a pause of the other"),
    (LevelsStick, "not at the level that is claimed"),
    (RestIsIgnored, "did not rest"),
    (TroubleIsIgnored, "active without an actuator|the gate knows where it stands|past its lease"),
    (ClaimsNeverLapse, "past its lease|did not rest"),
    (MaxOnIsIgnored, "past max_on"),
    (InterlockIsIgnored, "interlocked pair"),
])
def test_a_planted_defect_is_found(part: type[Outputs | Stage], found: str) -> None:
    with pytest.raises(AssertionError, match=found):
        run(part, 250)
