"""Fields that were read one by one become rows: values of the same series and time stand side by side."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import ABSENT, Batch, Coded, Codes, Column, SeriesKey, Times
from devices.kind import Table

Positions = NDArray[np.intp]

_ROOM = 2**62
"""Below this the sum of two composite keys cannot overflow."""


class Piece(NamedTuple):
    """The values of one field, one per series and time.

    Attributes:
        series: int32[n], indices into the keys that all pieces share.
        time: int64[n], nanoseconds; sorted by series, then time, each pair once.
        values: n numbers or labels; None where only the presence of rows is told.
    """

    series: Codes
    time: Times
    values: Column | None


def assembled(table: Table, keys: Sequence[SeriesKey], names: Sequence[str], pieces: Mapping[str, Piece]) -> Batch:
    """Make rows of fields.

    Args:
        table: whose fields these are.
        keys: the series that the pieces index, ascending.
        names: the columns of the result, in order.
        pieces: by field, or by any other name where they only tell of rows. A field without values may be missing.

    Returns:
        A row for every series and time that occurs in any piece, sorted; its keys are those that occur.
    """
    series, time, places = _rows(pieces)
    columns: dict[str, Column] = {}
    for name in names:
        piece = pieces.get(name)
        if piece is None or piece.values is None:
            columns[name] = absent_column(table, name, len(time))
        else:
            columns[name] = _placed(piece.values, places[name], len(time))
    return compacted(Batch(table, tuple(keys), series, time, columns))


def absent_column(table: Table, name: str, rows: int) -> Column:
    """A column of `name` with `rows` rows, all absent."""
    field = table.by_name[name]
    if field.is_number:
        return np.full(rows, np.nan)
    return Coded(np.full(rows, ABSENT, np.int32), field.labels)


def compacted(batch: Batch) -> Batch:
    """The same rows, with only those keys that occur."""
    occurring = np.flatnonzero(np.bincount(batch.series, minlength=len(batch.keys)))
    if len(occurring) == len(batch.keys):
        return batch
    ranks = np.zeros(len(batch.keys), np.int32)
    ranks[occurring] = np.arange(len(occurring))
    keys = tuple(batch.keys[index] for index in occurring.tolist())
    return Batch(batch.table, keys, ranks[batch.series], batch.time, batch.columns)


def by_series_and_time(series: Codes, time: Times) -> Positions | None:
    """The order that sorts rows by series, then time, equal ones in the order they have; None where they are sorted."""
    same = series[1:] == series[:-1]
    if bool(np.all((series[1:] > series[:-1]) | (same & (time[1:] >= time[:-1])))):
        return None
    # Two stable sorts beat lexsort: times come almost sorted, and 16-bit integers are sorted by radix.
    order = np.argsort(time, kind="stable")
    small = series.astype(np.uint16) if int(series.max()) < 2**16 else series
    return order[np.argsort(small[order], kind="stable")]


def joined(before: Batch, span: Batch) -> Batch:
    """The rows of two sorted batches of one table and the same columns, sorted."""
    if not len(before):
        return span
    if not len(span):
        return before
    both = Batch.concatenated([before, span])
    ascending = sorted(range(len(both.keys)), key=both.keys.__getitem__)
    ranks = np.empty(len(ascending), np.int32)
    ranks[ascending] = np.arange(len(ascending))
    keys = tuple(both.keys[index] for index in ascending)
    return Batch(both.table, keys, ranks[both.series], both.time, both.columns).sorted()


def newest(batch: Batch, limit: int) -> Batch:
    """The `limit` newest rows of a sorted batch, still sorted; of rows of one time those of later series are newer."""
    if len(batch) <= limit:
        return batch
    chosen = np.lexsort((batch.series, batch.time))[-limit:]
    return compacted(batch.take(np.sort(chosen)))


def _rows(pieces: Mapping[str, Piece]) -> tuple[Codes, Times, dict[str, Positions | None]]:
    """Every (series, time) of any piece, once, sorted; and where among them the values of each piece stand."""
    if not pieces:
        return np.empty(0, np.int32), np.empty(0, np.int64), {}
    longest = max(pieces.values(), key=lambda piece: len(piece.time))
    series, time = longest.series, longest.time
    places = {name: _find(series, time, piece) for name, piece in pieces.items()}
    if all(place is None or bool(np.all(place >= 0)) for place in places.values()):
        return series, time, places  # the usual case: one field is present in every row
    series = np.concatenate([piece.series for piece in pieces.values()])
    time = np.concatenate([piece.time for piece in pieces.values()])
    order = by_series_and_time(series, time)
    if order is not None:
        series, time = series[order], time[order]
    new = np.ones(len(time), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (time[1:] != time[:-1])
    series, time = series[new], time[new]
    return series, time, {name: _find(series, time, piece) for name, piece in pieces.items()}


def _find(series: Codes, time: Times, piece: Piece) -> Positions | None:
    """The row of each value of `piece`, -1 where there is none; None where value i simply stands in row i."""
    if len(piece.time) == len(time) and np.array_equal(piece.time, time) and np.array_equal(piece.series, series):
        return None
    places = np.full(len(piece.time), -1, np.intp)
    if not len(time) or not len(piece.time):
        return places
    wanted = piece.time
    low = min(int(time.min()), int(wanted.min()))
    width = max(int(time.max()), int(wanted.max())) - low + 1
    if width > _ROOM:
        ranks = np.unique(np.concatenate([time, wanted]))
        time, wanted, low, width = np.searchsorted(ranks, time), np.searchsorted(ranks, wanted), 0, len(ranks)
    # One integer per row orders rows by series and time; as many series at once as 62 bits hold.
    step = _ROOM // width
    for first in range(0, int(series[-1]) + 1, step):
        begin, end = np.searchsorted(series, (first, first + step))
        into = slice(*np.searchsorted(piece.series, (first, first + step)).tolist())
        if begin == end:
            continue
        keys = (series[begin:end].astype(np.int64) - first) * width + (time[begin:end] - low)
        sought = (piece.series[into].astype(np.int64) - first) * width + (wanted[into] - low)
        at = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        places[into] = np.where(keys[at] == sought, at + begin, -1)
    return places


def _placed(values: Column, place: Positions | None, rows: int) -> Column:
    """A column of `rows` rows with `values` at their places and nothing elsewhere."""
    if place is None:
        return values
    if isinstance(values, Coded):
        codes = np.full(rows, ABSENT, np.int32)
        codes[place] = values.codes
        return Coded(codes, values.labels)
    numbers = np.full(rows, np.nan)
    numbers[place] = values
    return numbers
