"""Log-spaced histograms of durations: they add up, and give any quantile within 2 %.

The bins are those of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12, 2019): bounds in geometric progression, and for each bin the value whose relative
distance to both bounds is the same. Only bins that hold something are kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from aggregate.event import Counts
from aggregate.segments import Indices
from devices.columns import Floats, Times

ACCURACY = 0.0195
"""Largest relative error of a quantile between `SHORTEST_S` and `LONGEST_S`; a little under the promised 2 %."""

SHORTEST_S = 1e-3
"""Shorter durations are taken for zero."""

LONGEST_S = 1e9
"""Longer ones, beyond some 30 years, are taken for this long."""

_GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GROWTH = math.log(_GROWTH)

BINS = 1 + math.ceil(math.log(LONGEST_S / SHORTEST_S) / _LOG_GROWTH)
"""The number of bins: one for zero, the others log-spaced."""

_VALUES = np.concatenate([[0.0], SHORTEST_S * (1 + ACCURACY) * _GROWTH ** np.arange(BINS - 1)])
"""float64[BINS], seconds: what each bin stands for. A bin from b to b · g has b · (1 + a) for its middle."""


@dataclass(frozen=True, eq=False, slots=True)
class Histogram:
    """One histogram for each of s series and m buckets. Never mutated.

    Attributes:
        shape: (s, m).
        cell: intp[k], which series and bucket: index into a flattened (s, m) array.
        bin: intp[k], which bin; each cell and bin once, in ascending order of both.
        count: int64[k], how many durations, > 0.
    """

    shape: tuple[int, int]
    cell: Indices
    bin: Indices
    count: Counts

    @classmethod
    def of(cls, shape: tuple[int, int], cell: Indices, bins: Indices, count: Counts) -> Self:
        """A histogram of counts that come in any order, and of one cell and bin more than once.

        Args:
            shape: (s, m).
            cell: intp[k], indices into a flattened (s, m) array.
            bins: intp[k], from 0 to before `BINS`.
            count: int64[k].
        """
        code, place = np.unique(cell * BINS + bins, return_inverse=True)
        total = np.zeros(len(code), np.int64)
        np.add.at(total, place, count)
        return cls(shape, code // BINS, code % BINS, total)

    def merged(self, cuts: Indices) -> Self:
        """Merge buckets: intp[j + 1] says where each of j longer buckets begins, and the last ends; outside is left."""
        series, bucket = self.cell // self.shape[1], self.cell % self.shape[1]
        inside = (bucket >= cuts[0]) & (bucket < cuts[-1])
        longer = np.searchsorted(cuts, bucket[inside], "right") - 1
        shape = (self.shape[0], len(cuts) - 1)
        return type(self).of(shape, series[inside] * shape[1] + longer, self.bin[inside], self.count[inside])

    def rows(self, chosen: Indices) -> Self:
        """The histograms of some series: intp[r], each once."""
        place = np.full(self.shape[0], -1, np.intp)
        place[chosen] = np.arange(len(chosen))
        series = place[self.cell // self.shape[1]] if self.shape[0] else self.cell
        kept = series >= 0
        cell = series[kept] * self.shape[1] + self.cell[kept] % max(self.shape[1], 1)
        return type(self).of((len(chosen), self.shape[1]), cell, self.bin[kept], self.count[kept])

    def added(self, group: Indices, groups: int) -> Self:
        """Add the histograms of series.

        Args:
            group: intp[s], to which of the groups each series is added.
            groups: g, the number of groups.

        Returns:
            One histogram for each group and bucket.
        """
        width = max(self.shape[1], 1)
        cell = group[self.cell // width] * width + self.cell % width
        return type(self).of((groups, self.shape[1]), cell, self.bin, self.count)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The histograms of consecutive spans of the same series."""
        widths = [part.shape[1] for part in parts]
        shape = (parts[0].shape[0], sum(widths))
        starts = np.cumsum([0, *widths[:-1]]).tolist()
        cell = np.concatenate([
            part.cell // max(width, 1) * shape[1] + part.cell % max(width, 1) + start
            for part, width, start in zip(parts, widths, starts, strict=True)
        ])  # fmt: skip
        return cls.of(
            shape, cell, np.concatenate([part.bin for part in parts]), np.concatenate([part.count for part in parts])
        )

    def quantile(self, q: float) -> Floats:
        """The smallest duration that at least a share `q` of all durations do not exceed.

        Args:
            q: in (0, 1).

        Returns:
            float64[s, m], seconds, within `ACCURACY` of the exact one; NaN where the histogram is empty.
        """
        found = np.full(self.shape[0] * self.shape[1], np.nan)
        first = np.flatnonzero(np.diff(self.cell, prepend=-1))
        if len(first):
            below = np.cumsum(self.count)
            begun = below[first] - self.count[first]
            number = np.add.reduceat(self.count, first)
            # The margin keeps 0.9 × 10 = 9.000000000000002 from asking for the tenth.
            rank = np.maximum(np.ceil(q * number * (1 - 1e-12)), 1)
            found[self.cell[first]] = _VALUES[self.bin[np.searchsorted(below, begun + rank)]]
        return found.reshape(self.shape)


def binned(seconds: Floats) -> Indices:
    """The bin of each duration.

    Args:
        seconds: float64[n], >= 0.

    Returns:
        intp[n], from 0 to before `BINS`.
    """
    place = np.floor(np.log(np.maximum(seconds, SHORTEST_S) / SHORTEST_S) / _LOG_GROWTH).astype(np.intp) + 1
    return np.where(seconds < SHORTEST_S, 0, np.minimum(place, BINS - 1))


def histogram(time: Times, seconds: Floats, group: Indices, groups: int, edges: Times) -> Histogram:
    """Count durations by group, bucket and bin.

    Args:
        time: int64[n], ns, in which bucket a duration is counted; those outside the edges are not.
        seconds: float64[n], >= 0.
        group: intp[n], from 0 to before `groups`.
        groups: g, the number of groups.
        edges: int64[m + 1], ns, increasing; buckets are half-open.

    Returns:
        The histograms of g groups over m buckets.
    """
    bucket = np.searchsorted(edges, time, "right") - 1
    inside = (bucket >= 0) & (bucket < len(edges) - 1)
    shape = (groups, len(edges) - 1)
    cell = group[inside] * shape[1] + bucket[inside]
    return Histogram.of(shape, cell, binned(seconds[inside]), np.ones(len(cell), np.int64))
