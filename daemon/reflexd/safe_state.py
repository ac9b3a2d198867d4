"""reflexd-safe: set every output safe after the daemon died, whichever way. Standard library only.

The daemon writes what sets each output safe into its runtime directory before it drives anything.
After any end of the service, systemd runs this file by itself: it tries every action, says what it did,
keeps a record of the end for the next start, and does the same again when it is run again.

It imports nothing of the project and nothing that is slow, so that it is ready in some ten
milliseconds and works when the rest of the installation does not.

exit status: 0 every output is safe; 1 one may not be, and the line says which.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import sys
import termios
import time
from typing import Any

FILE = "safe-state.json"
RECORD = "last-exit.json"
VERSION = 1
Action = dict[str, Any]     # as written by the daemon: name, kind, and what that kind needs

# Source of numbers and layouts: linux/gpio.h, version 2 of the character device's interface.
CHIP_INFO = struct.Struct("=32s32sI")                # name, label, lines
LINE_REQUEST_SIZE = 592
GET_CHIP_INFO = 0x8044B401
GET_LINE = 0xC250B407
FLAG_OUTPUT = 1 << 3
ATTRIBUTE_OUTPUT_VALUES = 2

# struct termios2 of asm-generic/termbits.h, which tells speeds as numbers: termios.tcsetattr() knows the common ones only.
MODES = struct.Struct("=4IB19s2I")      # input, output, control, local, discipline, characters, speed in, speed out
GET_MODES, SET_MODES = 0x802C542A, 0x402C542B
ANY_SPEED = 0o010000


def line_request(line: int, high: bool) -> bytes:
    """Ask for one line as an output that stands at a level from the first moment: 592 bytes."""
    offsets = struct.pack("=64I", line, *[0] * 63)
    consumer = b"reflexd-safe".ljust(32, b"\0")
    attribute = struct.pack("=IIQQ", ATTRIBUTE_OUTPUT_VALUES, 0, int(high), 1)
    config = struct.pack("=QI20x", FLAG_OUTPUT, 1) + attribute.ljust(240, b"\0")
    return offsets + consumer + config + struct.pack("=II20xi", 1, 0, 0)


def chip_by_label(label: str) -> int:
    """Open the gpiochip with that label. Raises: OSError."""
    names = sorted(name for name in os.listdir("/dev") if name.startswith("gpiochip"))
    for name in names:
        chip = os.open("/dev/" + name, os.O_RDWR | os.O_CLOEXEC)
        info = CHIP_INFO.unpack(fcntl.ioctl(chip, GET_CHIP_INFO, bytes(CHIP_INFO.size)))
        if info[1].rstrip(b"\0").decode(errors="replace") == label:
            return chip
        os.close(chip)
    raise OSError("no gpiochip has the label " + label + ", found " + (", ".join(names) or "none"))


def set_gpio(action: Action) -> str:
    """Drive a line. The kernel of a Raspberry Pi keeps the level after the line is given back, unless strict_gpiod is set."""
    chip = chip_by_label(action["chip"])
    try:
        answer = fcntl.ioctl(chip, GET_LINE, line_request(action["line"], action["high"]))
        os.close(struct.unpack_from("=i", answer, LINE_REQUEST_SIZE - 4)[0])
    finally:
        os.close(chip)
    return "line %d of %s %s" % (action["line"], action["chip"], "high" if action["high"] else "low")


def set_sysfs(action: Action) -> str:
    """Write a file of the kernel."""
    descriptor = os.open(action["path"], os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.write(descriptor, action["text"].encode())
    finally:
        os.close(descriptor)
    return "%s = %s" % (action["path"], action["text"].strip())


def line_modes(action: Action) -> int:
    """Give the bits of c_cflag that tell data bits, parity and stop bits. Source: termios(3)."""
    parity = {"even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}.get(action.get("parity", "none"), 0)
    data = termios.CS7 if action.get("data_bits") == 7 else termios.CS8
    return data | parity | (termios.CSTOPB if action.get("stop_bits") == 2 else 0)


def set_serial(action: Action) -> str:
    """Send bytes to a port, without waiting for a device that does not read."""
    descriptor = os.open(action["port"], os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISCHR(os.fstat(descriptor).st_mode) and os.isatty(descriptor):
            discipline, characters = MODES.unpack(fcntl.ioctl(descriptor, GET_MODES, bytes(MODES.size)))[4:6]
            # Without HUPCL, as the daemon left it: a board that restarts when DTR rises is not restarted here.
            control = termios.CREAD | termios.CLOCAL | line_modes(action) | ANY_SPEED
            speeds = action["baud"], action["baud"]
            fcntl.ioctl(descriptor, SET_MODES, MODES.pack(0, 0, control, 0, discipline, characters, *speeds))
        os.write(descriptor, bytes.fromhex(action["hex"]))
    finally:
        os.close(descriptor)
    return "%s told %s" % (action["port"], action["hex"])


ACTIONS = {"gpio": set_gpio, "sysfs": set_sysfs, "serial": set_serial}


def say(priority: int, text: str) -> None:
    """Write one line with its priority, as systemd reads it."""
    sys.stderr.write("<%d>reflexd-safe: %s\n" % (priority, text))


def read(folder: str) -> tuple[list[Action], float | None]:
    """Give what the daemon left: (outputs, when it started in monotonic seconds or None). Raises: OSError, ValueError."""
    with open(os.path.join(folder, FILE), encoding="utf-8") as file:
        left = json.load(file)
    if not isinstance(left, dict) or left.get("version") != VERSION or not isinstance(left.get("outputs"), list):
        raise ValueError("is of another version")
    return left["outputs"], left.get("started_at_s")


def write(folder: str, outputs: list[Action], started_at_s: float) -> None:
    """Leave what sets the outputs safe; it replaces what was there in one step. Raises: OSError."""
    path = os.path.join(folder, FILE)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"version": VERSION, "started_at_s": started_at_s, "outputs": outputs}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def make_safe(outputs: list[Action]) -> int:
    """Try every action; give how many failed."""
    failed = 0
    for output in outputs:
        name = output.get("name", "?") if isinstance(output, dict) else "?"
        try:
            say(5, "%s: %s" % (name, ACTIONS[output["kind"]](output)))
        except Exception as error:   # whatever is wrong with one, the others have to be tried
            failed += 1
            say(2, "%s MAY NOT BE SAFE: %s; switch it off by hand" % (name, error))
    return failed


def record(folder: str, started_at_s: float | None, safe_in_ms: float | None, failed: int) -> None:
    """Leave for the next start how the service ended. Source: SERVICE_RESULT and its kin, systemd.exec(5)."""
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    told = {
        "version": VERSION,
        "result": os.environ.get("SERVICE_RESULT", ""),
        "code": os.environ.get("EXIT_CODE", ""),
        "status": os.environ.get("EXIT_STATUS", ""),
        "ran_s": None if started_at_s is None else round(now - started_at_s, 1),
        "safe_in_ms": safe_in_ms,
        "failed": failed,
    }
    path = os.path.join(folder, RECORD)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(told, file)
    os.replace(path + ".new", path)


def remember(started_at_s: float | None, safe_in_ms: float | None, failed: int) -> None:
    """Record the end where systemd keeps state, if it does."""
    state = (os.environ.get("STATE_DIRECTORY") or "").split(":")[0]
    if not state:
        return
    try:
        record(state, started_at_s, safe_in_ms, failed)
    except OSError as error:
        say(4, "the end could not be recorded in %s: %s" % (state, error))


def main() -> int:
    """Set safe what the daemon left, and record the end."""
    began = time.monotonic()
    runtime = (os.environ.get("RUNTIME_DIRECTORY") or "/run/reflexd").split(":")[0]
    try:
        outputs, started_at_s = read(runtime)
    except FileNotFoundError:
        say(6, "nothing to do: %s is not there, so no output was driven" % os.path.join(runtime, FILE))
        remember(None, None, 0)
        return 0
    except (OSError, ValueError) as error:
        say(2, "OUTPUTS MAY NOT BE SAFE: %s: %s; switch them off by hand" % (os.path.join(runtime, FILE), error))
        return 1
    failed = make_safe(outputs)
    remember(started_at_s, round((time.monotonic() - began) * 1000, 1), failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
