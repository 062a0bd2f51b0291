"""The spool: messages lie here, on disk, from before they are acknowledged until the store has taken them.

One SQLite file (WAL, synchronous=FULL) holds the batches of raw messages, the dead letters and the ledger's counters.
`append` is one transaction, and so is `trim`, which removes batches and changes dead letters and counters with them:
after a crash at any point the three agree.

One thread appends and one other reads and trims. Other processes may read the file meanwhile (`ingest.inspection`).
"""

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ingest import deadletters
from ingest.database import COUNT, COUNTED, PENDING, connected, locked, prepare, translated
from ingest.deadletters import DeadLetter
from ingest.errors import SpoolFullError
from ingest.frame import FrameError, Messages, Spooled, pack, unpack
from ingest.ledger import Account, Counts, Entry, counted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the messages that a trim removes.

    Attributes:
        counts: by how much each counter grows.
        letters: the dead letters among them.
    """

    counts: Mapping[Account, int] = field(default_factory=lambda: MappingProxyType({}))
    letters: Sequence[DeadLetter] = ()


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much the spool may hold; see `IngestOptions` for each."""

    max_bytes: int
    min_free_bytes: int
    dead_letters_max: int
    dead_letters_max_bytes: int


class Spool:
    """The spool in one file.

    Attributes:
        pending: what waits, as of the last change.
        counts: the counters, as of the last change.
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
                self.pending = Pending(*self._db.execute(PENDING).fetchone())
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
        size = len(frame)
        if self.pending.size and self.pending.size + size > self._limits.max_bytes:
            raise SpoolFullError(
                f"the spool holds {self.pending.size:,} bytes, its limit is {self._limits.max_bytes:,}"
            )
        self._check_disk(size)
        with self._transaction("appending to the spool") as db:
            db.execute(
                "INSERT INTO batches (received_ms, messages, bytes, frame) VALUES (?, ?, ?, ?)",
                (received_ms, len(messages), size, frame),
            )
            db.execute("COMMIT")
            old = self.pending
            oldest = received_ms if old.oldest_ms is None else old.oldest_ms
            self.pending = Pending(old.batches + 1, old.messages + len(messages), old.size + size, oldest)
        if not old.messages:
            self.wake()

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
            At least one batch where one waits; with the last one the limits may be exceeded.

        Raises:
            SpoolError: the file cannot be read.
        """
        found = []
        with translated("reading the spool"):
            rows = self._reader.execute(
                "SELECT id, received_ms, messages, bytes, frame FROM batches WHERE id > ? ORDER BY id", (after_id,)
            )
            for number, received_ms, count, length, frame in rows:
                found.append(Spooled(number, received_ms, count, _unpacked(frame, count)))
                messages -= count
                size -= length
                if messages <= 0 or size <= 0:
                    break
            rows.close()
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
        private = any(each.sha256 is not None for each in outcome.letters)
        limits = self._limits
        with self._transaction("trimming the spool", wipe=private) as db:
            batches, removed, size, _ = db.execute(f"{PENDING} WHERE id <= ?", (up_to_id,)).fetchone()
            db.execute("DELETE FROM batches WHERE id <= ?", (up_to_id,))
            counts = Counts({**outcome.counts, Account(Entry.MESSAGES, ""): removed})
            db.executemany(COUNT, ((*account, value) for account, value in counts.items() if value))
            held = self._letter_bytes
            if outcome.letters:
                most, most_bytes = limits.dead_letters_max, limits.dead_letters_max_bytes
                held = deadletters.insert(db, outcome.letters, most=most, most_bytes=most_bytes, held=held)
            oldest = db.execute("SELECT received_ms FROM batches ORDER BY id LIMIT 1").fetchone()
            db.execute("COMMIT")
            old = self.pending
            left = (old.batches - batches, old.messages - removed, old.size - size)
            self.pending = Pending(*left, None if oldest is None else oldest[0])
            self._letter_bytes = held
            self.counts = self.counts + counts
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
        with self._lock, translated("reading the dead letters"):
            return list(deadletters.select(self._db, after_id=after_id, limit=limit, reason=None))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._release()

    def _check_disk(self, size: int) -> None:
        with self._lock, translated("asking for the space left on the disk"):
            (page,), (pages,), (unused,) = (
                self._db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
            )
            # What is in the journal alone will yet go into the file. Neither of the two shrinks, but what was trimmed
            # is used again, and so is the journal: its size is part of what is kept free, for it is what that is for.
            journal = self._path.with_name(self._path.name + "-wal").stat().st_size
            to_come = max(0, pages * page - self._path.stat().st_size)
            free = shutil.disk_usage(self._path.parent).free + journal - to_come + unused * page
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


def _unpacked(frame: bytes, count: int) -> Messages | None:
    try:
        messages = unpack(frame)
    except FrameError:
        return None
    return messages if len(messages) == count else None
