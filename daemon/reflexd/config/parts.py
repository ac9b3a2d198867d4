"""The parts of a configuration, each checked by itself in two stages: the envelope, then the driver or task.

Every part is checked, whatever is wrong with the others; what is good of them is kept in a draft, so
that the judge can look at it. Types are strict: a number in quotes is a text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reflexd.config.bundles import ENVELOPE, look_up, options_of, resolve_bundle, task_names
from reflexd.config.evidence import EvidenceSettings
from reflexd.config.merge import Merged
from reflexd.config.messages import complaints, show, show_key, suggest
from reflexd.config.positions import Location
from reflexd.config.settings import (
    DaemonSettings,
    EventsSettings,
    GpioSettings,
    ModelSettings,
    Name,
    PlaceSettings,
    RuleSettings,
    SafetySettings,
    Settings,
)
from reflexd.config.windows import resolve
from reflexd_drivers import registry
from reflexd_drivers.base import ActuatorSettings, CameraSettings, DriverSettings, SensorSettings
from reflexd_models.bundle import Bundle

T = TypeVar("T", bound=BaseModel)

ENVELOPES: dict[registry.Kind, type[DriverSettings]] = {
    "camera": CameraSettings, "sensor": SensorSettings, "actuator": ActuatorSettings,
}
KEYS = [item.alias or name for name, item in Settings.model_fields.items()]


class _Named(BaseModel):
    name: Name


@dataclass(slots=True)
class Draft:
    """What is good of each section; a part with an error is absent."""

    merged: Merged
    base: Path
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    gpio: GpioSettings = field(default_factory=GpioSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    events: EventsSettings = field(default_factory=EventsSettings)
    evidence: EvidenceSettings | None = None
    place: PlaceSettings | None = None
    devices: dict[registry.Kind, dict[str, DriverSettings]] = field(default_factory=lambda: {kind: {} for kind in ENVELOPES})
    models: dict[str, ModelSettings] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)    # by name of the model
    rules: dict[int, RuleSettings] = field(default_factory=dict)


def build(merged: Merged, base: Path) -> Draft:
    """Check every part and report what is wrong with it."""
    draft = Draft(merged, base)
    _check_keys(merged)
    draft.daemon = _table(draft, "daemon", DaemonSettings) or draft.daemon
    draft.gpio = _table(draft, "gpio", GpioSettings) or draft.gpio
    draft.safety = _table(draft, "safety", SafetySettings) or draft.safety
    draft.events = _table(draft, "events", EventsSettings) or draft.events
    draft.evidence = _table(draft, "evidence", EvidenceSettings)
    draft.place = _table(draft, "place", PlaceSettings)
    for kind in ENVELOPES:
        for name, table in _named_tables(merged, kind):
            _add_device(draft, kind, name, table)
    for name, table in _named_tables(merged, "model"):
        _add_model(draft, name, table)
    _add_rules(draft)
    return draft


def validate(draft: Draft, location: Location, settings: type[T], table: dict[str, Any],
             more: dict[str, Any] | None = None) -> T | None:
    """Make the settings of a table, or report each of its errors; `more` are values from elsewhere."""
    # By way of JSON, because that is how pydantic is strict and still takes a list for a tuple.
    text = json.dumps({**table, **(more or {})}, default=_hold_place)
    try:
        return settings.model_validate_json(text, strict=True, context={"base": draft.base})
    except ValidationError as error:
        for one in complaints(error, table, settings):
            draft.merged.report((*location, *one.location), one.what, found=one.found, remedy=one.remedy,
                                of_key=one.of_key, absent=one.absent)
    return None


def _hold_place(_value: object) -> list[list[str]]:
    """Stand for a date or time: no key takes one, and nothing that a key takes looks like this."""
    return [["date or time"]]


def _check_keys(merged: Merged) -> None:
    for key in merged.data:
        if key not in KEYS:
            merged.report((key,), "there is no such table or key", found=show_key(key), remedy=suggest(key, KEYS), of_key=True)
    if "schema" not in merged.data:
        what = "schema is missing" if merged.data else "the file says nothing: schema is missing"
        merged.report((), what, remedy="begin the file with schema = 1", absent=True)
    elif merged.data["schema"] != 1 or not isinstance(merged.data["schema"], int) or merged.data["schema"] is True:
        merged.report(("schema",), "must be 1, the version that this reflexd knows", found=show(merged.data["schema"]),
                      remedy="write schema = 1")


def _table(draft: Draft, key: str, settings: type[T]) -> T | None:
    table = draft.merged.data.get(key)
    if table is None:
        return None
    if not isinstance(table, dict):
        draft.merged.report((key,), "must be a table", found=show(table), remedy=f"write it as [{key}]")
        return None
    return validate(draft, (key,), settings, table)


def _named_tables(merged: Merged, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Give the tables of a section; what is no table, or has a name that cannot be, is reported."""
    section = merged.data.get(key, {})
    if not isinstance(section, dict):
        merged.report((key,), "must be a table of tables", found=show(section), remedy=f"write [{key}.NAME]")
        return []
    tables = []
    for name, table in section.items():
        if not isinstance(table, dict):
            merged.report((key, name), "must be a table", found=show(table), remedy=f"write [{key}.NAME] above its keys")
            continue
        if not _is_name(name):
            merged.report((key, name), "a name has 1 to 64 letters, digits, _, - or points", found=show_key(name),
                          remedy="choose another one", of_key=True)
        tables.append((name, table))
    return tables


def _is_name(name: str) -> bool:
    try:
        _Named(name=name)
    except ValidationError:
        return False
    return True


def _add_device(draft: Draft, kind: registry.Kind, name: str, table: dict[str, Any]) -> None:
    location: Location = (kind, name)
    settings = _settings_of(draft, kind, location, table)
    if settings is None:      # still say what is wrong with the keys that every driver has
        common = {key: value for key, value in table.items() if key in ENVELOPES[kind].model_fields and key != "driver"}
        validate(draft, location, ENVELOPES[kind], common, {"driver": ""})
        return
    of_header: dict[str, Any] = {key: getattr(draft.gpio, key) for key in ("factory", "chip")
                                if key in settings.model_fields and key not in table}
    made = validate(draft, location, settings, table, of_header)
    if made is not None:
        draft.devices[kind][name] = made


def _settings_of(draft: Draft, kind: registry.Kind, location: Location, table: dict[str, Any]) -> type[DriverSettings] | None:
    report = draft.merged.report
    driver = table.get("driver")
    if driver is None:
        report(location, "driver is missing", remedy=f"add driver = … ({', '.join(registry.names(kind))})", absent=True)
    elif not isinstance(driver, str):
        report((*location, "driver"), "must be text", found=show(driver), remedy="name the driver in quotes")
    elif driver not in registry.DRIVERS[kind] and driver not in registry.names(kind):
        report((*location, "driver"), f"no {kind} driver is called {show(driver)}", found=show(driver),
               remedy=suggest(driver, registry.names(kind)))
    else:
        return _import_settings(draft, kind, location, driver)
    return None


def _import_settings(draft: Draft, kind: registry.Kind, location: Location, driver: str) -> type[DriverSettings] | None:
    try:
        settings: type[DriverSettings] = registry.load(kind, driver).Settings
    except (ImportError, AttributeError) as error:     # a driver of a third party may be broken
        draft.merged.report((*location, "driver"), f"the driver {show(driver)} cannot be loaded ({error})",
                            found=show(driver), remedy="install it again, or name another one")
        return None
    return settings


def _add_model(draft: Draft, name: str, table: dict[str, Any]) -> None:
    location: Location = ("model", name)
    rest = {key: value for key, value in table.items() if key not in ENVELOPE}
    made = validate(draft, location, ModelSettings, {key: table[key] for key in ENVELOPE if key in table})
    bundle = _find_bundle(draft, location, table.get("bundle"))
    made = made and resolve(draft.merged, location, made, bundle)
    if bundle is None:
        _check_option_names(draft, location, rest)
        return
    draft.bundles[name] = bundle
    options = validate(draft, location, options_of(bundle.task), rest)
    if made is not None and options is not None:
        resolved = resolve_bundle(made.bundle, draft.base)
        draft.models[name] = made.model_copy(update={"options": options, "bundle": resolved})


def _find_bundle(draft: Draft, location: Location, bundle: object) -> Bundle | None:
    if not isinstance(bundle, str) or not bundle:
        return None      # the envelope said so
    found = look_up(resolve_bundle(bundle, draft.base), Path(draft.daemon.state_dir))
    if isinstance(found, str):
        what, _, remedy = found.rpartition("; ")
        draft.merged.report((*location, "bundle"), what or remedy, found=show(bundle), remedy=remedy if what else "")
        return None
    return found


def _check_option_names(draft: Draft, location: Location, rest: dict[str, Any]) -> None:
    """Without a task, a key that no task has is all that is known to be wrong."""
    known = {key for task in task_names() for key in options_of(task).model_fields}
    for key in rest:
        if key not in known:
            draft.merged.report((*location, key), "there is no such key here", found=show_key(key),
                                remedy=suggest(key, [*ENVELOPE, *sorted(known)]), of_key=True)


def _add_rules(draft: Draft) -> None:
    rules = draft.merged.data.get("rule", [])
    if not isinstance(rules, list):
        draft.merged.report(("rule",), "must be a list of tables", found=show(rules), remedy="write [[rule]]")
        return
    for index, table in enumerate(rules):
        if not isinstance(table, dict):
            draft.merged.report(("rule", index), "must be a table", found=show(table), remedy="write [[rule]] above its keys")
        elif (made := validate(draft, ("rule", index), RuleSettings, table)) is not None:
            draft.rules[index] = made


