"""Where each key, value and table of a TOML text stands.

Values come from tomllib alone; this walks the syntax tree beside it and keeps positions only, so
there is no second opinion about what a file says. Every location that tomllib can give a value
for has a place. Lines and columns start at 1 and columns count characters, not bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Location: TypeAlias = tuple[str | int, ...]

DEEPEST = 64   # a key of a thousand dots would need as many places; nothing in a configuration is that deep

_HEADERS = ("table", "table_array_element")
_KEYS = ("bare_key", "quoted_key", "dotted_key")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line; of what goes on over several lines it is the first."""

    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key stands and where its value does; for a table the value is its header."""

    key: Span
    value: Span


@dataclass(slots=True)
class Positions:
    """The places of one text, and the keys that were given again, which tomllib refuses."""

    places: dict[Location, Place] = field(default_factory=dict)
    again: list[tuple[Location, Span, Span]] = field(default_factory=list)   # which, where again, where first


def positions(text: str) -> Positions:
    """Find every key, value and table of a text, which need not be free of errors."""
    source = text.encode()
    reader = _Reader(source)
    reader.read_document(Parser(Language(tree_sitter_toml.language())).parse(source).root_node)
    return reader.found


class _Reader:
    def __init__(self, source: bytes) -> None:
        self._lines = source.split(b"\n")
        self._explicit: set[Location] = set()
        self._last: dict[Location, int] = {}   # array of tables → index of its last table
        self.found = Positions()

    def read_document(self, root: Node) -> None:
        """Take the pairs before the first table, then each table."""
        for node in root.children:
            if node.type == "pair":
                self._read_pair(node, ())
            elif node.type in _HEADERS:
                self._read_table(node)

    def _read_table(self, node: Node) -> None:
        header = next((child for child in node.children if child.type in _KEYS), None)
        if header is None:      # only in a text with syntax errors
            return
        span = self._span(node.children[0], self._closing(node))
        keys = list(_parts(header))
        location: Location = ()
        for position, part in enumerate(keys):
            location = (*location, _decode(part))[:DEEPEST]
            last = position == len(keys) - 1
            if location in self._last and not last:
                location = (*location, self._last[location])
            elif not last:
                self._imply(location, Place(self._span(part), span))
        location = self._declare(location, Place(self._span(keys[-1]), span), node.type == "table_array_element")
        for child in node.children:
            if child.type == "pair":
                self._read_pair(child, location)

    def _declare(self, location: Location, place: Place, repeated: bool) -> Location:
        if repeated:
            self._imply(location, place)
            self._last[location] = self._last.get(location, -1) + 1
            location = (*location, self._last[location])
        self._set(location, place)
        return location

    def _closing(self, node: Node) -> Node:
        return next((child for child in node.children if child.type in ("]", "]]")), node.children[0])

    def _read_pair(self, node: Node, table: Location) -> None:
        key, value = node.children[0], node.children[-1]
        parts = list(_parts(key))
        if not parts or value is key or value.type == "=":
            return
        location = table
        for part in parts[:-1]:
            location = (*location, _decode(part))[:DEEPEST]
            span = self._span(part)
            self._imply(location, Place(span, span))
        location = (*location, _decode(parts[-1]))[:DEEPEST]
        self._set(location, Place(self._span(parts[-1]), self._span(value)))
        self._read_value(value, location)

    def _read_value(self, node: Node, location: Location) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._read_pair(child, location)
        elif node.type == "array":
            items = [child for child in node.children if child.is_named and child.type != "comment"]
            for index, item in enumerate(items):
                span = self._span(item)
                self._set((*location, index), Place(span, span))
                self._read_value(item, (*location, index))

    def _imply(self, location: Location, place: Place) -> None:
        self.found.places.setdefault(location, place)

    def _set(self, location: Location, place: Place) -> None:
        if location in self._explicit:
            self.found.again.append((location, place.key, self.found.places[location].key))
            return
        self._explicit.add(location)
        self.found.places[location] = place

    def _span(self, first: Node, last: Node | None = None) -> Span:
        row, start = first.start_point
        end_row, end = (last or first).end_point
        line = self._lines[row]
        if end_row != row:
            end = len(line.rstrip(b"\r"))
        column = len(line[:start].decode(errors="replace"))
        return Span(row + 1, column + 1, max(1, len(line[start:end].decode(errors="replace"))))


def _parts(key: Node) -> Iterator[Node]:
    """Give the parts of a key from left to right; the tree nests dotted keys to the left."""
    parts: list[Node] = []
    rest: Node | None = key
    while rest is not None and rest.type == "dotted_key":
        named = [child for child in rest.children if child.type in _KEYS]
        parts.extend(reversed(named[1:]))
        rest = named[0] if named else None
    if rest is not None and rest.type in _KEYS:
        parts.append(rest)
    return reversed(parts)


def _decode(key: Node) -> str:
    text = (key.text or b"").decode(errors="replace")
    if key.type == "bare_key":
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except (ValueError, StopIteration):   # the text has a syntax error here, which tomllib reports
        return text
