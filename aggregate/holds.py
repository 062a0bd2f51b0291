"""Sample-and-hold, cut at bucket edges: the ground on which the kernels of sampled fields stand.

A sample holds over `[time, until)`. In each bucket a series then consists of the samples that fall into it, of which
only the last can reach past the bucket's end, and of at most one sample carried in from before. So no interval is ever
expanded into pieces: rows are reduced segment by segment as they lie, and what is carried in is added cell by cell, in
O(rows + series × buckets) however many buckets one sample spans. Lengths are whole nanoseconds, so that they add up
exactly, and nothing is ever subtracted from a running sum.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import NS_PER_S
from aggregate.ragged import Offsets, boundaries
from devices.columns import Floats, Times

Indices = NDArray[np.intp]
Number = TypeVar("Number", np.int64, np.float64)


class Carry(NamedTuple):
    """What samples hold in buckets later than their own; no cell occurs twice.

    Attributes:
        cell: intp[k], indices into a flattened (s, m) array.
        sample: intp[k], which sample holds there.
        ns: int64[k], how long, > 0.
    """

    cell: Indices
    sample: Indices
    ns: Times


@dataclass(frozen=True, eq=False)
class Holds:
    """s series of samples, each holding for a while, over m buckets.

    Samples before the first edge hold into the buckets; those at or after the last edge only end what holds before.

    Attributes:
        time: int64[n], ns, increasing within each series.
        until: int64[n], ns, until when each sample holds: not before its time, nor after its successor's.
        offsets: intp[s + 1], where each series begins.
        edges: int64[m + 1], ns, increasing; buckets are half-open, so a sample at an edge is the later bucket's.
    """

    time: Times
    until: Times
    offsets: Offsets
    edges: Times

    @classmethod
    def sampled(cls, time: Times, offsets: Offsets, edges: Times, max_hold_ns: int) -> Self:
        """Each sample holds until the next one of its series, and for `max_hold_ns` at most."""
        until = time + np.minimum(following(time, offsets, edges) - time, max_hold_ns)
        return cls(time, until, offsets, edges)

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
    def own_ns(self) -> Times:
        """int64[n]: how long each sample holds within its own bucket (without meaning outside the edges)."""
        own = self.until - self.time
        last = self.bounds[:, 1:][self.filled] - 1
        ends = np.broadcast_to(self.edges[1:], self.shape)[self.filled]
        own[last] = np.minimum(self.until[last], ends) - self.time[last]
        return own

    @cached_property
    def carry(self) -> Carry:
        """What is held in each bucket by a sample from before it."""
        before = self.bounds[:, :-1] - 1
        cell = np.flatnonzero(before >= self.offsets[:-1, None])
        sample = before.reshape(-1)[cell]
        bucket = cell % max(self.shape[1], 1)
        ns = np.minimum(self.until[sample], self.edges[1:][bucket]) - self.edges[:-1][bucket]
        held = ns > 0
        return Carry(cell[held], sample[held], ns[held])

    @cached_property
    def observed(self) -> Floats:
        """float64[s, m]: seconds of each bucket in which a sample held."""
        total = self.reduced(np.add, self.own_ns, 0)
        total.reshape(-1)[self.carry.cell] += self.carry.ns
        return total / NS_PER_S

    def reduced(self, ufunc: np.ufunc, rows: NDArray[Number], empty: float) -> NDArray[Number]:
        """Reduce the samples that fall into each bucket.

        Args:
            ufunc: for example `np.add`.
            rows: [n], one entry per sample.
            empty: what stands where no sample falls into the bucket.

        Returns:
            [s, m].
        """
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


def following(time: Times, offsets: Offsets, edges: Times) -> Times:
    """When the next sample of each sample's series comes.

    Args:
        time: int64[n].
        offsets: intp[s + 1].
        edges: int64[m + 1].

    Returns:
        int64[n]; after a series' last sample its own time or the last edge, whichever is later.
    """
    after = np.empty_like(time)
    after[:-1] = time[1:]
    last = offsets[1:][offsets[1:] > offsets[:-1]] - 1
    after[last] = np.maximum(time[last], edges[-1])
    return after
