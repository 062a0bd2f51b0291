"""The parts of rollups by themselves: pieces, rows, the write log."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregate.evaluate import columns_of, partials_of
from aggregate.histogram import Histogram
from aggregate.partials import Merge, Scope
from devices.availability import statistics_of
from devices.columns import Batch, Coded, SeriesKey
from devices.errors import InventoryError
from devices.inventory import Inventory
from devices.kind import Kind
from rollups import rows
from rollups.errors import WriteLogError
from rollups.grains import QUARTER_NS, Grain, edges_within
from rollups.logfolder import LogFolder
from rollups.marks import gathered
from rollups.pieces import pieces
from rollups.tables import final_lines, partials_table, scopes_of, tables
from rollups.writelog import EVERYTHING, WriteLog
from tests.rollups.world import DAY_NS, KINDS, START_NS, STOP_NS, TZ, rows_of, small

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
times = st.integers(0, 3 * 96).map(lambda quarter: START_NS + quarter * QUARTER_NS)
GATE = KINDS["gate"]


@given(
    edges=st.sets(st.integers(START_NS, STOP_NS) | times, min_size=2, max_size=40).map(sorted),
    begin=times,
    closed=times,
)
def test_pieces_follow_each_other_and_leave_every_edge(edges: list[int], begin: int, closed: int) -> None:
    found = pieces(np.array(edges, np.int64), begin, closed, TZ)
    assert found[0].edges[0] == edges[0]
    assert found[-1].edges[-1] == edges[-1]
    for one, other in pairwise(found):
        assert one.edges[-1] == other.edges[0]
    every = np.concatenate([piece.edges for piece in found])
    assert np.isin(edges, every).all()
    for piece in found:
        assert (np.diff(piece.edges) > 0).all()
        if piece.grain is not None:
            assert begin <= piece.edges[0] < piece.edges[-1] <= closed
            first, last = piece.edges[[0, -1]].tolist()
            np.testing.assert_array_equal(piece.edges, edges_within(piece.grain, first, last, TZ))


def test_a_long_span_comes_of_days() -> None:
    edges = np.array([START_NS, START_NS + 300 * DAY_NS], np.int64)
    found = pieces(edges, START_NS - DAY_NS, START_NS + 299 * DAY_NS + 5 * QUARTER_NS, TZ)
    assert [(piece.grain, len(piece.edges) - 1) for piece in found] == [
        (Grain.DAY, 299), (Grain.HOUR, 1), (Grain.QUARTER, 1), (None, 1),
    ]  # fmt: skip


@every_kind
def test_partials_survive_as_rows(kind: Kind) -> None:
    inventory = small(kind)
    devices = inventory.of_kind(kind.name)
    edges = edges_within(Grain.QUARTER, START_NS + DAY_NS, START_NS + 2 * DAY_NS, TZ)
    partials = partials_of(kind, statistics_of(kind), devices, rows_of(kind, inventory, 1), edges)
    batches = {}
    for scope in scopes_of(kind):
        cells = np.ones((len(partials.keys[scope]), len(edges) - 1), np.bool_)
        batches[scope] = rows.batch_of(partials_table(kind, scope, Grain.QUARTER), scope, partials, cells)
        assert len(batches[scope]) == cells.size
    columns = columns_of(kind, statistics_of(kind))
    values = rows.values_of(columns, partials.keys, batches, edges[:-1])
    for column in columns:
        one, other = values[column.name], partials.values[column.name]
        if isinstance(other, Histogram):
            assert isinstance(one, Histogram)
            for name in ("cell", "bin", "count"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("text", ["?", "1", "1:", ":1", "a:b", "99999999:1", "-1:3", "1:2:3", "١:٢"])
def test_what_is_no_histogram_counts_for_nothing(text: str) -> None:
    kind = next(
        kind
        for kind in KINDS.values()
        for each in columns_of(kind, statistics_of(kind))
        if each.merge is Merge.HISTOGRAM
    )
    (column,) = [each for each in columns_of(kind, statistics_of(kind)) if each.merge is Merge.HISTOGRAM]
    key = SeriesKey("east", "east-locker-01", "small")
    table = partials_table(kind, column.scope, Grain.QUARTER)
    batch = Batch(table, (key,), np.zeros(2, np.int32), np.array([0, QUARTER_NS]), {
        column.name: Coded(np.array([0, 1], np.int32), (text, "3:2")),
    })  # fmt: skip
    found = rows.values_of([column], {column.scope: (key,)}, {column.scope: batch}, np.array([0, QUARTER_NS]))
    histogram = found[column.name]
    assert isinstance(histogram, Histogram)
    assert (histogram.cell.tolist(), histogram.bin.tolist(), histogram.count.tolist()) == ([1], [3], [2])


def test_every_line_has_a_field_of_its_own_and_every_table_a_name() -> None:
    for kind in KINDS.values():
        lines = final_lines(kind)
        assert {line.statistic for line in lines} == {each.name for each in statistics_of(kind)}
    names = [table.measurement for table in tables(KINDS)]
    assert len(set(names)) == len(names)


def test_no_compound_is_called_all() -> None:
    text = (
        "name: {en: a, zh: a}\ncompounds: [{id: all, name: {en: a, zh: a}, buildings: 1, residents: 1, "
        "parking_spaces: 0, devices: {}}]"
    )
    with pytest.raises(InventoryError, match="stands for all"):
        Inventory.parse(text, KINDS)


def test_the_log_survives_and_forgets(tmp_path: Path) -> None:
    inventory = small(GATE)
    batches = list(rows_of(GATE, inventory, 1).values())
    log = WriteLog(tmp_path / "a.writelog")
    log.note(batches)
    log.note([])
    log.close()
    log = WriteLog(tmp_path / "a.writelog")
    marks = log.marks(limit=100)
    assert len(marks) == len(batches) == log.waiting()
    found = gathered(marks, {GATE.name: GATE}, inventory)
    for batch in batches:
        devices = {device.id: number for number, device in enumerate(inventory.of_kind(GATE.name))}
        cells = {
            (devices[batch.keys[series].device], time // QUARTER_NS)
            for series, time in zip(batch.series.tolist(), batch.time.tolist(), strict=True)
        }
        codes = found.of(GATE.name)[batch.table.name]
        assert {(code >> 32, code & (2**32 - 1)) for code in codes.tolist()} == cells
    last = max(int(batch.time.max()) for batch in batches) // QUARTER_NS
    assert max(found.newest.values()) == last
    log.forget(marks[0].id, {"east": 5})
    log.forget(marks[0].id, {"east": 3, "west": 1})
    assert [mark.id for mark in log.marks(limit=100)] == [mark.id for mark in marks[1:]]
    assert log.newest() == {"east": 5, "west": 1}
    assert log.marks(limit=1)[0].id == marks[1].id
    log.close()


def test_marks_are_kept_until_every_reader_has_done_with_them(tmp_path: Path) -> None:
    now = [1000.0]
    path, batches = tmp_path / "a.writelog", list(rows_of(GATE, small(GATE), 1).values())
    logs = [WriteLog(path, reader=name, clock=lambda: now[0]) for name in ("rollups", "alarms")]
    rollups, alarms = logs
    alarms.join()
    rollups.note(batches)
    ids = [mark.id for mark in alarms.marks(limit=100)]
    rollups.forget(ids[-1])
    assert (rollups.waiting(), alarms.waiting()) == (0, len(ids))
    assert [mark.id for mark in alarms.marks(limit=100)] == ids
    alarms.forget(ids[0])
    alarms.join()  # changes nothing for who has joined
    assert [mark.id for mark in alarms.marks(limit=100)] == ids[1:]
    rollups.note(batches)
    now[0] += 86_401  # the other is gone for good
    rollups.forget(rollups.marks(limit=100)[-1].id)
    assert alarms.marks(limit=100) == []
    for each in logs:
        each.close()


def test_marks_are_kept_for_a_rollup_worker_that_has_not_begun(tmp_path: Path) -> None:
    now = [1000.0]
    path = tmp_path / "a.writelog"
    rollups, alarms = (WriteLog(path, reader=name, clock=lambda: now[0]) for name in ("rollups", "alarms"))
    alarms.join()
    rollups.note(list(rows_of(GATE, small(GATE), 1).values()))
    ids = [mark.id for mark in alarms.marks(limit=100)]
    now[0] += 10 * 86_400
    alarms.forget(ids[-1])
    assert [mark.id for mark in rollups.marks(limit=100)] == ids
    for each in (rollups, alarms):
        each.close()


def test_a_log_that_nobody_reads_stays_small(tmp_path: Path) -> None:
    log = WriteLog(tmp_path / "a.writelog", max_bytes=5000)
    batch = rows_of(GATE, small(GATE), 1)["telemetry"]
    for _ in range(600):
        log.note([batch.take(slice(0, 20))])
    marks = log.marks(limit=10_000)
    assert len(marks) < 300
    assert marks[0].measurement == EVERYTHING
    assert marks[0].first == int(batch.time[:20].min()) // QUARTER_NS
    assert gathered(marks, {GATE.name: GATE}, small(GATE)).everything == marks[0].first
    log.close()


def test_marks_of_what_is_gone_are_left_out(tmp_path: Path) -> None:
    log = WriteLog(tmp_path / "a.writelog")
    log.note(list(rows_of(GATE, small(GATE), 1).values()))
    marks = log.marks(limit=100)
    assert gathered(marks, {}, small(GATE)).newest == {}
    other = small(KINDS["bin"])
    assert gathered(marks, {GATE.name: GATE}, other).cells == {}
    log.close()


def test_errors_of_the_log_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.writelog").write_bytes(b"no database" * 1000)
    with pytest.raises(WriteLogError, match="not a database"):
        WriteLog(tmp_path / "bad.writelog")
    with pytest.raises(WriteLogError):
        WriteLog(tmp_path / "bad.writelog" / "below")
    log = WriteLog(tmp_path / "good.writelog")
    log.close()
    with pytest.raises(WriteLogError):
        log.note(list(rows_of(GATE, small(GATE), 1).values()))


def test_a_write_that_fails_notes_nothing(tmp_path: Path) -> None:
    log = WriteLog(tmp_path / "a.writelog")
    other = sqlite3.connect(tmp_path / "a.writelog")
    other.execute("DROP TABLE marks")
    other.commit()
    with pytest.raises(WriteLogError):
        log.note(list(rows_of(GATE, small(GATE), 1).values()))
    other.close()
    log.close()


def test_one_worker_alone_reads_the_logs_of_all(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    assert folder() == []
    with pytest.raises(WriteLogError, match="another rollups worker"):
        LogFolder(tmp_path)
    first = WriteLog(tmp_path / "spool.writelog")
    assert len(folder()) == 1
    second = WriteLog(tmp_path / "spool-2of2.writelog")
    assert len(folder()) == 2
    folder.close()
    LogFolder(tmp_path).close()
    for each in (first, second):
        each.close()


def test_all_scopes_are_known() -> None:
    assert set(Scope) == {scope for kind in KINDS.values() for scope in scopes_of(kind)}
