"""Partials: numbers per series and bucket that merge over time, and of which every statistic is made.

What is kept of a bucket are sums, extremes, last values and histograms, never means: those of a longer bucket are
merged from those of the shorter ones in it, and are what its rows would have given. So statistics are the same whether
partials come from rows or from a store (docs/design.md §4).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from aggregate.histogram import Histogram
from aggregate.segments import Indices
from devices.columns import Floats, SeriesKey, Times
from devices.inventory import Device
from devices.kind import Kind, Table


class Merge(StrEnum):
    """How the partials of consecutive buckets become one."""

    SUM = "sum"  # 0 where there is nothing
    LOW = "low"  # the smallest; inf where there is nothing
    HIGH = "high"  # the largest; -inf where there is nothing
    LAST = "last"  # that of the latest bucket that has one; NaN where there is nothing
    HISTOGRAM = "histogram"  # counts added bin by bin


class Scope(StrEnum):
    """What has a series of partials."""

    DEVICE = "device"
    PART = "part"  # a connector, a stream, a cell size


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One partial.

    Attributes:
        name: its name, unique within a kind.
        scope: what it is about.
        merge: how it merges over time.
        unit: unit of its values.
    """

    name: str
    scope: Scope
    merge: Merge = Merge.SUM
    unit: str = "1"

    @property
    def empty(self) -> float:
        """What stands where there is nothing."""
        return {Merge.LOW: np.inf, Merge.HIGH: -np.inf, Merge.LAST: np.nan}.get(self.merge, 0.0)


Value = Floats | Histogram
"""float64[s, m]; or a histogram over as many cells."""


@dataclass(frozen=True, eq=False, slots=True)
class Partials:
    """Partials of some devices over m buckets. Never mutated.

    Attributes:
        edges: int64[m + 1], ns, increasing.
        keys: the series of each scope that occurs, s of them, in the order of the devices.
        columns: what is there.
        values: by the column's name.
    """

    edges: Times
    keys: Mapping[Scope, tuple[SeriesKey, ...]]
    columns: tuple[Column, ...]
    values: Mapping[str, Value]

    def numbers(self, name: str) -> Floats:
        """The column `name`, float64[s, m]."""
        value = self.values[name]
        if isinstance(value, Histogram):
            msg = f"{name} is a histogram"
            raise TypeError(msg)
        return value

    def histogram(self, name: str) -> Histogram:
        """The histograms of column `name`."""
        value = self.values[name]
        if not isinstance(value, Histogram):
            msg = f"{name} holds numbers"
            raise TypeError(msg)
        return value

    def merged(self, edges: Times) -> Self:
        """Merge into longer buckets.

        Args:
            edges: int64[k + 1], increasing, each of them an edge of these partials; what lies outside is left out.

        Returns:
            Partials over k buckets.

        Raises:
            ValueError: an edge is none of these partials'.
        """
        if np.array_equal(edges, self.edges):
            return self
        cuts = np.searchsorted(self.edges, edges)
        if not np.array_equal(self.edges[np.minimum(cuts, len(self.edges) - 1)], edges):
            msg = "partials merge only into buckets whose edges are theirs"
            raise ValueError(msg)
        values = {column.name: _merged(column, self.values[column.name], cuts) for column in self.columns}
        return type(self)(edges, self.keys, self.columns, values)

    def only(self, devices: Iterable[Device]) -> Self:
        """The partials of some of the devices."""
        wanted = {(each.compound, each.id) for each in devices}
        rows = {
            scope: np.flatnonzero([(key.compound, key.device) in wanted for key in keys])
            for scope, keys in self.keys.items()
        }
        keys = {scope: tuple(self.keys[scope][row] for row in rows[scope].tolist()) for scope in rows}
        values = {each.name: _chosen(self.values[each.name], rows[each.scope]) for each in self.columns}
        return type(self)(self.edges, keys, self.columns, values)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Partials of consecutive spans as one.

        Args:
            parts: of the same series and columns, at least one; each begins where the one before it ends.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        edges = np.concatenate([first.edges, *(each.edges[1:] for each in parts[1:])])
        values = {each.name: _joined([part.values[each.name] for part in parts]) for each in first.columns}
        return cls(edges, first.keys, first.columns, values)


def scope_of(table: Table) -> Scope:
    """What has a series in a table."""
    return Scope.DEVICE if table.part is None else Scope.PART


def keys_of(kind: Kind, devices: Iterable[Device], scope: Scope) -> tuple[SeriesKey, ...]:
    """The series that devices have.

    Args:
        kind: their kind.
        devices: the devices.
        scope: of what.

    Returns:
        A key for each device, or for each part of each; none where the kind has no parts.
    """
    if scope is Scope.DEVICE:
        return tuple(SeriesKey(each.compound, each.id) for each in devices)
    tables = [table for table in kind.tables.values() if table.part is not None]
    return tuple(key for each in devices for key in each.keys(tables[0])) if tables else ()


def _merged(column: Column, value: Value, cuts: Indices) -> Value:
    if isinstance(value, Histogram):
        return value.merged(cuts)
    inside, starts = value[:, : cuts[-1]], cuts[:-1]
    if not value.shape[0]:
        return np.empty((0, len(starts)))
    if column.merge is Merge.LAST:
        return _latest(inside, cuts)
    ufunc = {Merge.SUM: np.add, Merge.LOW: np.minimum, Merge.HIGH: np.maximum}[column.merge]
    merged: Floats = ufunc.reduceat(inside, starts, axis=1)
    return merged


def _latest(values: Floats, cuts: Indices) -> Floats:
    """float64[s, k]: the last value that is not NaN between two cuts."""
    place = np.where(np.isnan(values), -1, np.arange(values.shape[1]))
    last = np.maximum.reduceat(place, cuts[:-1], axis=1)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, found, np.nan)


def _chosen(value: Value, rows: Indices) -> Value:
    return value.rows(rows) if isinstance(value, Histogram) else value[rows]


def _joined(values: Sequence[Value]) -> Value:
    histograms = [each for each in values if isinstance(each, Histogram)]
    if histograms:
        return Histogram.joined(histograms)
    return np.concatenate([each for each in values if not isinstance(each, Histogram)], axis=1)
