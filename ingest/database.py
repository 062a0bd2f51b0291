"""The spool's file as SQLite sees it: its tables, how it is opened, and how its failures are told."""

import fcntl
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ingest import barred, deadletters, gapfile
from ingest.errors import SpoolError, SpoolFullError
from ingest.frame import Spooled, opened

VERSION = 2
_BUSY_S = 10.0
_LOCK_S = 0.5
_WAL_PAGES = 2000  # a checkpoint after some 16 MB
_WAL_KEPT_BYTES = 64 * 1024 * 1024

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    first_ms INTEGER, -- of dead letters that are replayed: when they came first
    frame BLOB NOT NULL
)
""",
    *deadletters.TABLES,
    *gapfile.TABLES,
    *barred.TABLES,
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
_FROM_1 = (
    "ALTER TABLE batches ADD COLUMN first_ms INTEGER",
    "ALTER TABLE dead_letters ADD COLUMN replayed_ms INTEGER",
    # Layout 1 did not count what it took.
    """
INSERT INTO counters SELECT 'taken', '', '',
    coalesce((SELECT value FROM counters WHERE entry = 'messages'), 0)
    + (SELECT coalesce(sum(messages), 0) FROM batches)
""",
)
PENDING = "SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(bytes), 0), min(received_ms) FROM batches"
_BATCHES = (
    "SELECT id, coalesce(first_ms, received_ms), first_ms IS NOT NULL, messages, bytes, frame "
    "FROM batches WHERE id > ? ORDER BY id"
)
COUNTED = "SELECT entry, kind, reason, value FROM counters"
COUNT = (
    "INSERT INTO counters (entry, kind, reason, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (entry, kind, reason) DO UPDATE SET value = value + excluded.value"
)


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits in the spool.

    Attributes:
        batches: number of batches.
        messages: number of messages in them.
        size: their size, in bytes.
        oldest_ms: when the oldest was received, ms since the epoch, or None where nothing waits.
    """

    batches: int = 0
    messages: int = 0
    size: int = 0
    oldest_ms: int | None = None


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables that are missing, and bring those of an earlier version up to date.

    Raises:
        SpoolError: the file was written by a version with a layout that this one does not know.
    """
    version = layout(db)
    if version not in {0, 1, VERSION}:
        raise SpoolError(
            f"the spool {path} has layout {version}, this program knows {VERSION}: "
            "empty it with the version that wrote it"
        )
    db.execute("BEGIN IMMEDIATE")
    for statement in (*(_FROM_1 if version == 1 else ()), *_SCHEMA):
        db.execute(statement)
    if identity(db) == "0":
        db.execute(f"PRAGMA application_id = {secrets.randbelow(2**31 - 1) + 1}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def identity(db: sqlite3.Connection) -> str:
    """What tells a spool's file from any other, whatever it is called."""
    (number,) = db.execute("PRAGMA application_id").fetchone()
    return str(number)


def check_layout(db: sqlite3.Connection, path: Path) -> None:
    """Check that a file can be read by this version.

    Raises:
        SpoolError: it was written by another.
    """
    if layout(db) != VERSION:
        raise SpoolError(f"the spool {path} has layout {layout(db)}, this program reads {VERSION}")


def pending(db: sqlite3.Connection) -> Pending:
    """What waits in the spool."""
    return Pending(*db.execute(PENDING).fetchone())


def layout(db: sqlite3.Connection) -> int:
    """The version of the layout; 0 for a file without tables."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


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


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also while another process uses the file."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)


def locked(path: Path, *, within_s: float = _LOCK_S) -> TextIO:
    """Hold the spool for this process alone, until what is returned is closed.

    Args:
        path: the spool.
        within_s: try for so long, in seconds.

    Raises:
        SpoolError: another process holds it.
    """
    holder = lock_of(path).open("w")
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            # `is_held` holds it for a moment, too.
            if time.monotonic() < deadline:
                time.sleep(_LOCK_S / 10)
                continue
            holder.close()
            raise SpoolError(
                f"another process uses the spool {path}: stop it, or give this one a spool of its own"
            ) from exc
        return holder


def free_bytes(db: sqlite3.Connection, path: Path) -> int:
    """How many more bytes a spool can take before its disk is full."""
    (page,), (pages,), (unused,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
    )
    # What is in the journal alone will yet go into the file. Neither of the two shrinks, but what was trimmed is used
    # again, and so is the journal: its size is part of what is kept free, for it is what that is for.
    journal = path.with_name(path.name + "-wal").stat().st_size
    to_come = max(0, pages * page - path.stat().st_size)
    return int(shutil.disk_usage(path.parent).free + journal - to_come + unused * page)


def lock_of(path: Path) -> Path:
    """The file whose lock says that a process uses the file `path`."""
    return path.with_name(path.name + ".lock")


def is_held(path: Path) -> bool:
    """Whether a process uses the spool."""
    try:
        with lock_of(path).open() as holder:
            fcntl.flock(holder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def read_batches(db: sqlite3.Connection, *, after_id: int, messages: int, size: int) -> list[Spooled]:
    """Read batches as `Spool.read` does, through any connection."""
    found: list[Spooled] = []
    rows = db.execute(_BATCHES, (after_id,))
    for number, received_ms, replayed, count, length, frame in rows:
        if found and found[0].replayed != bool(replayed):
            break
        found.append(Spooled(number, received_ms, count, opened(frame, count), bool(replayed), length))
        messages -= count
        size -= length
        if messages <= 0 or size <= 0:
            break
    rows.close()
    return found


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
