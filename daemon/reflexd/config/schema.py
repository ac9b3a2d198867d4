"""The JSON Schema of a configuration and the table of its keys, both made from the settings and the registries.

Nothing about a key is written a second time: what drivers and tasks say of themselves is the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reflexd.config.bundles import ENVELOPE, options_of, task_names
from reflexd.config.conditions import CrossingCondition, ScoreCondition, TimeCondition, ValueCondition
from reflexd.config.evidence import EvidenceSettings
from reflexd.config.parts import ENVELOPES
from reflexd.config.scene import SCENE_KEYS, Scene
from reflexd.config.settings import (
    Action,
    ArmedBy,
    DaemonSettings,
    EventsSettings,
    GpioSettings,
    LevelOf,
    ModelSettings,
    PlaceSettings,
    PlausibleSettings,
    RuleSettings,
    SafetySettings,
    SensorIs,
    WindowSettings,
)
from reflexd_drivers import registry

Schema: TypeAlias = dict[str, Any]

NAMES = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}
WATCHES = {"camera": ("camera",), "sensors": ("sensors", "window")}      # keys that go with what a task watches
WATCHED = [key for keys in WATCHES.values() for key in keys]
_TABLES: dict[str, type[BaseModel]] = {
    "daemon": DaemonSettings, "gpio": GpioSettings, "safety": SafetySettings, "events": EventsSettings,
    "evidence": EvidenceSettings, "place": PlaceSettings}


def schema() -> Schema:
    """Give the whole as JSON Schema, draft 2020-12."""
    classes: list[type[BaseModel]] = [*_TABLES.values(), ModelSettings, RuleSettings,
                                      *(settings for _, _, settings in _drivers()),
                                      *(options_of(task) for task in task_names())]
    refs, shapes = models_json_schema([(one, "validation") for one in dict.fromkeys(classes)], by_alias=True)
    ref = {one: refs[one, "validation"] for one in classes}
    shapes["$defs"].update({f"any-{kind}": _device(kind, ref) for kind in ENVELOPES})
    shapes["$defs"]["any-model"] = _model(shapes["$defs"], ref)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "reflexd.toml",
        "type": "object",
        "required": ["schema"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": 1, "type": "integer", "description": "version of this format"},
            **{key: ref[one] for key, one in _TABLES.items()},
            **{kind: _by_name(f"any-{kind}") for kind in ENVELOPES},
            "model": _by_name("any-model"),
            "rule": {"type": "array", "items": ref[RuleSettings]},
        },
        "$defs": shapes["$defs"],
    }


def _drivers() -> Iterator[tuple[registry.Kind, str, type[BaseModel]]]:
    for kind in ENVELOPES:
        for name in registry.names(kind):
            yield kind, name, registry.load(kind, name).Settings


def _by_name(shape: str) -> Schema:
    return {"type": "object", "propertyNames": NAMES, "additionalProperties": {"$ref": f"#/$defs/{shape}"}}


def _device(kind: registry.Kind, ref: dict[type[BaseModel], Schema]) -> Schema:
    """Choose by driver name, so that an editor complains of the keys of that driver only."""
    choices = [
        {"if": {"properties": {"driver": {"const": name}}, "required": ["driver"]}, "then": ref[settings]}
        for one, name, settings in _drivers() if one == kind
    ]
    return {"type": "object", "required": ["driver"], "properties": {"driver": {"enum": registry.names(kind)}}, "allOf": choices}


def _model(shapes: dict[str, Schema], ref: dict[type[BaseModel], Schema]) -> Schema:
    """Join the common keys with those of each task; which task it is stands in the bundle."""
    def shape(one: type[BaseModel]) -> Schema:
        return shapes[ref[one]["$ref"].rpartition("/")[2]]

    common = {key: value for key, value in shape(ModelSettings)["properties"].items() if key in ENVELOPE}
    needed = shape(ModelSettings)["required"]
    def of_task(task: str) -> Schema:
        watches, options = options_of(task).watches, shape(options_of(task))
        ours = {key: value for key, value in common.items() if key not in WATCHED or key in WATCHES[watches]}
        return {"type": "object", "title": f"model of task {task}", "additionalProperties": False,
                "properties": ours | options.get("properties", {}),
                "required": [*needed, watches, *options.get("required", [])]}

    return {"anyOf": [of_task(task) for task in task_names()]}


class Key(NamedTuple):
    """A key as the documents tell it, in Markdown."""

    name: str
    takes: str
    default: str
    meaning: str


def sections() -> list[tuple[str, list[Key]]]:
    """Give the title of each section that has keys, and its keys."""
    tables: list[tuple[str, type[BaseModel], frozenset[str]]] = [
        *((f"[{key}]", one, frozenset()) for key, one in _TABLES.items()),
        ('{ sensor = "…", is = … } in [safety] and only_while', SensorIs, frozenset()),
        ("[safety] arm", ArmedBy, frozenset({"sensor", "is"})),
        *((f"[{kind}.NAME] of every driver", one, frozenset()) for kind, one in ENVELOPES.items()),
        *((f'[{kind}.NAME] with driver = "{name}"', one, _common(ENVELOPES[kind], one))
          for kind, name, one in _drivers()),
        ("[model.NAME] of every task", ModelSettings, frozenset({"options", *SCENE_KEYS})),
        ("[model.NAME] of a detector", Scene, frozenset()),
        ("[model.NAME] window", WindowSettings, frozenset()),
        ("[model.NAME] plausible", PlausibleSettings, frozenset()),
        *((f"[model.NAME] of task {task}", options_of(task), frozenset()) for task in task_names()),
        ("[[rule]]", RuleSettings, frozenset()),
        ("when, unless: a score", ScoreCondition, frozenset()),
        ("when, unless: a line that is crossed", CrossingCondition, frozenset()),
        ("when, unless: a value", ValueCondition, frozenset()),
        ("when, unless: the time", TimeCondition, frozenset()),
        ("then", Action, frozenset()),
        ("then: set that follows a value", LevelOf, frozenset()),
    ]
    return [(title, found) for title, one, without in tables if (found := _keys(one, without))]


def _common(envelope: type[BaseModel], settings: type[BaseModel]) -> frozenset[str]:
    """Give the keys that a driver takes over as they are; rate_hz means something else to each."""
    ours, theirs = settings.model_fields, envelope.model_fields
    return frozenset(key for key in theirs if key != "rate_hz" and ours[key].default == theirs[key].default)


def _keys(settings: type[BaseModel], without: frozenset[str]) -> list[Key]:
    whole = settings.model_json_schema(by_alias=True)
    return [Key(name, _kind(shape, whole.get("$defs", {})), _default(name, shape, whole), shape.get("description", ""))
            for name, shape in whole.get("properties", {}).items() if name not in without]


def keys() -> str:
    """Give a Markdown table of the keys of each section."""
    return "\n\n".join(_table(title, found) for title, found in sections())


def driver_keys(name: str) -> str:
    """Give a Markdown table of a driver's own keys, for each kind that has one of that name."""
    titles = {f'[{kind}.NAME] with driver = "{name}"' for kind in ENVELOPES}
    found = [one for title, one in sections() if title in titles]
    return "\n\n".join(_rows(one) for one in found) or "It has no keys of its own."


def task_keys(name: str) -> str:
    """Give a Markdown table of a task's own keys."""
    found = [one for title, one in sections() if title == f"[model.NAME] of task {name}"]
    return "\n\n".join(_rows(one) for one in found) or "It has no keys of its own."


def _table(title: str, found: list[Key]) -> str:
    return f"### {title}\n\n{_rows(found)}"


def _rows(found: list[Key]) -> str:
    rows = [f"| `{key.name}` | {key.takes} | {key.default} | {key.meaning} |" for key in found]
    return "| key | takes | default | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows)


def _default(key: str, shape: Schema, whole: Schema) -> str:
    if key in whole.get("required", []):
        return "**needed**"
    value = shape.get("default")
    words = {True: "`true`", False: "`false`"}
    if value is None or value in ({}, []):
        return "none"
    return words[value] if isinstance(value, bool) else f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _kind(shape: Schema, shapes: dict[str, Schema]) -> str:
    """Say in a word or two what a key takes."""
    if "$ref" in shape:
        return "table"
    for group in ("anyOf", "oneOf"):
        if group in shape:
            kinds = [_kind(one, shapes) for one in shape[group] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in shape or "const" in shape:
        choices = shape.get("enum", [shape.get("const")])
        return ", ".join(f'`"{one}"`' if isinstance(one, str) else f"`{str(one).lower()}`" for one in choices)
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "object": "table"}
    if shape.get("type") == "array":
        return f"list of {_kind(shape['items'], shapes)}" if "items" in shape else f"list of {shape.get('minItems', 'values')}"
    return words.get(str(shape.get("type")), "anything") + _bounds(shape)


def _bounds(shape: Schema) -> str:
    signs = {"exclusiveMinimum": "> {}", "minimum": "≥ {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
    parts = [sign.format(f"{shape[key]:.10g}") for key, sign in signs.items() if key in shape]
    return f" {' and '.join(parts)}" if parts else ""


def replace_keys(page: str) -> str:
    """Put the current table of keys between the marks of a page."""
    return re.sub(r"(<!-- keys -->\n).*(\n<!-- /keys -->)", lambda found: f"{found[1]}{keys()}{found[2]}", page, flags=re.S)
