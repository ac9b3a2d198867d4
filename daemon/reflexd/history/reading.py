"""Read the store without the daemon: while it runs, when it is stopped, and after it was killed. Nothing is written."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic_ns, time_ns
from types import TracebackType
from typing import Any, TypeAlias

from reflexd.history.incident import KERNEL_BOOT
from reflexd.history.shape import VERSION, version_of

BUSY_S = 5.0
AT_ONCE = 500
Told: TypeAlias = dict[str, Any]


class ReadError(OSError):
    """The store cannot be read; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for."""

    since_s: float | None = None       # not longer ago than that
    rule: str | None = None
    kind: str | None = None
    newest: int | None = None          # so many at most
    after: int = -1                    # stored after that one, by its seq


class Reader:
    """An open store."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises: ReadError."""
        self._path = path
        try:
            path.stat()
            self._db = _open(path)
        except FileNotFoundError:
            raise ReadError(f"{path}: no event has been stored there; see --store, and state_dir in [daemon]") from None
        except PermissionError:
            raise ReadError(f"{path}: may not be read by this user; use sudo") from None
        except NotADirectoryError:
            raise ReadError(f"{path}: is below something that is no folder; see --store") from None
        except sqlite3.Error as error:
            raise self._wrong(error) from None
        self._db.row_factory = sqlite3.Row
        self._check()

    def _check(self) -> None:
        try:
            have = version_of(self._db)
        except sqlite3.Error as error:
            self.close()
            raise self._wrong(error) from None
        if have != VERSION:
            self.close()
            made = "of an older reflexd; start the daemon once, which brings it up to date" if have else "no store; see --store"
            raise ReadError(f"{self._path}: is {made if have < VERSION else 'of a newer reflexd; use its reflexctl'}")

    def _wrong(self, error: sqlite3.Error) -> ReadError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedies = {sqlite3.SQLITE_CANTOPEN: "use sudo", sqlite3.SQLITE_READONLY: "use sudo", sqlite3.SQLITE_BUSY: "ask again",
                    sqlite3.SQLITE_NOTADB: "see --store", sqlite3.SQLITE_CORRUPT: "start the daemon, which begins a new one"}
        how = remedies.get(code, "look at the file and its disk")
        if code == sqlite3.SQLITE_CANTOPEN and os.access(self._path, os.R_OK):     # its log is there, and files beside it
            how = f"nothing can be written beside it: copy it and {self._path.name}-wal elsewhere, and see --store"
        return ReadError(f"{self._path}: {error}; {how}")

    def find(self, wanted: Wanted) -> list[Told]:
        """Give the events that are asked for, in the order in which they happened. Raises: ReadError."""
        return list(self.each(wanted))

    def each(self, wanted: Wanted) -> Iterator[Told]:
        """Give one after another of those that are stored by now: however many there are, memory holds few.

        Some are read at a time, so the log of the store does not grow while somebody looks at what came. Raises: ReadError.
        """
        which, values = self._which(wanted)
        newest = -1 if wanted.newest is None else wanted.newest
        first, last = self._read(f"SELECT min(seq), max(seq) FROM (SELECT seq FROM history WHERE {which} "     # noqa: S608  no value
                                 "ORDER BY seq DESC LIMIT ?)", [*values, newest])[0]
        while first is not None and first <= last:
            found = self._rows(f"{which} AND seq BETWEEN ? AND ? ORDER BY seq LIMIT {AT_ONCE}", [*values, first, last])
            yield from found
            first = found[-1]["seq"] + 1 if len(found) == AT_ONCE else None

    def rules(self) -> list[str]:
        """Name the rules that something is stored of. Raises: ReadError."""
        return [one[0] for one in self._read("SELECT DISTINCT rule FROM history WHERE rule <> '' ORDER BY rule", [])]

    @staticmethod
    def _which(wanted: Wanted) -> tuple[str, list[object]]:
        """Say which rows are asked for, and the values of that."""
        where = ["seq > ?"]
        values: list[object] = [wanted.after]
        for column in ("rule", "kind"):
            if getattr(wanted, column) is not None:
                where.append(f"{column} = ?")
                values.append(getattr(wanted, column))
        if wanted.since_s is not None:
            # Monotonic time within this boot: the wall clock may have stepped since.
            span = round(wanted.since_s * 1e9)
            where.append("CASE boot WHEN ? THEN monotonic_ns >= ? ELSE utc_ns >= ? END")
            values += [this_boot(), monotonic_ns() - span, time_ns() - span]
        return " AND ".join(where), values

    def ids(self) -> set[str]:
        """Give the ids of all events. Raises: ReadError."""
        try:
            return {str(one[0]) for one in self._db.execute("SELECT id FROM history")}
        except sqlite3.Error as error:
            raise self._wrong(error) from None

    def one(self, event_id: str) -> Told | None:
        """Give the event with that id. Raises: ReadError."""
        found = self._rows("id = ? ORDER BY seq DESC LIMIT 1", [event_id])
        return found[0] if found else None

    def _rows(self, where: str, values: Sequence[object]) -> list[Told]:
        return [_told(one) for one in self._read(f"SELECT * FROM history WHERE {where}", values)]    # noqa: S608  no value is in it

    def _read(self, what: str, values: Sequence[object]) -> list[sqlite3.Row]:
        try:
            return self._db.execute(what, values).fetchall()
        except sqlite3.Error as error:
            raise self._wrong(error) from None

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open for reading. Where the log of a store cannot be made beside it, and there is none, the file is the whole of it."""
    name = path.absolute().as_uri()
    db = sqlite3.connect(f"{name}?mode=ro", uri=True, timeout=BUSY_S)
    try:
        version_of(db)
    except sqlite3.OperationalError:
        db.close()
        if Path(f"{path}-wal").exists():
            raise
        return sqlite3.connect(f"{name}?mode=ro&immutable=1", uri=True, timeout=BUSY_S)
    except BaseException:
        db.close()
        raise
    return db


def _told(row: sqlite3.Row) -> Told:
    told = dict(row)
    for column in ("verdicts", "outputs", "models"):
        told[column] = json.loads(told[column])
    told["synchronised"] = None if told["synchronised"] is None else bool(told["synchronised"])
    told["time"] = datetime.fromtimestamp(told["utc_ns"] / 1e9, UTC).isoformat(timespec="milliseconds")
    return told


def this_boot() -> str:
    """Name this boot as the daemon does; empty where the kernel does not say."""
    try:
        return KERNEL_BOOT.read_text().strip()
    except OSError:
        return ""
