"""Several files made one: tables merge by key, rules replace whole by name, later values win.

What was merged still knows its origin: every location of the result leads to a file and a place in
it. A table never meets a plain value: that contradiction is a problem, and the table stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from reflexd.config.files import Source
from reflexd.config.positions import Location
from reflexd.config.problems import Problem, Severity, at

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Merged:
    """The values of all files, and the file and the location there of each."""

    main: Source
    complete: bool = True      # False: a file could not be read, so nothing can be said to be missing
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Location, tuple[Source, Location]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, location: Location) -> tuple[Source, Location]:
        """Find the file that set a value, and its location there; for a missing one that of its table."""
        rest: Location = ()
        while location:
            if location in self.origins:
                source, there = self.origins[location]
                return source, there + rest
            location, rest = location[:-1], (location[-1], *rest)
        return self.main, rest

    def report(self, location: Location, what: str, *, found: str = "", remedy: str = "", of_key: bool = False,
               absent: bool = False, severity: Severity = "error") -> None:
        """Add a problem at a value, or at its key; `absent`: about something that another file may have."""
        if absent and not self.complete:
            return
        source, there = self.origin(location)
        place = source.place(there)
        span = place.key if of_key else place.value
        self.problems.append(at(source.file, span, self.write(location), what, found=found, remedy=remedy,
                                severity=severity, lines=source.lines))

    def write(self, location: Location) -> str:
        """Write a location as camera.gate.driver; a rule goes by its name, because its number says little."""
        if location[:1] == ("rule",) and len(location) > 1 and isinstance(rules := self.data.get("rule"), list):
            rule = rules[int(location[1])]
            if _has_name(rule):
                return write_location(("rule", rule["name"], *location[2:]))
        return write_location(location)

    def line_of(self, location: Location) -> str:
        """Name the file and line of a value, for a message about another place."""
        source, there = self.origin(location)
        return f"{source.file}:{source.place(there).value.line}"


def write_location(location: Location) -> str:
    """Write a location as TOML writes a key, with the number of an item of a list in brackets, from 0."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if _BARE.fullmatch(part) else f'."{part}"'
    return text.removeprefix(".")


def merge(sources: list[Source], complete: bool = True) -> Merged:
    """Merge the files in their order; the first is the main one."""
    merged = Merged(sources[0], complete)
    for source in sources:
        for key, value in source.data.items():
            if key == "rule" and isinstance(value, list):
                _merge_rules(merged, source, value)
            else:
                _merge_value(merged, merged.data, source, (key,), value)
    return merged


def _merge_value(merged: Merged, into: dict[str, Any], source: Source, location: Location, value: object) -> None:
    key = str(location[-1])
    old = into.get(key)
    if key in into and isinstance(old, dict) != isinstance(value, dict):
        _contradict(merged, source, location, isinstance(old, dict))
        if isinstance(old, dict):
            return
        del into[key]
    if not isinstance(value, dict):
        into[key] = value
        merged.origins[location] = (source, location)
        return
    inner = into.setdefault(key, {})
    merged.origins.setdefault(location, (source, location))
    for name, item in value.items():
        _merge_value(merged, inner, source, (*location, name), item)


def _contradict(merged: Merged, source: Source, location: Location, was_table: bool) -> None:
    kinds = ("a table", "a plain value") if was_table else ("a plain value", "a table")
    what = f"is {kinds[1]} here and {kinds[0]} at {merged.line_of(location)}"
    place = source.place(location)
    merged.problems.append(at(source.file, place.value, write_location(location), what,
                              remedy="make both tables, or remove one", lines=source.lines))


def _merge_rules(merged: Merged, source: Source, rules: list[Any]) -> None:
    into = merged.data.setdefault("rule", [])
    if not isinstance(into, list):
        _contradict(merged, source, ("rule",), isinstance(into, dict))
        return
    merged.origins.setdefault(("rule",), (source, ("rule",)))
    known = {rule["name"]: index for index, rule in enumerate(into) if _has_name(rule)}
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules):
        name = rule["name"] if _has_name(rule) else None
        if name in seen:
            _report_second(merged, source, index, seen[name])
        target = len(into) if name is None or name in seen or name not in known else known[name]
        into[target:target + 1] = [rule]
        merged.origins["rule", target] = (source, ("rule", index))
        if name is not None:
            seen.setdefault(name, index)


def _has_name(rule: object) -> bool:
    return isinstance(rule, dict) and isinstance(rule.get("name"), str)


def _report_second(merged: Merged, source: Source, index: int, first: int) -> None:
    line = source.place(("rule", first, "name")).value.line
    location: Location = ("rule", index, "name")
    name = source.data["rule"][index]["name"]
    merged.problems.append(at(source.file, source.place(location).value, write_location(("rule", name, "name")),
                              f"a rule with this name is on line {line} of this file", remedy="rename one of them",
                              lines=source.lines))
