"""The decision stage: every item goes through here, in the order consumed, each with its now.

It alone remembers: what each source said last, what each condition counted, what each number can be.
consume() is a function of the settings and of the items so far, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from reflexd.config.settings import ArmedBy, RuleSettings, SensorIs, Settings
from reflexd.rules.asked import followed_by, sources_of, watched_by
from reflexd.rules.items import (
    CLOCK,
    NS,
    Claim,
    Clock,
    Command,
    Down,
    Inhibit,
    Item,
    Lift,
    Looked,
    Permit,
    Predicted,
    Rested,
    Sensed,
)
from reflexd.rules.memory import Memory, Remembers, put, taken
from reflexd.rules.plausible import Plausible
from reflexd.rules.rule import Rule
from reflexd.rules.scene import Scene
from reflexd.rules.sources import Source, equals

MOST_ENDED = 1000       # rules that were let go, whose bounds are known: of many reloads, the newest


class Stage:
    """All rules and what they know."""

    REMEMBERS: ClassVar[tuple[str, ...]] = ("_permits", "_counts", "_armed_since", "_armed_until")

    def __init__(self, settings: Settings, before: Stage | None = None) -> None:
        """`before` has what a reload left standing: its sources and rules are taken over with all they remember."""
        self.settings = settings
        self.sources: dict[str, Source] = sources_of(settings, before.sources if before else {})
        kept = {rule.name: rule for rule in before.rules} if before else {}
        self.rules: list[Rule] = [kept.get(rule.name) or self._begin_rule(rule, before) for rule in settings.rule]
        self.ended: dict[RuleSettings, Rule] = {}     # let go, and maybe coming back: with other devices, or as a reload failed
        self._depend = self._dependents()
        self._plausible = {
            name: Plausible(model.plausible) for name, model in settings.model.items() if model.plausible is not None
        }
        self._scenes = {name: Scene(model, followed_by(settings, name)) for name, model in settings.model.items()
                        if type(model.options).gives_detections}
        self._guards = {by: one for by, one in (("stop", settings.safety.stop), ("arm", settings.safety.arm)) if one}
        self._required = {
            *(f"camera.{name}" for name, one in settings.camera.items() if one.required),
            *(f"sensor.{name}" for name, one in settings.sensor.items() if one.required),
        }
        # until when each permits outputs, as the gate has it
        self._permits = dict.fromkeys([*self._guards, *self._required], 0)
        self._counts: dict[str, int] = {}     # how often each guard has forbidden, by the sensor's own count
        self._armed_since = self._armed_until = 0     # the arm sensor says so since then on end, and is believed until then
        self._lifted: list[str] = []          # what stood above the rules until now, and does no more
        if before:
            self._remember(before)
            self.ended = dict(list(before.ended.items())[-MOST_ENDED:])

    def begin(self) -> list[Command]:
        """Keep every output safe until each thing that stands above the rules has permitted it."""
        whys = {by: f"{by}: sensor {guard.sensor} is not known yet" for by, guard in self._guards.items()}
        whys |= {source: f"{source} is required and not there yet" for source in sorted(self._required)}
        unknown = [Inhibit(by, why) for by, why in whys.items() if not self._permits[by]]
        return [*(Lift(by) for by in self._lifted), *unknown]

    def standing(self, now: int) -> list[Permit | Inhibit]:
        """Tell again what stands above the rules: who permits, and until when; who does not."""
        return [Permit(by, until) if until > now else Inhibit(by, f"{by} does not permit") for by, until in self._permits.items()]

    def held(self, now: int) -> list[Claim]:
        """Tell again the claims that live."""
        return [claim for rule in self.rules for claim in rule.held(now)]

    def memory(self) -> Memory:
        """Take out all that it remembers: put into a stage of the same settings, the same items lead to the same commands."""
        return {
            "stage": taken(self),
            **{part: {name: taken(one) for name, one in ones.items()} for part, ones in self._rememberers().items()},
            "tests": {rule.name: [taken(part) for test in rule.tests for part in test.parts] for rule in self.rules},
        }

    def recall(self, memory: Memory) -> None:
        """Remember that, and nothing else: what a reload had let go at that moment goes here too."""
        self.rules = [rule for rule in self.rules if rule.name in memory["rules"]]
        for name in self.sources.keys() - memory["sources"].keys():
            del self.sources[name]
        self._depend = self._dependents()
        put(self, memory["stage"])
        for part, ones in self._rememberers().items():
            for name, one in ones.items():
                put(one, memory[part][name])
        for rule in self.rules:
            tests = [part for test in rule.tests for part in test.parts]
            for test, what in zip(tests, memory["tests"][rule.name], strict=True):
                put(test, what)

    def _rememberers(self) -> dict[str, Mapping[str, Remembers]]:
        return {"sources": self.sources, "rules": {rule.name: rule for rule in self.rules}, "plausible": self._plausible,
                "scenes": self._scenes, "trackers": {name: scene.tracker for name, scene in self._scenes.items()}}

    def _begin_rule(self, settings: RuleSettings, before: Stage | None) -> Rule:
        """Make a rule without state. Where the same rule was let go before, what bounds how often it acts goes on."""
        rule = Rule(settings, self.sources, self.settings.place)
        same = before.ended.get(settings) if before else None
        if same is not None:
            rule.rest_like(same)
        return rule

    def let_go(self, rules: Collection[str], leaving: Collection[str], now: int) -> list[Command]:
        """Keep only these rules, and let sources go: claims of the others end, and what a leaving source permitted does."""
        commands = [command for rule in self.rules if rule.name not in rules for command in rule.end()]
        for rule in self.rules:
            rule.forget_trigger()
        self.ended.update({rule.settings: rule for rule in self.rules if rule.name not in rules})
        self.rules = [rule for rule in self.rules if rule.name in rules]
        self._depend = self._dependents()
        for source in sorted(leaving):
            commands += self._down(Down(source, f"{source} is exchanged by a reload"), now)
        for source in leaving:
            self.sources.pop(source, None)
        return commands

    def _dependents(self) -> dict[str, list[Rule]]:
        return {name: [rule for rule in self.rules if name in rule.sources] for name in self.sources}

    def _remember(self, before: Stage) -> None:
        """Take over what was believed of a meter's number, and what guards that are still the same permitted."""
        self._plausible |= {name: one for name, one in before._plausible.items()
                            if f"model.{name}" in before.sources}
        for name in self._scenes.keys() & before._scenes.keys():
            if f"model.{name}" in before.sources:
                self._scenes[name].continues(before._scenes[name])
        self._lifted = [by for by in before._permits if by not in self._permits]
        same = [by for by in self._permits if by in before._permits and self._guards.get(by) == before._guards.get(by)]
        self._permits.update({by: before._permits[by] for by in same})
        self._counts = {by: count for by, count in before._counts.items() if by in same}
        if "arm" in same:
            self._armed_since, self._armed_until = before._armed_since, before._armed_until

    def gated(self, model: str, now: int) -> bool:
        """Say whether a network has to rest because one of its only_while sensors does not say that it may run."""
        return self.sources[f"model.{model}"].gated(now)

    def consume(self, item: Item, now: int) -> list[Command]:
        """Take an item over and decide. A late one is counted and dropped."""
        if isinstance(item, Predicted):
            return self._predicted(item, now)
        if isinstance(item, Rested):
            return self._rested(item.model, item.taken_at, now)
        if isinstance(item, Sensed):
            return self._sensed(item, now)
        if isinstance(item, Looked):
            return self._looked(item, now)
        if isinstance(item, Clock):
            return self._told_time(item, now)
        return self._down(item, now) if isinstance(item, Down) else self._armed()

    def _armed(self) -> list[Command]:
        """Forget what was triggered and end what is held, as the gate does: what is driven from now on is a beginning."""
        return [command for rule in self.rules for command in rule.end()]

    def _predicted(self, item: Predicted, now: int) -> list[Command]:
        source = self.sources[f"model.{item.model}"]
        prediction = item.prediction
        if source.gated(now):
            return self._rested(item.model, prediction.taken_at, now)
        if not source.admits(prediction.taken_at, now):
            return []
        plausible = self._plausible.get(item.model)
        value, unsure = plausible.judge(prediction) if plausible else (prediction.value, prediction.unsure or "")
        source.follow(item.exchanges)
        source.predict(prediction, value, unsure)
        scene = self._scenes.get(item.model)
        if scene is not None:
            source.seen, source.scores = scene.read(prediction, source.epoch)
            source.tracks = scene.tracker.tracks
        return self._permit(self._camera_of(item.model), source, source.taken_at, now) + self._decide(source, now)

    def _rested(self, model: str, taken_at: int, now: int) -> list[Command]:
        """Renew what a required camera permits, although its network rests."""
        source = self.sources[f"model.{model}"]
        fresh = source.down_at < taken_at <= now <= taken_at + source.max_age_ns
        return self._permit(self._camera_of(model), source, taken_at, now) if fresh else []

    def _camera_of(self, model: str) -> str:
        camera = self.settings.model[model].camera
        return "" if camera is None else f"camera.{camera}"

    def _sensed(self, item: Sensed, now: int) -> list[Command]:
        source = self.sources[f"sensor.{item.sensor}"]
        if not source.admits(item.reading.taken_at, now):
            return []
        self._gate(source, now)         # it may have been silent for a while, which sends a network to rest as well
        source.sense(item.reading)
        self._gate(source, now)
        return self._guard(item.sensor, now) + self._permit(source.name, source, source.taken_at, now) + self._decide(source, now)

    def _looked(self, item: Looked, now: int) -> list[Command]:
        source = self.sources.get(f"camera.{item.camera}")      # None: no rule asks any more, since a reload
        if source is None or not source.admits(item.taken_at, now):
            return []
        source.look(item.state, item.taken_at)
        permits = self._permit(source.name, source, item.taken_at, now) if item.state != "frozen" else []
        return permits + self._decide(source, now)

    def _told_time(self, item: Clock, now: int) -> list[Command]:
        source = self.sources.get(CLOCK)       # None: no rule asks for it any more, since a reload
        if source is None or not source.admits(item.taken_at, now):
            return []
        source.tell_time(item)
        return self._decide(source, now)

    def _decide(self, moved: Source, now: int) -> list[Command]:
        """Let the rules decide; while outputs are kept safe they watch, and an action that cannot be costs no cooldown."""
        may_act = not self.forbidding(now)
        return [command for rule in self._depend[moved.name] for command in rule.decide(now, moved, may_act)]

    def forbidding(self, now: int) -> list[str]:
        """Name what stands above the rules and does not permit outputs now: "stop", "arm" or a required source."""
        return [by for by, until in self._permits.items() if until <= now]

    def _gate(self, sensor: Source, now: int) -> None:
        """Void what a network saw before its only_while sensor sent it to rest."""
        for source in self.sources.values():
            if any(gate is sensor for gate, _ in source.gates) and source.gated(now):
                source.epoch += 1

    def _permit(self, name: str, source: Source, taken_at: int, now: int) -> list[Command]:
        """Renew what a required source permits while it is fresh."""
        return self._renew(name, taken_at + source.max_age_ns, now) if name in self._required else []

    def _guard(self, sensor: str, now: int) -> list[Command]:
        """Renew or end what the stop and arm sensors permit. A stop also voids what the rules remember."""
        commands: list[Command] = []
        for by, guard in self._guards.items():
            if guard.sensor != sensor:
                continue
            source = self.sources[f"sensor.{sensor}"]
            blinked = self._blinked(by, guard, source)
            permits = equals(source.value, guard.is_) is (by == "arm")
            if blinked or not permits:
                said = "changed for a moment" if permits else f"says {str(source.value).lower()}"
                commands += self._forbid(by, f"{by}: sensor {sensor} {said}")
                self._void()
                if by == "arm":
                    self._armed_until = 0
            if permits:
                commands += self._confirm(by, guard, source.taken_at + source.max_age_ns, now)
        return commands

    def _confirm(self, by: str, guard: SensorIs, until: int, now: int) -> list[Command]:
        """Renew what a guard permits; the arm sensor does once it has said so for delay_s on end, a gap begins that anew."""
        if isinstance(guard, ArmedBy):
            begins, self._armed_until = now > self._armed_until, until
            if begins:
                self._armed_since = now
            if now - self._armed_since < round(guard.delay_s * NS):
                why = f"{by}: sensor {guard.sensor} has to say so for {guard.delay_s:g} s on end"
                return self._forbid(by, why) if begins else []
        return self._renew(by, until, now)

    def _blinked(self, by: str, guard: SensorIs, source: Source) -> bool:
        """Say whether the sensor forbade since its last reading, however short that was."""
        if not isinstance(guard.is_, bool):
            return False
        count = source.rises if guard.is_ is (by == "stop") else source.falls
        before, self._counts[by] = self._counts.get(by, count), count
        return count > before

    def _forbid(self, by: str, why: str) -> list[Command]:
        """Keep every output safe from now on. The gate ends all claims then, so the rules know of none."""
        self._permits[by] = 0
        return [Inhibit(by, why), *(command for rule in self.rules for command in rule.end())]

    def _renew(self, by: str, until: int, now: int) -> list[Command]:
        """Permit outputs until then; over a lapse the gate has ended all claims."""
        ended = [] if self._permits[by] > now else [command for rule in self.rules for command in rule.end()]
        self._permits[by] = until
        return [*ended, Permit(by, until)]

    def _void(self) -> None:
        """Let every rule begin anew: nothing that was seen before a stop may act after it."""
        for source in self.sources.values():
            source.epoch += 1
        for rule in self.rules:
            rule.void()

    def _down(self, item: Down, now: int) -> list[Command]:
        """Forget a failed source, and end what its rules hold. It takes along the models that watch it or are gated by it.

        The number that was believed of a meter stays: it does not run back while its camera is away.
        """
        failed = [item.source, *self._models_of(item.source)]
        commands: list[Command] = []
        for name in failed:
            if name in self.sources:
                self.sources[name].fail(now, item.why)
                for rule in self._depend[name]:
                    commands += rule.fail()
        for by, guard in self._guards.items():
            if item.source == f"sensor.{guard.sensor}":
                commands += self._forbid(by, f"{by}: {item.why}")
                self._counts.pop(by, None)       # opened again, the sensor counts from 0
                if by == "arm":
                    self._armed_until = 0
                self._void()
        for name in failed:
            if name in self._required:
                commands += self._forbid(name, f"{name} is required: {item.why}")
        return commands

    def _models_of(self, source: str) -> list[str]:
        return [f"model.{name}" for name, model in self.settings.model.items()
                if source in (*watched_by(model), *(f"sensor.{one.sensor}" for one in model.only_while))]
