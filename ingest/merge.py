"""Merging: what workers saw, each a share of every device's readings, brought together as if one had seen it all.

Every worker notes its sightings in its spool. The merged state lies in a file of its own, with the last note of each
spool that is in it, so that each note counts once, whatever is killed in between.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping

import numpy as np

from ingest import gapfile
from ingest.errors import SpoolError
from ingest.gapfile import GapChange, Note
from ingest.gaps import Tracker
from ingest.sightings import Bools, Ints, Sightings, Stream, Streams

TABLES = (
    *gapfile.TABLES,
    "CREATE TABLE IF NOT EXISTS positions (spool TEXT PRIMARY KEY, note INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS repetitions (kind TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)
_READINGS = 200_000
_NEW_STREAMS = "SELECT number, kind, compound, device, channel FROM streams WHERE number >= ? ORDER BY number"


class Merge:
    """The merged state.

    Attributes:
        tracker: knows what is missing.
        again: by kind, how many readings were repetitions. Their workers have counted them as written.
        positions: by spool, the number of the last note that is in it.
        readings: how many readings were merged since it was loaded or saved.
    """

    def __init__(self, db: sqlite3.Connection | None) -> None:
        """Go on from what was saved.

        Args:
            db: a connection to the merged state's file, or None where there is none yet.

        Raises:
            SpoolError: it is damaged.
        """
        self._streams = Streams() if db is None else gapfile.streams(db)
        self.tracker = Tracker(self._streams, () if db is None else gapfile.states(db))
        self.again: Counter[str] = Counter()
        self.positions: dict[str, int] = {}
        self.readings = 0
        if db is not None:
            self.again.update(dict(db.execute("SELECT kind, value FROM repetitions")))
            self.positions.update(db.execute("SELECT spool, note FROM positions"))
        self._saved = len(self._streams)
        self._numbers: dict[str, list[int]] = {}

    def take(self, spools: Mapping[str, sqlite3.Connection]) -> None:
        """Merge what spools have noted since the last time.

        Args:
            spools: connections to the spools' files, by their names.

        Raises:
            SpoolError: one is damaged.
        """
        while self._some(spools):
            pass

    def save(self, db: sqlite3.Connection) -> None:
        """Save the state in one transaction; `db` may write."""
        names = self._streams.names[self._saved :]
        db.execute("BEGIN IMMEDIATE")
        try:
            gapfile.save(db, GapChange(streams=list(enumerate(names, self._saved)), states=self.tracker.states()))
            db.executemany("INSERT OR REPLACE INTO positions (spool, note) VALUES (?, ?)", self.positions.items())
            db.executemany("INSERT OR REPLACE INTO repetitions (kind, value) VALUES (?, ?)", self.again.items())
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        self._saved += len(names)
        self.tracker.kept()
        self.readings = 0

    def _some(self, spools: Mapping[str, sqlite3.Connection]) -> bool:
        """Merge a bounded number of notes; whether there may be more."""
        found: list[tuple[Note, Ints]] = []
        more = False
        for name, db in spools.items():
            begun = sum(len(note.sightings) for note, _ in found)
            taken = []
            for note in gapfile.notes(db, after_id=self.positions.get(name, 0)):
                taken.append(note)
                begun += len(note.sightings)
                if begun >= _READINGS:
                    more = True
                    break
            if taken:
                numbers = self._numbered(name, db)
                found += [(note, numbers) for note in taken]
                self.positions[name] = taken[-1].id
        if found:
            self._track(found, max(note.sightings.received_ms for note, _ in found))
        return more

    def _track(self, found: list[tuple[Note, Ints]], received_ms: int) -> None:
        streams, boots, seqs = list[Ints](), list[Ints](), list[Ints]()
        stored, refused = list[Bools](), list[int]()
        for note, numbers in found:
            seen = note.sightings
            if len(numbers) <= max([*seen.refused, int(seen.stream.max(initial=-1))], default=-1):
                raise SpoolError("a spool's sightings name a stream that it does not have")
            streams.append(numbers[seen.stream])
            boots.append(seen.boot)
            seqs.append(seen.seq)
            stored.append(np.ones(len(seen), np.bool_) if seen.counts is None else seen.counts)
            refused += numbers[list(seen.refused)].tolist()
        stream, boot, seq = (np.concatenate(each) for each in (streams, boots, seqs))
        counts = np.concatenate(stored)
        # Each worker has a part of every run of numbers; in order of these the parts join.
        order = np.lexsort((seq, boot, stream))
        self.again += self.tracker.track(
            Sightings(received_ms, stream[order], boot[order], seq[order], counts[order], refused)
        )
        self.readings += len(seq) + len(refused)

    def _numbered(self, name: str, db: sqlite3.Connection) -> Ints:
        """The merged number of each stream of a spool."""
        numbers = self._numbers.setdefault(name, [])
        for number, *stream in db.execute(_NEW_STREAMS, (len(numbers),)):
            if number != len(numbers):
                raise SpoolError("the streams in the spool are not numbered as they were")
            numbers.append(self._streams.number(Stream(*stream)))
        return np.array(numbers, np.int64)
