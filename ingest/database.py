"""The spool's file as SQLite sees it: its tables, how it is opened, and how its failures are told."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ingest import deadletters
from ingest.errors import SpoolError, SpoolFullError

VERSION = 1
_BUSY_S = 10.0
_WAL_PAGES = 2000  # a checkpoint after some 16 MB
_WAL_KEPT_BYTES = 64 * 1024 * 1024

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    frame BLOB NOT NULL
)
""",
    deadletters.TABLE,
    """
CREATE TABLE IF NOT EXISTS counters (
    entry TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (entry, kind, reason)
) WITHOUT ROWID
""",
)
PENDING = "SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(bytes), 0), min(received_ms) FROM batches"
COUNTED = "SELECT entry, kind, reason, value FROM counters"
COUNT = (
    "INSERT INTO counters (entry, kind, reason, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (entry, kind, reason) DO UPDATE SET value = value + excluded.value"
)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables that are missing.

    Raises:
        SpoolError: the file was written by a version with another layout.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise SpoolError(
            f"the spool {path} has layout {version}, this program knows {VERSION}: "
            "empty it with the version that wrote it"
        )
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def connected(path: Path) -> sqlite3.Connection:
    """A connection whose commits reach the disk."""
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    except BaseException:
        db.close()
        raise
    return db


def locked(path: Path) -> TextIO:
    """Hold the spool for this process alone, until what is returned is closed.

    Raises:
        SpoolError: another process holds it.
    """
    holder = path.with_name(path.name + ".lock").open("w")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder.close()
        raise SpoolError(
            f"another process uses the spool {path}: stop it, or give this one a spool of its own"
        ) from exc
    return holder


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into our errors.

    Raises:
        SpoolFullError: the disk is full.
        SpoolError: anything else.
    """
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        raise (SpoolFullError if code == sqlite3.SQLITE_FULL else SpoolError)(f"{doing}: {exc}") from exc
    except OSError as exc:
        raise SpoolError(f"{doing}: {exc}") from exc
