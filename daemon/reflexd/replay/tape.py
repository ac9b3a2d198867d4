"""A recording: every item as a daemon consumed it, with its now and what was decided. Lines of JSON; of a .gz, compressed.

    {"recording": 1, "version": "0.1.0", "boot": "…"}
    {"mark": {"now": …, "utc_s": …, "settings": {…}, "memory": {…}, "bundles": {…}}}     here a configuration begins
    [now, item, orders]                                                                   rules/packing.py
    {"lost": 12}                                                                          items that are missing here
    {"end": {"items": 1000, "sha256": "…"}}                                               of all that was decided

A file that was cut off has no end, and is read as far as it goes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias, cast

from reflexd.rules.memory import Memory
from reflexd.rules.packing import Order, PlainItem

FORMAT = 1
LONGEST = 32 << 20         # bytes of a line


class TapeError(ValueError):
    """A recording cannot be read; the text says where, what and what to do."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A configuration begins, with what is remembered at that moment."""

    now: int                                   # monotonic ns
    settings: dict[str, Any]                   # plain.py
    memory: Memory
    utc_s: float | None = None                 # of the wall clock then, as far as anybody knew
    bundles: Mapping[str, str] = field(default_factory=dict)     # sha256 of each model's network, where it was open


class Taken(NamedTuple):
    """An item that was consumed."""

    now: int
    item: PlainItem
    orders: list[Order]


class Lost(NamedTuple):
    """Items are missing here: what follows was decided with them, and is not decided the same without."""

    items: int


class End(NamedTuple):
    """The recording is whole."""

    items: int
    sha256: str


Line: TypeAlias = Begin | Taken | Lost | End


class Digest:
    """A hash of what was decided, item by item."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, now: int, orders: Sequence[Order]) -> None:
        """Take in what was decided on an item; nothing is the commonest."""
        if orders:
            self._sum.update(json.dumps([now, orders]).encode() + b"\n")

    def __str__(self) -> str:
        """Write it in hexadecimal digits."""
        return self._sum.hexdigest()


class Writer:
    """Writes a recording."""

    def __init__(self, path: Path, version: str, boot: str) -> None:
        """Make the file. Raises: OSError."""
        self.items = 0
        self._digest = Digest()
        self._file: IO[bytes] = open_packed(path, "wb")
        self._write({"recording": FORMAT, "version": version, "boot": boot})

    def begin(self, one: Begin) -> None:
        """Say that a configuration begins."""
        self._write({"mark": {"now": one.now, "utc_s": one.utc_s, "settings": one.settings, "memory": one.memory,
                              "bundles": dict(one.bundles)}})

    def take(self, one: Taken) -> None:
        """Add an item."""
        self.items += 1
        self._digest.add(one.now, one.orders)
        self._write(one)

    def lose(self, count: int) -> None:
        """Say that items are missing."""
        self._write({"lost": count})

    def end(self) -> str:
        """End the recording; give the hash of what was decided."""
        self._write({"end": {"items": self.items, "sha256": str(self._digest)}})
        self._file.close()
        return str(self._digest)

    def _write(self, what: object) -> None:
        self._file.write(json.dumps(what, separators=(",", ":")).encode() + b"\n")


def read(path: Path) -> Iterator[Line]:
    """Give the lines of a recording. Raises: TapeError, OSError."""
    with closing(open_packed(path, "rb")) as file:
        for number, line in enumerate(_lines(file, path), 1):
            try:
                what = json.loads(line)
                if number == 1:
                    _check(what, path)
                else:
                    yield _line(what)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if isinstance(error, TapeError):
                    raise
                if not line.endswith(b"\n"):
                    return                       # it was cut off while it was written
                raise TapeError(f"{path}: line {number}: is no line of a recording: {str(error)[:100]}; record anew") from None


def open_packed(path: Path, mode: Literal["rb", "wb"]) -> IO[bytes]:
    """Open a file that is compressed where its name ends in .gz. Raises: OSError."""
    return cast("IO[bytes]", gzip.open(path, mode, 5)) if path.suffix == ".gz" else path.open(mode)


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        while line := file.readline(LONGEST):
            yield line
    except EOFError:           # a gzip file that was cut off
        return
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TapeError(f"{path}: is damaged: {error}; record anew") from None


def _check(what: Any, path: Path) -> None:   # noqa: ANN401  whatever stands there
    if not isinstance(what, dict) or "recording" not in what:
        raise TapeError(f"{path}: is no recording; make one with reflexctl record")
    if what["recording"] != FORMAT:
        raise TapeError(f"{path}: is of format {what['recording']}, and this reflexd reads {FORMAT}; use the one that made it, "
                        f"{what.get('version')}")


def _line(what: Any) -> Line:   # noqa: ANN401  whatever stands there
    if isinstance(what, list):
        now, item, orders = what
        return Taken(int(now), list(item), [list(order) for order in orders])
    ((kind, inner),) = what.items()
    if kind == "mark":
        return Begin(**inner)
    return Lost(int(inner)) if kind == "lost" else End(**inner)
