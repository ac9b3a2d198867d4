"""Events to store, and disks that fail on demand."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reflexd.config.settings import Settings
from reflexd.history.incident import Incident, Kind, Run
from reflexd.history.store import connect
from reflexd.rules.items import Verdict

SETTINGS = Settings(schema=1)
NS = 1_000_000_000


def run_named(name: str = "abc123", began_ns: int = 1) -> Run:
    return Run(name, "this boot", began_ns, 1_700_000_000 * NS, "0.1.0")


def incident(number: int, rule: str = "light the path", run: str = "abc123", **changes: Any) -> Incident:
    """Make an event as the loop would."""
    reasons = (Verdict(True, "model.gate person at least 0.7", 0.82, "3 of 5 hits", 0.12),
               Verdict(False, "sensor.away is true", False))
    given: dict[str, Any] = {
        "id": f"{run}-{number}", "number": number, "kind": Kind.FIRED, "rule": rule, "reasons": reasons, "text": "",
        "outputs": (("lamp", 1.0),), "held": "", "settings": SETTINGS, "models": {"gate": "f" * 64}, "frame_age_ns": 40_000_000,
        "latency_ns": 41_500_000, "utc_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns(), "synchronised": None}
    return Incident(**{**given, **changes})


class Log(list[tuple[str, str]]):
    """What was told."""

    def __call__(self, event: Any, text: str) -> None:
        self.append((event.name, text))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


class Disk:
    """Opens stores, and fails in the manner that the test asks for, as SQLite itself tells it."""

    def __init__(self) -> None:
        self.failing: int | None = None        # an error code of SQLite
        self.opened = 0
        self.failed = 0

    def __call__(self, path: Path) -> sqlite3.Connection:
        self.opened += 1
        self._check()
        disk = self

        class Failing(sqlite3.Connection):
            def execute(self, *args: Any) -> sqlite3.Cursor:
                if args[0] == "COMMIT":
                    disk._check()
                return super().execute(*args)

        return sqlite3.connect(path, factory=Failing, timeout=0.1, isolation_level=None)

    def _check(self) -> None:
        if self.failing is not None:
            self.failed += 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.failing      # type: ignore[misc]
            raise error


Opens = Callable[[Path], sqlite3.Connection]
__all__ = ["SETTINGS", "Disk", "Log", "connect", "incident", "run_named"]
