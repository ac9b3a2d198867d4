"""Names that point to nothing. They are looked up in what the files say, so that a rule with another error still tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reflexd.config.merge import Merged
from reflexd.config.messages import show, suggest
from reflexd.config.parts import Draft
from reflexd.config.positions import Location

_ANY = "*"
REFERENCES: tuple[tuple[Location, str], ...] = (
    (("model", _ANY, "camera"), "camera"),
    (("model", _ANY, "sensors", _ANY), "sensor"),
    (("model", _ANY, "only_while", _ANY, "sensor"), "sensor"),
    (("safety", "stop", "sensor"), "sensor"),
    (("safety", "arm", "sensor"), "sensor"),
    (("evidence", "cameras", _ANY), "camera"),
    (("rule", _ANY, "when", _ANY, "sensor"), "sensor"),
    (("rule", _ANY, "unless", _ANY, "sensor"), "sensor"),
    (("rule", _ANY, "when", _ANY, "model"), "model"),
    (("rule", _ANY, "unless", _ANY, "model"), "model"),
    (("rule", _ANY, "when", _ANY, "camera"), "camera"),
    (("rule", _ANY, "unless", _ANY, "camera"), "camera"),
    (("rule", _ANY, "then", _ANY, "actuator"), "actuator"),
    (("rule", _ANY, "then", _ANY, "set", "sensor"), "sensor"),
    (("rule", _ANY, "then", _ANY, "set", "model"), "model"),
)
_USERS = {"camera": "model or rule", "model": "rule", "sensor": "rule, model or [safety]", "actuator": "rule"}


def select(value: Any, pattern: Location, location: Location = ()) -> Iterator[tuple[Location, Any]]:   # noqa: ANN401
    """Give every location that fits a pattern, with its value; "*" stands for each item or name."""
    if not pattern:
        yield location, value
        return
    first, rest = pattern[0], pattern[1:]
    if isinstance(value, dict):
        for key in value if first == _ANY else [first]:
            if key in value:
                yield from select(value[key], rest, (*location, key))
    elif isinstance(value, list) and first == _ANY:
        for index, item in enumerate(value):
            yield from select(item, rest, (*location, index))


def judge_references(draft: Draft) -> None:
    """Report each reference to nothing, then what nothing refers to."""
    used: dict[str, set[str]] = {kind: set() for kind in _USERS}
    for pattern, kind in REFERENCES:
        for location, name in select(draft.merged.data, pattern):
            if isinstance(name, str):
                used[kind].add(name)
                _check(draft.merged, location, kind, name)
    if draft.evidence is not None and draft.evidence.cameras is None:
        used["camera"].update(names_of(draft.merged, "camera"))
    for kind, names in used.items():
        _warn_unused(draft.merged, kind, names)
    _judge_labels(draft)


def names_of(merged: Merged, kind: str) -> list[str]:
    """List the names of a section, of broken tables too."""
    section = merged.data.get(kind)
    return list(section) if isinstance(section, dict) else []


def _check(merged: Merged, location: Location, kind: str, name: str) -> None:
    known = names_of(merged, kind)
    if name not in known:
        merged.report(location, f"there is no {kind} called {show(name)}", found=show(name), absent=True,
                      remedy=suggest(name, known, f"add [{kind}.{name}]"))


def _warn_unused(merged: Merged, kind: str, used: set[str]) -> None:
    for name in names_of(merged, kind):
        if name not in used:
            merged.report((kind, name), f"no {_USERS[kind]} uses this {kind}", absent=True, severity="warning",
                          remedy="use it, or remove it")


def _judge_labels(draft: Draft) -> None:
    for group in ("when", "unless"):
        for location, condition in select(draft.merged.data, ("rule", _ANY, group, _ANY)):
            if not isinstance(condition, dict) or not isinstance(condition.get("model"), str):
                continue
            bundle, label = draft.bundles.get(condition["model"]), condition.get("label")
            if bundle is not None and isinstance(label, str) and label not in bundle.labels:
                what = f"the bundle {show(bundle.name)} has no label {show(label)}"
                draft.merged.report((*location, "label"), what, found=show(label), remedy=suggest(label, bundle.labels))
