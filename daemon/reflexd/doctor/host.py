"""The computer: Python and its libraries, power, clock, journal, hardware watchdog."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reflexd.doctor.context import Context
from reflexd.doctor.table import Finding, finding

LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python-headless", "pydantic": "pydantic", "gpiozero": "gpiozero",
             "serial": "pyserial", "tree_sitter": "tree-sitter", "tree_sitter_toml": "tree-sitter-toml"}
RUNTIMES = {"ai_edge_litert.interpreter": "", "tflite_runtime.interpreter": "runtime-fallback"}    # as in reflexd_models.runtime
OLDEST, NEWEST = (3, 11), (3, 13)
LONGEST_WATCHDOG_S = 15
UNITS_S = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "d": 86_400}

# The firmware's word: what is now, and 16 bits further what was since the boot; the hwmon driver has bit 0 alone.
# Assumption, cannot be tried without the board. Source: github.com/raspberrypi/linux issue 2367, pull requests 2397 and 2706.
THROTTLED = {0x1: "under-voltage", 0xE: "throttled", 0x1_0000: "under-voltage-before", 0xE_0000: "throttled-before"}


def python(context: Context) -> Iterator[Finding]:
    """Is this a Python that reflexd is tried with?"""
    if not OLDEST <= context.outside.python <= NEWEST:
        yield finding("python-unsupported", "Python {}.{}".format(*context.outside.python))


def libraries(context: Context) -> Iterator[Finding]:
    """Can everything be imported, and which runtime is taken?"""
    for module, package in LIBRARIES.items():
        if (why := _trouble(context, module)) is not None:
            yield finding("library-missing", f"{module}: {why}", package=package)
    reasons = []
    for module, told in RUNTIMES.items():
        why = _trouble(context, module)
        if why is None:
            if told:
                yield finding(told, f"{module.split('.')[0]} is the runtime")
            return
        reasons.append(f"{module}: {why}")
    yield finding("runtime-missing", "; ".join(reasons))


def _trouble(context: Context, module: str) -> str | None:
    try:
        context.outside.module(module)
    except Exception as error:    # a library that is broken raises whatever it likes while it is imported
        return str(error) or type(error).__name__
    return None


def power(context: Context) -> Iterator[Finding]:
    """Does the supply suffice, and does the processor run at full speed?"""
    bits = 0
    for path in context.root.glob("sys/devices/platform/*/*firmware/get_throttled"):
        bits |= int(path.read_text(), 16)
    for path in context.root.glob("sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        if path.with_name("name").read_text().strip() == "rpi_volt":
            bits |= int(path.read_text())
    for mask, id_ in THROTTLED.items():
        if bits & mask:
            yield finding(id_, f"the firmware says {bits:#x}")


def clock(context: Context) -> Iterator[Finding]:
    """Does somebody keep the clock right?"""
    if not context.outside.clock_is_set():
        yield finding("clock-not-synchronised", "the kernel's clock is kept right by nobody")


def journal(context: Context) -> Iterator[Finding]:
    """Will the journal survive a power cut?"""
    storage, file = setting(context, "journald.conf", "Storage")
    if storage in ("volatile", "none"):
        yield finding("journal-volatile", f"Storage={storage} in {file}")
    elif storage != "persistent" and not context.path("/var/log/journal").is_dir():
        yield finding("journal-volatile", "there is no /var/log/journal")


def hardware_watchdog(context: Context) -> Iterator[Finding]:
    """Would the hardware end a kernel that hangs?"""
    if not context.path("/dev/watchdog0").exists():
        yield finding("hardware-watchdog-missing", "there is no /dev/watchdog0")
        return
    wanted, file = setting(context, "system.conf", "RuntimeWatchdogSec")
    seconds = span_s(wanted)
    if context.read("/sys/class/watchdog/watchdog0/state") != "active" and not seconds:
        yield finding("hardware-watchdog-off", f"RuntimeWatchdogSec={wanted or 'off'}")
    elif seconds > LONGEST_WATCHDOG_S and context.is_pi:
        yield finding("hardware-watchdog-long", f"RuntimeWatchdogSec={wanted} in {file}", file=file)


def setting(context: Context, name: str, key: str) -> tuple[str, str]:
    """Give the value of a key of systemd's own configuration that counts, and its file; both empty where nobody says it.

    Source: the order of files in systemd-system.conf(5) and journald.conf(5).
    """
    folders = [f"{top}/systemd" for top in ("/etc", "/run", "/usr/local/lib", "/usr/lib")]
    main = next((path for folder in folders if (path := context.path(f"{folder}/{name}")).exists()), None)
    by_name = {path.name: path for folder in reversed(folders) for path in context.path(f"{folder}/{name}.d").glob("*.conf")}
    value = file = ""
    for path in [*([main] if main else []), *(by_name[one] for one in sorted(by_name))]:
        for found in re.findall(rf"^[ \t]*{key}[ \t]*=[ \t]*(.*?)[ \t]*$", path.read_text(errors="replace"), re.MULTILINE):
            value, file = found, f"/{path.relative_to(context.root)}"
    return value, file


def span_s(text: str) -> float:
    """Read a span of systemd as "1min 30s"; 0 for none, the longest that is fine for a word as "default"."""
    if text in ("", "off", "0"):
        return 0
    parts = re.findall(r"([\d.]+)\s*([a-z]*)", text)
    return sum(float(number) * UNITS_S.get(unit, 1) for number, unit in parts) if parts else float(LONGEST_WATCHDOG_S)
