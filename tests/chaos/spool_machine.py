"""The spool against a model, with kills and with losses of power that leave only part of what was not yet synced.

A loss of power is made of the files before and after one operation. SQLite writes the journal, syncs it, and only then
may write the file, which it syncs before it begins the journal anew. So what a crash can leave is

- the old file, and a journal of which any of the newly written sectors are missing: the operation did not happen;
- the new journal, and a file of which any of the newly written sectors are missing: it did happen.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.errors import Reason
from ingest.deadletters import DeadLetter
from ingest.frame import Messages
from ingest.inspection import inspect
from ingest.ledger import TAKEN, Account, Counts, Entry
from ingest.spool import Limits, Outcome, Spool

_SECTOR = 512
_LIMITS = Limits(max_bytes=1 << 30, min_free_bytes=0, dead_letters_max=1000, dead_letters_max_bytes=1 << 24)
_FULL = 2

_payloads = st.one_of(st.binary(max_size=40), st.builds(lambda size: b"x" * size, st.integers(1000, 30_000)))
_messages = st.lists(st.tuples(st.text("abc/é网", max_size=12), _payloads), min_size=1, max_size=6)
_seeds = st.integers(0, 2**32 - 1)


class _Batch(NamedTuple):
    received_ms: int
    topics: list[str]
    payloads: list[bytes]


class _Files(NamedTuple):
    """What lies on the disk."""

    main: bytes
    journal: bytes


class SpoolMachine(RuleBasedStateMachine):
    """Appends, trims, wipes, ends in order, kills and losses of power."""

    def __init__(self) -> None:
        """Begin with an empty folder."""
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="courtyard-spool-"))
        self._starts = 0
        self._batches: dict[int, _Batch] = {}
        self._counts: Counts = Counter()
        self._letters: list[DeadLetter] = []
        self._last_id = 0
        self._checkpoint = 10
        self._spool: Spool

    @initialize(pages=st.integers(2, 60))
    def begin(self, pages: int) -> None:
        """Open it; the journal goes into the file every so many pages."""
        self._checkpoint = pages
        self._path = self._folder / "0" / "spool.sqlite"
        self._open()

    @rule(messages=_messages)
    def append(self, messages: list[tuple[str, bytes]]) -> None:
        """Keep a batch."""
        self._last_id += 1
        batch = _Batch(1000 + self._last_id, [topic for topic, _ in messages], [payload for _, payload in messages])
        self._spool.append(Messages(batch.topics, batch.payloads), batch.received_ms)
        self._batches[self._last_id] = batch
        self._counts[TAKEN] += len(messages)

    @precondition(lambda self: self._batches)
    @rule(place=_seeds, letters=st.integers(0, 3), private=st.booleans())
    def trim(self, place: int, letters: int, private: bool) -> None:  # noqa: FBT001  (drawn)
        """Remove the oldest batches, with dead letters among them."""
        ids = sorted(self._batches)
        up_to = ids[place % len(ids)]
        gone = [number for number in ids if number <= up_to]
        made = [
            DeadLetter(
                time_ms=number,
                reason=Reason.PRIVACY if private else Reason.JSON,
                message="refused",
                topic="a",
                payload=None if private else b"payload",
                sha256="0" * 64 if private else None,
            )
            for number in range(letters)
        ]
        counts = Counts({Account(Entry.RECEIVED, "gate"): place % 7, Account(Entry.WRITTEN, "gate"): place % 5})
        self._spool.trim(up_to, Outcome(counts, made))
        self._counts += counts
        self._counts[Account(Entry.MESSAGES, "")] += sum(len(self._batches[number].topics) for number in gone)
        self._letters += made
        for number in gone:
            del self._batches[number]

    @rule()
    def wipe(self) -> None:
        """Empty the journal where that is due."""
        self._spool.wipe()

    @rule()
    def end_and_start(self) -> None:
        """End in order and start again."""
        self._spool.close()
        self._open()

    @rule()
    def kill(self) -> None:
        """SIGKILL: the operating system still has everything that was written."""
        self._continue_with(self._files())

    @rule(messages=_messages, seed=_seeds, keeps=st.floats(0, 1))
    def power_fails_in_append(self, messages: list[tuple[str, bytes]], seed: int, keeps: float) -> None:
        """The power fails while a batch is kept."""
        self._power_fails_in(lambda: self.append(messages), Random(seed), keeps)  # noqa: S311  (drawn)

    @precondition(lambda self: self._batches)
    @rule(place=_seeds, letters=st.integers(0, 2), seed=_seeds, keeps=st.floats(0, 1))
    def power_fails_in_trim(self, place: int, letters: int, seed: int, keeps: float) -> None:
        """The power fails while the spool is trimmed."""
        self._power_fails_in(lambda: self.trim(place, letters, False), Random(seed), keeps)  # noqa: S311  (drawn)

    @invariant()
    def holds_what_was_kept(self) -> None:
        """All that was kept is there, and nothing else: content, counters, dead letters, and what is said of them."""
        if not self._starts:
            return
        found = self._spool.read(messages=10**9, size=10**12)
        kept = {
            each.id: _Batch(each.received_ms, list(each.messages.topics), list(each.messages.payloads))
            for each in found
            if each.messages is not None
        }
        assert list(kept) == sorted(kept)
        assert len(kept) == len(found)
        assert kept == self._batches
        seen = inspect(self._path)
        wanted = +self._counts
        assert +self._spool.counts == +seen.counts == wanted
        assert self._spool.pending == seen.pending
        assert seen.pending.batches == len(kept)
        assert seen.pending.messages == sum(len(batch.topics) for batch in kept.values())
        assert seen.pending.oldest_ms == min((batch.received_ms for batch in kept.values()), default=None)
        with closing(sqlite3.connect(self._path)) as db:
            letters = db.execute("SELECT time_ms, reason, payload FROM dead_letters ORDER BY id").fetchall()
        assert letters == [(each.time_ms, each.reason, each.payload) for each in self._letters]

    def teardown(self) -> None:
        """Remove the files."""
        if self._starts:
            self._spool.close()
        shutil.rmtree(self._folder)

    def _open(self) -> None:
        self._starts += 1
        self._spool = Spool(self._path, _LIMITS)
        for db in (self._spool._db, self._spool._reader):
            # What the losses of power take for granted: a commit is synced, and so is the file before the journal is
            # begun anew.
            assert db.execute("PRAGMA synchronous").fetchone() == (_FULL,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        self._spool._db.execute(f"PRAGMA wal_autocheckpoint = {self._checkpoint}")

    def _files(self) -> _Files:
        journal = self._path.with_name(self._path.name + "-wal")
        return _Files(self._path.read_bytes(), journal.read_bytes() if journal.exists() else b"")

    def _continue_with(self, files: _Files) -> None:
        """Leave the files as they are and go on with these, as after a new start of the machine."""
        self._spool.close()
        folder = self._folder / str(self._starts)
        folder.mkdir()
        self._path = folder / "spool.sqlite"
        self._path.write_bytes(files.main)
        self._path.with_name(self._path.name + "-wal").write_bytes(files.journal)
        self._open()

    def _power_fails_in(self, operation: Callable[[], None], random: Random, keeps: float) -> None:
        before = self._files()
        model = (dict(self._batches), Counter(self._counts), list(self._letters), self._last_id)
        operation()
        after = self._files()
        happened = random.random() < 0.5
        if happened:
            left = _Files(_torn(before.main, after.main, random, keeps), after.journal)
        else:
            left = _Files(before.main, _torn(before.journal, after.journal, random, keeps))
            happened = left.journal == after.journal
        if not happened:
            self._batches, self._counts, self._letters, self._last_id = model
        self._continue_with(left)


def _torn(before: bytes, after: bytes, random: Random, keeps: float) -> bytes:
    """The bytes after a crash while `after` was written over `before`: a share of the sectors that differ is new."""
    size = max(len(before), len(after))
    old, new = before.ljust(size, b"\0"), after.ljust(size, b"\0")
    sectors = [at for at in range(0, size, _SECTOR) if old[at : at + _SECTOR] != new[at : at + _SECTOR]]
    if random.random() < 0.5:
        written = sectors[: round(keeps * len(sectors))]  # in order
    else:
        written = [at for at in sectors if random.random() < keeps]
    left = bytearray(old)
    for at in written:
        left[at : at + _SECTOR] = new[at : at + _SECTOR]
    # The file is as long as what has reached it, or as the operating system had made it already.
    longest = max([len(before), *(at + _SECTOR for at in written)])
    return bytes(left[: min(size, longest)] if random.random() < 0.5 else left)
