"""What is right by itself and does not fit together: pins, levels, kinds of values, times.

Errors are what could never work or would be unsafe; warnings are what is hardly meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reflexd.config.actions import judge_actions
from reflexd.config.conditions import TimeCondition, ValueCondition
from reflexd.config.merge import write_location
from reflexd.config.messages import show, suggest
from reflexd.config.parts import Draft
from reflexd.config.positions import Location
from reflexd.config.references import judge_references, select
from reflexd.config.settings import RuleSettings, SensorIs
from reflexd.config.timing import judge_place, judge_silence, judge_time, judge_within
from reflexd.config.windows import judge_windows
from reflexd.config.witness import judge_evidence
from reflexd.config.zones import judge_zones
from reflexd_drivers.base import ActuatorSettings, CameraSettings, SensorSettings, ValueKind
from reflexd_drivers.cameras.picture_state import STATES
from reflexd_drivers.gpio import names_a_pin
from reflexd_drivers.serial_port import SerialKeys
from reflexd_models import tasks

KINDS: dict[ValueKind, tuple[str, str, tuple[str, ...], str]] = {      # what it is, an example, what has no sense, instead
    "boolean": ("true or false", "is = true or is = false", ("above", "below", "rising_for_s", "rate_above", "rate_below"),
                "use is, edge or changed = true"),
    "number": ("a number", "is = 1", ("edge",), "use above, below, changed, rising_for_s or a rate"),
    "text": ("a text", 'is = "a word"', ("above", "below", "rising_for_s", "edge", "rate_above", "rate_below"),
             "use is or changed = true"),
}


def judge(draft: Draft) -> None:
    """Report everything that does not fit."""
    judge_references(draft)
    judge_zones(draft)
    _judge_pins(draft)
    _judge_ports(draft)
    _judge_interlocks(draft)
    _judge_guards(draft)
    judge_windows(draft.merged, draft.models, draft.bundles, draft.devices["sensor"])
    for index, rule in draft.rules.items():
        _judge_conditions(draft, index, rule)
    judge_actions(draft)
    judge_place(draft)
    judge_evidence(draft)
    _judge_expectations(draft)


def _judge_pins(draft: Draft) -> None:
    """Find pins that two devices name, also where a device has another error."""
    seen: dict[tuple[str, str], Location] = {}
    for location, pin in _pins(draft):
        key = (_chip(draft, location), pin)
        if key in seen:
            what = f"{pin} is used twice: {write_location(seen[key][:2])} has it at {draft.merged.line_of(seen[key])}"
            draft.merged.report(location, what, found=show(pin), remedy="give one of them another pin")
        seen.setdefault(key, location)
    for kind, devices in draft.devices.items():
        for name, device in devices.items():
            _judge_bus(draft, (kind, name), getattr(device, "shared_pins", ()), seen)


def _pins(draft: Draft) -> Iterator[tuple[Location, str]]:
    for kind in draft.devices:
        for location, value in [found for table, _ in select(draft.merged.data, (kind, "*"))
                                for found in select(draft.merged.data, (*table, "*"))]:
            if isinstance(value, str) and names_a_pin(str(location[-1])):
                yield location, value


def _chip(draft: Draft, location: Location) -> str:
    device = draft.devices[location[0]].get(str(location[1]))     # type: ignore[index]  # the first part is a kind
    return str(getattr(device, "chip", draft.gpio.chip))


def _judge_bus(draft: Draft, location: Location, pins: tuple[str, ...], seen: dict[tuple[str, str], Location]) -> None:
    """Find pins of a bus, which its devices share, that another device has for itself."""
    for pin in pins:
        other = seen.get((_chip(draft, location), pin))
        if other is not None:
            what = f"its bus needs {pin}, and {write_location(other[:2])} has it at {draft.merged.line_of(other)}"
            draft.merged.report(location, what, found=show(pin), remedy="give that one another pin")


def _judge_ports(draft: Draft) -> None:
    """Find ports that two devices name: one has a port for itself, unless both talk the same way on a bus."""
    seen: dict[Path, tuple[Location, SerialKeys]] = {}
    for kind, devices in draft.devices.items():
        for name, device in devices.items():
            if not isinstance(device, SerialKeys):
                continue
            location: Location = (kind, name, "port")
            other, first = seen.setdefault(Path(device.port).resolve(), (location, device))
            if first is device:
                continue
            who = f"{write_location(other[:2])} has it at {draft.merged.line_of(other)}"
            if not (device.shares_port and first.shares_port):
                draft.merged.report(location, f"{device.port} is used twice: {who}", found=show(device.port),
                                    remedy="give one of them another port")
            elif device.line != first.line:
                draft.merged.report(location, f"another baud, data_bits, parity, stop_bits or dtr than on the same port: {who}",
                                    found=show(device.port), remedy="give both the same")


def _actuators(draft: Draft) -> Iterator[tuple[str, ActuatorSettings]]:
    for name, device in draft.devices["actuator"].items():
        if isinstance(device, ActuatorSettings):
            yield name, device


def _judge_interlocks(draft: Draft) -> None:
    groups: dict[str, list[str]] = {}
    for name, actuator in _actuators(draft):
        if actuator.interlock is not None:
            groups.setdefault(actuator.interlock, []).append(name)
    for group, names in groups.items():
        if len(names) == 1:
            draft.merged.report(("actuator", names[0], "interlock"), f"no other actuator shares the interlock {show(group)}",
                                found=show(group), severity="warning", absent=True,
                                remedy="give the other one the same interlock, or remove this")


def _judge_guards(draft: Draft) -> None:
    for name, actuator in _actuators(draft):
        if not type(actuator).guarded and not actuator.accept_unguarded:
            draft.merged.report(("actuator", name), "nothing sets this actuator safe once the daemon was killed",
                                severity="warning", remedy="choose another driver, or add accept_unguarded = true")


def _judge_conditions(draft: Draft, index: int, rule: RuleSettings) -> None:
    for group, conditions in (("when", rule.when), ("unless", rule.unless)):
        for place, condition in enumerate(conditions):
            location: Location = ("rule", index, group, place)
            if isinstance(condition, TimeCondition):
                judge_time(draft, location, condition)
                continue
            judge_within(draft, location, condition)
            if isinstance(condition, ValueCondition) and condition.silent_for_s is not None:
                judge_silence(draft, location, condition, condition.silent_for_s)
            elif isinstance(condition, ValueCondition):
                _judge_value(draft, location, condition)
            elif (bundle := draft.bundles.get(condition.model)) is not None and not bundle.labels:
                draft.merged.report((*location, "label"), f"the bundle {show(bundle.name)} has no labels",
                                    found=show(condition.label), remedy="install a bundle with labels")


def _judge_value(draft: Draft, location: Location, condition: ValueCondition) -> None:
    if condition.model is not None:
        bundle = draft.bundles.get(condition.model)
        if bundle is not None and not tasks.load(bundle.task).Options.gives_number:
            draft.merged.report((*location, "model"), f"the task {bundle.task} of this model gives scores and no value",
                                found=show(condition.model), remedy="use label and at_least")
        return
    if condition.camera is not None:
        _judge_state(draft, location, condition.camera, condition.is_)
        return
    sensor = draft.devices["sensor"].get(condition.sensor or "")
    if not isinstance(sensor, SensorSettings) or sensor.gives is None:
        return
    what, _, senseless, remedy = KINDS[sensor.gives]
    for key in senseless:
        if getattr(condition, key) is not None:
            draft.merged.report((*location, key), f"this {sensor.driver} is {what}", found=key, remedy=remedy)
    if condition.is_ is not None:
        _judge_is(draft, (*location, "is"), sensor, condition.is_)


def _judge_state(draft: Draft, location: Location, name: str, state: object) -> None:
    camera = draft.devices["camera"].get(name)
    if state is not None and state not in STATES:
        draft.merged.report((*location, "is"), "no picture is in such a state", found=show(state),
                            remedy=suggest(str(state), STATES))
    elif state == "frozen" and "when" in location and isinstance(camera, CameraSettings) and not camera.frozen_s:
        draft.merged.report((*location, "is"), f"the picture of this {camera.driver} is never called frozen", found=show(state),
                            remedy=f"add frozen_after_s = 5 to camera.{name}")


def _judge_is(draft: Draft, location: Location, sensor: SensorSettings, value: bool | float | str) -> None:
    if sensor.gives is None:
        return
    what, example, _, _ = KINDS[sensor.gives]
    kind = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    if kind != sensor.gives:
        draft.merged.report(location, f"this {sensor.driver} is {what}", found=show(value), remedy=f"write {example}")


def _judge_expectations(draft: Draft) -> None:
    """Look at each { sensor, is } outside of rules."""
    pairs: list[tuple[Location, SensorIs | None]] = [
        (("safety", "stop"), draft.safety.stop), (("safety", "arm"), draft.safety.arm),
        *((("model", name, "only_while", place), one)
          for name, model in draft.models.items() for place, one in enumerate(model.only_while)),
    ]
    for location, one in pairs:
        sensor = draft.devices["sensor"].get(one.sensor) if one is not None else None
        if one is not None and isinstance(sensor, SensorSettings):
            _judge_is(draft, (*location, "is"), sensor, one.is_)
