"""A look into a spool from another process: its counters, what waits in it, its dead letters.

It changes nothing but for wishes that it leaves there (`ask_for_replay`, `bar`), and `purge_dead_letters`.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devices.errors import ReadingError, Reason
from devices.topics import Topic
from ingest import barred, database, deadletters, replays
from ingest.database import COUNTED, Pending, translated
from ingest.deadletters import DeadLetter, Fate, Wanted
from ingest.errors import SpoolError
from ingest.frame import opened
from ingest.ledger import SETTLED, TAKEN, UNKNOWN_KIND, Counts, counted

_LOOKED_AT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a spool holds, as of one moment.

    Attributes:
        counts: the counters of what has left it.
        pending: what waits in it.
    """

    counts: Counts
    pending: Pending

    @property
    def unaccounted(self) -> int:
        """How many messages it took that have neither left it nor wait in it."""
        return self.counts[TAKEN] - self.counts[SETTLED] - self.pending.messages


def inspect(path: Path) -> Inspection:
    """Read the counters and what is pending, as of one moment.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with snapshot(path) as db:
        return inspected(db)


def inspected(db: sqlite3.Connection) -> Inspection:
    """The same through a connection that has begun to read."""
    return Inspection(counted(db.execute(COUNTED)), database.pending(db))


def waiting(db: sqlite3.Connection, kinds: Collection[str]) -> Counter[str] | None:
    """By kind, how many messages wait, as their topics say; None where that is too much to look through.

    Args:
        db: a connection to the spool.
        kinds: the kinds there are; all else is `UNKNOWN_KIND`.
    """
    if database.pending(db).size > _LOOKED_AT_BYTES:
        return None
    found: Counter[str] = Counter()
    for count, frame in db.execute("SELECT messages, frame FROM batches"):
        messages = opened(frame, count)
        topics = Counter(messages.topics) if messages is not None else {"": count}
        for topic, number in topics.items():
            found[_kind(topic, kinds)] += number
    return found


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
    return find_dead_letters(path, Wanted(after_id=after_id, reason=reason), limit=limit)


def find_dead_letters(path: Path, wanted: Wanted, *, limit: int, newest: bool = False) -> list[DeadLetter]:
    """Read dead letters.

    Args:
        path: the spool's file.
        wanted: which.
        limit: at most so many.
        newest: the newest first, instead of the oldest.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with snapshot(path) as db:
        return list(deadletters.select(db, wanted, limit=limit, newest=newest))


def fates_of_dead_letters(path: Path, wanted: Wanted, *, limit: int) -> list[Fate]:
    """Which dead letters can be replayed, and which not; oldest first.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with snapshot(path) as db:
        return list(deadletters.fates(db, wanted, limit=limit))


def count_dead_letters(path: Path, wanted: Wanted) -> int:
    """How many dead letters there are.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with snapshot(path) as db:
        return deadletters.counted(db, wanted)


def ask_for_replay(path: Path, ids: Sequence[int]) -> None:
    """Have dead letters replayed by the ingest process of a spool, once it runs.

    Raises:
        SpoolError: there is no spool, or it cannot be written.
    """
    with _changed(path, "asking for a replay") as db:
        replays.ask(db, ids)


def bar(path: Path, compound: str, before_ms: int) -> int:
    """Have readings of a compound of before a time taken no more; see `ingest.barred`.

    Returns:
        What to ask `has_passed` for.

    Raises:
        SpoolError: there is no spool, or it cannot be written.
    """
    with _changed(path, "barring what is deleted") as db:
        return barred.bar(db, compound, before_ms)


def has_passed(path: Path, batch: int) -> bool:
    """Whether nothing is left to come of what ingest had read before something was barred.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    if not in_use(path):
        return True
    with snapshot(path) as db:
        return barred.is_past(db, batch)


def purge_dead_letters(path: Path, compound: str, before_ms: int) -> int:
    """Drop the dead letters of a compound received before a time, and overwrite them; how many that were.

    Raises:
        SpoolError: there is no spool, or it cannot be written.
    """
    with _changed(path, "dropping dead letters") as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("BEGIN IMMEDIATE")
        dropped = db.execute(
            "DELETE FROM dead_letters WHERE compound = ? AND time_ms < ?", (compound, before_ms)
        ).rowcount
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return dropped


def left_to_replay(path: Path) -> int:
    """How many dead letters are still to be replayed.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    with snapshot(path) as db:
        return replays.asked(db)


def in_use(path: Path) -> bool:
    """Whether an ingest process uses a spool.

    Raises:
        SpoolError: its lock cannot be read.
    """
    with translated(f"looking whether a process uses {path}"):
        return database.is_held(path)


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a spool as of one moment.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    _check_exists(path)
    with translated(f"reading the spool {path}"), closing(database.read_only(path)) as db:
        db.execute("BEGIN")
        database.check_layout(db, path)
        yield db


@contextmanager
def _changed(path: Path, doing: str) -> Iterator[sqlite3.Connection]:
    """A connection that may write, also while ingest uses the file."""
    _check_exists(path)
    with translated(f"{doing} in {path}"), closing(database.connected(path)) as db:
        database.check_layout(db, path)
        yield db


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise SpoolError(f"there is no spool {path}; ingest makes it at its first start")


def _kind(topic: str, kinds: Collection[str]) -> str:
    try:
        kind = Topic.parse(topic).kind
    except ReadingError:
        return UNKNOWN_KIND
    return kind if kind in kinds else UNKNOWN_KIND
