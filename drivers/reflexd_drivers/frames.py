"""Binary frames: the keys that lay one out, and what cuts frames out of a stream in bounded memory.

A frame counts only as a whole: start bytes, length and checksum have to fit. After one that does not,
the search goes on at the byte after its start, so that a start within a frame costs no frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reflexd_drivers.checksums import KINDS

LONGEST = 256        # bytes of a frame: what a false start costs grows with it
NUMBERS = {
    "u8": "B", "i8": "b", "u16le": "<H", "u16be": ">H", "i16le": "<h", "i16be": ">h", "u32le": "<I", "u32be": ">I",
    "i32le": "<i", "i32be": ">i", "f32le": "<f", "f32be": ">f",
}


def as_bytes(text: str) -> str:
    """Check text that writes bytes in hexadecimal digits. Raises: ValueError."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise ValueError('bytes are written as pairs of hexadecimal digits; write "42 4d"') from None
    if not found:
        raise ValueError('there has to be a byte; write "42 4d"')
    return text


Hex = Annotated[str, Field(max_length=200), AfterValidator(as_bytes)]
Whole: TypeAlias = Literal["u8", "u16le", "u16be"]
Kind: TypeAlias = Literal["u8", "i8", "u16le", "u16be", "i16le", "i16be", "u32le", "u32be", "i32le", "i32be", "f32le", "f32be"]
Sum: TypeAlias = Literal[
    "sum8", "lrc8", "xor8", "crc8", "crc8-maxim", "sum16", "crc16-modbus", "crc16-ccitt", "crc16-xmodem", "crc32",
]


class Part(BaseModel):
    """A table of a frame's layout. Offsets count bytes from the start of the frame, negative ones from its end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    at: int = Field(ge=-LONGEST, lt=LONGEST, description="offset of its first byte; negative: from the end of the frame")


class LengthField(Part):
    """Where a frame says how long it is."""

    type: Whole = Field(default="u8", description="how the length is written")
    add: int = Field(default=0, ge=-LONGEST, le=LONGEST, description="what is missing in it of the length of the whole frame")


class ChecksumField(Part):
    """Where a frame's checksum is, and over what."""

    kind: Sum = Field(description="how it is computed")
    order: Literal["big", "little"] | None = Field(default=None, description='default "big", for crc16-modbus "little"')
    from_: int = Field(default=0, ge=0, lt=LONGEST, alias="from", description="offset of the first byte that it covers")
    to: int | None = Field(default=None, ge=-LONGEST, le=LONGEST, description="offset after the last; default: its own")


class ValueField(Part):
    """Where a frame's value is."""

    type: Kind = Field(description="how the number is written")
    bit: int | None = Field(default=None, ge=0, le=31, description="number of the bit that is the value, from 0")

    @model_validator(mode="after")
    def _has_bit(self) -> ValueField:
        bits = 8 * struct.calcsize(NUMBERS[self.type])
        if self.bit is not None and (self.type[0] != "u" or self.bit >= bits):
            raise ValueError(f"bit {self.bit} is not in a {self.type}; choose a lower one, of u8, u16le, u16be, u32le or u32be")
        return self


class MatchField(Part):
    """Bytes that tell frames with this value from others."""

    bytes: Hex = Field(description='what has to stand there, as "01 ff"')


class FrameKeys(BaseModel):
    """How frames are laid out."""

    start: Hex = Field(description='the bytes that every frame begins with, as "42 4d"')
    length: Annotated[int, Field(ge=2, le=LONGEST)] | LengthField = Field(
        description="bytes of a whole frame, start and checksum included; or { at, type, add }, where a frame says it"
    )
    checksum: Literal["none"] | ChecksumField = Field(
        description='{ kind, at, from, to, order }; or "none", then noise can be a value'
    )
    value: ValueField = Field(description="{ at, type, bit }: where the value is")
    more: tuple[ValueField, ...] = Field(
        default=(), max_length=63, description="[{ at, type }, …]: further numbers of the frame, for networks that watch windows")
    match: MatchField | None = Field(default=None, description="{ at, bytes }: frames with other bytes there are passed over")

    @model_validator(mode="after")
    def _fits(self) -> FrameKeys:
        if isinstance(self.length, LengthField):
            if self.length.at < 0:
                raise ValueError("length has to stand at a place that counts from the start of the frame; write at = 2")
            return self
        for name, part, size in parts(self):
            if not fits(part.at, size, self.length):
                raise ValueError(f"{name} ends outside of the frame, which has {self.length} bytes; found at = {part.at} "
                                 f"and {size} bytes; lower at, or raise length")
        if not isinstance(self.checksum, str):
            begin, end = covered(self.checksum, self.length)
            if not 0 <= begin < end <= self.length:
                raise ValueError(f"checksum covers nothing, or more than the frame; found bytes {begin} to {end} "
                                 f"of {self.length}; correct from and to")
        if len(bytes.fromhex(self.start)) > self.length:
            raise ValueError(f"start is longer than length; found {self.length} bytes; raise length")
        return self


def parts(keys: FrameKeys) -> Iterator[tuple[str, Part, int]]:
    """Give each part of a frame besides its length: name, place, bytes."""
    yield "value", keys.value, struct.calcsize(NUMBERS[keys.value.type])
    for one in keys.more:
        yield "more", one, struct.calcsize(NUMBERS[one.type])
    if not isinstance(keys.checksum, str):
        yield "checksum", keys.checksum, KINDS[keys.checksum.kind][0]
    if keys.match is not None:
        yield "match", keys.match, len(bytes.fromhex(keys.match.bytes))


def fits(at: int, size: int, length: int) -> bool:
    """Say whether something lies within a frame."""
    begin = place(at, length)
    return begin >= 0 and begin + size <= length


def place(at: int, length: int) -> int:
    """Give an offset from the start."""
    return at + length if at < 0 else at


def covered(checksum: ChecksumField, length: int) -> tuple[int, int]:
    """Give what a checksum covers: first byte and the one after the last."""
    return checksum.from_, place(checksum.at if checksum.to is None else checksum.to, length)


def proof(checksum: Literal["none"] | ChecksumField) -> Callable[[bytes], bool]:
    """Give what tells a frame whose checksum is right."""
    if isinstance(checksum, str):
        return lambda frame: True
    size, compute = KINDS[checksum.kind]
    order = checksum.order or ("little" if checksum.kind == "crc16-modbus" else "big")

    def right(frame: bytes) -> bool:
        begin, end = covered(checksum, len(frame))
        at = place(checksum.at, len(frame))
        return begin < end and compute(frame[begin:end]) == int.from_bytes(frame[at:at + size], order)

    return right


class Frames:
    """Cuts what arrives into frames; holds less than one of the longest."""

    def __init__(self, keys: FrameKeys) -> None:
        self.bad = 0            # frames whose checksum or length was wrong
        self.skipped = 0        # bytes that belong to no frame
        self._start = bytes.fromhex(keys.start)
        self._length = keys.length
        self._right = proof(keys.checksum)
        self._parts = [(part.at, size) for _, part, size in parts(keys)]
        self._rest = b""

    def restart(self) -> None:
        """Forget what was begun."""
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the frames that a chunk completes."""
        data, at = self._rest + chunk, 0
        while True:
            found = self._find(data, at)
            self.skipped += found - at
            at = found
            size = self._size(data, at)
            if size is None or (size and at + size > len(data)):
                break
            if size and self._right(frame := data[at:at + size]):
                yield frame
                at += size
            else:
                self.bad += 1
                self.skipped += 1
                at += 1
        self._rest = data[at:]

    def _find(self, data: bytes, at: int) -> int:
        """Give where the next start is, or may be: what is left there is shorter than a start."""
        found = data.find(self._start, at)
        if found >= 0:
            return found
        for left in range(min(len(self._start) - 1, len(data) - at), 0, -1):
            if self._start.startswith(data[len(data) - left:]):
                return len(data) - left
        return len(data)

    def _size(self, data: bytes, at: int) -> int | None:
        """Give the bytes of the frame that begins there: None while that has not come, 0 when there is no such frame."""
        if len(data) - at < len(self._start):
            return None
        if not isinstance(self._length, LengthField):
            return self._length
        width = struct.calcsize(NUMBERS[self._length.type])
        where = at + self._length.at
        if len(data) < where + width:
            return None
        size = int(struct.unpack_from(NUMBERS[self._length.type], data, where)[0]) + self._length.add
        return size if self._possible(size, self._length.at + width) else 0

    def _possible(self, size: int, least: int) -> bool:
        return least <= size <= LONGEST and all(fits(at, part, size) for at, part in self._parts)
