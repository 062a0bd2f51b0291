"""What is DuckDB's own: the file, its growth with the kinds, other processes, and death at any moment."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import numpy as np
import pytest

from devices.columns import Batch, Coded, Column
from devices.errors import StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError
from devices.fields import Field, category, flag, gauge, identity
from devices.kind import Channel, Table
from devices.names import Text
from devices.registry import discover
from store.duck import DuckStore
from store.duck_errors import translated
from store.protocol import Query
from tests.store.model import Model, bits, rows_of
from tests.store.samples import SPAN_NS, START_NS, STOP_NS, keys_of, sample, sample_of_hour

ROOT = Path(__file__).resolve().parents[2]
TABLES = tuple(discover().tables())
_T = Text("x", "x")


def table_of(*fields: Field) -> Table:
    return Table(kind="kind", name="telemetry", channel=Channel.TELEMETRY, fields=fields)


def whole(table: Table) -> Query:
    return Query(table=table, start_ns=START_NS, stop_ns=STOP_NS)


def assert_holds(store: DuckStore, model: Model, table: Table) -> None:
    assert bits(rows_of(store.read(whole(table)))) == bits(model.read(whole(table)))


class TestFile:
    def test_rows_outlive_the_store(self, tmp_path: Path) -> None:
        path, model = tmp_path / "deep" / "er" / "readings.duckdb", Model()
        for seed in range(3):
            store = DuckStore(path, TABLES)
            batches = [sample(table, 50, seed=seed) for table in TABLES[:4]]
            store.write(batches)
            model.write(batches)
            for table in TABLES[:4]:
                assert_holds(store, model, table)
            store.close()

    def test_rewriting_after_a_restart_changes_nothing(self, tmp_path: Path) -> None:
        path, batch = tmp_path / "readings.duckdb", sample(TABLES[0])
        for _ in range(3):
            store = DuckStore(path, TABLES)
            store.write([batch])
            assert store.count(TABLES[0], start_ns=START_NS, stop_ns=STOP_NS) == 300
            store.close()

    def test_late_rows_beside_new_ones(self, duck: DuckStore) -> None:
        """The short cut for rows newer than all of their series must not miss an older one among them."""
        table, model = TABLES[0], Model()
        batch = sample(table)
        batch = batch.take(np.argsort(batch.time))
        for rows in (slice(0, 100), slice(200, 300), slice(50, 250), slice(0, 300)):
            duck.write([batch.take(rows)])
            model.write([batch.take(rows)])
            assert_holds(duck, model, table)

    def test_a_file_that_duckdb_gave_up_is_opened_anew(self, duck: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
        table, model = TABLES[0], Model()
        batch = sample(table)
        duck.write([batch.take(slice(0, 200))])
        root = duck._root

        def give_up(*_: object) -> None:
            raise duckdb.FatalException("FATAL Error: database has been invalidated")

        with monkeypatch.context() as patch:
            patch.setattr(DuckStore, "_put", give_up)
            with pytest.raises(StoreUnavailableError, match="invalidated"):
                duck.write([batch])
        duck.write([batch])
        model.write([batch])
        assert duck._root is not root
        assert_holds(duck, model, table)

    def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "readings.duckdb"
        path.write_bytes(b"something else" * 1000)
        with pytest.raises(StoreRejectedError, match="no DuckDB database"):
            DuckStore(path, TABLES)

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=str(tmp_path)):
            DuckStore(tmp_path, TABLES)

    def test_a_file_above_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="file"):
            DuckStore(tmp_path / "file" / "readings.duckdb", TABLES)

    @pytest.mark.parametrize(
        "exc",
        [
            *(each("x") for each in vars(duckdb).values() if isinstance(each, type) and issubclass(each, duckdb.Error)),
            OSError(28, "No space left on device"),
            PermissionError(13, "Permission denied"),
        ],
        ids=lambda exc: type(exc).__name__,
    )
    def test_no_error_is_left_unmapped(self, exc: Exception) -> None:
        with pytest.raises(StoreError) as caught, translated(Path("x"), "trying"):
            raise exc
        assert caught.value.__cause__ is exc

    def test_no_rights(self) -> None:
        with pytest.raises(StoreDeniedError, match="rights"), translated(Path("x"), "cannot be opened"):
            raise duckdb.IOException('IO Error: Cannot open file "x": Permission denied')


class TestGrowth:
    """What happens to a file when the kinds change."""

    X, Y = gauge("x", _T, "1", 0, 1), gauge("select", _T, "1", 0, 1, required=False)  # a name that SQL knows

    def reopened(self, path: Path, table: Table, batch: Batch | None = None) -> Batch:
        store = DuckStore(path, [table])
        if batch is not None:
            store.write([batch])
        found = store.read(whole(table))
        store.close()
        return found

    def test_a_new_table(self, tmp_path: Path) -> None:
        path = tmp_path / "d.duckdb"
        first, second = table_of(self.X), dataclasses.replace(table_of(self.X), name="more")
        assert len(self.reopened(path, first, sample(first))) == 300
        assert len(self.reopened(path, second)) == 0
        assert len(self.reopened(path, first)) == 300

    def test_a_new_field_is_absent_in_older_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "d.duckdb"
        old, new = (
            table_of(self.X),
            table_of(self.Y, self.X, identity("id", _T, required=False), flag("f", _T, required=False)),
        )
        before = self.reopened(path, old, sample(old))
        after = self.reopened(path, new)
        assert after.floats("x").tolist() == before.floats("x").tolist()
        assert np.isnan(after.floats("select")).all()
        assert set(after.coded("id").codes.tolist()) == set(after.coded("f").codes.tolist()) == {-1}
        both = self.reopened(path, new, sample(new, 100, absent=0.0, start_ns=STOP_NS - SPAN_NS // 4))
        assert len(both) == 400
        assert np.isnan(both.floats("select")).sum() == 300

    def test_a_field_that_is_gone_is_kept_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "d.duckdb"
        wide, narrow = table_of(self.X, self.Y), table_of(self.X)
        before = self.reopened(path, wide, sample(wide))
        assert tuple(self.reopened(path, narrow).columns) == ("x",)
        assert bits(rows_of(self.reopened(path, wide))) == bits(rows_of(before))

    def test_labels_may_be_added_moved_and_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "d.duckdb"

        def labelled(*labels: str) -> Table:
            return table_of(category("c", _T, labels, required=False))

        before = self.reopened(path, labelled("a", "b", "c"), sample(labelled("a", "b", "c"))).coded("c").decoded()
        assert set(before) == {"a", "b", "c", None}
        moved = self.reopened(path, labelled("new", "c", "b", "a", "newer"))
        assert moved.coded("c").labels == ("new", "c", "b", "a", "newer")
        assert moved.coded("c").decoded() == before
        removed = self.reopened(path, labelled("c", "x"))
        assert removed.coded("c").decoded() == [label if label == "c" else None for label in before]
        assert self.reopened(path, labelled("a", "b", "c")).coded("c").decoded() == before

    def test_another_type_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "d.duckdb"
        self.reopened(path, table_of(self.X))
        with pytest.raises(StoreRejectedError, match=r"kind_telemetry\.x"):
            DuckStore(path, [table_of(identity("x", _T))])
        assert len(self.reopened(path, table_of(self.X))) == 0  # it was let go of

    def test_labels_in_another_order_than_declared(self, tmp_path: Path) -> None:
        table = table_of(category("c", _T, ("a", "b", "c")))
        batch = sample(table)
        odd: Column = Coded(batch.coded("c").codes % 2, ("c", "a"))
        found = self.reopened(tmp_path / "d.duckdb", table, dataclasses.replace(batch, columns={"c": odd}))
        expected = Model()
        expected.write([dataclasses.replace(batch, columns={"c": odd})])
        assert bits(rows_of(found)) == bits(expected.read(whole(table)))


def other_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python of its own with the store at hand; prints what it finds."""
    head = """
        import os, resource, signal, sys
        from pathlib import Path
        from devices.errors import *
        from devices.registry import discover
        from store.duck import DuckStore
        from tests.store.samples import *
        TABLES = tuple(discover().tables())
        path = Path(sys.argv[1])
    """
    program = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class TestProcesses:
    def test_a_second_process_is_told_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "readings.duckdb"
        store = DuckStore(path, TABLES)
        code = """
            try:
                DuckStore(path, TABLES)
            except StoreUnavailableError as exc:
                print(exc.message)
        """
        with other_process(code, str(path)) as process:
            said, _ = process.communicate(timeout=60)
        store.close()
        assert str(path) in said
        assert f"process {os.getpid()}" in said
        assert "COURTYARD_DATA_DIR" in said

    def test_a_second_store_in_this_process_as_well(self, tmp_path: Path) -> None:
        path = tmp_path / "readings.duckdb"
        store = DuckStore(path, TABLES)
        with pytest.raises(StoreUnavailableError, match="in this process"):
            DuckStore(path, TABLES)
        store.write([sample(TABLES[0])])
        store.close()
        DuckStore(path, TABLES).close()

    def test_every_write_that_returned_outlives_a_kill(self, tmp_path: Path) -> None:
        path, table = tmp_path / "readings.duckdb", TABLES[0]
        code = """
            store = DuckStore(path, TABLES)
            for seed in range(1000):
                store.write([sample_of_hour(TABLES[0], seed)])
                print(seed, flush=True)
        """
        for _ in range(2):
            with other_process(code, str(path)) as process:
                assert process.stdout is not None
                written = 0
                for line in process.stdout:
                    written = int(line) + 1
                    if written == 40:
                        process.send_signal(signal.SIGKILL)
            assert written >= 40
            store = DuckStore(path, TABLES)
            count = store.count(table, start_ns=0, stop_ns=2**62)
            assert count % 100 == 0
            assert count >= 100 * written
            store.write([sample_of_hour(table, 7)])
            assert store.count(table, start_ns=0, stop_ns=2**62) == count
            store.close()

    def test_a_full_disk_is_survived(self, tmp_path: Path) -> None:
        """Files may not grow beyond 2 MB for a while: writes fail, nothing is lost, and then all is well."""
        code = """
            import json, time
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            store = DuckStore(path, TABLES)
            table = next(table for table in TABLES if table.measurement == "charger_telemetry")
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
            kept, faults = [], []
            def write(seed):
                batch = sample_of_hour(table, seed, 5000)
                try:
                    store.write([batch])
                except StoreUnavailableError as exc:
                    faults.append(exc.message)
                else:
                    kept.append(seed)
            for seed in range(20):
                write(seed)
            during = (len(kept), len(faults))
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for seed in range(20):
                write(seed)
            count = store.count(table, start_ns=0, stop_ns=2**62)
            store.close()
            print(json.dumps([during, len(set(kept)), len(faults), faults[-1], count]))
        """
        with other_process(code, str(tmp_path / "readings.duckdb")) as process:
            said, _ = process.communicate(timeout=120)
        during, kept, faults, message, count = json.loads(said)
        assert during[0] >= 1
        assert during[1] >= 1
        assert faults == during[1]
        assert kept == 20
        assert count == 20 * 5000
        assert "did not take readings" in message


def test_reading_thousands_of_series(duck: DuckStore) -> None:
    table = next(table for table in TABLES if table.measurement == "charger_telemetry")
    keys = keys_of(table, devices=400)
    batch = sample(table, 20_000, keys=keys)
    model = Model()
    duck.write([batch])
    model.write([batch])
    query = dataclasses.replace(whole(table), fields=("power_w", "status"), compounds=("zz",), before_ns=1)
    assert bits(rows_of(duck.read(query))) == bits(model.read(query))
