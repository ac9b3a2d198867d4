"""A device on a serial port that sends binary frames: a particle or distance sensor, a battery monitor, a scale.

The layout is told by the configuration. A frame counts only as a whole, with the right checksum;
what is none is counted and never becomes a value.
"""

from __future__ import annotations

import struct

from pydantic import model_validator

from reflexd_drivers.base import ValueKind
from reflexd_drivers.frames import NUMBERS, FrameKeys, Frames, place
from reflexd_drivers.scaling import NumberKeys, number
from reflexd_drivers.serial_port import Port
from reflexd_drivers.stream import Said, Stream, StreamSettings, wrong_baud


class Settings(FrameKeys, NumberKeys, StreamSettings):
    """What the configuration says of serial-frames."""

    @property
    def gives(self) -> ValueKind:
        """Say what every reading is."""
        return "number" if self.value.bit is None else "boolean"

    @model_validator(mode="after")
    def _no_scaled_bit(self) -> Settings:
        if self.value.bit is not None and (self.scale, self.offset, self.range) != (1, 0, None):
            raise ValueError("scale, offset and range go with a number, not with a bit; remove them")
        if self.more and any(field.bit is not None for field in (self.value, *self.more)):
            raise ValueError("more goes with numbers, and one of them is a bit; remove it, or the bit")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """Name the numbers of a frame by where they are."""
        return ("value", *(f"at {field.at}" for field in self.more))


class FrameDecoder:
    """Cuts frames and takes the value out of each."""

    unit = "frame"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._frames = Frames(settings)
        self._numbers = [(NUMBERS[field.type], field.at) for field in (settings.value, *settings.more)]
        match = settings.match
        self._match = None if match is None else (match.at, bytes.fromhex(match.bytes))
        self._unfit = 0           # whole frames whose value cannot be true
        self._others = 0          # whole frames that do not match
        self._since = (0, 0, 0, 0)    # what was counted when the last value came

    def counters(self) -> dict[str, int]:
        """Count frames with a wrong checksum, impossible values and other types, and bytes of no frame."""
        return {"bad": self._frames.bad, "unfit": self._unfit, "other": self._others, "skipped_bytes": self._frames.skipped}

    def restart(self) -> None:
        """Forget the frame that was begun."""
        self._frames.restart()

    def feed(self, chunk: bytes) -> list[Said | None]:
        """Give what the frames say that a chunk completes."""
        found: list[Said | None] = [value for frame in self._frames.feed(chunk) if (value := self._value(frame)) is not None]
        if found:
            self._since = self._counted()
        return found

    def _counted(self) -> tuple[int, int, int, int]:
        return self._frames.bad, self._frames.skipped, self._unfit, self._others

    def _value(self, frame: bytes) -> Said | None:
        if self._match is not None:
            at = place(self._match[0], len(frame))
            if frame[at:at + len(self._match[1])] != self._match[1]:
                self._others += 1
                return None
        raw = [struct.unpack_from(form, frame, place(at, len(frame)))[0] for form, at in self._numbers]
        if self._settings.value.bit is not None:
            return bool(raw[0] >> self._settings.value.bit & 1)
        try:
            found = tuple(number(one, self._settings) for one in raw)
        except (ValueError, OverflowError):
            self._unfit += 1
            return None
        return found if self._settings.more else found[0]

    def trouble(self) -> str:
        """Say why there is no value. In noise a start is rare; where frames come, one is found every few bytes."""
        bad, skipped, unfit, others = (now - then for now, then in zip(self._counted(), self._since, strict=True))
        if unfit:
            return "frames come, and no value of theirs can be true; correct value, scale, offset or range"
        if others:
            return "frames come, and none matches; correct match"
        if bad and bad * 64 >= skipped and len(bytes.fromhex(self._settings.start)) > 1:
            return "frames begin, and no checksum or length is right; correct checksum and length, or baud"
        return wrong_baud(self._settings, "such frame") if skipped else ""


def connect(settings: Settings) -> Stream:
    """Open the port for this process alone.

    Raises: DriverError.
    """
    return Stream(settings, Port(settings), FrameDecoder(settings))
