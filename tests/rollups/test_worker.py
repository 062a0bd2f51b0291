"""Whatever the order in which rows arrive, and wherever the worker dies, rollups end as those of all rows at once."""

import tempfile
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import columns_of, evaluate, partials_of
from aggregate.histogram import Histogram
from aggregate.lines import Result
from aggregate.partials import Partials, Scope
from aggregate.requirements import raw_needs, requirements
from devices.availability import statistics_of
from devices.columns import Batch, Coded, Times
from devices.errors import StoreUnavailableError
from devices.inventory import Inventory
from devices.kind import Kind
from rollups.grains import QUARTER_NS, Grain, edges_within
from rollups.pieces import Piece
from rollups.reader import Question
from rollups.state import read_state
from rollups.tables import ALL, partials_table
from rollups.worker import WorkerOptions
from store.protocol import Query
from tests.aggregate.rows import read
from tests.api.memory_store import MemoryStore
from tests.rollups.world import DAY_NS, KINDS, START_NS, STOP_NS, TZ, Rolled, arrivals, once, rows_of, small

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
    answered(rolled, tables)


def answered(rolled: Rolled, tables: dict[str, Batch]) -> None:
    """Compare what is answered with what all rows at once give."""
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


def agree(  # noqa: PLR0917  (what is compared)
    rolled: Rolled, tables: dict[str, Batch], edges: Times, compound: str, what: str, zone: ZoneInfo = TZ
) -> None:
    kind = rolled.kind
    of = rolled.inventory if compound == ALL else rolled.inventory.compounds[compound]
    devices, statistics = of.of_kind(kind.name), statistics_of(kind)
    question = Question(
        kind=kind,
        statistics=statistics,
        devices=devices,
        edges=edges,
        tz=zone,
        attributes=of.attributes,
        compound=compound,
    )
    rows = read(tables, requirements(kind, statistics, edges, zone))
    true = evaluate(kind, statistics, devices, rows, edges, tz=zone, attributes=of.attributes)
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
            if rng.random() < 0.3:
                rolled.rolled.dies_in = int(rng.integers(1, 30))
            if rng.random() < 0.8:
                try:
                    rolled.worker.turn()
                except StoreUnavailableError:
                    rolled.restart()
            if rng.random() < 0.2:
                rolled.restart()
        rolled.rolled.dies_in = None
        rolled.worker.catch_up()
        check(rolled, tables)
        rolled.log.close()


def filled(kind: Kind, folder: Path, seed: int = 1) -> tuple[Rolled, dict[str, Batch]]:
    """All rows rolled up, written in order."""
    inventory = small(kind)
    tables = rows_of(kind, inventory, seed)
    rolled = Rolled(kind, inventory, folder)
    for batches in arrivals(tables, np.random.default_rng(seed), 4, 0.0):
        rolled.take(batches)
    rolled.worker.catch_up()
    return rolled, tables


def test_late_rows_cost_about_the_buckets_that_they_touch(tmp_path: Path) -> None:
    kind = KINDS["gate"]
    inventory = small(kind)
    tables = rows_of(kind, inventory, 3)
    telemetry = tables["telemetry"]
    late = (np.random.default_rng(7).random(len(telemetry)) < 0.01) & (telemetry.time < STOP_NS - DAY_NS)
    rolled = Rolled(kind, inventory, tmp_path)
    rolled.take([telemetry.take(~late), *(batch for name, batch in tables.items() if name != "telemetry")])
    rolled.worker.catch_up()
    assert rolled.counted("cells_total", why="late") == 0
    rolled.take([telemetry.take(late)])
    rolled.worker.catch_up()
    touched, cells = rolled.counted("late_cells_total"), rolled.counted("cells_total", why="late")
    closed = rolled.counted("cells_total", why="closed")
    # A sample holds for three minutes: it matters for its own quarter of an hour and for the two beside it, and now and
    # then for that of the next sample.
    assert 0 < touched <= cells <= 4 * touched < closed
    check(rolled, tables)


def test_no_late_rows_no_work(tmp_path: Path) -> None:
    rolled, _ = filled(KINDS["gate"], tmp_path)
    rolled.restart()
    rolled.worker.catch_up()
    assert rolled.counted("cells_total", why="late") == 0
    assert rolled.counted("cells_total", why="closed") == 0


def test_everything_may_be_asked_for_anew(tmp_path: Path) -> None:
    kind = KINDS["charger"]
    rolled, tables = filled(kind, tmp_path)
    state = read_state(rolled.rolled, kind)
    assert state is not None
    table = partials_table(kind, Scope.PART, Grain.HOUR)
    broken = rolled.rolled.read(Query(table=table, start_ns=0, stop_ns=2**62))
    rolled.rolled.write([replace(broken, columns={name: np.zeros(len(broken)) for name in broken.columns})])
    rolled.log.ask_everything(START_NS // QUARTER_NS)
    rolled.worker.catch_up()
    check(rolled, tables)


@every_kind
@pytest.mark.parametrize("renewed", [False, True])
def test_what_there_are_no_readings_of_any_more_stays(kind: Kind, tmp_path: Path, *, renewed: bool) -> None:
    rolled, tables = filled(kind, tmp_path)
    rolled.raw = MemoryStore()
    rolled.raw.write([batch.take(batch.time >= STOP_NS - 2 * DAY_NS) for batch in tables.values()])
    rolled.options = WorkerOptions(raw_days=36_500, raw_days_of={kind.name: 2})  # a day before the clock's
    rolled.restart()
    if renewed:
        state = read_state(rolled.rolled, kind)
        assert state is not None
        rolled.worker._keep(kind, replace(state, partials_of="another declaration's"))
        rolled.restart()
    rolled.log.ask_everything(0)
    rolled.worker.catch_up()
    assert rolled.counted("cells_total", why="late") > 0
    rolled.raw.write(list(tables.values()))  # for those questions that reach into a quarter
    check(rolled, tables)


def test_a_changed_inventory_makes_the_figures_anew(tmp_path: Path) -> None:
    kind = KINDS["gate"]
    rolled, tables = filled(kind, tmp_path)
    east, west = rolled.inventory.compounds.values()
    larger = replace(east, residents=east.residents + 1000)
    rolled.inventory = Inventory(rolled.inventory.name, {"east": larger, "west": west})
    check(rolled, tables)  # not yet made anew: the figures are made of partials
    rolled.restart()
    rolled.worker.catch_up()
    state = read_state(rolled.rolled, kind)
    assert state is not None
    assert state.has_figures(kind, rolled.inventory)
    check(rolled, tables)


def test_a_changed_declaration_makes_everything_anew(tmp_path: Path) -> None:
    kind = KINDS["gate"]
    rolled, tables = filled(kind, tmp_path)
    rolled.kind = replace(kind, interval_s=kind.interval_s * 2)
    answered(rolled, tables)  # not yet made anew: all is made of raw readings
    rolled.restart()
    rolled.worker.catch_up()
    check(rolled, tables)


def test_what_was_known_may_be_gone(tmp_path: Path) -> None:
    """A close that comes late can leave a later one without what it closed: then there is no mean any more."""
    kind = KINDS["locker"]
    inventory = small(kind)
    tables = rows_of(kind, inventory, 1)
    deposits, pickups = tables["deposit"], tables["pickup"]
    rolled = Rolled(kind, inventory, tmp_path)
    whole = [batch for name, batch in tables.items() if name not in {"deposit", "pickup", "expire"}]
    first, later, gone = (START_NS + hour * 3600 * 10**9 for hour in (10, 30, 20))
    one = replace(deposits.take(slice(0, 1)), time=np.array([first]))
    key = one.coded("cell").decoded()[0]
    assert key is not None
    close = replace(pickups.take(slice(0, 1)), series=one.series, time=np.array([later]))
    cell = Coded(np.zeros(1, np.int32), (key,))
    close = replace(close, keys=one.keys, columns={**close.columns, "cell": cell})
    rolled.take([*whole, one, close])
    rolled.worker.catch_up()
    tables |= {"deposit": one, "pickup": close, "expire": Batch.empty(kind.tables["expire"])}
    check(rolled, tables)
    late = replace(close, time=np.array([gone]))
    rolled.take([late])
    rolled.worker.catch_up()
    check(rolled, tables | {"pickup": once(Batch.concatenated([close, late]))})


def test_a_store_that_is_away_is_waited_for(tmp_path: Path) -> None:
    kind = KINDS["bin"]
    inventory = small(kind)
    tables = rows_of(kind, inventory, 1)
    rolled = Rolled(kind, inventory, tmp_path)
    rolled.take(list(tables.values()))
    rolled.rolled.dies_in = 3
    pauses: list[float] = []

    def stopped(seconds: float) -> bool:
        pauses.append(seconds)
        return len([each for each in pauses if each > 0]) > 1

    rolled.worker.run(stopped)
    assert max(pauses) > 5  # it did not hurry
    check(rolled, tables)


def test_where_clocks_change(tmp_path: Path) -> None:
    kind = KINDS["gate"]
    zone = ZoneInfo("Europe/Berlin")
    inventory = small(kind, "Europe/Berlin")
    tables = rows_of(kind, inventory, 5)
    shift = (1_761_343_200 - START_NS // 10**9) * 10**9  # 2025-10-25, midnight in Berlin; clocks go back on the 26th
    tables = {name: replace(batch, time=batch.time + shift) for name, batch in tables.items()}
    rolled = Rolled(kind, inventory, tmp_path, clock=lambda: STOP_NS + shift + DAY_NS)
    rolled.take(list(tables.values()))
    rolled.worker.catch_up()
    for every in ("1h", "1d", "6h"):
        edges = bucket_edges(START_NS + shift, STOP_NS + shift, Every.parse(every), zone)
        for compound in (*inventory.compounds, ALL):
            agree(rolled, tables, edges, compound, every, zone)
