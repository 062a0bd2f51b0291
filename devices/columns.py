"""The columnar batch: what passes between all stages, from decode to the API.

A batch holds rows of one table as numpy arrays: a time, a series and one column per field. Numbers are float64 with NaN
for "absent"; labels are int32 codes into a tuple of strings with -1 for "absent".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from devices.fields import Field, Signal
from devices.kind import Table

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

NS_PER_MS = 1_000_000
ABSENT = -1
"""The code of a label that a row does not have."""


class SeriesKey(NamedTuple):
    """Whose rows these are. `part` is "" in tables without parts."""

    compound: str
    device: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of labels.

    Attributes:
        codes: int32[n], indices into `labels`, or -1 where the row has none.
        labels: the declared labels of the field; for an identity, whatever occurs in this batch.
    """

    codes: Codes
    labels: tuple[str, ...]

    def decoded(self) -> list[str | None]:
        """The column as n strings, None where absent."""
        table = [*self.labels, None]
        return [table[code] for code in self.codes.tolist()]


Column = Floats | Coded


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table. Never mutated; a new batch shares what it can.

    Attributes:
        table: whose columns these are.
        keys: the series that occur, each once: a tuple, or `devices.keys.ChosenKeys`.
        series: int32[n], indices into `keys`.
        time: int64[n], nanoseconds since the epoch, UTC: `ts × 1e6 + seq mod 1e6`, so that a redelivered reading has
            its own time again and two of one millisecond have two.
        columns: by field name; a batch read with a choice of fields has just these.
    """

    table: Table
    keys: Sequence[SeriesKey]
    series: Codes
    time: Times
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.time)

    @classmethod
    def empty(cls, table: Table, fields: Iterable[str] | None = None) -> Self:
        """A batch of `table` without rows, with all columns or those in `fields`."""
        names = table.by_name if fields is None else fields
        columns = {name: column_of(table.by_name[name], ()) for name in names}
        return cls(table, (), np.empty(0, np.int32), np.empty(0, np.int64), columns)

    def floats(self, name: str) -> Floats:
        """The number column `name`, float64[n]."""
        column = self.columns[name]
        if isinstance(column, Coded):
            msg = f"{self.table.measurement}.{name} holds labels"
            raise TypeError(msg)
        return column

    def coded(self, name: str) -> Coded:
        """The label column `name`."""
        column = self.columns[name]
        if not isinstance(column, Coded):
            msg = f"{self.table.measurement}.{name} holds numbers"
            raise TypeError(msg)
        return column

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """The rows at `rows` (indices, mask or slice), in that order."""
        columns: dict[str, Column] = {
            name: Coded(column.codes[rows], column.labels) if isinstance(column, Coded) else column[rows]
            for name, column in self.columns.items()
        }
        return type(self)(self.table, self.keys, self.series[rows], self.time[rows], columns)

    def sorted(self) -> Self:
        """The rows by series, then time; the batch itself where they already are."""
        series, time = self.series, self.time
        same = series[1:] == series[:-1]
        if bool(np.all((series[1:] > series[:-1]) | (same & (time[1:] >= time[:-1])))):
            return self
        return self.take(np.lexsort((time, series)))

    def offsets(self) -> NDArray[np.intp]:
        """Where each series begins in a sorted batch: intp[len(keys) + 1], the last entry being n."""
        return np.searchsorted(self.series, np.arange(len(self.keys) + 1))

    @classmethod
    def concatenated(cls, batches: Sequence[Self]) -> Self:
        """One batch of all rows of `batches` (of one table and the same columns, at least one batch)."""
        first = batches[0]
        if len(batches) == 1:
            return first
        place: dict[SeriesKey, int] = {}
        series = [_recoded(batch.series, batch.keys, place) for batch in batches]
        columns: dict[str, Column] = {}
        for name, column in first.columns.items():
            if isinstance(column, Coded):
                columns[name] = _joined([batch.coded(name) for batch in batches])
            else:
                columns[name] = np.concatenate([batch.floats(name) for batch in batches])
        time = np.concatenate([batch.time for batch in batches])
        return cls(first.table, tuple(place), np.concatenate(series), time, columns)


def column_of(field: Field, values: Sequence[object]) -> Column:
    """Make a column from Python values as a validated payload has them.

    Args:
        field: the declaration.
        values: n numbers, strings or booleans as the field's signal asks; None where absent.

    Returns:
        float64[n] with NaN, or codes with -1, for absent ones.

    Raises:
        KeyError: a label that the field does not declare.
    """
    if field.is_number:
        return np.array(values, np.float64)
    if field.signal is Signal.IDENTITY:
        place: dict[object, int] = {}
        codes = [ABSENT if each is None else place.setdefault(each, len(place)) for each in values]
        return Coded(np.array(codes, np.int32), tuple(map(str, place)))
    known: dict[object, int] = {label: code for code, label in enumerate(field.labels)}
    if field.boolean:
        known = {False: 0, True: 1}
    known[None] = ABSENT
    return Coded(np.array([known[each] for each in values], np.int32), field.labels)


def _recoded(codes: Codes, labels: Iterable[SeriesKey], place: dict[SeriesKey, int]) -> Codes:
    mapping = np.array([place.setdefault(label, len(place)) for label in labels], np.int32)
    return mapping[codes] if len(codes) else codes


def _joined(columns: Sequence[Coded]) -> Coded:
    labels = columns[0].labels
    if all(column.labels == labels for column in columns):
        return Coded(np.concatenate([column.codes for column in columns]), labels)
    place: dict[str, int] = {}
    parts = []
    for column in columns:
        mapping = np.array([place.setdefault(label, len(place)) for label in column.labels] + [ABSENT], np.int32)
        parts.append(mapping[column.codes])
    return Coded(np.concatenate(parts), tuple(place))
