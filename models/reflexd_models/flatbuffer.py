"""Read flatbuffers that may be hostile: just enough to find metadata and to tell a whole network from a cut one.

Every offset is checked against the buffer, reading outside raises struct.error, lists have a limit
and nothing recurses.
Source: the flatbuffers binary format, and TensorFlow Lite's schema.fbs for the numbers of fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MOST = 1024              # items of a list
LONGEST = 200            # bytes of a name
MOST_PARTS = 1 << 17     # tensors, operators or buffers of a network


class Table:
    """A table at a place in a buffer."""

    def __init__(self, data: bytes, at: int) -> None:
        """Take the table, when all of it lies inside."""
        self.data, self.at = data, at
        self._fields = at - self._number("<i", at)
        described, size = struct.unpack_from("<HH", data, self._fields) if self._fields >= 0 else (0, 0)
        if self._fields < 0 or max(self._fields + described, at + size) > len(data):
            raise struct.error("a table reaches outside")

    @classmethod
    def root(cls, data: bytes) -> Table:
        """Follow a buffer's first offset."""
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

    def table(self, field: int) -> Table | None:
        """Follow a field to its table."""
        place = self.place(field)
        return None if place is None else Table(self.data, self._follow(place))

    def tables(self, field: int, most: int = MOST) -> Iterator[Table]:
        """Go through a list of tables."""
        first, count = self._list(field)
        for index in range(min(count, most)):
            yield Table(self.data, self._follow(first + 4 * index))

    def floats(self, field: int) -> tuple[float, ...]:
        """Read a list of float32."""
        first, count = self._list(field)
        return struct.unpack_from(f"<{min(count, MOST)}f", self.data, first)

    def integers(self, field: int) -> tuple[int, ...]:
        """Read a list of int32."""
        first, count = self._list(field)
        return struct.unpack_from(f"<{min(count, MOST)}i", self.data, first)

    def longs(self, field: int) -> tuple[int, ...]:
        """Read a list of int64."""
        first, count = self._list(field)
        return struct.unpack_from(f"<{min(count, MOST)}q", self.data, first)

    def bytes(self, field: int) -> bytes:
        """Read a string or a list of bytes."""
        first, count = self._list(field)
        if first + count > len(self.data):
            raise struct.error("a list reaches outside")
        return self.data[first : first + count]

    def text(self, field: int) -> str:
        """Read the beginning of a name, whatever its bytes are; a hostile file may claim that it is all of the file."""
        first, count = self._list(field)
        return self.data[first : first + min(count, LONGEST)].decode(errors="replace")

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


def check_whole(content: bytes) -> None:
    """Go through a network's operators, tensors and weights; tflite-runtime itself reads past the end of a cut file.

    Raises: struct.error when one of them lies outside the content.
    """
    model = Table.root(content)
    parts = sum(1 for _ in model.tables(1, MOST_PARTS))
    for subgraph in model.tables(2, MOST):
        parts += sum(1 for field in (0, 3) for _ in subgraph.tables(field, MOST_PARTS))
    parts += sum(len(buffer.bytes(0)) >= 0 for buffer in model.tables(4, MOST_PARTS))
    if not parts:
        raise struct.error("there is no network inside")
