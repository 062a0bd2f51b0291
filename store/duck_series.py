"""The series of a DuckDB file: what their numbers stand for, and how far each has been written in each table."""

import threading
from collections.abc import Collection, Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from devices.columns import Codes, SeriesKey, Times
from devices.kind import Table
from store import duck_sql

_NEVER = np.iinfo(np.int64).min


class SeriesIds:
    """Series by number and numbers by series. Numbers are given once, ascending from 0, and never change.

    One thread at a time may add; any number may look up, since rows are written after their series are known here.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read all series of an open file."""
        self._adding = threading.Lock()
        rows = connection.execute("SELECT compound, device, part FROM _series ORDER BY id").fetchall()
        self._keys = [SeriesKey(*row) for row in rows]
        self._ids = {key: number for number, key in enumerate(self._keys)}

    def of(self, connection: duckdb.DuckDBPyConnection, keys: Sequence[SeriesKey]) -> Codes:
        """The numbers of `keys`, int32[len(keys)]; new series are numbered and stored at once.

        Args:
            connection: outside a transaction: a series is kept even where the rows written next are not.
            keys: any series.
        """
        with self._adding:
            new = [key for key in dict.fromkeys(keys) if key not in self._ids]
            if new:
                self._add(connection, new)
        return np.array([self._ids[key] for key in keys], np.int32)

    def keys(self, ids: NDArray[np.intp]) -> list[SeriesKey]:
        """The series that `ids` stand for."""
        return [self._keys[each] for each in ids.tolist()]

    def matching(self, compounds: Iterable[str] | None, devices: Iterable[str] | None) -> list[int]:
        """The numbers of all series of these compounds and devices, None meaning all."""
        of_compounds: Collection[str] | None = None if compounds is None else set(compounds)
        of_devices: Collection[str] | None = None if devices is None else set(devices)
        return [
            number
            for number, key in enumerate(list(self._keys))
            if (of_compounds is None or key.compound in of_compounds)
            and (of_devices is None or key.device in of_devices)
        ]

    def _add(self, connection: duckdb.DuckDBPyConnection, new: Sequence[SeriesKey]) -> None:
        first = len(self._keys)
        columns = [pa.array(range(first, first + len(new)), pa.int32())]
        columns += [pa.array(column, pa.string()) for column in zip(*new, strict=True)]
        connection.register(duck_sql.INCOMING, pa.table(columns, names=["id", *SeriesKey._fields]))
        connection.execute(duck_sql.INSERT_SERIES)
        self._keys += new
        self._ids |= {key: number for number, key in enumerate(new, first)}


class Newest:
    """The newest time written to each series of each table. What is newer than that cannot be there already."""

    def __init__(self) -> None:
        """Know nothing; each table is looked up when it is first asked for."""
        self._times: dict[str, Times] = {}

    def may_hold(self, connection: duckdb.DuckDBPyConnection, table: Table, series: Codes, time: Times) -> bool:
        """Whether `table` may hold a row of any of these series and times, both of length n >= 1."""
        known = self._times.get(table.measurement)
        if known is None:
            known = np.empty(0, np.int64)
            found = connection.sql(duck_sql.newest(table)).to_arrow_table()
            self._times[table.measurement] = known = _raised(
                known, found["_series"].to_numpy(), found["time"].to_numpy()
            )
        inside = series < len(known)
        return bool(np.any(time[inside] <= known[series[inside]]))

    def raise_to(self, table: Table, series: Codes, time: Times) -> None:
        """Remember rows that were written."""
        self._times[table.measurement] = _raised(self._times[table.measurement], series, time)


def _raised(known: Times, series: Codes, time: Times) -> Times:
    size = max(int(series.max()) + 1, len(known)) if len(series) else len(known)
    raised = np.full(size, _NEVER)
    raised[: len(known)] = known
    np.maximum.at(raised, series, time)
    return raised
