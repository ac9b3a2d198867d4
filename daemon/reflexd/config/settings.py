"""The shape of a configuration: every key, its unit, its bounds and what it means.

Nothing here opens a device or a file. Cameras, sensors and actuators are refined by their driver's
Settings and models by their task's Options; load.py puts the parts together and judges the whole.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from reflexd.config.conditions import Condition
from reflexd.config.evidence import EvidenceSettings
from reflexd.config.scene import Scene, Table
from reflexd.rules.items import TEST
from reflexd_drivers.base import YEAR_S, ActuatorSettings, CameraSettings, Level, SensorSettings, resolve_by_context
from reflexd_models.base import Options

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def _resolve_text(path: str, info: ValidationInfo) -> str:
    return str(resolve_by_context(Path(path), info))


def _leave_test(name: str) -> str:
    if name == TEST:
        raise ValueError(f'no rule may be called "{TEST}"; a test of an output claims it by that name, so choose another')
    return name


RuleName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_leave_test)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(_resolve_text)]   # relative: from the main file's folder


class DaemonSettings(Table):
    """[daemon]: the process itself."""

    socket: PathText = Field(default="/run/reflexd/control.sock", description="where reflexctl finds the daemon")
    socket_mode: str = Field(default="0660", pattern="^0?[0-7]{3}$", description="its permissions: who connects may read")
    socket_group: str | None = Field(default=None, min_length=1, description="group of the socket; default: the daemon's own")
    operate_group: str | None = Field(default=None, min_length=1, description="group that may operate; default: the socket's own")
    admin_group: str | None = Field(default=None, min_length=1, description="group that may administer, besides root")
    state_dir: PathText = Field(default="/var/lib/reflexd", description="keeps added bundles, and whether it is armed")
    dry_run: bool = Field(default=False, description="decide and log, but keep every output safe")
    initially: Literal["armed", "disarmed"] = Field(
        default="armed", description="until `reflexctl arm` or `disarm` is said for the first time; disarmed is a dry run"
    )
    trust_clock: bool = Field(
        default=False, description="take the clock for right in any case: for one with a battery, without a network"
    )


class GpioSettings(Table):
    """[gpio]: which pins are meant by GPIO17; every gpio driver takes it from here."""

    factory: Literal["auto", "lgpio", "mock"] = Field(
        default="auto", description='"auto" finds the header\'s chip by its label; "mock" has no hardware, for laptops'
    )
    chip: str | None = Field(default=None, description='label of the gpiochip instead of the header\'s, as "pinctrl-rp1"')


class PlaceSettings(Table):
    """[place]: where the sun rises and sets that conditions speak of."""

    latitude: float = Field(ge=-90, le=90, description="degrees, north is positive")
    longitude: float = Field(ge=-180, le=180, description="degrees, east is positive")


class SensorIs(Table):
    """A sensor's value that has to be known: { sensor = "away", is = true }."""

    sensor: str = Field(description="name of a sensor")
    is_: bool | float | str = Field(alias="is", description="the value it has to have")


class ArmedBy(SensorIs):
    """A sensor that has to say so, and for how long before it counts."""

    delay_s: float = Field(default=0, ge=0, le=3600, description="outputs are permitted once it has said so for that long on end")


class SafetySettings(Table):
    """[safety]: what stands above every rule."""

    stop: SensorIs | None = Field(default=None, description="while this is not known to be false, every output is safe")
    arm: ArmedBy | None = Field(
        default=None, description="while this is not known to be true, every output is safe; with delay_s, true for that long")


class EventsSettings(Table):
    """[events]: the store of what happened, in the state directory."""

    enabled: bool = Field(default=True, description="store events")
    durability: Literal["normal", "full"] = Field(
        default="normal", description='what is stored survives the end of the process; with "full" a power cut as well')
    keep_days: float = Field(default=365, gt=0, le=36_500, description="older events may go")
    keep_mb: float = Field(default=50, ge=1, le=10_000, description="the oldest go where the store is larger")
    keep_per_rule: int = Field(default=50, ge=0, le=10_000, description="the newest of each rule that are kept all the same")
    write_budget_mb_per_day: float = Field(
        default=20, ge=0.1, le=100_000, description="bytes written a day at most; what is beyond that waits in memory")


class PlausibleSettings(Table):
    """[model.NAME.plausible]: what a number that was read can do in the real world."""

    max_rise_per_min: float = Field(gt=0, description="largest rise in a minute, in the reading's unit")
    backwards: bool = Field(default=False, description="whether the number may fall")
    settle: int = Field(default=3, ge=1, le=100, description="readings in a row that must agree before the first counts")


class WindowSettings(Table):
    """[model.NAME.window]: the windows of readings that a model of sensors is given; load.py fills in what the bundle says."""

    rate_hz: float | None = Field(
        default=None, gt=0, le=100_000, description="samples a second that readings are brought to; default: the bundle's")
    length: int | None = Field(
        default=None, ge=1, le=100_000, description="samples of a window, where the network takes another; default: the bundle's")
    hop: int | None = Field(
        default=None, ge=1, le=100_000, description="samples to the next window; default: the bundle's, or half a window")
    gap_ms: float | None = Field(
        default=None, gt=0, le=3_600_000,
        description="a longer pause between two readings begins the window anew; at least 2 samples; default: 4, at least 20")

    @property
    def hop_s(self) -> float:
        """How long it is from one window to the next."""
        assert self.hop is not None, "load.py has filled it in"
        assert self.rate_hz is not None, "load.py has filled it in"
        return self.hop / self.rate_hz


class ModelSettings(Scene):
    """[model.NAME]: one network on a camera or on sensors; `options` is what its task allows besides."""

    bundle: str = Field(min_length=1, description="a name in the zoo or the state directory, or a path")
    camera: str | None = Field(default=None, description="name of the camera whose frames it is given")
    sensors: tuple[str, ...] = Field(
        default=(), max_length=16, description="names of the sensors whose readings it is given, in the order of its channels")
    window: WindowSettings = Field(default=WindowSettings(), description="{ rate_hz, length, hop, gap_ms } of a model of sensors")
    rate_hz: float | None = Field(
        default=None, ge=0.001, le=1000, description="at most so many predictions a second; default: one of every frame")
    only_while: tuple[SensorIs, ...] = Field(default=(), description="run only while all of these are known to be true")
    plausible: PlausibleSettings | None = Field(default=None, description="what its number can do; what cannot be is left out")
    options: Options = Options()


class LevelOf(Table):
    """A level that follows a value: { sensor = "temp", from = [20, 30], to = [0.2, 1.0] }."""

    sensor: str | None = Field(default=None, description="name of a sensor whose readings are numbers; or model")
    model: str | None = Field(default=None, description="name of a model that reads a number; or sensor")
    from_: tuple[float, float] = Field(alias="from", description="two values; beyond them the level stays where it is there")
    to: tuple[Level, Level] = Field(description="the levels at these values; in between, on the straight line")
    step: float = Field(
        default=0.01, gt=0, le=0.5, description="share of the way between the levels by which one has to move to be driven anew")

    @model_validator(mode="after")
    def _fits(self) -> LevelOf:
        if (self.sensor is None) == (self.model is None):
            raise ValueError("a level follows one value; name either a sensor or a model")
        if self.from_[0] == self.from_[1]:
            raise ValueError("from has two values that differ; write it as [20, 30]")
        if not isfinite(self.from_[1] - self.from_[0]):
            raise ValueError("from has two values further apart than a number can say; write values that are read")
        if self.to[0] == self.to[1]:
            raise ValueError("to has two levels that differ; write it as [0.2, 1.0], or write set as one level")
        return self


def _kind_of_level(value: Any) -> str:   # noqa: ANN401  whatever stands in the file
    return "(function)" if isinstance(value, (dict, LevelOf)) else "(level)"      # no key can be spelt like that


LevelOrFunction: TypeAlias = Annotated[Annotated[Level, Tag("(level)")] | Annotated[LevelOf, Tag("(function)")],
                                       Discriminator(_kind_of_level)]
PhaseS = Annotated[float, Field(ge=0.02, le=3600)]      # shorter ones would be those of a PWM, and the loop's own lag would show


class Action(Table):
    """What a rule does, and how that ends: after a time, or with its evidence."""

    actuator: str = Field(description="name of an actuator")
    set: LevelOrFunction = Field(description="level that it is given, or a value that it follows: { sensor, from, to }")
    pattern: Annotated[tuple[PhaseS, ...], Field(min_length=2, max_length=32)] | None = Field(
        default=None, description="seconds at that level, at the safe level, at that level, … in turn, over and over")
    times: int | None = Field(
        default=None, ge=1, le=10_000, description="with pattern: so often, and then rest; default: until the action ends")
    for_s: float | None = Field(default=None, gt=0, le=YEAR_S, description="ends that long after the rule last acted")
    follow: Literal[True] | None = Field(default=None, description="ends when the conditions are no longer true")
    hold_on_fault: bool = Field(default=False, description="with for_s: outlast the failure of a source of the rule")

    @model_validator(mode="after")
    def _fits(self) -> Action:
        if (self.for_s is None) == (self.follow is None):
            raise ValueError("an action ends in one way; give either for_s = SECONDS or follow = true")
        if self.hold_on_fault and self.for_s is None:
            raise ValueError("hold_on_fault goes with for_s; remove it, or end the action by for_s")
        self._check_pattern()
        if isinstance(self.set, LevelOf) and (self.follow is None or self.pattern is not None):
            raise ValueError("set follows a value, which goes with follow = true and without pattern; correct that")
        return self

    @property
    def levels(self) -> tuple[float, ...]:
        """Give the level, or the two between which it follows a value."""
        return self.set.to if isinstance(self.set, LevelOf) else (self.set,)

    def _check_pattern(self) -> None:
        if self.pattern is not None and len(self.pattern) % 2:
            raise ValueError("pattern ends with a pause, so it has an even number of times; add the last pause, as in [0.2, 0.8]")
        if self.times is not None and self.pattern is None:
            raise ValueError("times goes with pattern; remove it, or add pattern = [0.2, 0.8]")


class RuleSettings(Table):
    """[[rule]]: acts when every `when` is true and every `unless` is known to be false."""

    name: RuleName = Field(description="its name in the log; a later file replaces the rule by it")
    when: tuple[Condition, ...] = Field(min_length=1, description="all of these have to be true")
    unless: tuple[Condition, ...] = Field(default=(), description="each of these has to be known to be false")
    then: tuple[Action, ...] = Field(min_length=1, description="what is done")
    delay_s: float = Field(
        default=0, ge=0, le=600, description="acts so long after it was triggered, whatever `when` says by then: an entry delay")
    priority: int = Field(default=0, ge=-1000, le=1000, description="the higher one wins where two rules want two levels")
    cooldown_s: float = Field(default=0, ge=0, le=YEAR_S, description="rest after the last action")
    max_per_hour: int | None = Field(default=None, ge=1, le=100_000, description="actions in any hour")

    @model_validator(mode="after")
    def _ends_by_itself(self) -> RuleSettings:
        if self.delay_s and any(action.follow for action in self.then):
            raise ValueError("delay_s lets a rule act when its conditions may be over, so nothing can follow them; "
                             "end each action by for_s, or remove delay_s")
        return self


class Settings(Table):
    """The whole configuration, after all files were merged and every reference was found."""

    schema_: Literal[1] = Field(alias="schema", description="version of this format")
    daemon: DaemonSettings = DaemonSettings()
    gpio: GpioSettings = GpioSettings()
    safety: SafetySettings = SafetySettings()
    events: EventsSettings = EventsSettings()
    evidence: EvidenceSettings | None = None
    place: PlaceSettings | None = None
    camera: dict[Name, CameraSettings] = Field(default_factory=dict)
    model: dict[Name, ModelSettings] = Field(default_factory=dict)
    sensor: dict[Name, SensorSettings] = Field(default_factory=dict)
    actuator: dict[Name, ActuatorSettings] = Field(default_factory=dict)
    rule: tuple[RuleSettings, ...] = ()
