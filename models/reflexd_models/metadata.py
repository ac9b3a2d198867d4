"""Read what a .tflite file says of itself: labels, normalisation, thresholds. Standard library only.

Labels are a zip archive behind the network; the rest is a flatbuffer inside the flatbuffer, named
TFLITE_METADATA, whose own mark is M001. The file may be hostile: every offset is checked against the
file, every count has a limit, nothing recurses, and at most LARGEST bytes are unpacked.
Source: TensorFlow Lite's schema.fbs and metadata_schema.fbs (field numbers).
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from reflexd_models.base import ModelError

LARGEST = 1 << 20        # bytes of a label file
MOST = 1024              # items of any list
NORMALIZATION, THRESHOLDING = 1, 3       # ProcessUnitOptions
AXIS_LABELS, VALUE_LABELS = 2, 3         # AssociatedFileType


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was found; None for what the file does not say."""

    labels: tuple[str, ...] | None = None
    mean: float | None = None
    std: float | None = None
    threshold: float | None = None


class _Table:
    """A flatbuffer table at a place in a buffer. Reading outside the buffer raises struct.error."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - self._number("<i", at)
        if not 0 <= self._fields < len(data):
            raise struct.error("a table's fields lie outside")

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def place(self, field: int) -> int | None:
        """Tell where a field lies, None when it is not given."""
        entry = 4 + 2 * field
        if entry + 2 > self._number("<H", self._fields):
            return None
        offset = self._number("<H", self._fields + entry)
        return self.at + offset if offset else None

    def number(self, field: int, kind: str) -> int:
        """Read a whole number, 0 when it is not given."""
        place = self.place(field)
        return 0 if place is None else self._number(kind, place)

    def table(self, field: int) -> _Table | None:
        place = self.place(field)
        return None if place is None else _Table(self.data, self._follow(place))

    def tables(self, field: int) -> Iterator[_Table]:
        """Go through a list of tables."""
        first, count = self._list(field)
        for index in range(min(count, MOST)):
            yield _Table(self.data, self._follow(first + 4 * index))

    def floats(self, field: int) -> tuple[float, ...]:
        first, count = self._list(field)
        return struct.unpack_from(f"<{min(count, MOST)}f", self.data, first)

    def bytes(self, field: int) -> bytes:
        """Read a string or a list of bytes."""
        first, count = self._list(field)
        if first + count > len(self.data):
            raise struct.error("a list reaches outside")
        return self.data[first : first + count]

    def _list(self, field: int) -> tuple[int, int]:
        place = self.place(field)
        if place is None:
            return 0, 0
        start = self._follow(place)
        return start + 4, self._number("<I", start)

    def _follow(self, place: int) -> int:
        return place + self._number("<I", place)

    def _number(self, kind: str, at: int) -> int:
        if at < 0:
            raise struct.error("an offset points before the start")
        return int(struct.unpack_from(kind, self.data, at)[0])


def read(content: bytes, where: str) -> Metadata:
    """Read a whole file's metadata; `where` names it in errors.

    Raises: ModelError when there is metadata and it is damaged.
    """
    try:
        found = _metadata(content)
        names = [] if found is None else _label_files(found)
        mean, std = _normal(found)
        return Metadata(_labels(content, names), mean, std, _threshold(found))
    except (struct.error, UnicodeDecodeError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError,
            NotImplementedError) as problem:
        raise ModelError(f"{where}: the metadata inside is damaged: {problem}; fetch the file again") from None


def _metadata(content: bytes) -> _Table | None:
    """Find the first subgraph's metadata in the network's flatbuffer."""
    model = _Table.root(content)
    buffers = list(model.tables(4))
    for entry in model.tables(6):
        index = entry.number(1, "<I")
        if entry.bytes(0) == b"TFLITE_METADATA" and index < len(buffers):
            inner = buffers[index].bytes(0)
            return next(_Table.root(inner).tables(3), None) if inner[4:8] == b"M001" else None
    return None


def _options(tensor: _Table, kind: int) -> Iterator[_Table]:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.number(0, "<B") == kind and options is not None:
            yield options


def _normal(subgraph: _Table | None) -> tuple[float | None, float | None]:
    for tensor in subgraph.tables(2) if subgraph else ():
        for options in _options(tensor, NORMALIZATION):
            means, stds = set(options.floats(0)), set(options.floats(1))
            if len(means) == 1 and len(stds) == 1 and 0 not in stds:      # one for all channels; others are rare
                return means.pop(), stds.pop()
    return None, None


def _threshold(subgraph: _Table | None) -> float | None:
    for tensor in subgraph.tables(3) if subgraph else ():
        for options in _options(tensor, THRESHOLDING):
            place = options.place(0)
            return 0.0 if place is None else float(struct.unpack_from("<f", options.data, place)[0])
    return None


def _label_files(subgraph: _Table) -> list[str]:
    kinds = (AXIS_LABELS, VALUE_LABELS)
    files = [file for tensor in subgraph.tables(3) for file in tensor.tables(6)]
    return [file.bytes(0).decode() for file in files if file.number(2, "<b") in kinds]


def _labels(content: bytes, names: list[str]) -> tuple[str, ...] | None:
    """Read the named label file, or the only text file, from the archive behind the network."""
    if b"PK\x05\x06" not in content[-66_000:]:
        return None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        there = [entry.filename for entry in archive.infolist()[:MOST]]
        texts = [name for name in there if name.endswith(".txt")]
        chosen = next((name for name in names if name in there), texts[0] if len(texts) == 1 else None)
        if chosen is None:
            return None
        with archive.open(chosen) as file:
            text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"{chosen} is larger than a megabyte")
    return lines(text.decode("utf-8-sig"))


def lines(text: str) -> tuple[str, ...]:
    """Read labels, one a line; empty lines at the end do not count."""
    return tuple(line.strip() for line in text.rstrip().splitlines())
