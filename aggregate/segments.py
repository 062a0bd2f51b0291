"""Series of samples cut at bucket edges, each bucket of each series one segment of rows as they lie."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregate.ragged import Offsets, boundaries
from devices.columns import Times

Indices = NDArray[np.intp]
Number = TypeVar("Number", np.int64, np.float64)


class Ends(NamedTuple):
    """The rows of the segments that have any; k of them.

    Attributes:
        cell: intp[k], indices into a flattened (s, m) array, ascending.
        first: intp[k], the first row of each.
        last: intp[k], the last row of each.
    """

    cell: Indices
    first: Indices
    last: Indices


@dataclass(frozen=True, eq=False)
class Segments:
    """s series of samples over m buckets.

    Attributes:
        time: int64[n], ns, increasing within each series.
        offsets: intp[s + 1], where each series begins.
        edges: int64[m + 1], ns, increasing; buckets are half-open, so a sample at an edge is the later bucket's.
    """

    time: Times
    offsets: Offsets
    edges: Times

    @property
    def shape(self) -> tuple[int, int]:
        """(s, m)."""
        return len(self.offsets) - 1, len(self.edges) - 1

    @cached_property
    def bounds(self) -> Offsets:
        """intp[s, m + 1]: the first sample of each series at or after each edge."""
        return boundaries(self.time, self.offsets, self.edges)

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """bool[s, m]: where at least one sample falls into the bucket."""
        return self.bounds[:, 1:] > self.bounds[:, :-1]

    @cached_property
    def ends(self) -> Ends:
        """The first and last sample of each bucket that has any."""
        cell = np.flatnonzero(self.filled)
        return Ends(cell, self.bounds[:, :-1].reshape(-1)[cell], self.bounds[:, 1:].reshape(-1)[cell] - 1)

    @cached_property
    def _gapless(self) -> Indices | None:
        """intp[s · m]: where each segment begins, if all rows lie in one and none is empty: what comes most often."""
        bounds, series = self.bounds, self.offsets
        inside = np.array_equal(bounds[:, 0], series[:-1]) and np.array_equal(bounds[:, -1], series[1:])
        return bounds[:, :-1].reshape(-1) if inside and self.filled.all() and self.filled.size else None

    @cached_property
    def last_rows(self) -> Indices:
        """intp[k]: the last sample of each series that has any."""
        return self.offsets[1:][self.offsets[1:] > self.offsets[:-1]] - 1

    def reduced(self, ufunc: np.ufunc, rows: NDArray[Number], empty: float) -> NDArray[Number]:
        """Reduce the samples that fall into each bucket.

        Args:
            ufunc: for example `np.add`.
            rows: [n], one entry per sample.
            empty: what stands where no sample falls into the bucket.

        Returns:
            [s, m].
        """
        if self._gapless is not None:
            return ufunc.reduceat(rows, self._gapless).reshape(self.shape)
        starts = self.bounds.reshape(-1)
        starts = starts[: np.searchsorted(starts, len(rows))]
        # One segment more per series lies behind its last edge; it is cut off below.
        made = np.full(self.bounds.shape, empty, rows.dtype)
        if len(starts):
            made.reshape(-1)[: len(starts)] = ufunc.reduceat(rows, starts)
        # reduceat gives an empty segment the row that follows it.
        return np.where(self.filled, made[:, :-1], made.dtype.type(empty))

    def located(self, rows: Indices) -> tuple[NDArray[np.bool_], Indices]:
        """In which cell each of some samples falls.

        Args:
            rows: intp[k], increasing sample indices.

        Returns:
            bool[k], which of the rows fall into a bucket, and for each of those its index into a flattened (s, m)
            array.
        """
        starts = np.searchsorted(rows, self.bounds)
        counts = np.diff(starts).reshape(-1)
        # Each series' rows within the edges are one stretch: +1 where it begins, -1 where it ends.
        turns = np.zeros(len(rows) + 1, np.intp)
        np.add.at(turns, starts[:, 0], 1)
        np.add.at(turns, starts[:, -1], -1)
        return np.cumsum(turns[:-1]) > 0, np.repeat(np.arange(len(counts)), counts)
