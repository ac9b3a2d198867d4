"""The words of every complaint about a value: what was expected, what was found, what to do.

pydantic decides what is wrong; none of its wording, tags or addresses gets out. A validator of ours
whose message begins with the name of a key is about that key, and is shown at it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reflexd.config.positions import Location

# pydantic's error type → what a value must be, what to do. Braces are filled from the error's context.
_MUST: dict[str, tuple[str, str]] = {
    "string_type": ("text", "put it in quotes"),
    "path_type": ("a path", "put it in quotes"),
    "int_type": ("a whole number", "write it without quotes and without a point"),
    "int_from_float": ("a whole number", "write it without a fraction"),
    "float_type": ("a number", "write it without quotes, as 1.5"),
    "finite_number": ("a finite number", "write one that is neither inf nor nan"),
    "bool_type": ("true or false", "write true or false without quotes"),
    "tuple_type": ("a list", "write it as [a, b]"),
    "list_type": ("a list", "write it as [a, b]"),
    "set_type": ("a list", "write it as [a, b]"),
    "frozen_set_type": ("a list", "write it as [a, b]"),
    "dict_type": ("a table", "write it as {{ key = value }}"),
    "model_type": ("a table", "write it as {{ key = value }}"),
    "model_attributes_type": ("a table", "write it as {{ key = value }}"),
    "greater_than": ("greater than {gt}", "raise it"),
    "greater_than_equal": ("at least {ge}", "raise it"),
    "less_than": ("less than {lt}", "lower it"),
    "less_than_equal": ("at most {le}", "lower it"),
    "multiple_of": ("a multiple of {multiple_of}", "correct it"),
    "string_too_short": ("at least {min_length} characters long", "write a longer text"),
    "string_too_long": ("at most {max_length} characters long", "write a shorter text"),
    "too_short": ("a list of at least {min_length}", "add what is missing"),
    "too_long": ("a list of at most {max_length}", "remove what is too much"),
    "string_pattern_mismatch": ("of another form", "it has to match {pattern}"),
    "literal_error": ("{expected}", ""),
    "enum": ("{expected}", ""),
}
_SHOWN = 60      # characters of a value that are shown
_LISTED = 14     # known names that are listed


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of a table: where in it, and the words."""

    location: Location
    what: str
    found: str = ""
    remedy: str = ""
    of_key: bool = False
    absent: bool = False     # a key is missing, which another file might have


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Ask for a name that is close, or say which there are."""
    names = list(known)
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    if close:
        return f'did you mean "{next(name for name in names if name.lower() == close[0])}"?'
    if not names:
        return otherwise
    more = ", …" if len(names) > _LISTED else ""
    return f"known here: {', '.join(names[:_LISTED])}{more}"


def show(value: object) -> str:
    """Write a value as it may stand in a file, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table" if value else "an empty table"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, (date, datetime, time)):
        return f"the date or time {value}"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN - 1] + "…"


def complaints(error: ValidationError, table: Mapping[str, Any], settings: type[BaseModel]) -> list[Complaint]:
    """Say each error once, at the place where it stands in the table."""
    by_place: dict[tuple[Location, bool], list[Complaint]] = {}
    for details in error.errors(include_url=False):
        if not _is_consequence(details, table):
            one = _complain(details, table, settings)
            by_place.setdefault((one.location, one.of_key or one.absent), []).append(one)
    return [one for group in by_place.values() for one in _join(group)]


def _is_consequence(details: ErrorDetails, table: Mapping[str, Any]) -> bool:
    """Tell a list that only seems too short because one of its items is wrong."""
    if details["type"] != "too_short":
        return False
    value = _look(table, _locate(details["loc"], table))
    return isinstance(value, (list, dict)) and len(value) >= details.get("ctx", {}).get("min_length", 0)


def _complain(details: ErrorDetails, table: Mapping[str, Any], settings: type[BaseModel]) -> Complaint:
    location, kind = _locate(details["loc"], table), details["type"]
    value = _look(table, location)
    if kind == "missing":
        return _complain_missing(location, details["loc"][-1], value, settings)
    if kind == "extra_forbidden":
        known = _keys_around(settings, table, location)
        remedy = suggest(str(location[-1]), known, "remove it")
        return Complaint(location, "there is no such key here", show_key(location[-1]), remedy, of_key=True)
    if kind in ("value_error", "assertion_error"):
        return _complain_by_validator(location, str(details.get("ctx", {}).get("error", "")), value)
    must, remedy = _MUST.get(kind, ("something else", "see docs/configuration.md"))
    filled = _fill(must, details.get("ctx", {}))
    if kind in ("literal_error", "enum"):
        remedy = suggest(str(value), re.findall(r'"([^"]*)"', filled)) if isinstance(value, str) else ""
        remedy = remedy if remedy.startswith("did") else f"write {filled}"
    return Complaint(location, f"must be {filled}", show(value), _fill(remedy, details.get("ctx", {})))


def show_key(key: str | int) -> str:
    """Write a key in quotes."""
    return f'"{key}"'


def _complain_missing(location: Location, key: str | int, value: object, settings: type[BaseModel]) -> Complaint:
    if isinstance(key, int):
        return Complaint(location, f"must be a list of more than {key}", show(value), "add what is missing")
    field = settings.model_fields.get(key) if not location else None
    meaning = f" ({field.description})" if field is not None and field.description else ""
    return Complaint(location, f"{key} is missing", "", f"add {key} = …{meaning}", absent=True)


def _complain_by_validator(location: Location, text: str, value: object) -> Complaint:
    """Take over what a validator of a Settings class says: "what; remedy"."""
    what, _, remedy = text.partition("; ")
    found = "" if isinstance(value, (dict, list)) or "found" in what else show(value)
    first = re.match(r"[a-z_]+", what)
    if first and isinstance(value, dict) and first[0] in value:
        location = (*location, first[0])
    return Complaint(location, what, found, remedy or "correct it")


def _fill(text: str, context: Mapping[str, Any]) -> str:
    words = {key: _number(value) for key, value in context.items()}
    if "expected" in context:
        choices = re.split(r", | or ", str(context["expected"]).replace("'", '"'))
        words["expected"] = " or ".join({"True": "true", "False": "false"}.get(one, one) for one in choices)
    return text.format_map(words)


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _join(group: Sequence[Complaint]) -> list[Complaint]:
    """Make one complaint of what each member of a union said about the same value."""
    musts = [one.what.removeprefix("must be ") for one in group if one.what.startswith("must be ")]
    if len(group) < 2 or len(musts) < len(group):
        return list(dict.fromkeys(group))
    different = list(dict.fromkeys(musts))
    *others, last = different
    what = f"must be {', '.join(others)} or {last}" if others else f"must be {last}"
    return [replace(group[0], what=what, remedy=group[0].remedy if not others else "write one of these")]


def _locate(loc: Sequence[str | int], table: Mapping[str, Any]) -> Location:
    """Keep of pydantic's location what stands in the file; the rest are its names for members of unions."""
    location: list[str | int] = []
    value: Any = table
    for part in loc:
        if _has(value, part):
            location.append(part)
            value = value[part]
    return tuple(location)


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _look(table: Mapping[str, Any], location: Location) -> object:
    value: Any = table
    for part in location:
        value = value[part]
    return value


def keys_of(settings: type[BaseModel]) -> list[str]:
    """List the keys of a table as they are written."""
    return [field.alias or name for name, field in settings.model_fields.items()]


def _keys_around(settings: type[BaseModel], table: Mapping[str, Any], location: Location) -> list[str]:
    """List the keys that could stand where an unknown one stands, by the table that fits the others best."""
    if len(location) == 1:
        return keys_of(settings)
    around = _look(table, location[:-1])
    written = set(around) if isinstance(around, dict) else set()
    shapes = [list(shape.get("properties", {})) for shape in settings.model_json_schema().get("$defs", {}).values()]
    close = [bool(difflib.get_close_matches(str(location[-1]), keys, 1)) for keys in shapes]
    _, keys = max(zip(close, shapes, strict=True), key=lambda one: (len(written & set(one[1])), one[0]), default=(False, []))
    return keys
