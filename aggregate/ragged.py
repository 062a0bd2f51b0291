"""Series of different lengths laid end to end, and where bucket edges fall in each of them."""

import numpy as np
from numpy.typing import NDArray

from devices.columns import Floats, Times

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
        return _by_interpolation(time, offsets, edges)
    longest = int(np.diff(offsets).max(initial=0))
    probes = series * len(edges) * longest.bit_length()
    # Measured: one probe, which jumps about in memory, costs about as much as counting one row.
    if probes > len(time):
        return _by_counting(time, offsets, edges)
    return _by_bisection(time, offsets, edges, longest)


def _by_interpolation(time: Times, offsets: Offsets, edges: Times) -> Offsets:
    """Guess from how often each series has rows, and search the series in which that does not lead to the right row.

    Measured on series that report about once a minute: a third of the time of searching each.
    """
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])
    first, last = offsets[filled, None], offsets[filled + 1, None] - 1
    span = (time[last] - time[first]).astype(np.float64)
    rate = np.divide(last - first, span, out=np.zeros(span.shape), where=span > 0)
    row = _guessed(time, _guessed(time, first, edges, rate, first, last), edges, rate, first, last)
    row, wrong = _settled(time, row, edges, first, last)
    found = np.repeat(offsets[:-1, None], len(edges), axis=1)
    found[filled] = row
    if wrong.any():
        series, place = np.nonzero(wrong)
        within = first[series, 0], last[series, 0]
        guess = _guessed(time, np.minimum(row[wrong], within[1]), edges[place], rate[series, 0], *within)
        found[filled[series], place], still = _settled(time, guess, edges[place], *within)
        for each in np.unique(filled[series[still]]).tolist():
            begin = offsets[each]
            found[each] = np.searchsorted(time[begin : offsets[each + 1]], edges) + begin
    return found


def _guessed(  # noqa: PLR0913, PLR0917  (one formula)
    time: Times, row: Offsets, edges: Times, rate: Floats, first: Offsets, last: Offsets
) -> Offsets:
    """From a row of a series go on to where an edge should be, at so many rows per ns; not beyond the series' rows."""
    guess = (edges - time[row]) * rate
    guess += row
    np.rint(guess, out=guess)
    # In floats: what lies far beside the series' rows fits into no integer.
    np.maximum(guess, first, out=guess)
    np.minimum(guess, last, out=guess)
    return guess.astype(np.intp)


def _settled(
    time: Times, row: Offsets, edges: Times, first: Offsets, last: Offsets
) -> tuple[Offsets, NDArray[np.bool_]]:
    """The first row at or after each edge, were it this one or the next; and where it is neither."""
    before = time[row] < edges
    beside = row + np.where(before, 1, -1)
    inside = np.clip(beside, first, last)
    # Right is the row after one before the edge, and one not before it that has such a row, or none, before itself.
    wrong = ((time[inside] < edges) == before) & (inside == beside)
    return row + before, wrong


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
