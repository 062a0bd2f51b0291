"""Series of different lengths laid end to end, and where bucket edges fall in each of them."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times

Offsets = NDArray[np.intp]
"""Where each of s series begins in flat arrays: intp[s + 1], from 0 to n."""

_LONG = 500
"""Series of so many rows are worth a search of their own."""


def kept(mask: NDArray[np.bool_], offsets: Offsets) -> Offsets:
    """The offsets of the rows that remain where `mask` is true.

    Args:
        mask: bool[n].
        offsets: intp[s + 1].

    Returns:
        intp[s + 1], from 0 to the number of rows kept.
    """
    return np.concatenate([[0], np.cumsum(mask)])[offsets]


def boundaries(time: Times, offsets: Offsets, edges: Times) -> Offsets:
    """In each series, the first row at or after each edge.

    Args:
        time: int64[n], increasing within each series.
        offsets: intp[s + 1].
        edges: int64[m + 1], increasing.

    Returns:
        intp[s, m + 1], indices into the flat arrays: bucket j of series i holds rows `[i, j]` to before `[i, j + 1]`.
    """
    series = len(offsets) - 1
    if len(time) > _LONG * series:
        return _by_search(time, offsets, edges)
    longest = int(np.diff(offsets).max(initial=0))
    probes = series * len(edges) * longest.bit_length()
    # Measured: one probe, which jumps about in memory, costs about as much as counting one row.
    if probes > len(time):
        return _by_counting(time, offsets, edges)
    return _by_bisection(time, offsets, edges, longest)


def _by_search(time: Times, offsets: Offsets, edges: Times) -> Offsets:
    """Search series by series: what numpy does best where these are long."""
    found = np.empty((len(offsets) - 1, len(edges)), np.intp)
    for place, (begin, end) in enumerate(pairwise(offsets.tolist())):
        np.add(np.searchsorted(time[begin:end], edges), begin, out=found[place])
    return found


def _by_bisection(time: Times, offsets: Offsets, edges: Times, longest: int) -> Offsets:
    """Bisect for every (series, edge) at once; touches few rows where buckets are long."""
    found = np.repeat(offsets[:-1, None], len(edges), axis=1)
    end = offsets[1:, None]
    for bit in reversed(range(longest.bit_length())):
        # Go on by 2^bit rows wherever the row before that place is still earlier than the edge.
        probe = found + (1 << bit)
        beyond = probe > end
        np.minimum(probe, end, out=probe)
        earlier = time[probe - 1] < edges
        np.add(found, 1 << bit, out=found, where=earlier & ~beyond)
    return found


def _by_counting(time: Times, offsets: Offsets, edges: Times) -> Offsets:
    """Count the rows of every (series, bucket); touches every row once."""
    series, width = len(offsets) - 1, len(edges) + 1
    bucket = np.searchsorted(edges, time, "right")
    bucket += np.repeat(np.arange(series) * width, np.diff(offsets))
    counts = np.bincount(bucket, minlength=series * width)
    return np.cumsum(counts).reshape(series, width)[:, :-1].astype(np.intp, copy=False)
