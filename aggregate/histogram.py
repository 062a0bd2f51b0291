"""Log-spaced histograms of durations: they add up, and give any quantile within 2 %.

The bins are those of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12, 2019): bounds in geometric progression, and for each bin the value whose relative
distance to both bounds is the same.
"""

import math

import numpy as np

from aggregate.event import Counts, counted
from aggregate.holds import Indices
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


def binned(seconds: Floats) -> Indices:
    """The bin of each duration.

    Args:
        seconds: float64[n], >= 0.

    Returns:
        intp[n], from 0 to before `BINS`.
    """
    place = np.floor(np.log(np.maximum(seconds, SHORTEST_S) / SHORTEST_S) / _LOG_GROWTH).astype(np.intp) + 1
    return np.where(seconds < SHORTEST_S, 0, np.minimum(place, BINS - 1))


def histogram(time: Times, seconds: Floats, group: Indices, groups: int, edges: Times) -> Counts:
    """Count durations by group, bucket and bin.

    Args:
        time: int64[n], ns, in which bucket a duration is counted; those outside the edges are not.
        seconds: float64[n], >= 0.
        group: intp[n], from 0 to before `groups`.
        groups: g, the number of groups.
        edges: int64[m + 1], ns, increasing; buckets are half-open.

    Returns:
        int64[g, m, BINS].
    """
    counts = counted(time, group * BINS + binned(seconds), groups * BINS, edges)
    return np.moveaxis(counts.reshape(groups, BINS, -1), 1, 2)


def quantile(counts: Counts, q: float) -> Floats:
    """The smallest duration that at least a share `q` of all durations do not exceed.

    Args:
        counts: int64[..., BINS].
        q: in (0, 1).

    Returns:
        float64[...], seconds, within `ACCURACY` of the exact one; NaN where the histogram is empty.
    """
    below = np.cumsum(counts, axis=-1)
    number = below[..., -1]
    # The margin keeps 0.9 × 10 = 9.000000000000002 from asking for the tenth.
    rank = np.maximum(np.ceil(q * number * (1 - 1e-12)), 1)
    place = np.argmax(below >= rank[..., None], axis=-1)
    return np.where(number > 0, _VALUES[place], np.nan)
