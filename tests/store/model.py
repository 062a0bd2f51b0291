"""The contract of `store.protocol`, slow and obvious: rows in a dictionary."""

import math
import struct
from collections.abc import Collection, Iterable, Sequence

from devices.columns import Batch, Coded, SeriesKey
from devices.kind import Table
from store.protocol import Query

Value = float | str | None
Row = tuple[SeriesKey, int, dict[str, Value]]


def rows_of(batch: Batch) -> list[Row]:
    """The rows of a batch as plain Python, in their order; None where absent."""
    columns: dict[str, Sequence[Value]] = {}
    for name, column in batch.columns.items():
        if isinstance(column, Coded):
            columns[name] = column.decoded()
        else:
            columns[name] = [None if math.isnan(number) else number for number in column.tolist()]
    return [
        (batch.keys[series], time, {name: column[index] for name, column in columns.items()})
        for index, (series, time) in enumerate(zip(batch.series.tolist(), batch.time.tolist(), strict=True))
    ]


def bits(rows: Iterable[Row]) -> list[tuple[SeriesKey, int, dict[str, object]]]:
    """The same rows with numbers as their bits, so that 0.0 and -0.0 differ."""
    return [
        (
            key,
            time,
            {name: struct.pack(">d", value) if isinstance(value, float) else value for name, value in row.items()},
        )
        for key, time, row in rows
    ]


class Model:
    """A store of plain rows."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._rows: dict[str, dict[tuple[SeriesKey, int], dict[str, Value]]] = {}

    def write(self, batches: Sequence[Batch]) -> None:
        """Keep rows; the later of two with one identity counts."""
        for batch in batches:
            for key, time, values in rows_of(batch):
                self._rows.setdefault(batch.table.measurement, {})[key, time] = values

    def read(self, query: Query) -> list[Row]:
        """The rows that a query asks for."""
        rows = self._matching(query.table, query.compounds, query.devices)
        span = [row for row in rows if query.start_ns <= row[1] < query.stop_ns]
        if query.limit is not None:
            span = sorted(span, key=lambda row: (row[1], row[0]))[-query.limit :]
        lasts: dict[tuple[SeriesKey, int], dict[str, Value]] = {}
        for name in query.names:
            last: dict[SeriesKey, Row] = {}
            for row in rows:  # by ascending time
                if query.start_ns - query.before_ns <= row[1] < query.start_ns and row[2][name] is not None:
                    last[row[0]] = row
            for key, time, values in last.values():
                lasts.setdefault((key, time), {})[name] = values[name]
        before = [
            (key, time, {name: values.get(name) for name in query.names}) for (key, time), values in lasts.items()
        ]
        chosen = [(key, time, {name: values[name] for name in query.names}) for key, time, values in span]
        return sorted(before + chosen, key=lambda row: row[:2])

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Row]:
        """The newest row of each series."""
        newest = {row[0]: row for row in self._matching(table, compounds, devices) if row[1] >= since_ns}
        names = table.by_name if fields is None else fields
        return [(key, time, {name: values[name] for name in names}) for key, time, values in newest.values()]

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        """The number of rows in a span."""
        return sum(start_ns <= row[1] < stop_ns for row in self._matching(table, None, None))

    def _matching(self, table: Table, compounds: Collection[str] | None, devices: Collection[str] | None) -> list[Row]:
        """By series, then time."""
        rows = [(key, time, values) for (key, time), values in self._rows.get(table.measurement, {}).items()]
        return sorted(
            (
                row
                for row in rows
                if (compounds is None or row[0].compound in compounds) and (devices is None or row[0].device in devices)
            ),
            key=lambda row: row[:2],
        )
