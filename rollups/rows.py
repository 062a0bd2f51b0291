"""Partials as rows of a table, and rows as partials again, bit for bit."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aggregate.histogram import BINS, Histogram
from aggregate.partials import Column, Merge, Partials, Scope, Value
from aggregate.segments import Indices
from devices.columns import ABSENT, Batch, Coded, Floats, SeriesKey
from devices.columns import Column as RowColumn
from devices.kind import Table

_EMPTY = "-"
"""The text of a histogram without any durations; a store takes no empty text."""

Mask = NDArray[np.bool_]


def batch_of(table: Table, scope: Scope, partials: Partials, cells: Mask) -> Batch:
    """Rows of partials.

    Args:
        table: their table, with a field for each of its columns.
        scope: whose partials.
        partials: with these columns, over m buckets.
        cells: bool[s, m], which series and buckets to make rows of.

    Returns:
        A row for each cell, at its bucket's start.
    """
    series, bucket = np.nonzero(cells)
    columns: dict[str, RowColumn] = {}
    for name in table.by_name:
        value = partials.values[name]
        columns[name] = _texts(value, cells) if isinstance(value, Histogram) else _numbers(value[series, bucket])
    return Batch(table, partials.keys[scope], series.astype(np.int32), partials.edges[:-1][bucket], columns)


def values_of(
    columns: Sequence[Column],
    keys: Mapping[Scope, tuple[SeriesKey, ...]],
    batches: Mapping[Scope, Batch],
    starts: Indices,
) -> dict[str, Value]:
    """Partials of rows.

    Args:
        columns: which.
        keys: the series wanted of each scope.
        batches: rows of each scope; those of other series and times are left out.
        starts: int64[m], ns, where each bucket begins, increasing.

    Returns:
        By column: float64[s, m] or histograms; what has no row is as if nothing had happened.
    """
    places = {scope: _places(batch, keys[scope], starts) for scope, batch in batches.items()}
    values: dict[str, Value] = {}
    for column in columns:
        batch, (row, cell) = batches[column.scope], places[column.scope]
        shape = (len(keys[column.scope]), len(starts))
        if column.merge is Merge.HISTOGRAM:
            values[column.name] = _histogram(batch.coded(column.name), row, cell, shape)
            continue
        made = np.full(shape, column.empty)
        numbers = batch.floats(column.name)[row]
        made.reshape(-1)[cell] = np.where(np.isnan(numbers), column.empty, numbers)
        values[column.name] = made
    return values


def _places(batch: Batch, keys: Sequence[SeriesKey], starts: Indices) -> tuple[Indices, Indices]:
    """The rows that are wanted, and the index of each into a flattened (s, m) array."""
    place = {key: number for number, key in enumerate(keys)}
    series = np.array([*(place.get(key, ABSENT) for key in batch.keys), ABSENT], np.intp)[batch.series]
    bucket = np.searchsorted(starts, batch.time)
    inside = np.minimum(bucket, len(starts) - 1)
    rows = np.flatnonzero((series >= 0) & (starts[inside] == batch.time))
    return rows, series[rows] * len(starts) + bucket[rows]


def _numbers(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _texts(histogram: Histogram, cells: Mask) -> Coded:
    """The histogram of each cell, as text: "bin:count bin:count"."""
    wanted = np.flatnonzero(cells)
    first = np.searchsorted(histogram.cell, wanted)
    last = np.searchsorted(histogram.cell, wanted, "right")
    codes = np.zeros(len(wanted), np.int32)
    labels = {_EMPTY: 0}
    for at in np.flatnonzero(last > first).tolist():
        part = slice(first[at], last[at])
        pairs = zip(histogram.bin[part].tolist(), histogram.count[part].tolist(), strict=True)
        text = " ".join(f"{place}:{count}" for place, count in pairs)
        codes[at] = labels.setdefault(text, len(labels))
    return Coded(codes, tuple(labels))


def _histogram(texts: Coded, rows: Indices, cell: Indices, shape: tuple[int, int]) -> Histogram:
    parsed = [_parsed(label) for label in texts.labels]
    codes = texts.codes[rows]
    lengths = np.array([*(len(each) for each in parsed), 0], np.intp)
    filled = np.flatnonzero(lengths[codes])
    pairs = [parsed[code] for code in codes[filled].tolist()]
    flat = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    return Histogram.of(shape, np.repeat(cell[filled], lengths[codes[filled]]), flat[:, 0], flat[:, 1])


def _parsed(text: str) -> NDArray[np.int64]:
    """int64[k, 2]: bins and counts. What is no histogram, for somebody else wrote into the bucket, is an empty one."""
    found = []
    for pair in text.split() if text != _EMPTY else ():
        place, _, count = pair.partition(":")
        if place.isascii() and place.isdigit() and count.isascii() and count.isdigit() and int(place) < BINS:
            found.append((int(place), int(count)))
    return np.array(found, np.int64).reshape(-1, 2)
