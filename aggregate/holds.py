"""Sample-and-hold, cut at bucket edges: the ground on which the kernels of sampled fields stand.

A sample holds over `[time, time + length)`. In each bucket a series then consists of the samples that fall into it, of
which only the last can reach past the bucket's end, and of at most one sample carried in from before. So no interval is
ever expanded into pieces: rows are reduced segment by segment as they lie, and what is carried in is added cell by
cell, in O(rows + series × buckets) however many buckets one sample spans. Lengths are whole nanoseconds, so that they
add up exactly, and nothing is ever subtracted from a running sum.

Most samples hold just until the next one. Only those that do not are looked at one by one: the time that a bucket's
samples hold is then the difference of two times, less the holes between.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from aggregate.edges import NS_PER_S
from aggregate.ragged import Offsets
from aggregate.segments import Indices, Segments
from devices.columns import Floats, Times


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
class Holds(Segments):
    """s series of samples, each holding for a while, over m buckets.

    Samples before the first edge hold into the buckets; those at or after the last edge only end what holds before.

    Attributes:
        length: int64[n], ns, how long each sample holds: not less than 0, nor beyond its successor.
        stops: intp[k], ascending, the samples that do not hold until their successor, and the last of each series.
    """

    length: Times
    stops: Indices

    @classmethod
    def sampled(cls, time: Times, offsets: Offsets, edges: Times, max_hold_ns: int) -> Self:
        """Each sample holds until the next one of its series, and for `max_hold_ns` at most."""
        length = gaps(time, offsets, edges)
        stops = np.flatnonzero(length > max_hold_ns)
        length[stops] = max_hold_ns
        return cls(time, offsets, edges, length, _with(stops, offsets))

    @classmethod
    def until(cls, time: Times, until: Times, offsets: Offsets, edges: Times) -> Self:
        """Each sample holds until a time of its own: int64[n], not before its time, nor after its successor's."""
        length: Times = until - time
        stops = np.flatnonzero(length != gaps(time, offsets, edges))
        return cls(time, offsets, edges, length, _with(stops, offsets))

    @cached_property
    def own_last_ns(self) -> Times:
        """int64[k]: how long the last sample of each filled bucket holds within it; k as in `ends`."""
        cell, _, last = self.ends
        stop = self.edges[1:][cell % max(self.shape[1], 1)]
        own: Times = np.minimum(self.length[last], stop - self.time[last])
        return own

    @cached_property
    def carry(self) -> Carry:
        """What is held in each bucket by a sample from before it."""
        before = self.bounds[:, :-1] - 1
        cell = np.flatnonzero(before >= self.offsets[:-1, None])
        sample = before.reshape(-1)[cell]
        bucket = cell % max(self.shape[1], 1)
        until = self.time[sample] + self.length[sample]
        ns = np.minimum(until, self.edges[1:][bucket]) - self.edges[:-1][bucket]
        held = ns > 0
        return Carry(cell[held], sample[held], ns[held])

    @cached_property
    def observed(self) -> Floats:
        """float64[s, m]: seconds of each bucket in which a sample held."""
        cell, first, last = self.ends
        total = np.zeros(self.shape[0] * self.shape[1], np.int64)
        total[cell] = self.time[last] - self.time[first] + self.own_last_ns
        self._less_holes(total, first, last)
        total[self.carry.cell] += self.carry.ns
        return (total / NS_PER_S).reshape(self.shape)

    def _less_holes(self, total: Times, first: Indices, last: Indices) -> None:
        """Take from each bucket what no sample of it holds between two of its samples."""
        # A stop lies in the last filled bucket that begins at or before it; as its last sample it leaves no hole there.
        place = np.searchsorted(first, self.stops, "right") - 1
        inside = (place >= 0) & (self.stops < last[place]) if len(first) else np.zeros(len(self.stops), np.bool_)
        stops = self.stops[inside]
        hole = self.time[stops + 1] - self.time[stops] - self.length[stops]
        np.subtract.at(total, self.ends.cell[place[inside]], hole)


def gaps(time: Times, offsets: Offsets, edges: Times) -> Times:
    """How long after each sample the next one of its series comes.

    Args:
        time: int64[n], ns, increasing within each series.
        offsets: intp[s + 1].
        edges: int64[m + 1].

    Returns:
        int64[n], ns; after a series' last sample the time until the last edge, or 0.
    """
    gap = np.empty_like(time)
    np.subtract(time[1:], time[:-1], out=gap[:-1])
    last = offsets[1:][offsets[1:] > offsets[:-1]] - 1
    gap[last] = np.maximum(edges[-1] - time[last], 0)
    return gap


def _with(stops: Indices, offsets: Offsets) -> Indices:
    """The stops, with the last sample of each series among them."""
    last = offsets[1:][offsets[1:] > offsets[:-1]] - 1
    return np.unique(np.concatenate([stops, last]))
