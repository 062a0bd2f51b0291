"""Replaying dead letters: whoever asks for it leaves their numbers in the spool's file; ingest spools them again.

A replayed letter goes the way of a new message. It is decoded as of the time it first came, but for one that was
refused for being ahead of that time.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from devices.errors import Reason
from ingest.deadletters import DeadLetter, Wanted, select
from ingest.frame import Messages
from ingest.ledger import Account, Counts, Entry


@dataclass(frozen=True, slots=True)
class Replay:
    """Messages that first came at the same time.

    Attributes:
        first_ms: when, ms since the epoch.
        messages: the messages.
    """

    first_ms: int
    messages: Messages


def ask(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Ask for letters to be replayed, in a transaction of its own."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT OR IGNORE INTO replays (letter) VALUES (?)", ((each,) for each in ids))
    db.execute("COMMIT")


def asked(db: sqlite3.Connection) -> int:
    """How many letters are still to be replayed."""
    (count,) = db.execute("SELECT count(*) FROM replays").fetchone()
    return int(count)


def take(db: sqlite3.Connection, most: int, now_ms: int) -> tuple[list[Replay], Counts]:
    """Take letters that are to be replayed, within the caller's transaction, and mark them.

    Args:
        db: the spool's connection.
        most: at most so many.
        now_ms: the time, ms since the epoch.

    Returns:
        Their messages, and by how much the counters grow. Letters that are gone, that are replayed already or that are
        not kept whole are left out.
    """
    ids = tuple(each for (each,) in db.execute("SELECT letter FROM replays ORDER BY letter LIMIT ?", (most,)))
    letters = list(select(db, Wanted(ids=ids, replayable=True), limit=most))
    db.executemany("DELETE FROM replays WHERE letter = ?", ((each,) for each in ids))
    db.executemany("UPDATE dead_letters SET replayed_ms = ? WHERE id = ?", ((now_ms, each.id) for each in letters))
    counts: Counts = Counter(Account(Entry.REPLAYED, each.kind, each.reason) for each in letters)
    return _replays(letters, now_ms), counts


def _replays(letters: Sequence[DeadLetter], now_ms: int) -> list[Replay]:
    def first_ms(letter: DeadLetter) -> int:
        return now_ms if letter.reason is Reason.FUTURE else letter.time_ms

    return [
        Replay(time_ms, Messages([each.topic for each in group], [each.payload or b"" for each in group]))
        for time_ms, found in groupby(letters, first_ms)
        for group in [list(found)]
    ]
