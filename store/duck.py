"""Readings in one DuckDB file: the embedded store, for one process at a time.

Why a row is replaced by a delete before its insert, and not through a primary key: measured in batches of 5,000 rows of
500 series, interleaved, on a table of 2 million rows (thousand rows/s): append only 690; delete by join, then insert
510, and with series as three texts instead of a number 330; primary key on (series, time) 180 and falling with the
table; on the texts 90. The join is pruned to the row groups whose times overlap, so it does not grow with the table.
Rows newer than all of their series, which most are, cannot be there yet and need no delete (`store.duck_series`).
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from devices.columns import ABSENT, Batch, Coded, Codes, Column, Floats, SeriesKey
from devices.errors import StoreUnavailableError
from devices.fields import Field
from devices.kind import Table
from store import duck_sql
from store.align import Piece, assembled, by_series_and_time, joined, newest
from store.checks import check, clipped
from store.duck_errors import translated
from store.duck_schema import LabelCodes, create
from store.duck_series import Newest, SeriesIds
from store.protocol import Query

_CONFIG: Mapping[str, str] = MappingProxyType(
    {
        "autoinstall_known_extensions": "false",  # nothing is fetched from anywhere
        "autoload_known_extensions": "false",
        "memory_limit": "1GB",  # the default is 80 % of the machine; beyond this DuckDB uses the disk
    }
)


class DuckStore:
    """A `Store` in a DuckDB file.

    Writers take turns; readers never wait for them. A write is durable when it returns (write-ahead log).

    Raises of every method: see `Store`; a full or failing disk is a `StoreUnavailableError`, and the next call opens
    the file anew.
    """

    _root: duckdb.DuckDBPyConnection
    _codes: Mapping[tuple[str, str], LabelCodes]
    _series: SeriesIds
    _newest: Newest

    def __init__(self, path: Path, tables: Iterable[Table]) -> None:
        """Open the file, made where it is missing, and bring it up to what the kinds declare.

        Args:
            path: the file; folders above it are made too.
            tables: all tables of all kinds.

        Raises:
            StoreUnavailableError: another process has it open, or the disk fails.
            StoreDeniedError: it may not be read or written by us.
            StoreRejectedError: it is no DuckDB file, or a kind declares a field with another type than it holds.
        """
        self._path = path
        self._tables = tuple(tables)
        # DuckDB opens a file once per process and configuration; a configuration of our own keeps it ours alone.
        self._config: dict[str, Any] = {**_CONFIG, "custom_user_agent": f"courtyard-{uuid4()}"}
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._closed = False
        self._broken = False
        with translated(path, "cannot be opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()

    def write(self, batches: Sequence[Batch]) -> None:
        """See `Store.write`. All batches are kept, or none."""
        by_table: dict[Table, list[Batch]] = {}
        for batch in batches:
            check(batch)
            if len(batch):
                by_table.setdefault(batch.table, []).append(batch)
        with self._writing, self._cursor("did not take readings") as cursor:
            incoming = [(table, self._incoming(cursor, table, each)) for table, each in by_table.items()]
            try:
                cursor.begin()
                for table, rows in incoming:
                    self._put(cursor, table, rows)
                cursor.commit()
                for table, rows in incoming:
                    self._newest.raise_to(table, rows["_series"].to_numpy(), rows["time"].to_numpy())
            except BaseException:
                self._newest = Newest()  # a commit that failed may have reached the file all the same
                raise

    def read(self, query: Query) -> Batch:
        """See `Store.read`."""
        with self._cursor("cannot be read") as cursor:
            if query.is_empty:
                return Batch.empty(query.table, query.names)
            cursor.begin()  # all below sees the same rows
            series, ids = self._chosen(query.compounds, query.devices)
            rows = self._span(cursor, query, series, ids)
            if not query.before_ns:
                return rows
            return joined(self._before(cursor, query, series, ids), rows)

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        """See `Store.latest`."""
        names = tuple(table.by_name if fields is None else fields)
        with self._cursor("cannot be read") as cursor:
            series, ids = self._chosen(compounds, devices)
            found = cursor.sql(duck_sql.latest(table, names, series), params=[clipped(since_ns), *ids])
            return self._batch(table, names, found.to_arrow_table())

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        """See `Store.count`."""
        with self._cursor("cannot be read") as cursor:
            return _number(cursor.execute(duck_sql.count(table), [clipped(start_ns), clipped(stop_ns)]).fetchall())

    def delete(self, table: Table, *, stop_ns: int, compound: str | None = None) -> None:
        """See `DeletingStore.delete`. The file's space is used again; the bytes are overwritten by what comes."""
        with self._writing, self._cursor("cannot be deleted from") as cursor:
            series, ids = self._chosen(None if compound is None else (compound,), None)
            cursor.begin()
            cursor.execute(duck_sql.delete_before(table, series), [clipped(stop_ns), *ids])
            cursor.commit()

    def ping(self) -> None:
        """See `Store.ping`."""
        with self._cursor("does not answer") as cursor:
            cursor.execute("SELECT count(*) FROM _series")

    def close(self) -> None:
        """See `Store.close`. Calls under way in other threads come to their end."""
        with self._writing, self._opening:
            self._closed = True
            self._root.close()

    @contextmanager
    def _cursor(self, doing: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of this call's own; what it has begun and not committed is undone when it is closed."""
        with translated(self._path, doing):
            cursor = self._connected()
            try:
                yield cursor
            except (duckdb.FatalException, duckdb.ConstraintException):
                # Given up by DuckDB; or series in the file that we do not know of, after a commit that failed too late.
                self._broken = True
                raise
            finally:
                cursor.close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._closed:
                raise StoreUnavailableError(f"{self._path}: the store is closed")
            if self._broken:
                self._root.close()
                self._open()
                self._broken = False
            return self._root.cursor()

    def _open(self) -> None:
        self._root = duckdb.connect(self._path, config=self._config)
        try:
            self._codes = create(self._root, self._tables)
            self._series = SeriesIds(self._root)
            self._newest = Newest()
        except BaseException:
            self._root.close()
            raise

    def _incoming(self, cursor: duckdb.DuckDBPyConnection, table: Table, batches: Sequence[Batch]) -> pa.Table:
        """The rows as the file has them, each identity once: the last of those written counts."""
        batch = Batch.concatenated(batches)
        series = self._series.of(cursor, batch.keys)[batch.series]
        order = by_series_and_time(series, batch.time)
        if order is None:
            order = np.arange(len(batch))
        last = np.ones(len(order), np.bool_)
        last[:-1] = (np.diff(series[order]) != 0) | (np.diff(batch.time[order]) != 0)
        if not last.all():
            kept = np.sort(order[last])
            batch, series = batch.take(kept), series[kept]
        columns = {"_series": pa.array(series), "time": pa.array(batch.time)}
        for field in table.fields:
            columns[field.name] = self._stored(table, field, batch.columns[field.name])
        return pa.table(columns)

    def _put(self, cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
        """Insert rows, in place of those that are there under the same series and time."""
        cursor.register(duck_sql.INCOMING, rows)
        if self._newest.may_hold(cursor, table, rows["_series"].to_numpy(), rows["time"].to_numpy()):
            cursor.execute(duck_sql.delete(table))
        cursor.execute(duck_sql.insert(table, rows.column_names))

    def _stored(self, table: Table, field: Field, column: Column) -> pa.Array:
        if not isinstance(column, Coded):
            return pa.array(column, from_pandas=True)
        absent = column.codes < 0
        if not field.is_label:
            return pa.DictionaryArray.from_arrays(
                pa.array(column.codes, mask=absent), pa.array(column.labels, pa.string())
            )
        codes = self._codes[table.measurement, field.name].stored
        if column.labels != field.labels:
            places = {label: place for place, label in enumerate(field.labels)}
            codes = codes[[*(places[label] for label in column.labels), ABSENT]]
        return pa.array(codes[column.codes], mask=absent)

    def _chosen(
        self, compounds: Collection[str] | None, devices: Collection[str] | None
    ) -> tuple[str, list[list[int]]]:
        """A condition on the series, and its parameters."""
        if compounds is None and devices is None:
            return duck_sql.of_series(chosen=False), []
        return duck_sql.of_series(chosen=True), [self._series.matching(compounds, devices)]

    def _span(self, cursor: duckdb.DuckDBPyConnection, query: Query, series: str, ids: list[list[int]]) -> Batch:
        """The rows of the span."""
        table, names = query.table, query.names
        start_ns, stop_ns = clipped(query.start_ns), clipped(query.stop_ns)
        if query.limit is not None:
            cut = duck_sql.nth_newest(table, series)
            oldest = cursor.execute(cut, [start_ns, stop_ns, *ids, query.limit - 1]).fetchall()
            start_ns = _number(oldest) if oldest else start_ns
        found = cursor.sql(duck_sql.select(table, names, series), params=[start_ns, stop_ns, *ids])
        rows = self._batch(table, names, found.to_arrow_table())
        return rows if query.limit is None else newest(rows, query.limit)

    def _before(self, cursor: duckdb.DuckDBPyConnection, query: Query, where: str, ids: list[list[int]]) -> Batch:
        """For each series and field its last value before the span."""
        if not query.names:
            return Batch.empty(query.table, ())
        span = [clipped(query.start_ns - query.before_ns), clipped(query.start_ns)]
        found = cursor.sql(duck_sql.lasts(query.table, query.names, where), params=[*span, *ids]).to_arrow_table()
        keys, series = self._keys(found)
        order = np.argsort(series)
        pieces = {}
        for name in query.names:
            times = found[f"{name}.time"].combine_chunks()
            rows = order[times.is_valid().to_numpy(zero_copy_only=False)[order]]
            column = _taken(self._declared(query.table, name, found[name]), rows)
            pieces[name] = Piece(series[rows], times.fill_null(0).to_numpy()[rows], column)
        return assembled(query.table, keys, query.names, pieces)

    def _batch(self, table: Table, names: Sequence[str], found: pa.Table) -> Batch:
        """A sorted batch of rows as the file has them."""
        keys, series = self._keys(found)
        time = found["time"].to_numpy()
        columns = {name: self._declared(table, name, found[name]) for name in names}
        batch = Batch(table, tuple(keys), series, time, columns)
        order = by_series_and_time(series, time)
        return batch if order is None else batch.take(order)

    def _keys(self, found: pa.Table) -> tuple[list[SeriesKey], Codes]:
        """The series that occur, ascending, and for each row which of them it belongs to."""
        ids = found["_series"].to_numpy()
        occurring = np.flatnonzero(np.bincount(ids))
        keys = self._series.keys(occurring)
        ascending = sorted(range(len(keys)), key=keys.__getitem__)
        ranks = np.zeros(int(occurring[-1]) + 1 if len(occurring) else 0, np.int32)
        ranks[occurring[ascending]] = np.arange(len(keys))
        return [keys[each] for each in ascending], ranks[ids]

    def _declared(self, table: Table, name: str, stored: pa.ChunkedArray) -> Column:
        """A column of the file as the declaration has it."""
        field = table.by_name[name]
        if field.is_number:
            numbers: Floats = stored.to_numpy()  # NULL becomes NaN
            return numbers
        if field.is_label:
            codes = stored.fill_null(ABSENT).to_numpy()
            return Coded(self._codes[table.measurement, name].declared[codes], field.labels)
        texts = stored.combine_chunks().dictionary_encode()
        return Coded(texts.indices.fill_null(ABSENT).to_numpy(), tuple(texts.dictionary.to_pylist()))


def _number(rows: Sequence[tuple[Any, ...]]) -> int:
    return int(rows[0][0])


def _taken(column: Column, rows: NDArray[np.intp]) -> Column:
    return Coded(column.codes[rows], column.labels) if isinstance(column, Coded) else column[rows]
