"""How gaps lie in a file: what is known of each stream, as of some moment, and the sightings noted since then.

Noting sightings is one small row in the transaction that trims the spool. Now and then what is known is written anew,
for the streams that have changed, and the notes go: so the cost of that is spread over many readings.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.errors import SpoolError
from ingest.gaps import Tracker
from ingest.known import NONE, State
from ingest.sightings import Sightings, Stream, Streams, unpack

TABLES = (
    f"""
CREATE TABLE IF NOT EXISTS streams (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    compound TEXT NOT NULL,
    device TEXT NOT NULL,
    channel TEXT NOT NULL,
    boot INTEGER NOT NULL DEFAULT {NONE},
    low INTEGER NOT NULL DEFAULT {NONE},
    high INTEGER NOT NULL DEFAULT {NONE},
    boots INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    more BLOB
)
""",
    """
CREATE TABLE IF NOT EXISTS sightings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    readings INTEGER NOT NULL,
    content BLOB NOT NULL
)
""",
)
_ADD = "INSERT OR IGNORE INTO streams (number, kind, compound, device, channel) VALUES (?, ?, ?, ?, ?)"
_KEEP = "UPDATE streams SET boot = ?, low = ?, high = ?, boots = ?, lost = ?, refused = ?, more = ? WHERE number = ?"
_NOTE = "INSERT INTO sightings (readings, content) VALUES (?, ?)"
_STATE = "SELECT number, boot, low, high, boots, lost, refused, more FROM streams"


@dataclass(frozen=True, kw_only=True, slots=True)
class GapChange:
    """What a transaction is to change.

    Attributes:
        streams: streams that have come, with their numbers.
        readings: how many readings were noted.
        note: sightings as bytes, or None.
        states: what is known of all streams that have changed, this note among it: all notes go. Or None.
    """

    streams: Sequence[tuple[int, Stream]] = ()
    readings: int = 0
    note: bytes | None = None
    states: Sequence[State] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Sightings as they were noted.

    Attributes:
        id: its number; later ones are higher.
        sightings: what was seen.
    """

    id: int
    sightings: Sightings


def save(db: sqlite3.Connection, change: GapChange) -> None:
    """Make a change within the caller's transaction."""
    if change.streams:
        db.executemany(_ADD, ((number, *stream) for number, stream in change.streams))
    if change.states is not None:
        db.executemany(_KEEP, ((*state[1:], state[0]) for state in change.states))
        db.execute("DELETE FROM sightings")
    elif change.note is not None:
        db.execute(_NOTE, (change.readings, change.note))


def streams(db: sqlite3.Connection) -> Streams:
    """The streams that have their numbers.

    Raises:
        SpoolError: the numbers are not what `save` wrote.
    """
    rows = db.execute("SELECT number, kind, compound, device, channel FROM streams ORDER BY number").fetchall()
    if [row[0] for row in rows] != list(range(len(rows))):
        raise SpoolError("the streams in the spool are not numbered as they were")
    return Streams([Stream(*row[1:]) for row in rows])


def states(db: sqlite3.Connection) -> Iterator[State]:
    """What was known of the streams before the notes."""
    return map(State._make, db.execute(_STATE))


def notes(db: sqlite3.Connection, *, after_id: int = 0) -> Iterator[Note]:
    """The notes in the order they were made.

    Args:
        db: a connection to the file.
        after_id: only those with a higher number.

    Raises:
        SpoolError: one is damaged.
    """
    for number, content in db.execute("SELECT id, content FROM sightings WHERE id > ? ORDER BY id", (after_id,)):
        yield Note(number, unpack(content))


def noted(db: sqlite3.Connection) -> tuple[int, int]:
    """How many notes there are, and how many readings they hold."""
    count, readings = db.execute("SELECT count(*), coalesce(sum(readings), 0) FROM sightings").fetchone()
    return int(count), int(readings)


def restored(db: sqlite3.Connection, known: Streams) -> Tracker:
    """A tracker that knows what the file says: what was kept, and what was noted since.

    Raises:
        SpoolError: the file is damaged.
    """
    tracker = Tracker(known, states(db))
    for each in notes(db):
        tracker.track(each.sightings)
    return tracker
