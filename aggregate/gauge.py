"""Gauges: sampled numbers that hold until their next sample."""

from dataclasses import dataclass

import numpy as np

from aggregate.edges import NS_PER_S
from aggregate.holds import Holds
from aggregate.segments import Indices, Segments
from devices.columns import Floats, Times

LEAST, MOST = np.fmin, np.fmax
"""Of finite values the same as `np.minimum` and `np.maximum`, which take up to three times as long to look for NaN."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GaugePartials:
    """What adds up over buckets. The time-weighted mean is `integral / observed`.

    Attributes:
        integral: float64[s, m], unit · seconds over the observed time.
        observed: float64[s, m], seconds.
        low: float64[s, m], the smallest value that was sampled or held in the bucket; inf where there is none.
        high: float64[s, m], the largest; -inf where there is none.
    """

    integral: Floats
    observed: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ends:
    """The first and last sample that fall into each bucket; those of merged buckets are the earliest and latest.

    Attributes:
        first_time: int64[s, m], ns; the largest int64 where no sample falls into the bucket.
        first: float64[s, m]; NaN where no sample falls into the bucket.
        last_time: int64[s, m], ns; the smallest int64 where no sample falls into the bucket.
        last: float64[s, m]; NaN where no sample falls into the bucket.
    """

    first_time: Times
    first: Floats
    last_time: Times
    last: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Summary:
    """What the samples that fall into each bucket are like, however long each holds.

    Attributes:
        count: int64[s, m].
        total: float64[s, m], their sum.
        low: float64[s, m], the smallest; inf where there is none.
        high: float64[s, m], the largest; -inf where there is none.
    """

    count: Times
    total: Floats
    low: Floats
    high: Floats


def summary(segments: Segments, values: Floats) -> Summary:
    """Summarise the samples of each bucket.

    Args:
        segments: s series of samples over m buckets.
        values: float64[n], finite, one for each sample.

    Returns:
        The figures.
    """
    return Summary(
        count=np.diff(segments.bounds, axis=1),
        total=segments.reduced(np.add, values, 0.0),
        low=segments.reduced(LEAST, values, np.inf),
        high=segments.reduced(MOST, values, -np.inf),
    )


def gauge(holds: Holds, values: Floats) -> GaugePartials:
    """Integrate a gauge over each bucket, and find its range.

    Args:
        holds: s series of samples over m buckets.
        values: float64[n], finite, one for each sample.

    Returns:
        The partials.
    """
    cell, sample, _ = holds.carry
    carried = values[sample]
    low = holds.reduced(LEAST, values, np.inf)
    low.reshape(-1)[cell] = np.minimum(low.reshape(-1)[cell], carried)
    high = holds.reduced(MOST, values, -np.inf)
    high.reshape(-1)[cell] = np.maximum(high.reshape(-1)[cell], carried)
    return GaugePartials(integral=integral(holds, values), observed=holds.observed, low=low, high=high)


def integral(holds: Holds, values: Floats) -> Floats:
    """Integrate a gauge over the observed time of each bucket; see `gauge`.

    Returns:
        float64[s, m], unit · seconds.
    """
    amount = holds.length.astype(np.float64)
    amount *= values
    last = holds.ends.last
    amount[last] = values[last] * holds.own_last_ns
    total = holds.reduced(np.add, amount, 0.0)
    cell, sample, ns = holds.carry
    total.reshape(-1)[cell] += values[sample] * ns
    return total / NS_PER_S


def ends(holds: Segments, values: Floats) -> Ends:
    """Find the first and last sample of each bucket.

    Args:
        holds: s series of samples over m buckets.
        values: float64[n], one for each sample.

    Returns:
        Values and times.
    """
    first, last = holds.bounds[:, :-1][holds.filled], holds.bounds[:, 1:][holds.filled] - 1

    def times(rows: Indices, empty: int) -> Times:
        made = np.full(holds.shape, empty, np.int64)
        made[holds.filled] = holds.time[rows]
        return made

    def at(rows: Indices) -> Floats:
        made = np.full(holds.shape, np.nan)
        made[holds.filled] = values[rows]
        return made

    limits = np.iinfo(np.int64)
    return Ends(first_time=times(first, limits.max), first=at(first), last_time=times(last, limits.min), last=at(last))
