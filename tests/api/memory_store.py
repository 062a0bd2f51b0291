"""A store in memory that fulfils the contract of `store.protocol`, slowly and obviously."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch, Coded, SeriesKey
from devices.errors import StoreError
from devices.kind import Table
from store.protocol import Query


class MemoryStore:
    """Keeps batches as they came; `failure`, once set, is raised by every call."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.failure: Exception | None = None
        self.reads: list[Query] = []
        self.pings = 0
        self._batches: dict[str, list[Batch]] = {}

    def write(self, batches: Sequence[Batch]) -> None:
        self._fail()
        for batch in batches:
            self._batches.setdefault(batch.table.measurement, []).append(batch)

    def read(self, query: Query) -> Batch:
        self._fail()
        self.reads.append(query)
        if query.is_empty:
            return Batch.empty(query.table, query.names)
        batch = self._matching(query.table, query.compounds, query.devices)
        inside = (batch.time >= query.start_ns) & (batch.time < query.stop_ns)
        rows = np.flatnonzero(inside)
        if query.limit is not None:
            rows = np.sort(rows[np.lexsort((batch.series[rows], batch.time[rows]))[::-1][: query.limit]])
        found = batch.take(rows)
        if query.before_ns:
            found = Batch.concatenated([self._before(batch, query), found])
        columns = {name: found.columns[name] for name in query.names}
        return _ordered(Batch(found.table, found.keys, found.series, found.time, columns))

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        self._fail()
        batch = self._matching(table, compounds, devices)
        batch = batch.take(batch.time >= since_ns)
        last = np.flatnonzero(np.append(batch.series[1:] != batch.series[:-1], True)[: len(batch)])
        found = _ordered(batch.take(last))
        names = table.by_name if fields is None else fields
        return Batch(table, found.keys, found.series, found.time, {name: found.columns[name] for name in names})

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        self._fail()
        time = self._matching(table, None, None).time
        return int(np.count_nonzero((time >= start_ns) & (time < stop_ns)))

    def ping(self) -> None:
        self.pings += 1
        self._fail()

    def close(self) -> None:
        self.failure = StoreError("closed")

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _matching(self, table: Table, compounds: Collection[str] | None, devices: Collection[str] | None) -> Batch:
        """The rows of some devices, sorted by series and time, each identity once."""
        batches = self._batches.get(table.measurement)
        if not batches:
            return Batch.empty(table)
        batch = _ordered(Batch.concatenated(batches))
        keep = np.append((batch.series[1:] != batch.series[:-1]) | (batch.time[1:] != batch.time[:-1]), True)
        wanted = np.array(
            [
                (compounds is None or key.compound in compounds) and (devices is None or key.device in devices)
                for key in batch.keys
            ],
            np.bool_,
        )
        return batch.take(keep[: len(batch)] & wanted[batch.series])

    def _before(self, batch: Batch, query: Query) -> Batch:
        """Per series and field its last value before the span, as rows that hold just what is last at their time."""
        early = batch.take((batch.time >= query.start_ns - query.before_ns) & (batch.time < query.start_ns))
        present = {name: _present(early, name) for name in query.names}
        last = {name: np.zeros(len(early), np.bool_) for name in query.names}
        for name, there in present.items():
            for series in np.unique(early.series):
                rows = np.flatnonzero(there & (early.series == series))
                last[name][rows[-1:]] = True
        columns = dict(early.columns)
        for name, keep in last.items():
            column = columns[name]
            columns[name] = (
                Coded(np.where(keep, column.codes, -1).astype(np.int32), column.labels)
                if isinstance(column, Coded)
                else np.where(keep, column, np.nan)
            )
        any_last = np.any([*last.values(), np.zeros(len(early), np.bool_)], axis=0)
        return Batch(early.table, early.keys, early.series, early.time, columns).take(any_last)


def _present(batch: Batch, name: str) -> NDArray[np.bool_]:
    column = batch.columns[name]
    return column.codes >= 0 if isinstance(column, Coded) else ~np.isnan(column)


def _ordered(batch: Batch) -> Batch:
    """Sorted by series, then time, with the keys that occur in ascending order."""
    used = sorted({batch.keys[series] for series in np.unique(batch.series)})
    place: dict[SeriesKey, int] = {key: index for index, key in enumerate(used)}
    recode = np.array([place.get(key, -1) for key in batch.keys], np.int32)
    series = recode[batch.series] if len(batch) else batch.series
    return Batch(batch.table, tuple(used), series, batch.time, batch.columns).sorted()
