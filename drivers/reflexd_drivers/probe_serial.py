"""What a serial port says, for somebody who has to choose its baud rate and what to take from its lines.

The port is opened for this, once: many boards restart then. A silent one is waited for as long as such a board takes to
boot; one whose bytes are no text is listened to again at each usual rate, without opening it anew.
"""

from __future__ import annotations

import select
import termios
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from reflexd_drivers.base import DriverError
from reflexd_drivers.serial_port import SerialKeys, open_alone

BAUDS = (9600, 115200, 57600, 38400, 19200, 4800)     # the usual ones, the most usual first
SILENT_S = 3.0          # an Arduino's boot loader takes 2
LISTEN_S = 1.0          # from the first byte on
KEPT = 4096             # bytes of each second
LINES = 3
FEWEST = 6              # characters: fewer may look like text by chance


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard: whole lines where it is text, at which rate; `found` says what it was."""

    found: str
    baud: int = BAUDS[0]
    lines: tuple[str, ...] = ()


def hear(port: str, bauds: tuple[int, ...] = BAUDS, open_port: Callable[[SerialKeys], Any] = open_alone) -> Heard:
    """Open a port and listen; takes SILENT_S, and a second for each rate that is tried."""
    try:
        with closing(open_port(SerialKeys(port=port, baud=bauds[0]))) as serial:
            return _hear(serial, bauds)
    except DriverError as error:
        return Heard(str(error).removeprefix(f"{port}: "))
    except (OSError, ValueError, termios.error) as error:
        return Heard(f"it failed while it was listened to: {error}")


def _hear(serial: Any, bauds: tuple[int, ...]) -> Heard:   # noqa: ANN401  pyserial has no types
    for baud in bauds:
        if baud != bauds[0]:
            serial.baudrate = baud
            serial.reset_input_buffer()
        got = _collect(serial, SILENT_S if baud == bauds[0] else LISTEN_S)
        if not got and baud == bauds[0]:
            return Heard("silent")
        lines = text_lines(got)
        if lines:
            return Heard("text", baud, lines)
    tried = ", ".join(map(str, bauds))
    return Heard(f"no text at any of {tried} baud: another rate, or a binary protocol (serial-frames, modbus)")


def _collect(serial: Any, wait_s: float) -> bytes:   # noqa: ANN401
    """Take what comes for LISTEN_S once something does, and wait for that no longer than `wait_s`."""
    got = bytearray()
    until = monotonic() + wait_s
    while (left := until - monotonic()) > 0:
        if not select.select([serial.fileno()], [], [], left)[0]:
            break
        if not got:
            until = monotonic() + LISTEN_S
        got += serial.read(min(serial.in_waiting or 1, KEPT))
        del got[:-KEPT]
    return bytes(got)


def text_lines(got: bytes) -> tuple[str, ...]:
    """Give the last whole lines; none where it is no text. What comes first may be the rest of a line."""
    with suppress(UnicodeDecodeError):
        whole = got.replace(b"\r", b"\n")
        text = whole[whole.find(b"\n") + 1:whole.rfind(b"\n")].decode() if whole.count(b"\n") > 1 else ""
        lines = [one for line in text.split("\n") if (one := line.strip())]
        if len("".join(lines)) >= FEWEST and all(one.isprintable() or one == "\t" for line in lines for one in line):
            return tuple(lines[-LINES:])
    return ()
