"""One contract, held to by both stores, for every table of every kind (store/protocol.py says what it is)."""

import dataclasses
import threading

import numpy as np
import pytest

from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey
from devices.errors import QueryError, StoreRejectedError, StoreUnavailableError
from devices.fields import category, gauge, identity
from devices.kind import Channel, Table
from devices.names import Text
from devices.registry import discover
from store.duck import DuckStore
from store.protocol import Query, Store
from tests.store.model import Model, bits, rows_of
from tests.store.samples import COMPOUNDS, MINUTE_NS, SPAN_NS, START_NS, STOP_NS, keys_of, sample, sample_of_hour

TABLES = tuple(discover().tables())
_T = Text("x", "x")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=TABLES, ids=lambda table: table.measurement)
def table(request: pytest.FixtureRequest) -> Table:
    found: Table = request.param
    return found


def whole(table: Table, **more: object) -> Query:
    """A query for the whole hour of the samples."""
    return dataclasses.replace(Query(table=table, start_ns=START_NS, stop_ns=STOP_NS), **more)  # type: ignore[arg-type]


def check_batch(batch: Batch) -> None:
    """The form that every batch read has."""
    assert batch.series.dtype == np.int32
    assert batch.time.dtype == np.int64
    assert list(batch.keys) == sorted(set(batch.keys))
    assert set(batch.series.tolist()) == set(range(len(batch.keys)))
    assert batch.sorted() is batch
    for name, column in batch.columns.items():
        field = batch.table.by_name[name]
        if isinstance(column, Coded):
            assert not field.is_number
            assert column.codes.dtype == np.int32
            assert not field.is_label or column.labels == field.labels
            assert len(column.codes) == len(batch)
        else:
            assert field.is_number
            assert column.dtype == np.float64
            assert len(column) == len(batch)


def assert_same(store: Store, model: Model, query: Query) -> None:
    batch = store.read(query)
    check_batch(batch)
    assert batch.table is query.table
    assert tuple(batch.columns) == query.names
    assert bits(rows_of(batch)) == bits(model.read(query))


def filled(store: Store, *batches: Batch) -> Model:
    """Write to the store and to the model."""
    model = Model()
    store.write(batches)
    model.write(batches)
    return model


class TestWriting:
    def test_gives_back_what_was_written(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table))
        assert_same(store, model, whole(table))

    def test_optional_fields_may_all_be_absent(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table, absent=1.0))
        assert_same(store, model, whole(table))
        assert store.count(table, start_ns=START_NS, stop_ns=STOP_NS) == 300

    def test_rewriting_changes_nothing(self, store: Store, table: Table) -> None:
        batch = sample(table)
        model = filled(store, batch)
        store.write([batch.take(np.random.default_rng(7).permutation(300))])
        store.write([batch.take(slice(100, 150)), batch.take(slice(120, 200))])
        store.write([Batch.concatenated([batch, batch])])
        assert_same(store, model, whole(table))
        assert store.count(table, start_ns=START_NS, stop_ns=STOP_NS) == 300

    def test_the_later_of_two_contents_counts(self, store: Store, table: Table) -> None:
        first, second = sample(table, seed=1, absent=0.0), sample(table, seed=2, absent=0.0)
        second = Batch(table, second.keys, first.series, first.time, second.columns)
        model = filled(store, first, second)  # within one call
        assert_same(store, model, whole(table))
        model.write([first])
        store.write([first])  # over calls
        assert_same(store, model, whole(table))
        both = Batch.concatenated([first, second])
        model.write([both])
        store.write([both])  # within one batch
        assert_same(store, model, whole(table))

    def test_the_order_of_rows_does_not_matter(self, store: Store, table: Table) -> None:
        batch = sample(table)
        model = Model()
        model.write([batch])
        order = np.argsort(-batch.time)
        for rows in np.array_split(order, 7):
            store.write([batch.take(rows)])
        assert_same(store, model, whole(table))

    def test_keys_that_no_row_uses_are_not_stored(self, store: Store, table: Table) -> None:
        batch = sample(table)
        batch = batch.take(batch.series == 3)
        model = filled(store, batch)
        assert_same(store, model, whole(table))

    def test_nothing_to_write_is_no_fault(self, store: Store, table: Table) -> None:
        store.write([])
        store.write([Batch.empty(table)])
        assert len(store.read(whole(table))) == 0

    def test_tables_do_not_mix(self, store: Store) -> None:
        model = filled(store, *(sample(each, 40, seed=seed) for seed, each in enumerate(TABLES)))
        for each in TABLES:
            assert_same(store, model, whole(each))

    def test_many_rows_in_one_call(self, store: Store) -> None:
        table = discover()["charger"].tables["telemetry"]
        batch = sample(table, 30_000)
        store.write([batch])
        assert store.count(table, start_ns=START_NS, stop_ns=STOP_NS) == 30_000
        assert len(store.read(whole(table))) == 30_000

    def test_a_batch_is_not_changed(self, store: Store, table: Table) -> None:
        batch = sample(table)
        before = bits(rows_of(batch))
        store.write([batch, batch])
        assert bits(rows_of(batch)) == before


class TestReading:
    def test_spans_are_half_open(self, store: Store, table: Table) -> None:
        batch = sample(table)
        model = filled(store, batch)
        times = np.sort(batch.time).tolist()
        for start_ns, stop_ns in (
            (times[10], times[20]),
            (times[10], times[10] + 1),
            (times[10] + 1, times[11]),
            (times[10], times[10]),
            (times[20], times[10]),
            (0, times[5]),
            (times[-1], 2**63 - 1),
            (-(2**63), 2**63 - 1),
        ):
            assert_same(store, model, whole(table, start_ns=start_ns, stop_ns=stop_ns))
            counted = store.count(table, start_ns=start_ns, stop_ns=stop_ns)
            assert counted == model.count(table, start_ns=start_ns, stop_ns=stop_ns)

    def test_filters(self, store: Store, table: Table) -> None:
        batch = sample(table)
        model = filled(store, batch)
        one, other = batch.keys[0], batch.keys[-1]
        for compounds, devices in (
            ((one.compound,), None),
            (("zz", "jingyuan"), None),
            (None, (one.device,)),
            (None, (one.device, other.device)),
            ((one.compound,), (one.device, other.device)),
            (("zz",), (keys_of(table)[0].device,)),
            ((), None),
            (None, ()),
            (("nowhere",), None),
            (("nowhere", "zz"), None),
        ):
            assert_same(store, model, whole(table, compounds=compounds, devices=devices))

    def test_fields_choose_columns_and_never_rows(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table))
        names = tuple(table.by_name)
        for fields in {(), names, names[::-1], names[:1], names[-1:], names[1:3]}:
            assert_same(store, model, whole(table, fields=fields))

    def test_what_still_holds_at_the_start(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table, absent=0.8))
        start_ns = START_NS + 30 * MINUTE_NS
        for before_ns in (1, MINUTE_NS, SPAN_NS, 2**62):
            query = whole(table, start_ns=start_ns, before_ns=before_ns)
            assert_same(store, model, query)
            assert_same(store, model, dataclasses.replace(query, limit=5))
        assert_same(store, model, dataclasses.replace(query, stop_ns=start_ns + MINUTE_NS, compounds=("zz",)))
        assert_same(store, model, dataclasses.replace(query, fields=tuple(table.by_name)[-1:]))
        assert_same(store, model, dataclasses.replace(query, fields=()))

    def test_before_is_found_where_the_span_is_empty_of_rows(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table))
        query = whole(table, start_ns=STOP_NS, stop_ns=STOP_NS + SPAN_NS, before_ns=SPAN_NS)
        assert_same(store, model, query)

    def test_limit_takes_the_newest(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table))
        for limit in (1, 7, 299, 300, 1000):
            assert_same(store, model, whole(table, limit=limit))
        assert_same(store, model, whole(table, limit=7, compounds=("zz",), stop_ns=START_NS + SPAN_NS // 2))

    def test_limit_among_rows_of_one_time(self, store: Store, table: Table) -> None:
        keys = keys_of(table)
        batch = sample(table, 2 * len(keys))
        series = np.arange(2 * len(keys), dtype=np.int32) % len(keys)
        time = START_NS + np.arange(2 * len(keys)) // len(keys)
        model = filled(store, Batch(table, keys, series, time, batch.columns))
        for limit in (1, 2, len(keys), len(keys) + 1):
            assert_same(store, model, whole(table, limit=limit))

    def test_an_empty_store(self, store: Store, table: Table) -> None:
        for query in (whole(table), whole(table, before_ns=SPAN_NS), whole(table, limit=3), whole(table, fields=())):
            assert_same(store, Model(), query)
        assert store.count(table, start_ns=0, stop_ns=STOP_NS) == 0
        assert len(store.latest(table, since_ns=0)) == 0

    @pytest.mark.parametrize(
        "text", ['"', "\\", "') OR 1=1 --", '" or true) //', "a/b", ".*", "${bucket}", "", "A", "\n", "a|zz"]
    )
    def test_an_id_that_is_none_matches_nothing(self, store: Store, text: str) -> None:
        table = TABLES[0]
        model = filled(store, sample(table))
        for chosen in ((text,), (text, "zz")):
            assert_same(store, model, whole(table, compounds=chosen))
            latest = store.latest(table, since_ns=0, compounds=chosen)
            assert bits(rows_of(latest)) == bits(model.latest(table, since_ns=0, compounds=chosen))
        assert len(store.read(whole(table, devices=(text,)))) == 0

    def test_many_devices_in_a_filter(self, store: Store) -> None:
        table = TABLES[0]
        model = filled(store, sample(table))
        devices = (*(f"device-{number}" for number in range(2000)), *(key.device for key in keys_of(table)[:5]))
        assert_same(store, model, whole(table, devices=devices))

    @pytest.mark.parametrize(
        "wrong",
        [{"fields": ("nothing",)}, {"before_ns": -1}, {"limit": 0}, {"fields": ("door", "door")}],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_what_no_store_could_answer(self, wrong: dict[str, object]) -> None:
        with pytest.raises(QueryError):
            whole(discover()["gate"].tables["telemetry"], **wrong)


class TestLatest:
    def test_the_newest_row_of_each_series_whole(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table, absent=0.8))
        for since_ns in (0, START_NS, START_NS + SPAN_NS // 2, STOP_NS - MINUTE_NS, STOP_NS):
            batch = store.latest(table, since_ns=since_ns)
            check_batch(batch)
            assert bits(rows_of(batch)) == bits(model.latest(table, since_ns=since_ns))

    def test_filters(self, store: Store, table: Table) -> None:
        batch = sample(table)
        model = filled(store, batch)
        device = batch.keys[4].device
        found = store.latest(table, since_ns=0, compounds=COMPOUNDS[:2])
        assert bits(rows_of(found)) == bits(model.latest(table, since_ns=0, compounds=COMPOUNDS[:2]))
        found = store.latest(table, since_ns=0, devices={device})
        assert bits(rows_of(found)) == bits(model.latest(table, since_ns=0, devices={device}))
        assert len(store.latest(table, since_ns=0, compounds=(), devices=None)) == 0

    def test_the_columns_may_be_chosen(self, store: Store, table: Table) -> None:
        model = filled(store, sample(table, 60))
        names = tuple(table.by_name)
        for chosen in ((), names[:1], names[::-1]):
            found = store.latest(table, since_ns=0, fields=chosen)
            assert tuple(found.columns) == chosen
            assert bits(rows_of(found)) == bits(model.latest(table, since_ns=0, fields=chosen))

    def test_rows_of_the_future_count(self, store: Store, table: Table) -> None:
        far_ns = 9_000_000_000_000_000_000 - 1  # the last that a payload can have
        model = filled(store, sample(table, 5, start_ns=far_ns - MINUTE_NS, stop_ns=far_ns))
        found = store.latest(table, since_ns=START_NS)
        assert bits(rows_of(found)) == bits(model.latest(table, since_ns=START_NS))


def broken(table: Table, name: str, column: Column) -> Batch:
    batch = sample(table, 20)
    return dataclasses.replace(batch, columns={**batch.columns, name: column})


_ODD = Table(
    kind="odd",
    name="pass",
    channel=Channel.EVENT,
    fields=(
        category("phase", _T, ("begin", "end")),
        identity("id", _T),
        gauge("level", _T, "1", 0, 1, required=False),
    ),
)


BAD = {
    "infinite": broken(_ODD, "level", np.array([np.inf, *[0.0] * 19])),
    "minus infinite": broken(_ODD, "level", np.array([-np.inf, *[0.0] * 19])),
    "labels for numbers": broken(_ODD, "level", Coded(np.zeros(20, np.int32), ("a",))),
    "numbers for labels": broken(_ODD, "phase", np.zeros(20)),
    "required absent": broken(_ODD, "phase", Coded(np.array([ABSENT, *[0] * 19], np.int32), ("begin", "end"))),
    "unknown label": broken(_ODD, "phase", Coded(np.zeros(20, np.int32), ("middle",))),
    "line break": broken(_ODD, "id", Coded(np.zeros(20, np.int32), ("a\nb",))),
    "empty text": broken(_ODD, "id", Coded(np.zeros(20, np.int32), ("",))),
    "null byte": broken(_ODD, "id", Coded(np.zeros(20, np.int32), ("a\x00",))),
    "half a character": broken(_ODD, "id", Coded(np.zeros(20, np.int32), ("\ud800",))),
    "no columns": dataclasses.replace(sample(_ODD, 20), columns={}),
    "too late": dataclasses.replace(sample(_ODD, 20), time=np.full(20, 2**63 - 1)),
    "too early": dataclasses.replace(sample(_ODD, 20), time=np.full(20, -(2**63))),
    "no compound": sample(_ODD, 20, keys=(SeriesKey("", "d"),)),
    "no device": sample(_ODD, 20, keys=(SeriesKey("c", ""),)),
    "line break in a key": sample(_ODD, 20, keys=(SeriesKey("c", "d", "p\n"),)),
}


class TestRefusing:
    """What no store could give back as it was is refused by both, before anything of the call is kept."""

    @pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
    def test_refused_whole(self, store: Store, bad: Batch) -> None:
        good = sample(TABLES[0], 20)
        with pytest.raises(StoreRejectedError) as caught:
            store.write([good, bad])
        assert not caught.value.partial
        assert store.count(TABLES[0], start_ns=0, stop_ns=STOP_NS) == 0


class TestLiving:
    def test_ping(self, store: Store) -> None:
        store.ping()

    def test_a_closed_store_says_so(self, store: Store) -> None:
        table = TABLES[0]
        store.write([sample(table)])
        store.close()
        store.close()
        for call in (
            lambda: store.write([sample(table)]),
            lambda: store.write([]),
            lambda: store.read(whole(table)),
            lambda: store.latest(table, since_ns=0),
            lambda: store.count(table, start_ns=0, stop_ns=1),
            store.ping,
        ):
            with pytest.raises(StoreUnavailableError, match="closed"):
                call()

    def test_threads_read_while_one_writes(self, store: Store) -> None:
        table = TABLES[0]
        batches = [sample_of_hour(table, hour, 200) for hour in range(20)]
        stop_ns = START_NS + 20 * SPAN_NS
        done = threading.Event()
        faults: list[BaseException] = []
        seen: list[int] = []
        written: list[Batch] = []

        def read() -> None:
            try:
                while not done.is_set():
                    before = len(written) * 200
                    seen.append(store.count(table, start_ns=START_NS, stop_ns=stop_ns))
                    assert seen[-1] >= before
                    batch = store.read(whole(table, stop_ns=stop_ns, before_ns=SPAN_NS))
                    check_batch(batch)
                    assert len(batch) >= before
                    seen.append(len(batch))
                    check_batch(store.latest(table, since_ns=0))
            except BaseException as exc:  # noqa: BLE001  (whatever it is, the test fails with it below)
                faults.append(exc)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for batch in batches:
            store.write([batch])
            written.append(batch)
        done.set()
        for thread in threads:
            thread.join()
        assert faults == []
        assert seen
        assert max(seen) <= 4000
        if isinstance(store, DuckStore):  # it has transactions
            assert all(count % 200 == 0 for count in seen)
        assert store.count(table, start_ns=START_NS, stop_ns=stop_ns) == 4000
