"""What the decision stage remembers, as plain values: taken out of one stage, and put into another of the same settings.

A class says in REMEMBERS which of its attributes that are; all else follows from the settings. Plain values are what JSON has,
so that they can be kept in a file. A test takes a memory out at every moment of a random run and goes on with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

Plain: TypeAlias = Any          # None, bool, int, float, str, and lists and dicts of them
Memory: TypeAlias = dict[str, Plain]
T = TypeVar("T")

_kinds: dict[str, type[Any]] = {}


class Remembers(Protocol):
    """Something with a memory."""

    REMEMBERS: ClassVar[tuple[str, ...]]


def kept(kind: type[T]) -> type[T]:
    """Let values of that class be part of a memory; it has REMEMBERS, and takes the same names when it is made."""
    _kinds[kind.__name__] = kind
    return kind


def names(kind: type[Any]) -> list[str]:
    """List what a class and those above it remember."""
    return [name for one in kind.__mro__ for name in one.__dict__.get("REMEMBERS", ())]


def taken(one: Remembers) -> Memory:
    """Take out what it remembers; nothing of that is shared with it."""
    return {name: _plain(getattr(one, name)) for name in names(type(one))}


def put(one: Remembers, memory: Mapping[str, Plain]) -> None:
    """Have it remember that. A queue keeps its bound."""
    for name in names(type(one)):
        value, before = _real(memory[name]), getattr(one, name)
        setattr(one, name, deque(value, before.maxlen) if isinstance(before, deque) else value)


def _plain(value: Any) -> Plain:    # noqa: ANN401  whatever is remembered
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, deque)):
        return [_plain(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_plain(one) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": [[key, _plain(one)] for key, one in value.items()]}
    if type(value).__name__ in _kinds:
        return {type(value).__name__: taken(value)}
    raise TypeError(f"{type(value).__name__} cannot be kept: name in REMEMBERS what has plain values")


def _real(plain: Plain) -> Any:    # noqa: ANN401  whatever was remembered
    if isinstance(plain, list):
        return [_real(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, inner),) = plain.items()
    if kind == "tuple":
        return tuple(_real(one) for one in inner)
    if kind == "dict":
        return {key: _real(one) for key, one in inner}
    return _kinds[kind](**{name: _real(one) for name, one in inner.items()})
