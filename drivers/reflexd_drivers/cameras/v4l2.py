"""The kernel's interface to a capture device: open, format, rate, mapped buffers, poll. Standard library only.

One thread at a time, but for wake(). Failures are plain OSErrors with the kernel's errno: what they mean
for a camera is told by usb.py. A buffer belongs either to the kernel or, from dequeue() to
requeue(), to the caller; its bytes must not be touched in between.
Source of structures and numbers: linux/videodev2.h and the kernel's userspace-api/media/v4l documentation.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import re
import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

CAPTURE = 1                     # V4L2_BUF_TYPE_VIDEO_CAPTURE
MMAP = 1                        # V4L2_MEMORY_MMAP
CAP_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
CAP_MEDIA = 0x2000_0000         # V4L2_CAP_IO_MC: gives nothing before a program has linked the parts of a media device
DISCRETE = 1                    # V4L2_FRMSIZE_TYPE_DISCRETE
FLAG_ERROR, FLAG_CLOCK, FLAG_MONOTONIC = 0x40, 0xE000, 0x2000
U32 = ctypes.c_uint32
NEXT_CONTROL = 0x8000_0000      # V4L2_CTRL_FLAG_NEXT_CTRL: give the control after that id
KINDS = {1: "integer", 2: "boolean", 3: "menu", 8: "integer", 9: "menu"}    # a bit mask is a number; the others cannot be set so
NO_USE = 0x1 | 0x4              # V4L2_CTRL_FLAG_DISABLED and _READ_ONLY
SizeRange: TypeAlias = tuple[tuple[int, int], tuple[int, int]]      # least and greatest; the same where there is one only


class _Capability(ctypes.Structure):
    _fields_: ClassVar = [("driver", ctypes.c_char * 16), ("card", ctypes.c_char * 32), ("bus_info", ctypes.c_char * 32),
                          ("version", U32), ("capabilities", U32), ("device_caps", U32), ("reserved", U32 * 3)]


class _FmtDesc(ctypes.Structure):
    _fields_: ClassVar = [("index", U32), ("type", U32), ("flags", U32), ("description", ctypes.c_char * 32),
                          ("pixelformat", U32), ("mbus_code", U32), ("reserved", U32 * 3)]


class _Pix(ctypes.Structure):
    _fields_: ClassVar = [(name, U32) for name in ("width", "height", "pixelformat", "field", "bytesperline", "sizeimage",
                                                   "colorspace", "priv", "flags", "ycbcr_enc", "quantization", "xfer_func")]


class _FmtUnion(ctypes.Union):
    _fields_: ClassVar = [("pix", _Pix), ("raw", ctypes.c_uint8 * 200), ("pointer", ctypes.c_void_p)]   # for the alignment


class _Format(ctypes.Structure):
    _fields_: ClassVar = [("type", U32), ("fmt", _FmtUnion)]


class _FrameSize(ctypes.Structure):
    # discrete: width, height; stepwise: least, greatest and step of the width, then of the height
    _fields_: ClassVar = [("index", U32), ("pixelformat", U32), ("type", U32), ("sizes", U32 * 6), ("reserved", U32 * 2)]


class _StreamParm(ctypes.Structure):
    _fields_: ClassVar = [("type", U32), ("capability", U32), ("capturemode", U32), ("numerator", U32), ("denominator", U32),
                          ("rest", ctypes.c_uint8 * 184)]


class _Request(ctypes.Structure):
    _fields_: ClassVar = [("count", U32), ("type", U32), ("memory", U32), ("capabilities", U32), ("flags", U32)]


class _Buffer(ctypes.Structure):
    _fields_: ClassVar = [("index", U32), ("type", U32), ("bytesused", U32), ("flags", U32), ("field", U32),
                          ("sec", ctypes.c_long), ("usec", ctypes.c_long), ("timecode", U32 * 4), ("sequence", U32),
                          ("memory", U32), ("m", ctypes.c_ulong), ("length", U32), ("reserved2", U32), ("request_fd", U32)]


class _QueryControl(ctypes.Structure):
    _fields_: ClassVar = [("id", U32), ("type", U32), ("name", ctypes.c_char * 32), ("minimum", ctypes.c_int32),
                          ("maximum", ctypes.c_int32), ("step", ctypes.c_int32), ("default", ctypes.c_int32), ("flags", U32),
                          ("reserved", U32 * 2)]


class _QueryMenu(ctypes.Structure):
    _pack_ = 1      # as the kernel has it
    _fields_: ClassVar = [("id", U32), ("index", U32), ("name", ctypes.c_char * 32), ("reserved", U32)]


class _Control(ctypes.Structure):
    _fields_: ClassVar = [("id", U32), ("value", ctypes.c_int32)]


def _number(direction: int, number: int, argument: type[ctypes.Structure] | type[ctypes.c_int]) -> int:
    """Build an ioctl number of group V; direction 1 writes, 2 reads, 3 does both (linux/ioctl.h)."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


QUERYCAP = _number(2, 0, _Capability)
ENUM_FMT = _number(3, 2, _FmtDesc)
G_FMT, S_FMT = _number(3, 4, _Format), _number(3, 5, _Format)
REQBUFS = _number(3, 8, _Request)
QUERYBUF, QBUF, DQBUF = _number(3, 9, _Buffer), _number(3, 15, _Buffer), _number(3, 17, _Buffer)
STREAMON, STREAMOFF = _number(1, 18, ctypes.c_int), _number(1, 19, ctypes.c_int)
SET_CONTROL = _number(3, 28, _Control)
QUERY_CONTROL, QUERY_MENU = _number(3, 36, _QueryControl), _number(3, 37, _QueryMenu)
ENUM_SIZES = _number(3, 74, _FrameSize)
G_PARM, S_PARM = _number(3, 21, _StreamParm), _number(3, 22, _StreamParm)


@dataclass(frozen=True, slots=True)
class Format:
    """What the device sends: a four-letter code as "YUYV", and the size."""

    code: str
    width: int
    height: int
    stride: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A buffer that the device filled."""

    index: int
    sequence: int
    taken_at: int | None    # monotonic ns, where the driver says that its clock is that one
    bad: bool               # the kernel knows that its content is damaged
    data: memoryview        # the mapping itself: nothing is copied


@dataclass(frozen=True, slots=True)
class Control:
    """Something that can be set: as brightness, from `least` to `greatest`; of a menu, which items there are."""

    id: int
    name: str               # as v4l2-ctl spells it
    kind: Literal["integer", "boolean", "menu"]
    least: int
    greatest: int
    default: int
    items: dict[int, str]


@dataclass(frozen=True, slots=True)
class Card:
    """Who the device says it is: the kernel's driver, its name, and the bits of what it can do."""

    driver: str
    name: str
    can: int


class V4l2Device:
    """An open capture device."""

    def __init__(self, path: str) -> None:
        self._maps: list[mmap.mmap] = []
        self._wake = -1
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def _call(self, request: int, argument: ctypes.Structure | ctypes.c_int) -> None:
        fcntl.ioctl(self._file, request, argument)   # ctypes objects are buffers, written in place

    def captures(self) -> bool:
        """Say whether this node streams pictures; a camera's metadata node does not."""
        can = self.card().can
        return bool(can & CAP_CAPTURE and can & CAP_STREAMING)

    def card(self) -> Card:
        """Ask the device who it is."""
        found = _Capability()
        self._call(QUERYCAP, found)
        can = found.device_caps if found.capabilities & CAP_DEVICE_CAPS else found.capabilities
        return Card(found.driver.decode(errors="replace"), found.card.decode(errors="replace"), can)

    def sizes(self, code: str) -> list[SizeRange]:
        """List the sizes that a format comes in; none where the device does not tell."""
        return list(self._sizes(int.from_bytes(code.encode(), "little")))

    def _sizes(self, pixelformat: int) -> Iterator[SizeRange]:
        for index in range(64):
            found = _FrameSize(index=index, pixelformat=pixelformat)
            try:
                self._call(ENUM_SIZES, found)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):   # the end of the list; no list
                    return
                raise
            least, greatest, _, low, high, _ = found.sizes
            yield ((least, greatest), (least, greatest)) if found.type == DISCRETE else ((least, low), (greatest, high))

    def codes(self) -> list[str]:
        """List the formats that the device offers."""
        return list(self._codes())

    def _codes(self) -> Iterator[str]:
        for index in range(64):
            found = _FmtDesc(index=index, type=CAPTURE)
            try:
                self._call(ENUM_FMT, found)
            except OSError as error:
                if error.errno == errno.EINVAL:   # the end of the list
                    return
                raise
            yield _text(found.pixelformat)

    def set_format(self, code: str, size_px: tuple[int, int] | None) -> Format:
        """Ask for a format and size; gives what the device made of it."""
        wanted = _Format(type=CAPTURE)
        self._call(G_FMT, wanted)
        pix = wanted.fmt.pix
        if size_px is not None:
            pix.width, pix.height = size_px
        pix.pixelformat = int.from_bytes(code.encode(), "little")
        pix.field = pix.bytesperline = pix.sizeimage = 0    # the device computes them
        self._call(S_FMT, wanted)
        return Format(_text(pix.pixelformat), pix.width, pix.height, pix.bytesperline)

    def set_rate(self, rate_hz: float | None) -> float | None:
        """Ask for a rate; gives the one that is kept, or None where the device cannot tell."""
        found = _StreamParm(type=CAPTURE)
        try:
            if rate_hz is not None:
                wanted = _StreamParm(type=CAPTURE, numerator=1000, denominator=round(rate_hz * 1000))
                self._call(S_PARM, wanted)
            self._call(G_PARM, found)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        return found.denominator / found.numerator if found.numerator else None

    def controls(self) -> list[Control]:
        """List what can be set."""
        return list(self._controls())

    def _controls(self) -> Iterator[Control]:
        found = _QueryControl(id=NEXT_CONTROL)
        for _ in range(256):
            try:
                self._call(QUERY_CONTROL, found)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):   # the end of the list; no list
                    return
                raise
            kind = KINDS.get(found.type)
            if kind and not found.flags & NO_USE:
                items = self._items(found) if kind == "menu" else {}
                yield Control(found.id, spelt(found.name.decode(errors="replace")), kind,    # type: ignore[arg-type]  # of KINDS
                              found.minimum, found.maximum, found.default, items)
            found = _QueryControl(id=found.id | NEXT_CONTROL)

    def _items(self, control: _QueryControl) -> dict[int, str]:
        items = {}
        for index in range(max(control.minimum, 0), min(control.maximum, 255) + 1):
            item = _QueryMenu(id=control.id, index=index)
            with suppress(OSError):     # a menu may have holes
                self._call(QUERY_MENU, item)
                number = int.from_bytes(bytes(item.name)[:8].ljust(8, b"\0"), "little", signed=True)
                items[index] = str(number) if control.type == 9 else item.name.decode(errors="replace")
        return items

    def set_control(self, control: Control, value: int) -> None:
        """Set a control."""
        self._call(SET_CONTROL, _Control(id=control.id, value=value))

    def start(self, buffers: int) -> None:
        """Map buffers, hand them to the kernel and begin."""
        asked = _Request(count=buffers, type=CAPTURE, memory=MMAP)
        self._call(REQBUFS, asked)
        for index in range(asked.count):
            buffer = _Buffer(index=index, type=CAPTURE, memory=MMAP)
            self._call(QUERYBUF, buffer)
            self._maps.append(mmap.mmap(self._file, buffer.length, offset=buffer.m & 0xFFFF_FFFF))
            self.requeue(index)
        self._call(STREAMON, ctypes.c_int(CAPTURE))

    def wait(self, timeout_s: float) -> Literal["ready", "silent", "woken", "gone"]:
        """Wait until a buffer is filled, wake() is called, the device is gone, or the time is up."""
        events = dict(self._poll.poll(max(timeout_s, 0) * 1000))
        if self._wake in events:
            return "woken"
        if events.get(self._file, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            return "gone"
        return "ready" if events else "silent"

    def dequeue(self) -> Filled | None:
        """Take the oldest filled buffer, or None when there is no other."""
        buffer = _Buffer(type=CAPTURE, memory=MMAP)
        try:
            self._call(DQBUF, buffer)
        except BlockingIOError:
            return None
        monotonic = buffer.flags & FLAG_CLOCK == FLAG_MONOTONIC
        taken_at = buffer.sec * 1_000_000_000 + buffer.usec * 1000 if monotonic else None
        data = memoryview(self._maps[buffer.index])[:buffer.bytesused]
        return Filled(buffer.index, buffer.sequence, taken_at, bool(buffer.flags & FLAG_ERROR), data)

    def requeue(self, index: int) -> None:
        """Hand a buffer back to the kernel."""
        self._call(QBUF, _Buffer(index=index, type=CAPTURE, memory=MMAP))

    def wake(self) -> None:
        """End a wait(); any thread may call it."""
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Stop, unmap, close. A device that is gone already is not worth an error."""
        with suppress(OSError):
            self._call(STREAMOFF, ctypes.c_int(CAPTURE))
        while self._maps:
            with suppress(BufferError):   # someone still looks at it: unmapped when that ends
                self._maps.pop().close()
        for file in (self._file, self._wake):
            with suppress(OSError):
                os.close(file)
        self._file = self._wake = -1


def spelt(name: str) -> str:
    """Spell the name of a control as v4l2-ctl does: "White Balance, Automatic" is white_balance_automatic."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))


def _text(code: int) -> str:
    return code.to_bytes(4, "little").decode("ascii", "replace").strip()
