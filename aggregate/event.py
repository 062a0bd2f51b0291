"""Events: counted by what they are, and their values summed. They need no order."""

import numpy as np
from numpy.typing import NDArray

from aggregate.segments import Indices
from devices.columns import Floats, Times

Counts = NDArray[np.int64]


def counted(time: Times, group: Indices, groups: int, edges: Times) -> Counts:
    """Count events by group and bucket.

    Args:
        time: int64[n], ns, in any order; events outside the edges are not counted.
        group: intp[n], from 0 to before `groups`; a series, a label, or any code made of them.
        groups: g, the number of groups.
        edges: int64[m + 1], ns, increasing; buckets are half-open.

    Returns:
        int64[g, m].
    """
    inside, cell = _cells(time, group, edges)
    buckets = len(edges) - 1
    return np.bincount(cell[inside], minlength=groups * buckets).reshape(groups, buckets)


def summed(time: Times, values: Floats, group: Indices, groups: int, edges: Times) -> Floats:
    """Sum a value of events by group and bucket.

    Args:
        time: int64[n], as for `counted`.
        values: float64[n], finite.
        group: intp[n], as for `counted`.
        groups: g.
        edges: int64[m + 1].

    Returns:
        float64[g, m].
    """
    inside, cell = _cells(time, group, edges)
    buckets = len(edges) - 1
    sums = np.bincount(cell[inside], weights=values[inside], minlength=groups * buckets)
    return sums.astype(np.float64, copy=False).reshape(groups, buckets)


def _cells(time: Times, group: Indices, edges: Times) -> tuple[NDArray[np.bool_], Indices]:
    bucket = np.searchsorted(edges, time, "right") - 1
    inside = (bucket >= 0) & (bucket < len(edges) - 1)
    return inside, group * (len(edges) - 1) + bucket
