"""Reading ahead of the writer: the run after the present one, and what waits while the store is away."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from devices.columns import Batch
from devices.inventory import Inventory
from devices.registry import Registry
from ingest import lookahead
from ingest.frame import Messages
from ingest.gapwatch import GapWatch
from ingest.ledger import Entry
from ingest.lookahead import Lookahead
from store.duck import DuckStore
from tests.ingest.line import GATE, NOW_MS, Line, gate
from tests.ingest.stores import FailingStore

FULL = 1000


class Taking(FailingStore):
    """Takes everything, and keeps nothing."""

    def write(self, batches: Sequence[Batch]) -> None:
        """Take it."""


@pytest.fixture
def line(tmp_path: Path, small: Inventory, registry: Registry, duck: DuckStore) -> Iterator[Line]:
    made = Line(tmp_path / "spool.sqlite", small, registry, Taking(duck))
    yield made
    made.spool.close()


def wait(line: Line, batches: int) -> None:
    """Have batches of a gate's readings wait, one reading in each message; none is missing."""
    for begin in range(0, batches * FULL, FULL):
        payloads = [gate(number).payload for number in range(begin, begin + FULL)]
        line.spool.append(Messages([GATE] * FULL, payloads), NOW_MS + begin)


def test_a_run_that_empties_the_spool_is_the_last(line: Line) -> None:
    wait(line, 20)  # so many small messages that their topics alone are worth a write
    line.turn()
    assert line.spool.pending.messages == 0
    line.take([gate(20 * FULL)])
    assert line.total(Entry.WRITTEN) == 20 * FULL + 1
    assert line.gaps() == []


def test_nothing_is_missing_when_the_writer_overtakes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    wait(line, 60)
    ahead = Lookahead(line.spool, line.book.tracker, line.writer._prefetch._decode)
    watch = GapWatch(ahead, grace_s=0)
    monkeypatch.setattr(lookahead, "_AT_ONCE_S", 0.02)
    ahead.step()
    line.turn()
    line.turn()
    assert 0 < line.spool.pending.messages < 60 * FULL
    for _ in range(100):
        ahead.step()
        assert watch.missing() == {}
    assert ahead.tracker is not line.book.tracker
    assert ahead.tracker.of_device("jingyuan-gate-01", 2**62)[0].high == 60 * FULL - 1
