"""The write log: whose rows were written into which quarters of an hour, so that just those are rolled up anew.

Ingest notes each write after the store has accepted it and before the spool lets go of its messages: after a crash in
between both are done again, which does no harm. One SQLite file for each ingest process (WAL, synchronous=FULL), which
its readers open too: the rollup worker, and whoever else follows what is written. A mark is forgotten when every reader
has done with it; one other than the rollup worker who has not been seen for a day is waited for no more.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch
from rollups.errors import WriteLogError
from rollups.grains import QUARTER_NS

SUFFIX = ".writelog"
EVERYTHING = ""
"""Stands for a table where all rows of all devices from a quarter on may have been written."""

MAX_BYTES = 256 * 1024 * 1024
"""Where nobody rolls up, the log becomes one row that says from when on all is to be done."""

ROLLUPS = "rollups"
"""The reader that rolls up."""

_AWAY_S = 86_400
_LOOK_EVERY = 256
_BUSY_S = 10.0
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    measurement TEXT NOT NULL,
    first INTEGER NOT NULL,
    devices TEXT NOT NULL,
    cells BLOB NOT NULL
)
""",
    "CREATE TABLE IF NOT EXISTS readers (name TEXT PRIMARY KEY, up_to INTEGER, seen_s REAL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS newest (compound TEXT PRIMARY KEY, quarter INTEGER NOT NULL) WITHOUT ROWID",
)
_NEWEST = (
    "INSERT INTO newest (compound, quarter) VALUES (?, ?) "
    "ON CONFLICT (compound) DO UPDATE SET quarter = max(quarter, excluded.quarter)"
)
_READ = (
    "INSERT INTO readers (name, up_to, seen_s) VALUES (?, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET up_to = max(up_to, excluded.up_to), seen_s = excluded.seen_s"
)
_FORGET = "DELETE FROM marks WHERE id <= (SELECT min(up_to) FROM readers)"
_INSERT = "INSERT INTO marks (measurement, first, devices, cells) VALUES (?, ?, ?, ?)"


class Mark(NamedTuple):
    """Rows of one table that were written at once.

    Attributes:
        id: number of the mark, ascending.
        measurement: the table's, or `EVERYTHING`.
        first: the first quarter.
        devices: ids of devices.
        device: int64[n], indices into `devices`.
        quarter: int64[n], quarters of an hour since the epoch; each cell at least once.
    """

    id: int
    measurement: str
    first: int
    devices: tuple[str, ...]
    device: NDArray[np.int64]
    quarter: NDArray[np.int64]


class WriteLog:
    """One log. One thread notes; another process may read and forget."""

    def __init__(
        self, path: Path, *, reader: str = ROLLUPS, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the log, making it where it is missing.

        Args:
            path: its file.
            reader: who reads, if this one does.
            max_bytes: beyond this many bytes of marks they become one.
            clock: the present, in seconds.

        Raises:
            WriteLogError: it cannot be opened.
        """
        self._max_bytes = max_bytes
        self._reader = reader
        self._clock = clock
        self._noted = 0
        with _translated(f"opening the write log {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                for statement in _SCHEMA:
                    self._db.execute(statement)
                # Whoever else reads must not have forgotten what the rollup worker has not yet looked at.
                self._db.execute("INSERT OR IGNORE INTO readers (name, up_to, seen_s) VALUES (?, 0, 0)", (ROLLUPS,))
            except BaseException:
                self._db.close()
                raise

    def note(self, batches: Sequence[Batch]) -> None:
        """Note that rows are in the store; on return that survives a crash.

        Raises:
            WriteLogError: the log cannot be written; nothing was noted.
        """
        rows = [_row(batch) for batch in batches if len(batch)]
        if not rows:
            return
        with self._transaction("writing the write log"):
            self._db.executemany(_INSERT, rows)
            if self._noted % _LOOK_EVERY == 0:
                self._fold()
        self._noted += 1

    def marks(self, *, limit: int) -> list[Mark]:
        """The oldest marks that the reader has not done with.

        Args:
            limit: at most so many.

        Raises:
            WriteLogError: the log cannot be read.
        """
        with _translated("reading the write log"):
            rows = self._db.execute(
                "SELECT id, measurement, first, devices, cells FROM marks "
                "WHERE id > coalesce((SELECT up_to FROM readers WHERE name = ?), 0) ORDER BY id LIMIT ?",
                (self._reader, limit),
            ).fetchall()
        return [_mark(*row) for row in rows]

    def join(self) -> None:
        """Have marks kept until this reader has done with them, from now on; raises `WriteLogError`."""
        with self._transaction("joining the write log"):
            self._db.execute(_READ, (self._reader, 0, self._clock()))

    def forget(self, up_to_id: int, newest: Mapping[str, int] | None = None) -> None:
        """Have done with marks.

        Args:
            up_to_id: id of the last.
            newest: the newest quarter in them, by compound, to be told by `newest`; None tells nothing.

        Raises:
            WriteLogError: the log cannot be written; nothing was forgotten.
        """
        with self._transaction("shortening the write log"):
            self._db.execute(_READ, (self._reader, up_to_id, self._clock()))
            self._db.execute("DELETE FROM readers WHERE seen_s < ? AND name <> ?", (self._clock() - _AWAY_S, ROLLUPS))
            self._db.execute(_FORGET)
            self._db.executemany(_NEWEST, (newest or {}).items())

    def ask_everything(self, since: int) -> None:
        """Note that everything from a quarter on is to be rolled up anew; raises `WriteLogError`."""
        with self._transaction("writing the write log"):
            self._db.execute(_INSERT, (EVERYTHING, since, "", b""))

    def newest(self) -> dict[str, int]:
        """The newest quarter that was forgotten, by compound; raises `WriteLogError`."""
        with _translated("reading the write log"):
            return dict(self._db.execute("SELECT compound, quarter FROM newest").fetchall())

    def waiting(self) -> int:
        """How many marks the reader has not done with; raises `WriteLogError`."""
        with _translated("reading the write log"):
            (number,) = self._db.execute(
                "SELECT count(*) FROM marks WHERE id > coalesce((SELECT up_to FROM readers WHERE name = ?), 0)",
                (self._reader,),
            ).fetchone()
        return int(number)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _fold(self) -> None:
        """Make one mark of all where there are too many."""
        size, first = self._db.execute("SELECT sum(length(devices) + length(cells)), min(first) FROM marks").fetchone()
        if size > self._max_bytes:
            self._db.execute("DELETE FROM marks")
            self._db.execute(_INSERT, (EVERYTHING, first, "", b""))

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with _translated(doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


def _row(batch: Batch) -> tuple[str, int, str, bytes]:
    """The cells of a batch; runs of rows in one cell become one, so sorted rows give each cell once."""
    quarter = batch.time // QUARTER_NS
    begins = np.ones(len(batch), np.bool_)
    begins[1:] = (batch.series[1:] != batch.series[:-1]) | (quarter[1:] != quarter[:-1])
    cells = np.stack([batch.series[begins].astype(np.int64), quarter[begins]])
    return batch.table.measurement, int(quarter.min()), "\n".join([key.device for key in batch.keys]), cells.tobytes()


def _mark(number: int, measurement: str, first: int, devices: str, cells: bytes) -> Mark:
    device, quarter = np.frombuffer(cells, np.int64).reshape(2, -1)
    return Mark(number, measurement, first, tuple(devices.split("\n")), device, quarter)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise WriteLogError(f"{doing} failed: {exc}") from exc
