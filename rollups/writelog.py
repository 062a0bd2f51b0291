"""The write log: whose rows were written into which quarters of an hour, so that just those are rolled up anew.

Ingest notes each write after the store has accepted it and before the spool lets go of its messages: after a crash in
between both are done again, which does no harm. The worker forgets what it has rolled up. One SQLite file for each
ingest process (WAL, synchronous=FULL), which the worker opens too.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
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
    "CREATE TABLE IF NOT EXISTS newest (compound TEXT PRIMARY KEY, quarter INTEGER NOT NULL) WITHOUT ROWID",
)
_NEWEST = (
    "INSERT INTO newest (compound, quarter) VALUES (?, ?) "
    "ON CONFLICT (compound) DO UPDATE SET quarter = max(quarter, excluded.quarter)"
)
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

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Open the log, making it where it is missing.

        Args:
            path: its file.
            max_bytes: beyond this many bytes of marks they become one.

        Raises:
            WriteLogError: it cannot be opened.
        """
        self._max_bytes = max_bytes
        self._noted = 0
        with _translated(f"opening the write log {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                for statement in _SCHEMA:
                    self._db.execute(statement)
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

    def marks(self, *, after_id: int = 0, limit: int) -> list[Mark]:
        """The oldest marks.

        Args:
            after_id: only those with a higher id.
            limit: at most so many.

        Raises:
            WriteLogError: the log cannot be read.
        """
        with _translated("reading the write log"):
            rows = self._db.execute(
                "SELECT id, measurement, first, devices, cells FROM marks WHERE id > ? ORDER BY id LIMIT ?",
                (after_id, limit),
            ).fetchall()
        return [_mark(*row) for row in rows]

    def forget(self, up_to_id: int, newest: Mapping[str, int]) -> None:
        """Forget marks that are rolled up.

        Args:
            up_to_id: id of the last.
            newest: the newest quarter in them, by compound.

        Raises:
            WriteLogError: the log cannot be written; nothing was forgotten.
        """
        with self._transaction("shortening the write log"):
            self._db.execute("DELETE FROM marks WHERE id <= ?", (up_to_id,))
            self._db.executemany(_NEWEST, newest.items())

    def ask_everything(self, since: int) -> None:
        """Note that everything from a quarter on is to be rolled up anew; raises `WriteLogError`."""
        with self._transaction("writing the write log"):
            self._db.execute(_INSERT, (EVERYTHING, since, "", b""))

    def newest(self) -> dict[str, int]:
        """The newest quarter that was forgotten, by compound; raises `WriteLogError`."""
        with _translated("reading the write log"):
            return dict(self._db.execute("SELECT compound, quarter FROM newest").fetchall())

    def waiting(self) -> int:
        """How many marks there are; raises `WriteLogError`."""
        with _translated("reading the write log"):
            (number,) = self._db.execute("SELECT count(*) FROM marks").fetchone()
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
