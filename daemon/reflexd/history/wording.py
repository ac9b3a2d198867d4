"""Events as they are stored, the hash of the settings that they were decided by, and what is wrong with a disk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reflexd.config.settings import Settings
from reflexd.history.incident import Incident, Run
from reflexd.history.shape import RUN_SHIFT
from reflexd.output import level_text
from reflexd.replay.plain import plain_of
from reflexd.rules.items import Verdict

NAMES = ("seq", "kind", "rule", "why", "verdicts", "outputs", "held", "config", "models", "frame_age_ms", "latency_ms", "utc_ns",
         "monotonic_ns", "synchronised")       # of the columns
PARTED = ("verdicts", "outputs", "models")      # columns of JSON
REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on that disk",
    sqlite3.SQLITE_READONLY: "let the daemon's user write there, or look why the disk is read-only",
    sqlite3.SQLITE_IOERR: "look at the card: it may be failing",
    sqlite3.SQLITE_BUSY: "end what holds the file",
    sqlite3.SQLITE_CANTOPEN: "let the daemon's user write to that folder",
}


def row(run: int, one: Incident, config: str) -> tuple[object, ...]:
    """Put an event into words, in the order of the columns."""
    verdicts = [_plain(reason) for reason in one.reasons]
    why = _text(one.text or "; ".join(map(str, one.reasons)))
    return (run << RUN_SHIFT | one.number, one.kind.value, one.rule, why, _json(verdicts),
            _json({name: level_text(level) for name, level in one.outputs}), _text(one.held), config, _json(dict(one.models)),
            _ms(one.frame_age_ns), _ms(one.latency_ns), one.utc_ns, one.monotonic_ns, one.synchronised)


def as_told(run: Run, one: Incident, config: str) -> dict[str, Any]:
    """Give an event as readers of the store are told it, but for its place there."""
    told: dict[str, Any] = {"id": one.id, **dict(zip(NAMES, row(0, one, config), strict=True))}
    del told["seq"]
    for column in PARTED:
        told[column] = json.loads(told[column])
    return {**told, "boot": run.boot, "version": run.version, "time": moment_of(one.utc_ns)}


def moment_of(utc_ns: int) -> str:
    """Write a moment of the wall clock."""
    return datetime.fromtimestamp(utc_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _plain(verdict: Verdict) -> dict[str, object]:
    observed = verdict.observed if not isinstance(verdict.observed, float) else round(verdict.observed, 6)
    plain: dict[str, object] = {"what": verdict.what, "truth": verdict.truth, "observed": observed}
    more = {"note": verdict.note or None, "margin": None if verdict.margin is None else round(verdict.margin, 6),
            "unit": verdict.unit or None}
    return plain | {name: value for name, value in more.items() if value is not None}


def _json(value: object) -> str:
    return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _text(text: str) -> str:
    """Write what no encoding can say, as half of a pair from a file's name, so that it can be stored."""
    return text.encode("utf-8", "backslashreplace").decode()


def _ms(span_ns: int | None) -> float | None:
    return None if span_ns is None else round(span_ns / 1e6, 3)


class Hashes:
    """The hash of the settings that decide; computed once for each configuration."""

    def __init__(self) -> None:
        self._last: tuple[Settings, str] | None = None

    def of(self, incident: Incident) -> str:
        """Give it for what was in force then."""
        if self._last is None or self._last[0] is not incident.settings:
            self._last = (incident.settings, config_hash(incident.settings))
        return self._last[1]


def config_hash(settings: Settings) -> str:
    """Give the SHA-256 of all settings that have a part in decisions."""
    return hashlib.sha256(json.dumps(plain_of(settings), sort_keys=True).encode()).hexdigest()


def explained(error: Exception, path: Path) -> str:
    """Say what is wrong with the store and what to do."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return f"{path}: {error}; {REMEDIES.get(code, 'look at the file and its disk')}"
    if isinstance(error, FileNotFoundError):
        return f"{path.parent}: there is no such folder; make it, or set state_dir in [daemon]"
    if isinstance(error, IsADirectoryError):
        return f"{path}: is a folder, and the store has to be a file; move it away"
    if isinstance(error, OSError):
        return f"{path}: {(error.strerror or str(error)).lower()}; let the daemon's user write there, and look at the disk"
    return f"{path}: {error}"
