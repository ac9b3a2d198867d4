"""What a driver leaves in this process, as the kernel tells it: descriptors and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

T = TypeVar("T")
SETTLE_S = 1.0     # a thread that was joined may be in /proc for another moment


def files_open() -> frozenset[str]:
    """Give each descriptor with what it is of."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):      # the one that reads the folder is gone already
            found.add(f"{entry.name}:{entry.readlink()}")
    return frozenset(name for name in found if "/proc/" not in name)


def threads_alive() -> dict[int, str]:
    """Give the name of each thread, those of libraries included, by the kernel's number for it."""
    ours = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = {}
    for entry in Path("/proc/self/task").iterdir():
        with suppress(OSError):      # it ended meanwhile
            found[int(entry.name)] = ours.get(int(entry.name)) or (entry / "comm").read_text().strip()
    return found


@dataclass(frozen=True)
class Traces:
    """What there was at a moment."""

    files: frozenset[str] = field(default_factory=files_open)
    threads: dict[int, str] = field(default_factory=threads_alive)

    def new_files(self) -> set[str]:
        """Give the descriptors that have come since."""
        return set(files_open() - self.files)

    def new_threads(self) -> set[str]:
        """Give the names of the threads that have come since."""
        return {name for number, name in threads_alive().items() if number not in self.threads}

    def left(self) -> set[str]:
        """Give what has come since and stays."""
        until = monotonic() + SETTLE_S
        while found := self.new_files() | self.new_threads():
            if monotonic() > until:
                break
            sleep(0.02)
        return found


def within(bound_s: float, what: Callable[[], T]) -> T:
    """Call it, and fail instead of waiting for ever when it does not return in time."""
    got: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            got.append(what())
        except BaseException as error:   # it is raised again where it was asked for
            raised.append(error)

    thread = threading.Thread(target=run, name="contract", daemon=True)
    thread.start()
    thread.join(bound_s)
    assert not thread.is_alive(), f"the call has not returned within {bound_s:g} s"
    if raised:
        raise raised[0]
    result: T = got[0]
    return result
