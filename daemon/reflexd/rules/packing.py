"""Items and what was decided on them as plain values: what the trace keeps, and a recording has in its lines.

A plain item is a list of its kind and its fields in their order, of which nothing is lost. Of a command there is what it orders,
not its reasons: they follow from the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

from reflexd.rules.items import (
    Armed,
    Claim,
    Clock,
    Command,
    Down,
    Fired,
    Inhibit,
    Item,
    Lift,
    Looked,
    Permit,
    Predicted,
    Release,
    Rested,
    Sensed,
    Triggered,
)
from reflexd_drivers.base import Reading
from reflexd_models.base import Detection, Prediction

PlainItem: TypeAlias = list[Any] | tuple[Any, ...]
Order: TypeAlias = list[str | float | int]       # a command as plain values

PLAIN = frozenset((float, bool, int, str))
ABSTRACT: tuple[tuple[type[Any], type[Any]], ...] = ((Integral, int), (Real, float))
KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Rested, Looked, Clock, Armed, Down)}


def packed(item: Item) -> PlainItem:
    """Write an item as plain values; in tuples, which cost less than lists."""
    if isinstance(item, Predicted):
        one = item.prediction
        seen = tuple(map(tuple, one.detections)) if one.detections else ()
        return ("predicted", item.model, item.exchanges, one.taken_at, dict(one.scores), one.value, one.spread, one.unsure,
                one.parts, seen, one.cut)
    if isinstance(item, Sensed):
        read = item.reading
        value = read.value if type(read.value) in PLAIN else plainly(read.value)
        return ("sensed", item.sensor, value, read.taken_at, read.changed_at, read.rises, read.falls,
                tuple(map(plainly, read.values)))
    return (type(item).__name__.lower(), *item)


def plainly(value: Any) -> float | bool | str | None:    # noqa: ANN401  whatever a foreign driver gives
    """Take Python's own number for what is nearly one, as NumPy's are, and text for anything else."""
    if value is None or type(value) in PLAIN:
        return value     # type: ignore[no-any-return]  # one of these
    if type(value).__name__ in ("bool", "bool_"):      # NumPy's, which is no number
        return bool(value)
    kind = next((kind for abstract, kind in ABSTRACT if isinstance(value, abstract)), str)
    return kind(value)


def unpacked(plain: Sequence[Any]) -> Item:
    """Read an item that was written so. Raises: ValueError for what nobody wrote."""
    kind, *values = plain
    try:
        if kind == "predicted":
            model, exchanges, *said = values
            return Predicted(model, _prediction(*said), exchanges)
        if kind == "sensed":
            sensor, value, taken_at, changed_at, rises, falls, numbers = values
            return Sensed(sensor, Reading(value, taken_at, changed_at, rises, falls, tuple(numbers)))
        return KINDS[kind](*values)      # type: ignore[no-any-return]  # each of these is one
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no item: {error!r}") from None


def _prediction(taken_at: int, scores: dict[str, float], value: float | None, spread: float, unsure: str | None,
                parts: Sequence[Any], detections: Sequence[Any], cut: bool) -> Prediction:
    seen = tuple(Detection(label, score, tuple(box)) for label, score, box in detections)
    return Prediction(taken_at, scores, value, spread, unsure, tuple((label, score) for label, score in parts), seen, cut)


def ordered(command: Command) -> Order:
    """Write what a command orders."""
    if isinstance(command, Claim):
        pattern = [] if command.pattern is None else [command.pattern.times, *command.pattern.phases]
        return ["claim", command.rule, command.actuator, command.level, command.priority, command.until, *pattern]
    if isinstance(command, Release):
        return ["release", command.rule, command.actuator]
    if isinstance(command, Fired):
        return ["fired", command.rule]
    return ["triggered", command.rule, command.due] if isinstance(command, Triggered) else _above(command)


def _above(command: Permit | Inhibit | Lift) -> Order:
    """Write what stands above the rules."""
    if isinstance(command, Permit):
        return ["permit", command.by, command.until]
    return ["inhibit", command.by, command.why] if isinstance(command, Inhibit) else ["lift", command.by]
