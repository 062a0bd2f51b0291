"""Merging: several workers, each with a part of every device's readings, say together what one would have said."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ingest import database, gather
from ingest.errors import SpoolError
from ingest.frame import Messages
from ingest.gapbook import noting
from ingest.gaps import Gap, Tracker
from ingest.gather import Gatherer, look
from ingest.inspection import snapshot
from ingest.merge import Merge
from ingest.sightings import Sightings, Stream, Streams
from ingest.spool import Outcome, Spool
from ingest.workers import GAPS, Worker
from tests.ingest.conftest import LIMITS

FOREVER = 2**62
NAMES = [
    Stream("gate", "a", "gate-0", "telemetry"),
    Stream("bin", "a", "bin-0", "event"),
    Stream("bin", "b", "b", "event"),
]
Reading = tuple[int, int]
"""Stream and number."""


class Share:
    """One worker: a spool that only notes what it saw."""

    def __init__(self, folder: Path, number: int, of: int) -> None:
        """Open its spool."""
        self.path = folder / Worker(number, of).spool
        self.spool = Spool(self.path, LIMITS)
        self.book = self.spool.ask(noting)

    def see(self, readings: list[Reading], received_ms: int = 1, *, stored: bool = True) -> None:
        """Take readings, and settle them."""
        numbers = [self.book.streams.number(NAMES[stream]) for stream, _ in readings]
        stream, seq = np.array(numbers, np.int64), np.array([seq for _, seq in readings], np.int64)
        counts = None if stored else np.zeros(len(readings), np.bool_)
        self.spool.append(Messages(["t"], [b"{}"]), received_ms)
        (batch,) = self.spool.read(messages=1, size=1)
        _, change = self.book.enter(Sightings(received_ms, stream, np.full_like(seq, 7), seq, counts))
        self.spool.trim(batch.id, Outcome(gaps=change))
        self.book.kept(change)

    def reopen(self) -> None:
        """As a new process would."""
        self.spool.close()
        self.spool = Spool(self.path, LIMITS)
        self.book = self.spool.ask(noting)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Share]]:
    made = [Share(tmp_path, number, 3) for number in (1, 2, 3)]
    yield made
    for each in made:
        each.spool.close()


def looked(folder: Path, workers: list[Share]) -> Merge:
    with ExitStack() as stack:
        snapshots = [stack.enter_context(snapshot(each.path)) for each in workers]
        return look(folder / GAPS, {database.identity(db): db for db in snapshots})


def gaps(tracker: Tracker | None) -> list[tuple[Stream, int, tuple[object, ...]]]:
    assert tracker is not None
    return [(gap.stream, gap.missing, gap.ranges) for gap in tracker.worst(FOREVER, 99)]


CALLS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=12),
        st.sampled_from(["nothing", "step", "step", "save", "kill", "look"]),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=60)
@given(calls=CALLS)
def test_many_say_what_one_would_have_said(
    calls: list[tuple[int, list[Reading], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whichever worker saw what, whoever merges when, and is killed when: each note counts once."""
    folder = tmp_path_factory.mktemp("workers")
    whole = Tracker(Streams(NAMES))
    again: Counter[str] = Counter()
    with ExitStack() as stack:
        workers = [Share(folder, number, 3) for number in (1, 2, 3)]
        gatherers = [Gatherer(each.path, each.spool) for each in workers]
        for each in workers:
            stack.callback(each.spool.close)
        for number, readings, then in calls:
            stream, seq = (np.array([each[part] for each in readings], np.int64) for part in range(2))
            again += whole.track(Sightings(1, stream, np.full_like(seq, 7), seq))
            workers[number].see(readings)
            gatherer = gatherers[number]
            if then == "step":
                gatherer.step()
            elif then == "save":
                gatherer.step()
                gatherer.close()
            elif then == "kill":
                gatherer._stack.close()  # what it knew is gone; the kernel lets go of the lock
                gatherers[number] = Gatherer(workers[number].path, workers[number].spool)
            elif then == "look":
                assert gaps(looked(folder, workers).tracker) == gaps(whole)
        found = looked(folder, workers)
        assert gaps(found.tracker) == gaps(whole)
        assert found.again == again
        for gatherer in gatherers:
            gatherer.step()
        (leader,) = [each for each in gatherers if each.tracker is not None]
        assert gaps(leader.tracker) == gaps(whole)
        for gatherer in gatherers:
            gatherer.close()


def test_notes_go_when_they_are_merged(workers: list[Share]) -> None:
    first, second = (Gatherer(each.path, each.spool) for each in workers[:2])
    workers[0].see([(0, 0), (0, 3)])
    workers[1].see([(0, 1)])
    first.step()
    second.step()
    assert (first.tracker is not None, second.tracker is None) == (True, True)
    assert [each.spool.ask(_notes) for each in workers[:2]] == [1, 1]
    first.close()
    second.step()
    first.step()
    assert (first.tracker is None, second.tracker is not None) == (True, True)
    assert [each.spool.ask(_notes) for each in workers[:2]] == [0, 0]
    workers[0].see([(0, 2)])
    second.step()
    assert gaps(second.tracker) == []
    second.close()


def test_readings_that_do_not_count_are_no_repetitions(workers: list[Share], tmp_path: Path) -> None:
    workers[0].see([(0, 0), (0, 1)])
    workers[1].see([(0, 0)], stored=False)
    workers[1].see([(0, 1)])
    assert looked(tmp_path, workers).again == {"gate": 1}


def test_a_spool_that_begins_anew_is_read_from_its_beginning(workers: list[Share], tmp_path: Path) -> None:
    """An operator removes a worker's spool: the new one numbers its notes and streams anew."""
    for number in range(5):
        workers[0].see([(0, number)])
    gatherer = Gatherer(workers[1].path, workers[1].spool)
    gatherer.step()
    gatherer.close()
    workers[0].spool.close()
    for path in tmp_path.glob(f"{workers[0].path.name}*"):
        path.unlink()
    workers[0] = Share(tmp_path, 1, 3)
    workers[0].see([(1, 0), (0, 6)])
    assert gaps(looked(tmp_path, workers).tracker) == [(NAMES[0], 1, ((7, 5, 5),))]


def test_a_lost_merged_state_is_begun_anew(workers: list[Share], tmp_path: Path) -> None:
    workers[0].see([(0, 100)])
    gatherer = Gatherer(workers[0].path, workers[0].spool)
    gatherer.step()
    gatherer.close()
    for path in tmp_path.glob(f"{GAPS}*"):
        path.unlink()
    workers[0].see([(0, 101)])
    workers[1].see([(0, 103)])
    gatherer.step()
    assert gaps(gatherer.tracker) == [(NAMES[0], 1, ((7, 102, 102),))]
    gatherer.close()


def test_a_damaged_note_is_an_error(workers: list[Share], tmp_path: Path) -> None:
    workers[0].see([(0, 0)])
    with closing(sqlite3.connect(workers[0].path)) as db, db:
        db.execute("UPDATE sightings SET content = zeroblob(9)")
    with pytest.raises(SpoolError, match="sightings"):
        looked(tmp_path, workers)
    gatherer = Gatherer(workers[1].path, workers[1].spool)
    with pytest.raises(SpoolError):
        gatherer.step()
    gatherer.close()


def test_workers_that_lag_are_waited_for_but_not_for_long(
    workers: list[Share], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one has not yet looked at is not missing; but one that is stuck or dead holds up no report."""
    now = 1_000_000
    monkeypatch.setattr(gather, "now_ms", lambda: now)
    paths = [each.path for each in workers]
    assert gather.merged_until_ms(paths) == now
    workers[1].spool.append(Messages(["t"], [b"{}"]), now - 5000)
    assert gather.merged_until_ms(paths) == now - 5000
    workers[0].spool.append(Messages(["t"], [b"{}"]), now - 500_000)
    assert gather.merged_until_ms(paths) == now - 30_000
    workers[0].spool.close()
    assert gather.merged_until_ms(paths) == now - 5000


def test_it_is_told_who_merges(workers: list[Share]) -> None:
    gatherer = Gatherer(workers[0].path, workers[0].spool)
    with capture_logs() as logs:
        for _ in range(3):
            gatherer.step()
    assert [each["event"] for each in logs] == ["this worker merges what all workers saw"]
    gatherer.close()


def test_many_notes_are_merged_in_bounded_parts(
    workers: list[Share], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.merge._READINGS", 3)
    for number in range(40):
        workers[number % 3].see([(0, number), (1, number)])
    found: list[Gap] = looked(tmp_path, workers).tracker.worst(FOREVER, 9)
    assert found == []


def _notes(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM sightings").fetchone()
    return int(count)
