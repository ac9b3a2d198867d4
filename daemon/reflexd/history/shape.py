"""The shape of the store, and how it came to be: each step takes a store from one version to the next.

A step that was released is never changed; another shape is another step. PRAGMA user_version says how many were taken.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

RUN_SHIFT = 32       # seq = run << 32 | number: what is stored goes to the end of one tree, which costs a card the least

STEPS: tuple[tuple[str, ...], ...] = (
    (   # 1
        """CREATE TABLE runs (
            run INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL, boot TEXT NOT NULL, began_ns INTEGER NOT NULL, began_utc_ns INTEGER NOT NULL,
            version TEXT NOT NULL)""",
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY,
            kind TEXT NOT NULL, rule TEXT NOT NULL, why TEXT NOT NULL, verdicts TEXT NOT NULL, outputs TEXT NOT NULL,
            held TEXT NOT NULL, config TEXT NOT NULL, models TEXT NOT NULL,
            frame_age_ms REAL, latency_ms REAL, utc_ns INTEGER NOT NULL, monotonic_ns INTEGER NOT NULL, synchronised INTEGER)""",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    (   # 2: what readers see, with ids as the log has them
        """CREATE VIEW history AS SELECT
            runs.name || '-' || (seq & 4294967295) AS id, seq, kind, rule, why, verdicts, outputs, held, config, models,
            frame_age_ms, latency_ms, utc_ns, monotonic_ns, synchronised, boot, version
            FROM events JOIN runs ON runs.run = seq >> 32""",
    ),
)
VERSION = len(STEPS)


class NewerError(ValueError):
    """The store was made by a newer reflexd."""


def migrate(db: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Bring a store to the last step, all at once or not at all. Raises: NewerError, sqlite3.Error."""
    if refuse_newer(db, len(steps)) == len(steps):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version_of(db):]:       # asked again: another process may have been at it
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def refuse_newer(db: sqlite3.Connection, known: int = VERSION) -> int:
    """Give the version of a store that this reflexd knows. Raises: NewerError, sqlite3.Error."""
    have = version_of(db)
    if have > known:
        raise NewerError(f"it is of version {have}, and this reflexd knows {known}; use that one, or move the file away")
    return have


def version_of(db: sqlite3.Connection) -> int:
    """Say how many steps a store has taken."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])
