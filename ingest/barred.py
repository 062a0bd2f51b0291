"""What was deleted for good: readings of that time do not come back by way of the spool, a device's memory or a replay.

Whoever deletes says so in the spool's file first. What is read from it afterwards is held against it, and what ingest
had read before has left the spool when `is_past` says so: only then everything that came is in the store, or barred.
"""

import sqlite3

from ingest.rows import Barred

TABLES = ("CREATE TABLE IF NOT EXISTS barred (compound TEXT PRIMARY KEY, before_ms INTEGER NOT NULL) WITHOUT ROWID",)
_BAR = (
    "INSERT INTO barred (compound, before_ms) VALUES (?, ?) "
    "ON CONFLICT (compound) DO UPDATE SET before_ms = max(before_ms, excluded.before_ms)"
)


def read(db: sqlite3.Connection) -> Barred:
    """Before when readings of each compound are barred, ms since the epoch."""
    return dict(db.execute("SELECT compound, before_ms FROM barred"))


def bar(db: sqlite3.Connection, compound: str, before_ms: int) -> int:
    """Bar the readings of a compound before a time, in a transaction of its own.

    Args:
        db: a connection to the spool's file, of this layout or the same without this table.
        compound: its id.
        before_ms: the time, ms since the epoch; an earlier one than is barred already changes nothing.

    Returns:
        The number of the newest batch that may have been read without regard to this; 0 where none waits.
    """
    db.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        db.execute(statement)
    db.execute(_BAR, (compound, before_ms))
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()
    db.execute("COMMIT")
    return int(newest)


def is_past(db: sqlite3.Connection, batch: int) -> bool:
    """Whether a batch and all before it have left the spool."""
    return db.execute("SELECT 1 FROM batches WHERE id <= ? LIMIT 1", (batch,)).fetchone() is None
