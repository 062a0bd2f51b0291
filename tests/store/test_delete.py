"""Letting go of rows for good: the same for both stores."""

import dataclasses

import pytest

from devices.registry import discover
from store.protocol import DeletingStore, Query, Store
from tests.store.samples import COMPOUNDS, START_NS, STOP_NS, sample

TABLES = [each for each in discover().tables() if each.measurement in {"gate_pass", "bin_telemetry", "camera_status"}]
MIDDLE = (START_NS + STOP_NS) // 2


@pytest.fixture(params=["duck", pytest.param("influx", marks=pytest.mark.services)])
def deleting(request: pytest.FixtureRequest) -> DeletingStore:
    found: Store = request.getfixturevalue(request.param)
    assert isinstance(found, DeletingStore)
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.measurement)
@pytest.mark.parametrize("compound", [None, COMPOUNDS[0]])
def test_rows_before_a_time_are_gone_and_no_others(
    deleting: DeletingStore, table: object, compound: str | None
) -> None:
    assert any(table is each for each in TABLES)
    chosen = next(each for each in TABLES if each is table)
    other = next(each for each in TABLES if each is not table)
    deleting.write([sample(chosen), sample(other)])
    query = Query(table=chosen, start_ns=0, stop_ns=STOP_NS * 2)
    before = deleting.read(query)
    cut = int(before.time[before.time >= MIDDLE].min())  # a row just at the edge stays
    deleting.delete(chosen, stop_ns=cut, compound=compound)
    after = deleting.read(query)
    expected = [
        (before.keys[series], time)
        for series, time in zip(before.series.tolist(), before.time.tolist(), strict=True)
        if time >= cut or compound not in {None, before.keys[series].compound}
    ]
    assert [(after.keys[s], t) for s, t in zip(after.series.tolist(), after.time.tolist(), strict=True)] == expected
    assert len(expected) < len(before)
    assert deleting.count(chosen, start_ns=0, stop_ns=STOP_NS * 2) == len(expected)
    untouched = dataclasses.replace(query, table=other)
    assert len(deleting.read(untouched)) == len(sample(other))
    # What is gone may come again, and is deleted again.
    deleting.write([sample(chosen)])
    assert len(deleting.read(query)) == len(before)
    deleting.delete(chosen, stop_ns=cut, compound=compound)
    assert len(deleting.read(query)) == len(expected)


def test_a_row_at_the_last_moment_is_gone(deleting: DeletingStore) -> None:
    table = TABLES[0]
    deleting.write([sample(table)])
    query = Query(table=table, start_ns=0, stop_ns=STOP_NS * 2)
    last = int(deleting.read(query).time.max())
    deleting.delete(table, stop_ns=last)
    assert set(deleting.read(query).time.tolist()) == {last}
    deleting.delete(table, stop_ns=last + 1)
    assert not len(deleting.read(query))
    deleting.delete(table, stop_ns=0)
