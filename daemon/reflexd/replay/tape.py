"""A recording: every item as a daemon consumed it, with its now and what was decided. Lines of JSON; of a .gz, compressed.

    {"recording": 1, "version": "0.1.0", "boot": "…"}
    {"mark": {"now": …, "utc_s": …, "settings": {…}, "memory": {…}, "bundles": {…}}}     here a configuration begins
    [now, item, orders]                                                                   rules/packing.py
    {"lost": 12}                                                                          items that are missing here
    {"frame": {"camera": "gate", "taken_at": …, "views": {"main": ["rgb", "…"]}, …}}      stills.py, in base64; in any order
    {"unframed": 3}                                                                       frames that are missing here
    {"end": {"items": 1000, "sha256": "…"}}                                               of all that was decided

A file that was cut off has no end, and is read as far as it goes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias, cast

from reflexd.rules.memory import Memory
from reflexd.rules.packing import Order, PlainItem

TAPE = "recording.jsonl.gz"     # in a folder of evidence
FORMAT = 1
FRAMES = 2                 # the format of one that has frames, which is otherwise the same
LONGEST = 8 << 20          # bytes of a line: a mark with all that a large configuration can remember is a quarter of that
MARK = b'{"frame":'        # how the line of a frame begins
MOST = 1 << 62             # ns: a hundred years and more
UTC_S = 1e11               # what a date can be made of
WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)    # what a damaged line leads to


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


class Head(NamedTuple):
    """What stands above everything."""

    version: str           # of the reflexd that decided
    boot: str              # of the machine: times count from there
    state_dir: str | None = None       # where bundles were; of one with frames


class Taken(NamedTuple):
    """An item that was consumed."""

    now: int
    item: PlainItem
    orders: list[Order]


class Lost(NamedTuple):
    """Items are missing here: what follows was decided with them, and is not decided the same without."""

    items: int


class Framed(NamedTuple):
    """A frame that networks looked at."""

    camera: str
    taken_at: int
    sequence: int
    form: str                                          # stills.Form
    views: Mapping[str, tuple[str, list[bytes]]]       # by name: how its planes are to be read, and they as pictures
    sizes: Mapping[str, tuple[int, int]] = {}          # of all views of the camera; what no network used is not kept


class Unframed(NamedTuple):
    """Frames are missing here, for they were not fetched in time."""

    frames: int


class End(NamedTuple):
    """The recording is whole."""

    items: int
    sha256: str


Line: TypeAlias = Begin | Taken | Lost | Framed | Unframed | End


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

    def __init__(self, path: Path, version: str, boot: str, force: bool = False, state_dir: str | None = None) -> None:
        """Make the file; one that is there already is replaced only by `force`. Frames go with a `state_dir`.

        Raises: FileExistsError, OSError.
        """
        self.items = 0
        self.bytes = 0                # before they are compressed
        self._digest = Digest()
        self._file: IO[bytes] = open_packed(path, "wb" if force else "xb", 5 if state_dir is None else 1)     # frames are packed
        if state_dir is not None and path.is_file():
            with suppress(PermissionError):          # it is somebody else's, who lets us write
                path.chmod(0o600)                    # pictures are for who made them
        head = {"recording": FORMAT, "version": version, "boot": boot}
        self._write(head if state_dir is None else {**head, "recording": FRAMES, "state_dir": state_dir})

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

    def frame(self, one: Framed) -> None:
        """Add a frame."""
        views = {name: [kind, *(base64.b64encode(plane).decode() for plane in planes)]
                 for name, (kind, planes) in one.views.items()}
        self._write({"frame": {**one._asdict(), "views": views}})

    def unframe(self, count: int) -> None:
        """Say that frames are missing."""
        self._write({"unframed": count})

    def end(self) -> str:
        """End the recording; give the hash of what was decided."""
        self._write({"end": {"items": self.items, "sha256": str(self._digest)}})
        self._file.close()
        return str(self._digest)

    def flush(self) -> None:
        """Have what was written so far outlive this process."""
        self._file.flush()

    def abandon(self) -> None:
        """Close a file that nothing more can be written to."""
        with suppress(OSError):
            self._file.close()

    def _write(self, what: object) -> None:
        line = json.dumps(what, separators=(",", ":")).encode() + b"\n"
        self.bytes += len(line)
        self._file.write(line)


def read(path: Path, frames: bool = False) -> Iterator[Line]:
    """Give the lines of a recording; those of frames only where they are wanted. Raises: TapeError, OSError."""
    with closing(open_packed(path, "rb")) as file:
        for number, line in enumerate(_lines(file, path), 1):
            if line.startswith(MARK) and not frames:
                continue
            try:
                what = json.loads(line)
                if number == 1:
                    _head(what, path)
                else:
                    yield _line(what)
            except WRONG as error:
                if isinstance(error, TapeError):
                    raise
                if not line.endswith(b"\n"):
                    return                       # it was cut off while it was written
                raise _no_line(path, number, error) from None


def head(path: Path) -> Head:
    """Give what stands above everything; of a file without a line, nothing. Raises: TapeError, OSError."""
    with closing(open_packed(path, "rb")) as file:
        try:
            return _head(json.loads(next(_lines(file, path), b'{"recording": 1}')), path)
        except WRONG as error:
            if isinstance(error, TapeError):
                raise
            raise _no_line(path, 1, error) from None


def _no_line(path: Path, number: int, error: Exception) -> TapeError:
    if number == 1:            # then it is something else altogether
        return TapeError(f"{path}: is no recording, and if it is compressed, its name has to end in .gz; "
                         f"make one with reflexctl record")
    return TapeError(f"{path}: line {number}: is no line of a recording: {shortly(error)}; record anew")


def tape_of(path: Path) -> Path:
    """Give the file of a recording; an event's evidence is a folder that has one in it."""
    return path / TAPE if path.is_dir() else path


def shortly(error: object) -> str:
    """Write what is wrong in one line that is not long."""
    text = "".join(one if one.isprintable() else "?" for one in " ".join(str(error).split())[:100])
    return text or type(error).__name__


def open_packed(path: Path, mode: Literal["rb", "wb", "xb"], level: int = 5) -> IO[bytes]:
    """Open a file that is compressed where its name ends in .gz. Raises: OSError."""
    return cast("IO[bytes]", gzip.open(path, mode, level)) if path.suffix == ".gz" else path.open(mode)


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        while line := file.readline(LONGEST):
            if len(line) == LONGEST:
                raise TapeError(f"{path}: a line is longer than {LONGEST >> 20} MiB; record anew")
            yield line
    except EOFError:           # a gzip file that was cut off
        return
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TapeError(f"{path}: is damaged: {shortly(error)}; record anew") from None


def _head(what: Any, path: Path) -> Head:   # noqa: ANN401  whatever stands there
    if not isinstance(what, dict) or "recording" not in what:
        raise TapeError(f"{path}: is no recording; make one with reflexctl record")
    state_dir = what.get("state_dir")
    found = Head(shortly(what.get("version", "unknown")), shortly(what.get("boot", "unknown")),
                 None if state_dir is None else str(state_dir))
    if what["recording"] not in (FORMAT, FRAMES):
        raise TapeError(f"{path}: is of format {shortly(what['recording'])}, and this reflexd reads {FORMAT} and {FRAMES}; "
                        f"use the one that made it, {found.version}")
    return found


def _line(what: Any) -> Line:   # noqa: ANN401  whatever stands there
    if isinstance(what, list):
        now, item, orders = what
        return Taken(_whole(now), list(item), [list(order) for order in orders])
    ((kind, inner),) = what.items()
    if kind == "mark":
        return Begin(**{**inner, "now": _whole(inner["now"]), "utc_s": _seconds(inner.get("utc_s"))})
    if kind == "frame":
        views = {name: (str(form), [base64.b64decode(plane, validate=True) for plane in planes])
                 for name, (form, *planes) in inner["views"].items()}
        sizes = {name: (_whole(width), _whole(height)) for name, (width, height) in inner.get("sizes", {}).items()}
        taken_at, sequence = _whole(inner["taken_at"]), _whole(inner["sequence"])
        return Framed(str(inner["camera"]), taken_at, sequence, str(inner["form"]), views, sizes)
    if kind in ("lost", "unframed"):
        return (Lost if kind == "lost" else Unframed)(_whole(inner))
    return End(_whole(inner["items"]), str(inner["sha256"]))


def _whole(value: Any) -> int:   # noqa: ANN401  whatever stands there
    if not isinstance(value, int) or not 0 <= value < MOST:
        raise ValueError(f"{str(value)[:20]} is no time and no count")
    return value


def _seconds(value: Any) -> float | None:   # noqa: ANN401  whatever stands there
    if value is None or (isinstance(value, (int, float)) and abs(value) < UTC_S):
        return value
    raise ValueError(f"{str(value)[:20]} is no time")
