"""Partials: merged, joined and chosen they are what the rows would have given; statistics of them are the same."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import columns_of, evaluate, partials_of, results_of
from aggregate.histogram import Histogram
from aggregate.partials import Column, Merge, Partials, Scope, keys_of
from aggregate.reducers import grid
from aggregate.requirements import raw_needs
from devices.availability import statistics_of
from devices.columns import Batch, SeriesKey, Times
from devices.inventory import Device
from devices.kind import Kind
from devices.names import is_name
from devices.registry import discover
from tests.aggregate.rows import devices_of, drawn, read
from tests.aggregate.test_contract import ATTRIBUTES, DAY_NS, START_NS, STOP_NS, random_tables, same

KINDS = discover()
QUARTER_NS = 900 * 10**9
FIRST = START_NS + DAY_NS - (START_NS + DAY_NS) % QUARTER_NS
FINE = FIRST + np.arange(97, dtype=np.int64) * QUARTER_NS
few = settings(max_examples=20)  # each makes three days of rows
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
seeds = st.integers(0, 2**32 - 1)
cuts = st.sets(st.integers(0, len(FINE) - 1), min_size=2, max_size=12).map(sorted)


def made(kind: Kind, tables: Mapping[str, Batch], edges: Times, devices: Sequence[Device] | None = None) -> Partials:
    """All partials of a kind, of the rows that they say they need, and no others."""
    statistics = statistics_of(kind)
    rows = read(tables, raw_needs(kind, statistics, edges))
    return partials_of(kind, statistics, devices_of(kind) if devices is None else devices, rows, edges)


def equal(one: Partials, other: Partials, rtol: float = 1e-11) -> None:
    np.testing.assert_array_equal(one.edges, other.edges)
    assert one.keys == other.keys
    assert one.columns == other.columns
    for column in one.columns:
        left, right = one.values[column.name], other.values[column.name]
        if isinstance(left, Histogram):
            assert isinstance(right, Histogram)
            assert left.shape == right.shape
            for name in ("cell", "bin", "count"):
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        else:
            np.testing.assert_allclose(left, other.numbers(column.name), rtol, 1e-9, err_msg=column.name)


@every_kind
def test_every_column_is_named_once_and_made(kind: Kind) -> None:
    columns = columns_of(kind, statistics_of(kind))
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert all(map(is_name, names))
    partials = made(kind, random_tables(kind), FINE)
    for column in columns:
        value, keys = partials.values[column.name], partials.keys[column.scope]
        assert isinstance(value, Histogram) == (column.merge is Merge.HISTOGRAM)
        shape = value.shape
        assert shape == (len(keys), len(FINE) - 1)
        assert not isinstance(value, Histogram) or len(value.count)
        assert isinstance(value, Histogram) or (value != column.empty).any(), column.name


@every_kind
@few
@given(seed=seeds, places=cuts)
def test_merged_partials_are_those_of_longer_buckets(kind: Kind, seed: int, places: list[int]) -> None:
    tables = random_tables(kind, seed)
    equal(made(kind, tables, FINE).merged(FINE[places]), made(kind, tables, FINE[places]))


@every_kind
@few
@given(seed=seeds, place=st.integers(1, len(FINE) - 2))
def test_spans_joined_are_the_whole(kind: Kind, seed: int, place: int) -> None:
    tables = random_tables(kind, seed)
    parts = [made(kind, tables, FINE[: place + 1]), made(kind, tables, FINE[place:])]
    equal(Partials.joined(parts), made(kind, tables, FINE))


@every_kind
@few
@given(seed=seeds, chosen=st.sets(st.integers(0, 3)))
def test_the_partials_of_a_device_are_made_of_its_rows_alone(kind: Kind, seed: int, chosen: set[int]) -> None:
    devices = devices_of(kind, 4)
    tables = drawn(kind, devices, START_NS, STOP_NS, np.random.default_rng(seed))
    some = [devices[place] for place in sorted(chosen)]
    equal(made(kind, tables, FINE, devices).only(some), made(kind, tables, FINE, some), 0)


@every_kind
@few
@given(seed=seeds)
def test_partials_do_not_depend_on_the_order_of_rows(kind: Kind, seed: int) -> None:
    tables = random_tables(kind)
    rng = np.random.default_rng(seed)
    other = {name: batch.take(rng.permutation(len(batch))) for name, batch in tables.items()}
    equal(made(kind, tables, FINE), made(kind, other, FINE), 0)


@every_kind
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("text", ["15m", "1h", "6h", "1d"])
def test_statistics_of_merged_partials_are_those_of_rows(kind: Kind, zone: str, text: str) -> None:
    tz, statistics, devices = ZoneInfo(zone), statistics_of(kind), devices_of(kind)
    tables = random_tables(kind)
    edges = bucket_edges(int(FINE[0]), int(FINE[-1]), Every.parse(text), tz)
    cut = grid(kind, statistics, edges, tz)
    fine = np.arange(cut[0] - cut[0] % QUARTER_NS, cut[-1] + QUARTER_NS, QUARTER_NS)
    partials = made(kind, tables, fine)
    rolled = results_of(kind, statistics, devices, partials, edges, tz=tz, attributes=ATTRIBUTES)
    direct = evaluate(kind, statistics, devices, tables, edges, tz=tz, attributes=ATTRIBUTES)
    for one, other in zip(rolled, direct, strict=True):
        same(one, other)


def test_partials_merge_only_into_buckets_whose_edges_are_theirs() -> None:
    partials = made(KINDS["gate"], random_tables(KINDS["gate"]), FINE)
    for edges in (FINE[[0, 4]] + 1, np.array([FINE[0], FINE[-1] + QUARTER_NS])):
        with pytest.raises(ValueError, match="whose edges are theirs"):
            partials.merged(edges)


def test_how_each_merge_works_and_what_stands_for_nothing() -> None:
    edges = np.arange(5, dtype=np.int64)
    nothing = np.nan
    cases = {
        Merge.SUM: ([1.0, 2.0, 0.0, 4.0], [3.0, 4.0]),
        Merge.LOW: ([3.0, 2.0, np.inf, np.inf], [2.0, np.inf]),
        Merge.HIGH: ([3.0, 2.0, -np.inf, -np.inf], [3.0, -np.inf]),
        Merge.LAST: ([3.0, nothing, nothing, nothing], [3.0, nothing]),
    }
    for merge, (fine, merged) in cases.items():
        column = Column(name="figure", scope=Scope.DEVICE, merge=merge)
        partials = Partials(edges, {Scope.DEVICE: (SeriesKey("a", "b"),)}, (column,), {"figure": np.array([fine])})
        np.testing.assert_array_equal(partials.merged(edges[[0, 2, 4]]).numbers("figure"), [merged])
        if merge is not Merge.SUM:
            assert np.array_equal(column.empty, merged[1], equal_nan=True)


def test_a_kind_without_parts_has_no_series_of_parts() -> None:
    gate, charger = KINDS["gate"], KINDS["charger"]
    assert keys_of(gate, devices_of(gate), Scope.PART) == ()
    assert len(keys_of(charger, devices_of(charger), Scope.PART)) == 2 * len(devices_of(charger))
