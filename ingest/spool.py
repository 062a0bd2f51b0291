"""The spool: messages lie here, on disk, from before they are acknowledged until the store has taken them.

One SQLite file (WAL, synchronous=FULL) holds the batches of raw messages, the dead letters and the ledger's counters.
`append` is one transaction, and so is `trim`, which removes batches and changes dead letters and counters with them:
after a crash at any point the three agree.

One thread appends and one other reads and trims. Other processes may read the file meanwhile (`ingest.inspection`).
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from devices.errors import Reason
from ingest import barred, deadletters, gapfile, replays
from ingest.closing import now_ms
from ingest.database import (
    COUNT,
    COUNTED,
    PENDING,
    Pending,
    connected,
    free_bytes,
    locked,
    pending,
    prepare,
    read_batches,
    translated,
)
from ingest.deadletters import DeadLetter, Wanted
from ingest.errors import SpoolFullError
from ingest.frame import Messages, Spooled, pack, size_of
from ingest.ledger import SETTLED, TAKEN, Counts, counted
from ingest.options import IngestOptions
from ingest.outcome import Outcome

__all__ = ["Limits", "Outcome", "Pending", "Spool"]

_T = TypeVar("_T")
_NOTES = "SELECT 1 FROM sightings WHERE id <= ?"
_INSERT = "INSERT INTO batches (received_ms, messages, bytes, first_ms, frame) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much the spool may hold; see `IngestOptions` for each."""

    max_bytes: int
    min_free_bytes: int
    dead_letters_max: int
    dead_letters_max_bytes: int

    @classmethod
    def of(cls, options: IngestOptions) -> Self:
        """As the options have them."""
        return cls(
            max_bytes=options.spool_max_bytes,
            min_free_bytes=options.min_free_bytes,
            dead_letters_max=options.dead_letters_max,
            dead_letters_max_bytes=options.dead_letters_max_bytes,
        )


class Spool:
    """The spool in one file.

    Attributes:
        pending: what waits, as of the last change.
        counts: the counters, as of the last change.
        barred: what was deleted for good, as of the last `read`.
        changed: notified when the first batch of an empty spool comes; guards nothing but the waiting.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open the spool, making it where it is missing.

        Args:
            path: its file; a lock file lies beside it while it is open.
            limits: how much it may hold.

        Raises:
            SpoolError: another process has it open, or the file is damaged, not a spool or not accessible.
        """
        self.changed = threading.Condition()
        self._path = path
        self._limits = limits
        self._lock = threading.Lock()
        self._wipe_due = False
        with translated(f"opening the spool {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._holder = locked(path)
            try:
                self._db = connected(path)
                self._reader = connected(path)
                prepare(self._db, path)
                self.pending = pending(self._db)
                self.barred = barred.read(self._db)
                self.counts = counted(self._db.execute(COUNTED))
                self._letter_bytes = deadletters.payload_bytes(self._db)
            except BaseException:
                self._release()
                raise

    def append(self, messages: Messages, received_ms: int) -> None:
        """Keep a batch; on return it survives the death of the process and of the machine.

        Args:
            messages: at least one message.
            received_ms: when they were received, ms since the epoch.

        Raises:
            SpoolFullError: it has reached its limit or the disk is full; nothing was kept.
            SpoolError: it cannot be written; nothing was kept.
        """
        frame = pack(messages)
        self._check_room(size_of(frame))
        with self._transaction("appending to the spool") as db:
            self._insert(db, [(received_ms, len(messages), frame, None)])

    def take_replays(self, most: int = 500) -> int:
        """Append dead letters that were asked to be replayed.

        Args:
            most: at most so many.

        Returns:
            How many were appended.

        Raises:
            SpoolFullError: it has reached its limit or the disk is full; nothing was changed.
            SpoolError: it cannot be read or written; nothing was changed.
        """
        if not self.ask(replays.asked):
            return 0
        room = (self._limits.max_bytes - self.pending.size) // deadletters.KEPT_PAYLOAD_BYTES
        most = max(1, min(most, room))
        self._check_room(most * deadletters.KEPT_PAYLOAD_BYTES if self.pending.size else 0)
        now = now_ms()
        with self._transaction("replaying dead letters") as db:
            found, counts = replays.take(db, most, now)
            db.executemany(COUNT, ((*account, value) for account, value in counts.items()))
            self._insert(db, [(now, len(each.messages), pack(each.messages), each.first_ms) for each in found])
            self.counts = _sum(self.counts, counts)
        return sum(counts.values())

    def wake(self) -> None:
        """Wake whoever waits for `changed`."""
        with self.changed:
            self.changed.notify_all()

    def read(self, *, after_id: int = 0, messages: int, size: int) -> list[Spooled]:
        """Read batches, oldest first.

        Args:
            after_id: only those with a higher id.
            messages: stop once so many messages are read.
            size: stop once so many bytes are read.

        Returns:
            At least one batch where one waits; with the last one the limits may be exceeded. All of them are replayed,
            or none.

        Raises:
            SpoolError: the file cannot be read.
        """
        with translated("reading the spool"):
            found = read_batches(self._reader, after_id=after_id, messages=messages, size=size)
            # Afterwards: what came after it was barred is never read without regard to that.
            self.barred = barred.read(self._reader)
            return found

    def trim(self, up_to_id: int, outcome: Outcome) -> None:
        """Remove the batches up to one, and count and keep what became of them, all in one transaction.

        Args:
            up_to_id: id of the last batch to remove.
            outcome: what became of their messages.

        Raises:
            SpoolFullError: the disk is full; nothing was changed.
            SpoolError: it cannot be written; nothing was changed.
        """
        private = any(each.sha256 is not None or each.reason is Reason.DELETED for each in outcome.letters)
        limits = self._limits
        with self._transaction("trimming the spool", wipe=private) as db:
            batches, removed, size, _ = db.execute(f"{PENDING} WHERE id <= ?", (up_to_id,)).fetchone()
            db.execute("DELETE FROM batches WHERE id <= ?", (up_to_id,))
            counts = Counts({**outcome.counts, SETTLED: removed})
            db.executemany(COUNT, ((*account, value) for account, value in counts.items() if value))
            held = self._letter_bytes
            if outcome.letters:
                most, most_bytes = limits.dead_letters_max, limits.dead_letters_max_bytes
                held = deadletters.insert(db, outcome.letters, most=most, most_bytes=most_bytes, held=held)
            gapfile.save(db, outcome.gaps)
            oldest = db.execute("SELECT received_ms FROM batches ORDER BY id LIMIT 1").fetchone()
            db.execute("COMMIT")
            old = self.pending
            left = (old.batches - batches, old.messages - removed, old.size - size)
            self.pending = Pending(*left, None if oldest is None else oldest[0])
            self._letter_bytes = held
            self.counts = _sum(self.counts, counts)
            self._wipe_due |= private

    def wipe(self) -> None:
        """Remove from the file's journal what `trim` removed from the file as personal; nothing where nothing is due.

        Raises:
            SpoolError: the journal cannot be emptied now; it stays due.
        """
        if not self._wipe_due:
            return
        with self._lock, translated("wiping the spool's journal"):
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._wipe_due = bool(busy)

    def dead_letters(self, *, after_id: int = 0, limit: int = 1000) -> list[DeadLetter]:
        """The dead letters kept, oldest first.

        Raises:
            SpoolError: the file cannot be read.
        """
        return self.ask(lambda db: list(deadletters.select(db, Wanted(after_id=after_id), limit=limit)))

    def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Ask something of the file.

        Args:
            question: reads through the connection it is given, and changes nothing.

        Raises:
            SpoolError: the file cannot be read.
        """
        with self._lock, translated("reading the spool"):
            return question(self._db)

    def purge(self, before_ms: int) -> int:
        """Drop the dead letters received before a time; how many that were.

        Raises:
            SpoolError: it cannot be written; nothing was changed.
        """
        with self._transaction("dropping old dead letters") as db:
            dropped = deadletters.purge(db, before_ms)
            held = deadletters.payload_bytes(db) if dropped else self._letter_bytes
            db.execute("COMMIT")
            self._letter_bytes = held
        return dropped

    def drop_notes(self, up_to_id: int) -> None:
        """Drop the sightings noted up to one.

        Raises:
            SpoolError: it cannot be written; nothing was changed.
        """
        if not self.ask(lambda db: db.execute(f"{_NOTES} LIMIT 1", (up_to_id,)).fetchone()):
            return
        with self._transaction("dropping sightings") as db:
            db.execute("DELETE FROM sightings WHERE id <= ?", (up_to_id,))
            db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._release()

    def _insert(self, db: sqlite3.Connection, batches: Sequence[tuple[int, int, bytes, int | None]]) -> None:
        """Insert batches (received_ms, messages, frame, first_ms) and commit."""
        old = self.pending
        rows = [
            (received_ms, count, size_of(frame), first_ms, frame) for received_ms, count, frame, first_ms in batches
        ]
        messages, size = sum(row[1] for row in rows), sum(row[2] for row in rows)
        db.executemany(_INSERT, rows)
        db.execute(COUNT, (*TAKEN, messages))
        db.execute("COMMIT")
        if not rows:
            return
        self.counts = _sum(self.counts, Counts({TAKEN: messages}))
        oldest = rows[0][0] if old.oldest_ms is None else old.oldest_ms
        self.pending = Pending(old.batches + len(rows), old.messages + messages, old.size + size, oldest)
        if not old.messages:
            self.wake()

    def _check_room(self, size: int) -> None:
        """Check that `size` more bytes may be taken."""
        held = self.pending.size
        if held and held + size > self._limits.max_bytes:
            raise SpoolFullError(f"the spool holds {held:,} bytes, its limit is {self._limits.max_bytes:,}")
        self._check_disk(size)

    def _check_disk(self, size: int) -> None:
        with self._lock, translated("asking for the space left on the disk"):
            free = free_bytes(self._db, self._path)
        if free - size < self._limits.min_free_bytes:
            raise SpoolFullError(f"the disk of {self._path} has {free:,} bytes left for the spool")

    @contextmanager
    def _transaction(self, doing: str, *, wipe: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that the caller commits as its last statement that can fail; else it is undone."""
        with self._lock, translated(doing):
            db = self._db
            # ON overwrites with zeros what is removed, at the price of writing it twice: only for personal data. FAST
            # does so within pages that are written anyway, else copies that SQLite made of a row would be left there.
            db.execute(f"PRAGMA secure_delete = {'ON' if wipe else 'FAST'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def _release(self) -> None:
        for name in ("_reader", "_db"):
            connection: sqlite3.Connection | None = getattr(self, name, None)
            if connection is not None:
                connection.close()
        self._holder.close()


def _sum(one: Counts, other: Counts) -> Counts:
    """Both together, as a new object, for other threads read it; `+` would drop what is not positive."""
    total = Counts(one)
    total.update(other)
    return total
