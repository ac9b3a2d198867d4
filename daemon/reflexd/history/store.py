"""The store of events: one SQLite file, written by one thread, which may wait for a disk as long as that takes.

What add() has returned from outlives the process. With durability "full" it outlives a power cut as well: the log of the
store is synced before add() returns. Source: "Durability" in sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from reflexd.history.incident import Incident, Run
from reflexd.history.shape import RUN_SHIFT, migrate, refuse_newer
from reflexd.history.wording import row

FILE = "events.db"
COMPANIONS = ("-wal", "-shm")      # of SQLite, beside the file
ASIDE = 3                          # damaged stores that are kept
BUSY_S = 2.0                       # for another process that holds the store, as reflexctl prune
LOG_PAGES = 100                    # of the store's log, until they are taken over into the file
ROOM_PAGES = 100                   # that are given back at once: they fit the cache, so those that go are not written first
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
COLUMNS = 14

Connect = Callable[[Path], sqlite3.Connection]


class DamagedError(ValueError):
    """The file is no store, or no longer one."""


class Bounds(NamedTuple):
    """What is kept at most, and at least."""

    oldest_utc_ns: int | None       # what happened earlier may go; None while the time is not known
    most_bytes: int
    per_rule: int                   # the newest of each rule that stay whatever the other two say


def connect(path: Path) -> sqlite3.Connection:
    """Open a file for the calling thread alone. Raises: sqlite3.Error."""
    return sqlite3.connect(os.fspath(path), timeout=BUSY_S, isolation_level=None)


class Store:
    """An open store."""

    def __init__(self, path: Path, durability: str = "normal", opens: Connect = connect) -> None:
        """Open the file, made where there is none. Raises: DamagedError, NewerError, sqlite3.Error, OSError."""
        self.path = path
        self.durability = durability
        _make(path)
        self._db = opens(path)
        try:
            with _telling_damage():
                self._prepare(durability)
            self._file = _identity(path)
            self.kept = self.count()      # events, from here on without looking at all of them
        except BaseException:
            self.close()
            raise

    def _prepare(self, durability: str) -> None:
        if not refuse_newer(self._db):
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")       # said again, it is written again
        # Debian's SQLite writes zeros over all that is deleted, which costs a card as much as the events did; not so with FAST.
        for pragma in ("journal_mode = WAL", "secure_delete = FAST", f"synchronous = {durability}",
                       f"wal_autocheckpoint = {LOG_PAGES}", f"journal_size_limit = {4 * LOG_PAGES * 4096}", "cache_size = -512",
                       "temp_store = MEMORY"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DamagedError(str(found).splitlines()[-1])      # above it stands only which database
        # What a failed sync left in the log may be in memory only, and would not be synced again: take it over into the file.
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        migrate(self._db)

    def add(self, run: Run, incidents: Sequence[Incident], config: Callable[[Incident], str]) -> int:
        """Store events, all of them or none; one that is there already stays as it is. Gives the bytes of their texts.

        Raises: DamagedError, sqlite3.Error.
        """
        with self._transaction():
            number = self._number_of(run)
            rows = [row(number, one, config(one)) for one in incidents]
            # not INSERT OR IGNORE, which would pass over a value that is missing as well
            new = self._db.executemany(
                f"INSERT INTO events VALUES ({', '.join('?' * COLUMNS)}) ON CONFLICT (seq) DO NOTHING", rows).rowcount   # noqa: S608
        self.kept += new
        return sum(len(text) for one in rows for text in one if isinstance(text, str))

    def _number_of(self, run: Run) -> int:
        found = self._db.execute("SELECT run FROM runs WHERE name = ? AND boot = ? AND began_ns = ?",
                                 (run.name, run.boot, run.began_ns)).fetchone()
        if found is not None:
            return int(found[0])
        made = self._db.execute("INSERT INTO runs (name, boot, began_ns, began_utc_ns, version) VALUES (?, ?, ?, ?, ?)",
                                (run.name, run.boot, run.began_ns, run.began_utc_ns, run.version))
        return int(made.lastrowid or 0)

    @property
    def gone(self) -> bool:
        """Say whether the file or its log was removed or exchanged: what is written now would be in no file that has a name."""
        try:
            return _identity(self.path) != self._file or not Path(f"{self.path}-wal").exists()
        except OSError:
            return True

    def count(self) -> int:
        """Count the events that are stored."""
        return int(self._one("SELECT count(*) FROM events"))

    @property
    def used_bytes(self) -> int:
        """How much of the file is in use; its log adds what waits for LOG_PAGES to be full."""
        free, pages, size = (int(self._one(f"PRAGMA {name}")) for name in ("freelist_count", "page_count", "page_size"))
        return (pages - free) * size

    def tidy(self, bounds: Bounds, most: int = 500) -> int:
        """Remove some of what need not be kept, the oldest first; gives how many went. Call again until none does.

        Raises: DamagedError, sqlite3.Error.
        """
        with _telling_damage():
            last = self._last_outdated(bounds.oldest_utc_ns)
            if self.used_bytes > bounds.most_bytes:
                last = 1 << 62
            return self._remove_before(last, bounds.per_rule, most) if last else 0

    def _last_outdated(self, oldest_utc_ns: int | None) -> int:
        """Find the last event that is too old; what was stored before it is older, whatever its clock said."""
        if oldest_utc_ns is None:
            return 0
        return int(self._one("SELECT max(seq) FROM events WHERE utc_ns < ? AND synchronised IS NOT 0", oldest_utc_ns) or 0)

    def _remove_before(self, last: int, keep: int, most: int) -> int:
        """Remove events up to `last`, but the newest `keep` of each rule."""
        places = "SELECT seq, row_number() OVER (PARTITION BY rule ORDER BY seq DESC) AS place FROM events"
        with self._transaction():
            gone = self._db.execute(
                f"DELETE FROM events WHERE seq IN (SELECT seq FROM ({places}) WHERE place > ? AND seq <= ? "    # noqa: S608
                "ORDER BY seq LIMIT ?)", (keep, last, most)).rowcount
        self.kept -= gone
        return gone

    def prune(self, before_utc_ns: int | None, keep: int | None) -> int:
        """Remove what happened before that, or all but the newest `keep`, and give their room back. Gives how many went.

        Raises: DamagedError, sqlite3.Error.
        """
        last = self._last_outdated(before_utc_ns)
        if keep is not None:
            last = int(self._one("SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?", keep) or 0)
        with self._transaction():
            gone = self._db.execute("DELETE FROM events WHERE seq <= ?", (last,)).rowcount
            newest = self._one("SELECT max(run) FROM runs")
            self._db.execute(f"DELETE FROM runs WHERE run < ? AND run NOT IN (SELECT seq >> {RUN_SHIFT} FROM events)",   # noqa: S608
                             (newest,))
        self.kept -= gone
        self._give_back()
        return gone

    def _give_back(self) -> None:
        """Make the file as small as what is in it."""
        with _telling_damage():
            before = -1
            while (free := int(self._one("PRAGMA freelist_count"))) and free != before:
                before = free
                self._db.executescript(f"PRAGMA incremental_vacuum({ROOM_PAGES})")      # execute() would give back one page

    def recall(self, key: str) -> Any:    # noqa: ANN401  what JSON gives
        """Give what was noted under that key; None where nothing was. Raises: DamagedError, sqlite3.Error."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        with suppress(ValueError, TypeError):
            return json.loads(found)
        return None

    def note(self, key: str, value: object) -> None:
        """Keep something small that is about the store. Raises: DamagedError, sqlite3.Error."""
        with self._transaction():
            self._db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                             (key, json.dumps(value)))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _one(self, what: str, *values: object) -> Any:    # noqa: ANN401
        with _telling_damage():
            found = self._db.execute(what, values).fetchone()
        return None if found is None else found[0]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _telling_damage():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):      # what failed first says more
                    self._db.execute("ROLLBACK")
                raise


def set_aside(path: Path) -> Path:
    """Give a damaged store another name, with what belongs to it, so that a new one can begin. Raises: OSError."""
    folder, name = path.parent, path.name
    taken = sorted((one for one in folder.glob(f"{name}.damaged-*") if not one.name.endswith(COMPANIONS)), key=_number)
    aside = folder / f"{name}.damaged-{_number(taken[-1]) + 1 if taken else 1}"
    for ending in (*COMPANIONS, ""):       # the file last: as long as it is there, this is done once more
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{aside}{ending}")
    for old in taken[: max(0, len(taken) + 1 - ASIDE)]:
        for ending in (*COMPANIONS, ""):
            Path(f"{old}{ending}").unlink(missing_ok=True)
    return aside


def _number(path: Path) -> int:
    tail = path.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _identity(path: Path) -> tuple[int, int]:
    there = path.stat()
    return there.st_dev, there.st_ino


def _make(path: Path) -> None:
    """See that there is a file which the daemon's user may use, also where root comes first. Raises: OSError, DamagedError."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        there = os.fstat(opened)
        if not stat.S_ISREG(there.st_mode):
            raise DamagedError("it is no regular file")
        if os.geteuid() == 0 and there.st_size == 0:
            owner = path.parent.stat()
            os.fchown(opened, owner.st_uid, owner.st_gid)
    finally:
        os.close(opened)


@contextmanager
def _telling_damage() -> Iterator[None]:
    """Tell a damaged file from a disk that does not take what is written."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in DAMAGED:
            raise DamagedError(str(error)) from error
        raise
