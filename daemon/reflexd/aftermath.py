"""What this run leaves for the program that sets outputs safe after a death, and how the last run ended.

Both live where systemd says (RUNTIME_DIRECTORY and STATE_DIRECTORY); run by hand, there is neither.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from reflexd import safe_state
from reflexd_drivers.base import Actuator, AfterDeath, DriverError, GpioLine, SerialBytes, SysfsWrite

STARTED_AT_S = time.monotonic()
EX_CONFIG = "78"
BAD_ENDS = "bad-ends.json"
AMONG_S = 300.0          # bad ends further apart have nothing to do with each other
AT_ONCE = 3              # so many restarts are not waited for
MANY = 16
LONGEST_PAUSE_S = 30.0
MOCK = "mock"      # a chip without hardware: nothing of it outlives the process


def actions(actuators: Mapping[str, Actuator]) -> list[safe_state.Action]:
    """Give what sets each output safe, as reflexd-safe reads it."""
    found = {name: _action(actuator.after_death()) for name, actuator in actuators.items()}
    return [{"name": name, **action} for name, action in found.items() if action]


def union(old: Sequence[safe_state.Action], new: Sequence[safe_state.Action]) -> list[safe_state.Action]:
    """Put both together, old ones first; of a line or file only the new one counts, while a port may have many relays."""
    taken = {_what(action) for action in new}
    return [*(action for action in old if _what(action) not in taken), *new]


def _what(action: safe_state.Action) -> tuple[object, ...]:
    return tuple(action.get(key) for key in ("kind", "chip", "line", "path", "port", "hex"))


def leave(outputs: Sequence[safe_state.Action]) -> None:
    """Write what sets the outputs safe, before any of them is driven.

    Raises: DriverError when it cannot be written: outputs that nothing guards are not driven.
    """
    folder = _folder("RUNTIME_DIRECTORY")
    if folder is None:
        return
    try:
        safe_state.write(str(folder), list(outputs), STARTED_AT_S)
    except OSError as error:
        raise DriverError(f"{folder}: what sets the outputs safe after a death cannot be written: {error.strerror}; "
                          "make room, nothing is driven until then") from error


def _action(after: AfterDeath) -> dict[str, Any]:
    """Turn what an actuator says into what safe_state reads; nothing for what nothing can set."""
    if isinstance(after, GpioLine) and after.chip_label != MOCK:
        return {"kind": "gpio", "chip": after.chip_label, "line": after.line, "high": after.high}
    if isinstance(after, SysfsWrite):
        return {"kind": "sysfs", "path": after.path, "text": after.text}
    if isinstance(after, SerialBytes):
        return {"kind": "serial", "port": after.port, "baud": after.baud, "hex": after.data.hex(),
                "data_bits": after.data_bits, "parity": after.parity, "stop_bits": after.stop_bits}
    return {}


def last_end() -> str | None:
    """Say how the last run ended, once; None when it ended as it was told, or nothing is known."""
    folder = _folder("STATE_DIRECTORY")
    if folder is None:
        return None
    path = folder / safe_state.RECORD
    told = ended(path)
    try:
        path.unlink()
    except OSError:
        return None
    return told


def ended(record: Path) -> str | None:
    """Read what reflexd-safe left: how the last run ended; None when it ended as it was told, or nothing is known."""
    try:
        told = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or told.get("result") in ("", "success", None):
        return None
    if told["result"] == "exit-code" and told.get("status") == EX_CONFIG:     # it has been corrected since
        return None
    return f"the last run {_how(told)}{_after(told.get('ran_s'))}; {_safe(told)}"


def _how(told: Mapping[str, Any]) -> str:
    status = str(told.get("status", ""))
    ways = {
        "watchdog": "was killed by the watchdog: it hung",
        "oom-kill": "was killed for want of memory",
        "timeout": "did not end in time and was killed",
        "signal": f"was killed by SIG{status}",
        "core-dump": f"crashed with SIG{status}",
        "exit-code": f"ended with status {status}",
    }
    return ways.get(str(told.get("result")), f"ended by {told.get('result')}")


def _after(ran_s: object) -> str:
    if not isinstance(ran_s, (int, float)):
        return ""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if ran_s >= 2 * size:
            return f" after {ran_s / size:.0f} {unit}"
    return f" after {ran_s:.0f} s"


def _safe(told: Mapping[str, Any]) -> str:
    if told.get("safe_in_ms") is None:
        return "no output had been driven"
    if told.get("failed"):
        return f"{told['failed']} outputs may not have been set safe"
    return f"outputs were set safe in {told['safe_in_ms']:.0f} ms"


def pause_s(now_s: float) -> float:
    """Note that a run ended badly, and say how long to wait before the next: 0 at first, then 1, 2, 4 … 30 s.

    What counts is how many there were in the last five minutes of this boot, so a crash a month is never waited for.
    systemd's own steps (RestartSteps=) need version 254 and count up for ever. Times are monotonic seconds.
    """
    folder = _folder("STATE_DIRECTORY")
    if folder is None:
        return 0.0
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    path = folder / BAD_ENDS
    ends = [one for one in _bad_ends(path, boot) if now_s - AMONG_S < one <= now_s] + [now_s]
    with suppress(OSError):
        path.write_text(json.dumps({"boot": boot, "at_s": ends[-MANY:]}))
    return min(2.0 ** (len(ends) - AT_ONCE - 1), LONGEST_PAUSE_S) if len(ends) > AT_ONCE else 0.0


def _bad_ends(path: Path, boot: str) -> list[float]:
    with suppress(OSError, ValueError):
        told = json.loads(path.read_text())
        if isinstance(told, dict) and told.get("boot") == boot and isinstance(told.get("at_s"), list):
            return [float(one) for one in told["at_s"] if isinstance(one, (int, float))]
    return []


def runtime_folder() -> Path | None:
    """Give the folder of this service that a reboot takes along, where systemd made one."""
    return _folder("RUNTIME_DIRECTORY")


def _folder(variable: str) -> Path | None:
    """Give the first of the folders that systemd made. Source: RuntimeDirectory= in systemd.exec(5)."""
    with suppress(KeyError):
        return Path(os.environ[variable].split(":")[0])
    return None
