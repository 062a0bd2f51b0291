"""Gathering: one of the workers, whichever comes first, merges what all of them saw; when it dies, another goes on."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from ingest import database, merge
from ingest.closing import now_ms
from ingest.errors import SpoolError
from ingest.gaps import Tracker
from ingest.merge import Merge
from ingest.spool import Spool
from ingest.workers import GAPS, worker_spools

log = structlog.get_logger("courtyard.ingest")

_SAVE_S = 60.0
_READINGS = 20_000
_READINGS_EACH = 20
_MOST_BEHIND_MS = 30_000


class Gatherer:
    """One worker's part in it. All but `tracker` is for one thread."""

    def __init__(self, path: Path, spool: Spool) -> None:
        """Prepare.

        Args:
            path: this worker's spool; the merged state lies beside it.
            spool: the same, open.
        """
        self._path = path
        self._spool = spool
        self._gaps = path.with_name(GAPS)
        self._stack = ExitStack()
        self._db: sqlite3.Connection | None = None
        self._merge: Merge | None = None
        self._saved_at = 0.0
        self._clock_ms = 0

    @property
    def tracker(self) -> Tracker | None:
        """Knows what is missing; None while another worker merges."""
        return None if self._merge is None else self._merge.tracker

    def clock_ms(self) -> int:
        """Up to which arrivals all workers' sightings are merged, ms since the epoch; see `merged_until_ms`."""
        return self._clock_ms

    def step(self) -> None:
        """Merge, where no other worker does; and drop those of this worker's notes that are merged.

        Raises:
            SpoolError: a file cannot be read or written.
        """
        if self._merge is None:
            self._try_to_lead()
        if self._merge is not None and self._db is not None:
            clock_ms = merged_until_ms(self._spools())
            with database.translated("merging what the workers saw"), _opened(self._spools()) as spools:
                self._merge.take(spools)
                self._clock_ms = clock_ms
                self._save_if_due(self._merge, self._db)
        self._drop()

    def close(self) -> None:
        """Save, and let another worker merge.

        Raises:
            SpoolError: it cannot be saved; the notes are still there.
        """
        with self._stack:
            if self._merge is not None and self._db is not None and self._merge.readings:
                with database.translated("saving what the workers saw"):
                    self._merge.save(self._db)
        self._merge = self._db = None

    def _try_to_lead(self) -> None:
        with database.translated(f"opening {self._gaps}"), ExitStack() as stack:
            holder = _lock(self._gaps)
            if holder is None:
                return
            stack.enter_context(holder)
            db = stack.enter_context(closing(database.connected(self._gaps)))
            db.execute("BEGIN IMMEDIATE")
            for table in merge.TABLES:
                db.execute(table)
            db.execute("COMMIT")
            self._merge, self._db = Merge(db), db
            self._stack = stack.pop_all()
        self._saved_at = time.monotonic()
        log.info("this worker merges what all workers saw")

    def _save_if_due(self, merged: Merge, db: sqlite3.Connection) -> None:
        now = time.monotonic()
        many = max(_READINGS, _READINGS_EACH * merged.tracker.changed())
        if merged.readings and (merged.readings >= many or now - self._saved_at >= _SAVE_S):
            merged.save(db)
            self._saved_at = now

    def _spools(self) -> list[Path]:
        return sorted({self._path, *worker_spools(self._path.parent)})

    def _drop(self) -> None:
        """Drop the notes of this worker that are in the merged state's file."""
        if not self._gaps.exists():
            return
        name = self._spool.ask(database.identity)
        with database.translated(f"reading {self._gaps}"), closing(database.read_only(self._gaps)) as db:
            row = db.execute("SELECT note FROM positions WHERE spool = ?", (name,)).fetchone()
        if row is not None:
            self._spool.drop_notes(row[0])


def look(gaps: Path, snapshots: Mapping[str, sqlite3.Connection]) -> Merge:
    """What workers saw, as of now, from any process; changes nothing.

    Args:
        gaps: the merged state's file, which may be missing.
        snapshots: connections to the workers' spools, by the identity of each, whose transactions have begun to read:
            what is dropped from them now is in the merged state by then.

    Raises:
        SpoolError: a file cannot be read.
    """
    with database.translated("reading what the workers saw"):
        if not gaps.exists():
            merged = Merge(None)
        else:
            with closing(database.read_only(gaps)) as db:
                db.execute("BEGIN")
                made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'positions'").fetchone()
                merged = Merge(db if made else None)
        merged.take(snapshots)
    return merged


def merged_until_ms(spools: Iterable[Path]) -> int:
    """Up to which arrivals workers have noted what they saw, ms since the epoch.

    A worker that is behind by more than half a minute, or not running, is not waited for.

    Raises:
        SpoolError: a spool cannot be read.
    """
    now = now_ms()
    until = now
    with database.translated("looking how far the workers are"):
        for path in filter(database.is_held, spools):
            with closing(database.read_only(path)) as db:
                oldest = database.pending(db).oldest_ms
            until = min(until, now if oldest is None else oldest)
    return max(until, now - _MOST_BEHIND_MS)


@contextmanager
def _opened(paths: Iterable[Path]) -> Iterator[dict[str, sqlite3.Connection]]:
    """Read spools; by the identity of each."""
    with ExitStack() as stack:
        found = {}
        for path in paths:
            db = stack.enter_context(closing(database.read_only(path)))
            database.check_layout(db, path)
            found[database.identity(db)] = db
        yield found


def _lock(path: Path) -> TextIO | None:
    try:
        return database.locked(path, within_s=0.0)
    except SpoolError:
        return None
