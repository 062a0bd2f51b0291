"""The gap book: what is known of gaps is exact whatever is killed, and every reading is counted once."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from devices.errors import StoreRejectedError
from devices.inventory import Inventory
from devices.registry import Registry
from ingest import gapbook, gapfile
from ingest.errors import SpoolError
from ingest.frame import Messages
from ingest.gapbook import TrackingBook
from ingest.inspection import inspect
from ingest.ledger import Entry, unbalanced
from ingest.spool import Outcome
from store.duck import DuckStore
from tests.ingest.fleet import Fleet, Sent
from tests.ingest.line import GATE, NOW_MS, Line, gate
from tests.ingest.stores import FailingStore

Open = Callable[[], Line]


@pytest.fixture
def store(duck: DuckStore) -> FailingStore:
    return FailingStore(duck)


@pytest.fixture
def reopen(tmp_path: Path, small: Inventory, registry: Registry, store: FailingStore) -> Iterator[Open]:
    """Opens the same files again, as a new process would."""
    opened: list[Line] = []

    def again() -> Line:
        if opened:
            opened[-1].spool.close()
        opened.append(Line(tmp_path / "spool.sqlite", small, registry, store))
        return opened[-1]

    yield again
    for each in opened:
        each.spool.close()


def test_gaps_of_messages(reopen: Open) -> None:
    line = reopen()
    line.take([gate(0, 1, 2), gate(5), gate(7, 8)])
    (gap,) = line.gaps()
    assert gap.stream == ("gate", "jingyuan", "jingyuan-gate-01", "telemetry")
    assert [(each.first, each.last) for each in gap.ranges] == [(3, 4), (6, 6)]
    line.take([gate(3), gate(4), gate(6)])
    assert line.gaps() == []
    assert (line.total(Entry.RECEIVED), line.total(Entry.WRITTEN), line.total(Entry.DUPLICATE)) == (9, 9, 0)


def test_repetitions_are_counted_as_such_and_written_over(reopen: Open, store: FailingStore) -> None:
    line = reopen()
    line.take([gate(0, 1, 2)])
    line.take([gate(1, 2, 3), gate(3), gate(3)])
    assert (line.total(Entry.RECEIVED), line.total(Entry.WRITTEN), line.total(Entry.DUPLICATE)) == (8, 4, 4)
    assert sum(store.writes) == 6
    assert unbalanced(line.spool.counts) == {}


def test_a_reading_overwritten_in_the_same_write_counts_once(reopen: Open) -> None:
    """Of two copies in one run one is dropped before the write; neither the seq nor the time counts it twice."""
    line = reopen()
    line.take([gate(0), gate(0), gate(0)])
    line.take([gate(0), gate(0), gate(1)])
    assert (line.total(Entry.WRITTEN), line.total(Entry.DUPLICATE)) == (2, 4)


def test_what_the_store_refuses_was_received(reopen: Open, store: FailingStore) -> None:
    line = reopen()

    def refuse(batches: Sequence[object]) -> Exception | None:
        times = [at for batch in batches for at in batch.time.tolist()]  # type: ignore[attr-defined]  # batches
        return StoreRejectedError("no") if any(at // 1_000_000 == NOW_MS + 1 for at in times) else None

    store.refuse = refuse
    line.take([gate(0, 1, 2)])
    assert line.gaps() == []
    line.take([gate(1, 2)])
    totals = {entry: line.total(entry) for entry in (Entry.WRITTEN, Entry.DUPLICATE, Entry.DEAD_LETTERED)}
    assert totals == {Entry.WRITTEN: 2, Entry.DUPLICATE: 1, Entry.DEAD_LETTERED: 2}
    assert unbalanced(line.spool.counts) == {}


def test_refused_messages_are_told_beside_the_gap_they_leave(reopen: Open) -> None:
    line = reopen()
    line.take([gate(0), Sent(GATE, b"{"), Sent(GATE, b"[]"), gate(3)])
    (gap,) = line.gaps()
    assert (gap.missing, gap.refused) == (2, 2)


def test_a_status_without_a_number_is_not_followed(reopen: Open) -> None:
    line = reopen()
    topic = GATE.replace("telemetry", "status")
    for turn in range(2):
        online = b'{"state":"online","ts":%d,"seq":4}' % NOW_MS
        line.take([Sent(topic, b'{"state":"offline"}'), Sent(topic, online)], NOW_MS + turn)
    assert line.gaps() == []
    assert (line.total(Entry.WRITTEN), line.total(Entry.DUPLICATE)) == (3, 1)


@pytest.mark.parametrize("notes", [1, 3, 1000])
def test_nothing_is_forgotten_by_a_restart(
    reopen: Open, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, notes: int
) -> None:
    """After each turn a new process knows what the old one knew, whether it was noted or written anew."""
    monkeypatch.setattr(gapbook, "_NOTES", notes)
    random = Random(3)  # noqa: S311  (the same losses each time)
    line = reopen()
    for turn in range(8):
        sent = [each for each in fleet.messages(60, objects=2, since_ms=NOW_MS) if random.random() < 0.8]
        random.shuffle(sent)
        line.take([*sent, *random.sample(sent, 5), Sent(GATE, b"{")], NOW_MS + turn)
        before, counts, until = line.gaps(), line.spool.counts, NOW_MS + turn - 1
        young = line.book.tracker.worst(until, 1000)
        line = reopen()
        assert line.gaps() == before
        assert line.book.tracker.worst(until, 1000) == young
        assert line.spool.counts == counts
        stored, _ = line.spool.ask(gapfile.noted)
        assert stored < max(notes, 1)
    assert len(line.gaps()) > 5
    assert line.total(Entry.DUPLICATE) == 8 * 10


def test_a_trim_that_fails_changes_nothing_and_is_made_again(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    line = reopen()
    line.take([gate(0)])
    trim, failures = line.spool.trim, [SpoolError("disk")] * 2

    def failing(up_to_id: int, outcome: Outcome) -> None:
        if failures:
            raise failures.pop()
        trim(up_to_id, outcome)

    monkeypatch.setattr(line.spool, "trim", failing)
    monkeypatch.setattr("ingest.writer._SPOOL_PAUSE_S", 0.01)
    line.take([gate(2), gate(0)])
    assert [gap.missing for gap in line.gaps()] == [1]
    assert line.total(Entry.DUPLICATE) == 1
    assert reopen().gaps() == line.gaps()


def test_a_kill_before_the_trim_counts_nothing_twice(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has the readings, the spool does not know: all of it is done again, and counted once."""
    line = reopen()
    line.take([gate(0, 1)])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(line.spool, "trim", killed)
    with pytest.raises(KeyboardInterrupt):
        line.take([gate(4), gate(1)])
    line = reopen()
    assert line.gaps() == []
    line.turn()
    assert [gap.missing for gap in line.gaps()] == [2]
    assert (line.total(Entry.WRITTEN), line.total(Entry.DUPLICATE)) == (3, 1)


def test_a_spool_of_the_first_layout_is_brought_up_to_date(tmp_path: Path, reopen: Open) -> None:
    line = reopen()
    line.take([gate(0)])
    line.spool.append(Messages([GATE], [gate(1).payload]), NOW_MS)
    line.spool.close()
    path = tmp_path / "spool.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in (
            "DELETE FROM counters WHERE entry = 'taken'",
            "ALTER TABLE batches DROP COLUMN first_ms",
            "ALTER TABLE dead_letters DROP COLUMN replayed_ms",
            "DROP TABLE replays",
            "DROP TABLE streams",
            "DROP TABLE sightings",
            "PRAGMA application_id = 0",
            "PRAGMA user_version = 1",
        ):
            db.execute(statement)
    line = reopen()
    line.turn()
    line.take([gate(2), gate(4)])
    assert [gap.missing for gap in line.gaps()] == [1]
    assert (line.total(Entry.WRITTEN), line.spool.pending.messages) == (4, 0)
    assert inspect(path).unaccounted == 0


def test_following_costs_little(reopen: Open, fleet: Fleet) -> None:
    """What noting adds to a turn, against the turn as a whole: a wide bound, for machines are busy."""
    line = reopen()
    sent = list(fleet.messages(4000))
    line.take(sent[:2000])
    book, spent = line.book, 0.0
    enter = book.enter

    def timed(*given: object) -> object:
        nonlocal spent
        began = time.thread_time()
        try:
            return enter(*given)  # type: ignore[arg-type]  # passed on
        finally:
            spent += time.thread_time() - began

    book.enter = timed  # type: ignore[method-assign,assignment]  # watched
    began = time.thread_time()
    line.take(sent[2000:])
    assert isinstance(book, TrackingBook)
    assert spent < 0.5 * (time.thread_time() - began)
