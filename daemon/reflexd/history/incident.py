"""What happened, as the loop takes it down: values that were at hand, put into words by the writer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from reflexd import __version__
from reflexd.aftermath import runtime_folder
from reflexd.config.settings import Settings
from reflexd.rules.items import Verdict

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"      # without i, l, o and u, which are read as something else
RUN_DIGITS = 6           # 2 to the 30: two runs of a thousand share a name in one store of two thousand
KERNEL_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Kind(Enum):
    """What can happen."""

    FIRED = "fired"              # a rule began to act
    MAX_ON = "max-on"            # an output was active for max_on_s and went safe
    ALL_SAFE = "all-safe"        # every output is held safe
    PERMITTED = "permitted"      # what held them safe is over
    NOT_SAFE = "not-safe"        # an output may not have taken its safe level


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the daemon; ids count on within it."""

    name: str
    boot: str              # id of the boot that monotonic times belong to
    began_ns: int          # monotonic
    began_utc_ns: int
    version: str = __version__

    @classmethod
    def begin(cls) -> Run:
        """Give this run a name that needs no disk to be unique."""
        name = "".join(secrets.choice(DIGITS) for _ in range(RUN_DIGITS))
        return cls(name, boot_id(runtime_folder(), name), time.monotonic_ns(), time.time_ns())


@dataclass(frozen=True, slots=True)
class Incident:
    """Something happened."""

    id: str                              # "3fa2kx-17": the run and a number in it
    number: int
    kind: Kind
    rule: str                            # "" where none had to do with it
    reasons: tuple[Verdict, ...]         # why the rule fired
    text: str                            # why, where there are no reasons
    outputs: tuple[tuple[str, float], ...]     # with their levels; none: all of them
    held: str                            # why nothing was driven; "" where it was
    settings: Settings                   # by which it was decided
    models: Mapping[str, str]            # hash of each network that the rule looks at, where that is known
    frame_age_ns: int | None             # of the frame that caused it, when it was decided on
    latency_ns: int | None               # from that frame until the outputs stood
    utc_ns: int
    monotonic_ns: int
    synchronised: bool | None            # whether the wall clock was; None: unknown


def unknown() -> bool | None:
    """Say that nothing is known of the wall clock."""
    return None


def boot_id(folder: Path | None, fallback: str, kernel: Path = KERNEL_BOOT) -> str:
    """Name this boot: as the kernel does, else as a file says that a reboot takes along, else this run alone.

    A sandbox with ProcSubset=pid hides the kernel's own.
    """
    for path in (kernel, folder / "boot" if folder else None):
        try:
            if path is not None and (found := path.read_text().strip()):
                return found
        except OSError:
            continue
    if folder is not None:
        try:
            (folder / "boot").write_text(f"run-{fallback}\n")
        except OSError:
            pass
    return f"run-{fallback}"
