"""Counters: registers that only rise, and begin anew where they fall."""

from dataclasses import dataclass

import numpy as np

from aggregate.holds import Holds
from aggregate.ragged import Offsets
from devices.columns import Floats, Times


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CounterPartials:
    """What adds up over buckets.

    Attributes:
        increase: float64[s, m], in the register's unit.
        observed: float64[s, m], seconds between samples at most `max_hold_ns` apart.
    """

    increase: Floats
    observed: Floats


def counter(  # noqa: PLR0913  (a register and how it is cut)
    time: Times, values: Floats, offsets: Offsets, edges: Times, max_hold_ns: int, *, resets: bool = True
) -> CounterPartials:
    """Share the increase of registers out among buckets.

    From one sample to the next a register increases by the difference, or by the new value where it fell. Between
    samples at most `max_hold_ns` apart the increase is spread linearly over the time between them, across edges; what
    came about over a longer gap falls into the later sample's bucket. So the sum over all buckets is the increase
    between the first edge and the last, provided that `time` reaches `max_hold_ns` past the last edge.

    Args:
        time: int64[n], ns, increasing within each series.
        values: float64[n], finite.
        offsets: intp[s + 1].
        edges: int64[m + 1], ns, increasing.
        max_hold_ns: the longest gap over which an increase is spread.
        resets: True for registers, which begin anew where they fall; False for levels, of which only rises count.

    Returns:
        The partials.
    """
    n = len(time)
    follows = np.ones(n + 1, np.bool_)  # whether a row continues the series of the row before it
    follows[offsets] = False
    rise = np.zeros(n)  # from each sample to the next of its series
    gap = np.zeros(n, np.int64)
    np.subtract(time[1:], time[:-1], out=gap[:-1], where=follows[1:n])
    np.subtract(values[1:], values[:-1], out=rise[:-1], where=follows[1:n])
    fell = np.flatnonzero(rise < 0)
    rise[fell] = values[fell + 1] if resets else 0.0

    spread = gap <= max_hold_ns
    holds = Holds(time, time + np.where(spread, gap, 0), offsets, edges)
    # Where all of a gap lies in one bucket the share is exactly 1.
    share = np.divide(holds.own_ns, gap, out=np.zeros(n), where=gap > 0)
    share *= rise
    late = np.flatnonzero(~spread | (gap == 0) & (rise != 0))
    share[late + 1] += rise[late]
    increase = holds.reduced(np.add, share, 0.0)
    cell, sample, ns = holds.carry
    increase.reshape(-1)[cell] += rise[sample] * (ns / gap[sample])
    return CounterPartials(increase=increase, observed=holds.observed)
