"""A look into the spool from another process: its ledger, what waits in it, and its dead letters. Changes nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devices.errors import Reason
from ingest import deadletters
from ingest.database import COUNTED, PENDING, translated
from ingest.deadletters import DeadLetter
from ingest.errors import SpoolError
from ingest.ledger import Counts, counted
from ingest.spool import Pending

_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a spool holds, as of one moment.

    Attributes:
        counts: the counters of what has left it.
        pending: what waits in it.
    """

    counts: Counts
    pending: Pending


def inspect(path: Path) -> Inspection:
    """Read the counters and what is pending, as of one moment.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _reading(path) as db:
        db.execute("BEGIN")
        return Inspection(counted(db.execute(COUNTED)), Pending(*db.execute(PENDING).fetchone()))


def read_dead_letters(
    path: Path, *, after_id: int = 0, limit: int = 1000, reason: Reason | None = None
) -> list[DeadLetter]:
    """Read dead letters, oldest first.

    Args:
        path: the spool's file.
        after_id: only those with a higher number.
        limit: at most so many.
        reason: only those with this reason, or None for all.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with _reading(path) as db:
        return list(deadletters.select(db, after_id=after_id, limit=limit, reason=reason))


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise SpoolError(f"there is no spool {path}; ingest makes it at its first start")
    with translated(f"reading the spool {path}"):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)) as db:
            yield db
