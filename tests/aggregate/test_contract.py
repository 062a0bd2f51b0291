"""What every declared statistic of every kind must do: a new kind grows this suite without an edit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import Result, evaluate
from aggregate.reducers import REDUCTIONS
from aggregate.requirements import requirements
from devices.availability import COMMON_STATISTICS, statistics_of
from devices.columns import Batch, Coded, SeriesKey, Times
from devices.inventory import Device
from devices.kind import Kind
from devices.registry import discover
from devices.statistics import Group, Reducer, Statistic
from tests.aggregate.rows import COMPOUND, devices_of, drawn, read

TZ = ZoneInfo("Asia/Shanghai")
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
START_NS = 1_717_171_200 * 10**9 + 1234 * 10**9
STOP_NS = START_NS + 3 * DAY_NS
EDGES = bucket_edges(START_NS + DAY_NS, START_NS + 2 * DAY_NS, Every.parse("1h"), TZ)
ATTRIBUTES = {"residents": 620.0}
DECLARED = [(kind, statistic) for kind in discover().values() for statistic in statistics_of(kind)]
COUNTED = {
    Reducer.COUNT, Reducer.TOTAL, Reducer.INCREASE, Reducer.ENTRIES, Reducer.OUTAGES, Reducer.MEAN_DURATION,
    Reducer.QUANTILE, Reducer.RATIO,
}  # fmt: skip

every_statistic = pytest.mark.parametrize(
    ("kind", "statistic"), DECLARED, ids=[f"{kind.name}-{statistic.name}" for kind, statistic in DECLARED]
)


def evaluated(
    kind: Kind,
    statistic: Statistic,
    tables: Mapping[str, Batch],
    edges: Times = EDGES,
    devices: Sequence[Device] | None = None,
) -> Result:
    """One statistic of the rows that it says it needs, and no others."""
    expected = devices_of(kind) if devices is None else devices
    rows = read(tables, requirements(kind, [statistic], edges, TZ)) if tables else {}
    (result,) = evaluate(kind, [statistic], expected, rows, edges, tz=TZ, attributes=ATTRIBUTES)
    return result


def whole(kind: Kind, statistic: Statistic, tables: Mapping[str, Batch]) -> Result:
    """One statistic of all rows."""
    (result,) = evaluate(kind, [statistic], devices_of(kind), tables, EDGES, tz=TZ, attributes=ATTRIBUTES)
    return result


def random_tables(kind: Kind, seed: int = 7) -> dict[str, Batch]:
    return drawn(kind, devices_of(kind), START_NS, STOP_NS, np.random.default_rng(seed))


def same(one: Result, other: Result) -> None:
    assert [line.label for line in one.lines] == [line.label for line in other.lines]
    for left, right in zip(one.lines, other.lines, strict=True):
        np.testing.assert_allclose(left.values, right.values, rtol=1e-9, atol=1e-9, err_msg=str(left.label))
        np.testing.assert_allclose(left.coverage, right.coverage, rtol=1e-9, atol=1e-9)


def test_every_reducer_has_a_row() -> None:
    assert set(REDUCTIONS) == set(Reducer)


def test_every_kind_has_the_common_statistics_and_its_own() -> None:
    for kind in discover().values():
        assert statistics_of(kind) == (*COMMON_STATISTICS, *kind.statistics)
        assert all(each.group is Group.USAGE for each in statistics_of(kind, Group.USAGE))


def test_a_kinds_own_statistic_replaces_a_common_one() -> None:
    gate = discover()["gate"]
    own = replace(gate.statistics[0], name="online")
    kind = replace(gate, statistics=(own,))
    assert [each for each in statistics_of(kind) if each.name == "online"] == [own]


@every_statistic
def test_random_rows_make_values_and_coverage(kind: Kind, statistic: Statistic) -> None:
    result = evaluated(kind, statistic, random_tables(kind))
    assert result.statistic is statistic
    assert result.lines
    assert all((line.label is None) == (statistic.by is None) for line in result.lines)
    for line in result.lines:
        assert line.values.dtype == line.coverage.dtype == np.float64
        assert line.values.shape == line.coverage.shape == (len(EDGES) - 1,)
        assert ((line.coverage >= 0) & (line.coverage <= 1)).all()
        assert not np.isinf(line.values).any()
        known = ~np.isnan(line.values)
        assert known.any()
        # Without coverage a value is only what is known to have happened.
        if statistic.reducer not in COUNTED:
            assert not known[line.coverage == 0].any()
        else:
            assert (line.values[known & (line.coverage == 0)] > 0).all()


@every_statistic
@pytest.mark.parametrize("missing", [True, False], ids=["no-tables", "empty-tables"])
def test_without_rows_nothing_is_known(kind: Kind, statistic: Statistic, *, missing: bool) -> None:
    empty = {} if missing else {name: Batch.empty(table) for name, table in kind.tables.items()}
    for line in evaluated(kind, statistic, empty).lines:
        np.testing.assert_array_equal(line.values, np.full(len(EDGES) - 1, np.nan))
        np.testing.assert_array_equal(line.coverage, np.zeros(len(EDGES) - 1))


@every_statistic
def test_without_devices_nothing_is_known(kind: Kind, statistic: Statistic) -> None:
    for line in evaluated(kind, statistic, random_tables(kind), devices=[]).lines:
        assert np.isnan(line.values).all()
        assert not line.coverage.any()


@every_statistic
def test_the_order_of_rows_does_not_matter(kind: Kind, statistic: Statistic) -> None:
    tables = random_tables(kind)
    same(whole(kind, statistic, tables), whole(kind, statistic, {name: each.sorted() for name, each in tables.items()}))


@every_statistic
def test_what_it_says_it_needs_is_enough(kind: Kind, statistic: Statistic) -> None:
    tables = random_tables(kind)
    same(evaluated(kind, statistic, tables), whole(kind, statistic, tables))


@every_statistic
def test_a_bucket_is_the_same_in_whatever_span_it_is_asked_for(kind: Kind, statistic: Statistic) -> None:
    tables, cut = random_tables(kind), 9
    parts = [evaluated(kind, statistic, tables, edges) for edges in (EDGES[: cut + 1], EDGES[cut:])]
    for index, line in enumerate(evaluated(kind, statistic, tables).lines):
        left, right = (part.lines[index] for part in parts)
        np.testing.assert_allclose(np.concatenate([left.values, right.values]), line.values, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(np.concatenate([left.coverage, right.coverage]), line.coverage, rtol=1e-9)


@every_statistic
def test_rows_of_other_devices_are_ignored(kind: Kind, statistic: Statistic) -> None:
    tables = random_tables(kind)
    fewer = devices_of(kind)[:2]
    ids = {device.id for device in fewer}
    theirs = {
        name: batch.take(np.array([key.device in ids for key in batch.keys])[batch.series])
        for name, batch in tables.items()
    }
    same(evaluated(kind, statistic, tables, devices=fewer), evaluated(kind, statistic, theirs, devices=fewer))


@every_statistic
def test_a_device_without_rows_halves_the_coverage(kind: Kind, statistic: Statistic) -> None:
    tables = random_tables(kind)
    here = devices_of(kind, 3)
    away = [replace(device, id=f"away-{device.id}") for device in here]
    alone, both = (evaluated(kind, statistic, tables, devices=each) for each in (here, here + away))
    for left, right in zip(alone.lines, both.lines, strict=True):
        np.testing.assert_allclose(right.coverage, left.coverage / 2, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(right.values, left.values, rtol=1e-9)


@every_statistic
def test_rows_are_not_changed(kind: Kind, statistic: Statistic) -> None:
    tables = random_tables(kind)
    for batch in tables.values():
        batch.time.setflags(write=False)
        batch.series.setflags(write=False)
        for column in batch.columns.values():
            (column.codes if isinstance(column, Coded) else column).setflags(write=False)
    edges = EDGES.copy()
    edges.setflags(write=False)
    evaluate(kind, [statistic], devices_of(kind), tables, edges, tz=TZ, attributes=ATTRIBUTES)


@pytest.mark.parametrize("kind", discover().values(), ids=lambda kind: kind.name)
def test_all_statistics_at_once_are_the_same_as_one_by_one(kind: Kind) -> None:
    tables, statistics = random_tables(kind), statistics_of(kind)
    needs = requirements(kind, statistics, EDGES, TZ)
    assert len({need.table.name for need in needs}) == len(needs)
    rows = read(tables, needs)
    results = evaluate(kind, statistics, devices_of(kind), rows, EDGES, tz=TZ, attributes=ATTRIBUTES)
    for statistic, result in zip(statistics, results, strict=True):
        same(result, evaluated(kind, statistic, tables))


@pytest.mark.parametrize("kind", discover().values(), ids=lambda kind: kind.name)
def test_broken_down_counts_add_up_to_the_whole(kind: Kind) -> None:
    tables = random_tables(kind)
    for statistic in kind.statistics:
        if statistic.by is None or statistic.reducer not in {Reducer.COUNT, Reducer.TOTAL}:
            continue
        (total,) = evaluated(kind, replace(statistic, by=None), tables).lines
        parts = np.stack([line.values for line in evaluated(kind, statistic, tables).lines])
        np.testing.assert_allclose(np.nansum(parts, axis=0), np.nan_to_num(total.values), rtol=1e-9)


@pytest.mark.parametrize("text", ["15m", "1d"])
@every_statistic
def test_a_silent_stretch_is_never_zero(kind: Kind, statistic: Statistic, text: str) -> None:
    tables = random_tables(kind)
    # Nothing is heard from half a day before the span on, and no status ever: a status would still hold.
    silent = {name: batch.take(batch.time < START_NS + DAY_NS // 2) for name, batch in tables.items()}
    silent["status"] = Batch.empty(kind.tables["status"])
    assert len(silent["telemetry"]) > 0
    edges = bucket_edges(START_NS + DAY_NS, START_NS + 2 * DAY_NS, Every.parse(text), TZ)
    for line in evaluated(kind, statistic, silent, edges).lines:
        assert np.isnan(line.values).all()


def test_an_unknown_series_key_of_a_known_device_is_ignored() -> None:
    kind = discover()["charger"]
    energy = next(each for each in kind.statistics if each.name == "energy")
    tables = random_tables(kind)
    batch = tables["telemetry"]
    stray = replace(batch, keys=tuple(SeriesKey(COMPOUND, key.device, f"9{key.part}") for key in batch.keys))
    for line in evaluated(kind, energy, {**tables, "telemetry": stray}).lines:
        assert np.isnan(line.values).all()
