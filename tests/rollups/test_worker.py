"""Whatever the order in which rows arrive, and wherever the worker dies, rollups end as those of all rows at once."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import columns_of, evaluate, partials_of
from aggregate.histogram import Histogram
from aggregate.lines import Result
from aggregate.partials import Partials
from aggregate.requirements import raw_needs, requirements
from devices.availability import statistics_of
from devices.columns import Batch, Times
from devices.kind import Kind
from rollups.grains import Grain, edges_within
from rollups.pieces import Piece
from rollups.reader import Question
from rollups.state import read_state
from rollups.tables import ALL
from tests.aggregate.rows import read
from tests.rollups.world import DAY_NS, KINDS, START_NS, STOP_NS, TZ, Rolled, arrivals, rows_of, small

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
few = settings(max_examples=6, deadline=None)


def direct(rolled: Rolled, tables: dict[str, Batch], edges: Times) -> Partials:
    """The partials of all rows at once."""
    statistics = statistics_of(rolled.kind)
    devices = rolled.inventory.of_kind(rolled.kind.name)
    rows = read(tables, raw_needs(rolled.kind, statistics, edges))
    return partials_of(rolled.kind, statistics, devices, rows, edges)


def check(rolled: Rolled, tables: dict[str, Batch]) -> None:
    """Compare all that is kept, and what is answered, with what all rows at once give."""
    kind = rolled.kind
    state = read_state(rolled.rolled, kind)
    assert state is not None
    assert state.closed_ns - state.begin_ns > 2 * DAY_NS
    columns = columns_of(kind, statistics_of(kind))
    for grain in Grain:
        edges = edges_within(grain, state.begin_ns, state.closed_ns, TZ)
        kept = rolled.reader.of_rollups(kind, columns, rolled.inventory.of_kind(kind.name), Piece(grain, edges))
        true = direct(rolled, tables, edges)
        for column in columns:
            one, other = kept.values[column.name], true.values[column.name]
            if isinstance(one, Histogram):
                assert isinstance(other, Histogram)
                np.testing.assert_array_equal(one.cell, other.cell)
                np.testing.assert_array_equal(one.count, other.count)
            else:
                np.testing.assert_allclose(
                    one, true.numbers(column.name), 1e-11, 1e-6, err_msg=f"{grain} {column.name}"
                )
    for every, start, stop in (
        ("1h", START_NS, STOP_NS),
        ("1d", START_NS, STOP_NS),
        ("1h", START_NS + 123_456_789_012_345, STOP_NS - 98_765_432_123),
        ("6h", START_NS + DAY_NS // 2, STOP_NS),
        ("15m", START_NS + DAY_NS + 1, STOP_NS - DAY_NS // 2),
        ("10m", START_NS + DAY_NS, START_NS + DAY_NS + DAY_NS // 4),
        ("1w", START_NS, STOP_NS),
    ):
        edges = bucket_edges(start, stop, Every.parse(every), TZ)
        for compound in (*rolled.inventory.compounds, ALL):
            agree(rolled, tables, edges, compound, every)


def agree(rolled: Rolled, tables: dict[str, Batch], edges: Times, compound: str, what: str) -> None:
    kind = rolled.kind
    of = rolled.inventory if compound == ALL else rolled.inventory.compounds[compound]
    devices, statistics = of.of_kind(kind.name), statistics_of(kind)
    question = Question(
        kind=kind,
        statistics=statistics,
        devices=devices,
        edges=edges,
        tz=TZ,
        attributes=of.attributes,
        compound=compound,
    )
    rows = read(tables, requirements(kind, statistics, edges, TZ))
    true = evaluate(kind, statistics, devices, rows, edges, tz=TZ, attributes=of.attributes)
    same(rolled.reader.results(question), true, what)


def same(found: list[Result], true: list[Result], what: str) -> None:
    for one, other in zip(found, true, strict=True):
        assert one.statistic is other.statistic
        assert [line.label for line in one.lines] == [line.label for line in other.lines]
        for left, right in zip(one.lines, other.lines, strict=True):
            message = f"{what} {one.statistic.name} {left.label}"
            np.testing.assert_allclose(left.values, right.values, 1e-9, 1e-9, err_msg=message)
            np.testing.assert_allclose(left.coverage, right.coverage, 1e-9, 1e-9, err_msg=message)


@every_kind
@few
@given(seed=st.integers(0, 2**32 - 1), writes=st.integers(1, 12), late=st.sampled_from([0.0, 0.02, 0.3, 1.0]))
def test_any_order_of_arrival_gives_the_same_rollups(kind: Kind, seed: int, writes: int, late: float) -> None:
    rng = np.random.default_rng(seed)
    inventory = small(kind)
    tables = rows_of(kind, inventory, seed)
    with tempfile.TemporaryDirectory() as folder:
        rolled = Rolled(kind, inventory, Path(folder))
        for batches in arrivals(tables, rng, writes, late):
            rolled.take(batches)
            if rng.random() < 0.8:
                rolled.worker.turn()
            if rng.random() < 0.2:
                rolled.restart()
        rolled.worker.catch_up()
        check(rolled, tables)
        rolled.log.close()
