"""A serial port that this process has for itself: keys, opening, reading and errors of every driver on one.

Reading gives whatever has arrived, at once, in chunks of 4 KiB at most (the kernel's own buffer): no wait
is longer than it was asked to be, and nothing of what is held grows with what the other side sends.
The kernel leaves DTR alone at close (HUPCL is off), so that a board is not reset by each opening.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from reflexd_drivers.base import DriverError, node
from reflexd_drivers.holders import holder

CHUNK = 4096        # what a tty of Linux keeps for a reader


class SerialKeys(BaseModel):
    """What every driver on a serial port takes."""

    shares_port: ClassVar[bool] = False     # True: several devices of that driver may name one port

    port: str = Field(min_length=1, description="path; /dev/serial/by-id/… stays the same when ports are renumbered")
    baud: int = Field(default=9600, ge=50, le=4_000_000, description="bits a second")
    data_bits: Literal[7, 8] = Field(default=8, description="data bits of each byte")
    parity: Literal["none", "even", "odd"] = Field(default="none", description="parity bit of each byte")
    stop_bits: Literal[1, 2] = Field(default=1, description="stop bits of each byte")
    dtr: bool = Field(default=True, description="level of the DTR line while the port is open; many boards restart when it rises")
    boot_delay_s: float = Field(default=0, ge=0, le=60, description="what arrives that soon after opening is not looked at")

    def seen(self) -> object:
        """Look whether the port is there."""
        return node(self.port)

    @property
    def line(self) -> tuple[object, ...]:
        """Say how the port is set: what all that share it have to agree on."""
        return self.baud, self.data_bits, self.parity, self.stop_bits, self.dtr


class Port:
    """An open port. One thread reads and writes; any may wake it and close."""

    def __init__(self, settings: SerialKeys) -> None:
        """Open the port for this process alone. Raises: DriverError."""
        self._where = settings.port
        self._serial = open_alone(settings)
        self._lock = threading.Lock()     # held by a read or write from begin to end: close() wakes it and then waits for it
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._poll.register(self._serial.fileno(), select.POLLIN)
        self._closed = False

    def read(self, timeout_s: float) -> bytes:
        """Give what has arrived as soon as something has; nothing after timeout_s.

        Raises: DriverError when the port is gone or closed.
        """
        with self._lock:
            ready = [] if self._closed else self._poll.poll(max(timeout_s, 0) * 1000)
            if self._closed:
                raise DriverError(f"{self._where}: the port was closed while it was read; open it again")
            try:
                # readline() would wait for a line for ever, and costs ten times as much (125 µs a line for 11).
                return bytes(self._serial.read(min(self._serial.in_waiting or 1, CHUNK))) if ready else b""
            except OSError as error:     # pyserial's own errors are of that kind
                raise self._gone() from error

    def write(self, data: bytes, timeout_s: float) -> None:
        """Hand bytes to the kernel. Raises: DriverError when it did not take them all in time, or the port is gone or closed."""
        deadline = monotonic() + timeout_s
        poll = select.poll()
        with self._lock:
            if self._closed:
                raise DriverError(f"{self._where}: the port was closed; open it again")
            poll.register(self._wake, select.POLLIN)
            poll.register(self._serial.fileno(), select.POLLOUT)
            while data:
                ready = dict(poll.poll(max(deadline - monotonic(), 0) * 1000))
                if not ready or self._wake in ready:
                    raise DriverError(f"{self._where}: the device does not take what is sent to it; check it and its cable")
                try:
                    data = data[os.write(self._serial.fileno(), data):]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise self._gone() from error

    def forget(self) -> None:
        """Throw away what has arrived and was not read. Raises: DriverError."""
        try:
            self._serial.reset_input_buffer()
        except (OSError, ValueError, TypeError, termios.error) as error:      # the latter two: closed meanwhile
            raise self._gone() from error

    def _gone(self) -> DriverError:
        return DriverError(f"{self._where}: the port was unplugged or failed; check its cable and power")

    def close(self) -> None:
        """End a read that waits, and give the port back; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._wake, 1)
        with self._lock:
            with suppress(OSError):     # a port that is gone already
                fcntl.ioctl(self._serial.fileno(), termios.TIOCNXCL)    # a pseudo terminal outlives its last user
            self._serial.close()
            os.close(self._wake)


def open_alone(settings: SerialKeys) -> Any:   # noqa: ANN401  pyserial has no types
    """Open a port that no other program has. Raises: DriverError."""
    import serial

    made = serial.Serial(timeout=0, exclusive=True)
    try:
        made.baudrate, made.bytesize, made.stopbits = settings.baud, settings.data_bits, settings.stop_bits
        made.parity = settings.parity[0].upper()
        made.dtr = settings.dtr
        made.port = settings.port
        made.open()                                         # locks it: that keeps root out, and programs of pyserial
        fcntl.ioctl(made.fileno(), termios.TIOCEXCL)        # keeps everybody else out
        keep_dtr(made.fileno())
    except (OSError, ValueError, termios.error) as error:
        made.close()
        # Below pyserial's error is the kernel's own, with the errno that says whether something was refused.
        below = error.__context__ if isinstance(error.__context__, OSError) else error
        raise explain(settings, error) from below
    return made


def keep_dtr(descriptor: int) -> None:
    """Leave DTR as it is at the last close. Source: HUPCL in termios(3), tty_port_lower_dtr_rts() of the kernel.

    So neither the next opening nor the program that runs after a death resets a board that a moment before was at work.
    """
    modes = termios.tcgetattr(descriptor)
    modes[2] &= ~termios.HUPCL
    termios.tcsetattr(descriptor, termios.TCSANOW, modes)


def explain(settings: SerialKeys, error: Exception) -> DriverError:
    """Say what an error at opening means for a serial port."""
    texts: dict[int | None, Callable[[], str]] = {
        errno.ENOENT: lambda: f"there is no such port; found {', '.join(ports()) or 'none'}; plug it in or name another port",
        errno.EACCES: lambda: "permission denied; add the user to group dialout",
        errno.EBUSY: lambda: f"the port is in use by {holder(settings.port)}; stop that program",
    }
    same = {errno.ENXIO: errno.ENOENT, errno.ENODEV: errno.ENOENT, errno.ENOTDIR: errno.ENOENT,
            errno.EPERM: errno.EACCES, errno.EAGAIN: errno.EBUSY}
    number = getattr(error, "errno", None)
    text = texts.get(same.get(number or 0, number))
    failed = f"this is no serial port that works at {settings.baud} baud ({error}); choose another port or baud"
    return DriverError(f"{settings.port}: {text() if text else failed}")


def ports(folder: Path = Path("/dev")) -> list[str]:
    """List serial ports, by names that stay the same where there are such."""
    named = sorted(folder.glob("serial/by-id/*")) or sorted(folder.glob("serial/by-path/*"))
    found = named or [path for name in ("ttyUSB*", "ttyACM*", "ttyAMA*", "serial[0-9]") for path in sorted(folder.glob(name))]
    return [str(path) for path in found]
