"""The files of a configuration, read with suspicion.

Nothing here waits: a path may be a FIFO, a device or a gigabyte, and what is not a small regular
file of UTF-8 is one problem at its first place. A syntax error ends its own file only.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reflexd.config.positions import Location, Place, Positions, Span, positions
from reflexd.config.problems import Problem, at
from reflexd.config.syntax import explain, too_deep

LARGEST = 1 << 20   # bytes; the largest sensible configuration is some kilobytes

_START = Span(1, 1, 1)
_REMEDIES = {
    FileNotFoundError: ("there is no such file", "create it, or name another file"),
    PermissionError: ("may not be read by this user", "give the user read permission"),
    IsADirectoryError: ("is a directory", "name a file in it"),
}
_ODD_FILES = (
    (stat.S_ISDIR, "is a directory", "name a file in it"),
    (stat.S_ISFIFO, "is a pipe, not a regular file", "replace it by a regular file"),
    (stat.S_ISSOCK, "is a socket, not a regular file", "replace it by a regular file"),
    (stat.S_ISCHR, "is a device, not a regular file", "replace it by a regular file"),
    (stat.S_ISBLK, "is a device, not a regular file", "replace it by a regular file"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: what it says, and where it says it."""

    file: str
    lines: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Location, Place] = field(default_factory=dict)

    def place(self, location: Location) -> Place:
        """Find a location, or the nearest thing around it that stands in the file."""
        while location and location not in self.places:
            location = location[:-1]
        return self.places.get(location, Place(_START, _START))


class _Refused(Exception):   # noqa: N818  never leaves this file
    def __init__(self, what: str, remedy: str, span: Span = _START) -> None:
        super().__init__(what)
        self.what, self.remedy, self.span = what, remedy, span


def find_files(main: Path) -> tuple[list[Path], list[Problem]]:
    """List the main file and the drop-ins of the conf.d beside it, in lexical order."""
    folder = main.parent / "conf.d"
    try:
        entries = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".toml" and not entry.name.startswith("."))
    except FileNotFoundError:
        return [main], []
    except OSError as error:
        what = f"the drop-ins cannot be listed ({(error.strerror or 'unknown').lower()})"
        return [main], [at(str(folder), _START, "", what, remedy="make it a directory that may be read, or remove it")]
    return [main, *(folder / entry for entry in entries)], []


def read_source(path: Path) -> tuple[Source, list[Problem]]:
    """Read one file; with a problem what it says is left out."""
    file = str(path)
    try:
        raw = _read_bytes(path)
    except _Refused as refused:
        return Source(file), [at(file, refused.span, "", refused.what, remedy=refused.remedy)]
    try:
        text = _decode(raw)
    except _Refused as refused:
        lines = _split(raw.decode("utf-8", errors="replace"))
        return Source(file, lines), [at(file, refused.span, "", refused.what, remedy=refused.remedy, lines=lines)]
    return _parse(file, text)


def _read_bytes(path: Path) -> bytes:
    try:
        _check_kind(path.stat().st_mode)     # before opening: to open a device can set it off (a watchdog)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:   # a FIFO cannot hold us
            _check_kind(os.fstat(file.fileno()).st_mode)     # again: it may have been replaced in between
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:     # ValueError: a NUL in the path
        what, remedy = next((words for kind, words in _REMEDIES.items() if isinstance(error, kind)), ("", ""))
        reason = getattr(error, "strerror", None) or str(error)
        raise _Refused(what or f"cannot be read ({reason.lower()})", remedy or "correct what the path leads to") from None
    if len(raw) > LARGEST:
        raise _Refused(f"is larger than {LARGEST >> 20} MB", "name the right file; a configuration is some kilobytes")
    return raw


def _check_kind(mode: int) -> None:
    for is_kind, what, remedy in _ODD_FILES:
        if is_kind(mode):
            raise _Refused(what, remedy)


def _decode(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _Refused("begins with a byte-order mark", "save the file as UTF-8 without BOM")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[:error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1:].decode("utf-8")) + 1
        what = f"is not UTF-8: byte 0x{raw[error.start]:02x} cannot stand here"
        raise _Refused(what, "save the file as UTF-8", Span(line, column, 1)) from None


def _split(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]


def _parse(file: str, text: str) -> tuple[Source, list[Problem]]:
    lines = _split(text)
    found = Positions()
    try:
        found = positions(text)
        return Source(file, lines, tomllib.loads(text), found.places), []
    except RecursionError:
        span, what, seen, remedy = too_deep(lines)
    except ValueError as error:      # TOMLDecodeError is one, and so is what int() says of 5000 digits
        span, what, seen, remedy = explain(error, lines, found)
    return Source(file, lines), [at(file, span, "syntax", what, found=seen, remedy=remedy, lines=lines)]
