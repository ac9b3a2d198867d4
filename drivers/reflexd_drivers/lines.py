"""Lines of text and the value that one says: cut in bounded memory, understood without mercy.

What is no text (noise, another baud rate) is told apart from text that says no value, since the two need
different remedies. Nothing that is not finite, or not in range, is ever a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import Field, field_validator, model_validator

from reflexd_drivers.base import Value, ValueKind
from reflexd_drivers.patterns import compiled
from reflexd_drivers.scaling import NumberKeys, number

SUSPICIOUS = 16         # bytes without an end of line, until they say something about a device that seems silent
MOST = 64               # numbers of one line
LONGEST = 4096          # bytes without an end of line, until they count as noise
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")      # tabs and colours of a terminal are text
WORDS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


class NoTextError(ValueError):
    """Bytes that no device meant as text."""


class LineKeys(NumberKeys):
    """How the value is found in a line, and what it is."""

    value: ValueKind = Field(default="number", description="what a line says")
    pattern: str | None = Field(
        default=None, description='regular expression; the value is its one group, or several numbers are its groups with names')
    column: int | None = Field(default=None, ge=1, le=1000, description="number of the column with the value, from 1")
    columns: tuple[int | str, ...] = Field(
        default=(), max_length=MOST, description='several numbers: of these columns, as [2, 3, 4], or all of a line by name, as '
                                                '["x", "y", "z"]')
    separator: str | None = Field(default=None, min_length=1, description='between columns, default ","; " " is any space')
    json_: str | tuple[str, ...] | None = Field(
        default=None, alias="json", min_length=1, max_length=1000,
        description='way to the value in JSON, as "sensor.temp"; a list for several numbers')

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        made = compiled(pattern)
        if made.groups != 1 and not 1 < made.groups == len(made.groupindex) <= MOST:
            raise ValueError(f"a pattern has one group, that of the value, or names all of several; found {made.groups}; put ( ) "
                             "around the value only, or (?P<x> ) around each of several")
        return pattern

    @field_validator("columns")
    @classmethod
    def _of_one_kind(cls, columns: tuple[int | str, ...]) -> tuple[int | str, ...]:
        numbers = [one for one in columns if isinstance(one, int) and 1 <= one <= 1000]
        names = [one for one in columns if isinstance(one, str) and one.strip()]
        if len(columns) not in (len(numbers), len(names)) or len(set(columns)) < len(columns):
            raise ValueError("columns are different numbers from 1 to 1000, or different names for all of a line; "
                             'write [1, 2] or ["x", "y"]')
        return columns

    @model_validator(mode="after")
    def _fits(self) -> LineKeys:
        ways = [key.rstrip("_") for key in ("pattern", "column", "columns", "json_") if getattr(self, key) not in (None, ())]
        if len(ways) > 1:
            raise ValueError(f"a line is read in one way; found {' and '.join(ways)}; keep one of them")
        if self.separator is not None and self.column is None and not self.columns:
            raise ValueError("separator goes with column; add column, or remove it")
        if isinstance(self.json_, tuple) and (len(self.json_) > MOST or not all(self.json_)):
            raise ValueError(f"json has {MOST} ways at most, and none is empty; correct it")
        if self.value != "number" and (self.scale, self.offset, self.range) != (1, 0, None):
            raise ValueError('scale, offset and range go with value = "number"; remove them')
        if self.value != "number" and len(self.channels) > 1:
            raise ValueError(f'several of a line are numbers; found value = "{self.value}"; write value = "number", or read one')
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """Name the numbers of a line."""
        if self.columns:
            return tuple(one if isinstance(one, str) else f"column {one}" for one in self.columns)
        if isinstance(self.json_, tuple):
            return self.json_
        named = () if self.pattern is None else tuple(re.compile(self.pattern).groupindex)
        return named if len(named) > 1 else ("value",)

    @property
    def several(self) -> bool:
        """Say whether a line gives all its numbers as a tuple."""
        return bool(self.columns) or isinstance(self.json_, tuple) or len(self.channels) > 1


class Lines:
    """Cuts what arrives into lines; holds LONGEST bytes at most."""

    def __init__(self) -> None:
        self.overlong = 0       # runs of bytes without an end of line
        self.restart()

    def restart(self) -> None:
        """Take the next line for cut: its beginning may be missing."""
        self._rest = b""
        self._cut = True
        self.endless = 0        # bytes since the last end of line, also while they are not kept

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the whole lines that a chunk completes, without those that are empty."""
        *lines, rest = (self._rest + chunk).replace(b"\r", b"\n").split(b"\n")
        self.endless = len(rest) if lines else self.endless + len(chunk)
        if lines and self._cut:
            lines, self._cut = lines[1:], False
        fits = [line for line in lines if len(line) <= LONGEST]
        self.overlong += len(lines) - len(fits)
        if len(rest) > LONGEST:
            self.overlong += 1
            self._cut = True
        self._rest = b"" if self._cut else rest
        return [line for line in fits if line.strip()]


def reader(keys: LineKeys) -> Callable[[bytes], Value | tuple[float, ...]]:
    """Give what turns a line into its value; it raises NoTextError for noise, ValueError for another text."""
    pick, convert = (all_picker(keys), all_converter(keys)) if keys.several else (picker(keys), converter(keys))

    def read(line: bytes) -> Value | tuple[float, ...]:
        text = as_text(line)
        try:
            return convert(pick(text))
        except (LookupError, TypeError, OverflowError, RecursionError) as error:     # 4 KiB of "[", a number of 4,000 digits
            raise ValueError(str(error)) from error

    return read


def as_text(line: bytes) -> str:
    """Decode a line. Raises: NoTextError."""
    try:
        text = line.decode().strip()
    except UnicodeDecodeError as error:
        raise NoTextError("not UTF-8") from error
    if CONTROL.search(text):
        raise NoTextError("control characters")
    return text


def picker(keys: LineKeys) -> Callable[[str], Any]:
    """Give what finds the value in a line, which raises ValueError or LookupError where there is none."""
    if keys.pattern is not None:
        search = re.compile(keys.pattern).search
        return lambda text: found.group(1) if (found := search(text)) else no_value()
    if keys.column is not None:
        at, separator = keys.column - 1, "," if keys.separator is None else keys.separator
        return lambda text: text.split(separator if separator.strip() else None)[at]
    if isinstance(keys.json_, str):
        path = keys.json_.split(".")
        return lambda text: follow(json.loads(text), path)
    return lambda text: text


def all_picker(keys: LineKeys) -> Callable[[str], Any]:
    """Give what finds several values in a line, as picker() does one."""
    if keys.pattern is not None:
        search = re.compile(keys.pattern).search
        return lambda text: found.groups() if (found := search(text)) else no_value()
    if keys.columns:
        separator = keys.separator or ","
        cut = separator if separator.strip() else None
        return lambda text: columns_of(text.split(cut), keys.columns)
    paths = [one.split(".") for one in keys.json_ or ()]

    def of_json(text: str) -> list[Any]:
        whole = json.loads(text)
        return [follow(whole, path) for path in paths]

    return of_json


def columns_of(cells: list[str], columns: tuple[int | str, ...]) -> list[str]:
    """Give columns by number; by name all, where there are as many. Raises: LookupError, ValueError."""
    if isinstance(columns[0], str):
        return cells if len(cells) == len(columns) else [no_value()]
    return [cells[int(one) - 1] for one in columns]


def no_value() -> str:
    """Raise ValueError, where an expression is needed."""
    raise ValueError("the line does not match")


def follow(found: Any, path: list[str]) -> Any:   # noqa: ANN401  whatever JSON holds
    """Walk into JSON by keys, and by numbers where there is a list. Raises: LookupError, ValueError, TypeError."""
    for key in path:
        found = found[int(key) if isinstance(found, list) else key]
    return found


def converter(keys: LineKeys) -> Callable[[Any], Value]:
    """Give what makes the value of what was found; it raises ValueError for anything else."""
    if keys.value == "number":
        return lambda found: number(found, keys)
    return boolean if keys.value == "boolean" else words


def all_converter(keys: LineKeys) -> Callable[[Any], tuple[float, ...]]:
    """Give what makes numbers of all that was found."""
    return lambda found: tuple(number(one, keys) for one in found)


def boolean(found: object) -> bool:
    """Read true or false, also as on, off, yes, no, 1 and 0. Raises: ValueError."""
    value = WORDS.get(str(found).strip().lower())
    if value is None:
        raise ValueError("neither true nor false")
    return value


def words(found: object) -> str:
    """Read a text that is not empty. Raises: ValueError."""
    if not isinstance(found, str) or not found.strip():
        raise ValueError("no text")
    return found.strip()
