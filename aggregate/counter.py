"""Counters: registers that only rise, and begin anew where they fall."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import NS_PER_S
from aggregate.holds import Holds
from aggregate.ragged import Offsets
from aggregate.segments import Indices
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
    holds = Holds.sampled(time, offsets, edges, max_hold_ns)
    fell = np.flatnonzero(values[1:] < values[:-1])
    begin = np.zeros(len(time) + 1, np.bool_)  # which rows begin a series
    begin[offsets] = True
    fell = fell[~begin[fell + 1]]

    # Within a bucket all steps but the last sample's are whole: together they are one difference, from fall to fall.
    cell, first, last = holds.ends
    increase = np.zeros(holds.shape[0] * holds.shape[1])
    increase[cell] = values[last] - values[first]
    place = np.searchsorted(first, fell, "right") - 1
    inside = (place >= 0) & (fell < last[place]) if len(first) else np.zeros(len(fell), np.bool_)
    fallen = np.unique(place[inside])
    start = np.concatenate([first[fallen], fell[inside] + 1])
    anew = np.repeat([False, resets], [len(fallen), len(start) - len(fallen)])
    order = np.argsort(start, kind="stable")
    start, anew = start[order], anew[order]
    place = np.searchsorted(first, start, "right") - 1
    stop = np.minimum(np.append(start[1:], len(time)) - 1, last[place])
    increase[cell[fallen]] = 0.0
    np.add.at(increase, cell[place], np.where(anew, values[stop], values[stop] - values[start]))

    # A step out of a bucket is shared out among those that it touches, unless it is a long one.
    observed = _between(holds, begin)
    carried, sample, ns = holds.carry
    for cells, rows, part in ((cell, last, holds.own_last_ns), (carried, sample, ns)):
        goes_on = ~begin[rows + 1]
        cells, rows, part = cells[goes_on], rows[goes_on], part[goes_on]  # noqa: PLW2901  (the rest is not looked at)
        gap, rise = time[rows + 1] - time[rows], _rise(values, rows, resets=resets)
        short = (gap <= max_hold_ns) & (gap > 0)
        # Where all of a gap lies in one bucket the share is exactly 1.
        np.add.at(increase, cells[short], rise[short] * (part[short] / gap[short]))
        np.add.at(observed, cells[short], part[short])
    long_ = _arrivals(holds, begin, max_hold_ns)
    np.add.at(increase, long_.cell, _rise(values, long_.row - 1, resets=resets))
    return CounterPartials(increase=increase.reshape(holds.shape), observed=(observed / NS_PER_S).reshape(holds.shape))


class _Arrivals(NamedTuple):
    """Samples that are the first of their bucket, after a gap that is not shared out."""

    cell: Indices
    row: Indices


def _rise(values: Floats, rows: Indices, *, resets: bool) -> Floats:
    """float64[k]: by how much the register rises from each row to the next of its series."""
    rise: Floats = values[rows + 1] - values[rows]
    fell = rise < 0
    rise[fell] = values[rows[fell] + 1] if resets else 0.0
    return rise


def _between(holds: Holds, begin: NDArray[np.bool_]) -> Times:
    """int64[s · m]: the ns of each bucket between samples of it that lie close to each other."""
    cell, first, last = holds.ends
    total = np.zeros(holds.shape[0] * holds.shape[1], np.int64)
    total[cell] = holds.time[last] - holds.time[first]
    stops = holds.stops[~begin[holds.stops + 1]]
    place = np.searchsorted(first, stops, "right") - 1
    inside = (place >= 0) & (stops < last[place]) if len(first) else np.zeros(len(stops), np.bool_)
    long_ = stops[inside]
    np.subtract.at(total, cell[place[inside]], holds.time[long_ + 1] - holds.time[long_])
    return total


def _arrivals(holds: Holds, begin: NDArray[np.bool_], max_hold_ns: int) -> _Arrivals:
    cell, first, _ = holds.ends
    chosen = ~begin[first]
    cell, first = cell[chosen], first[chosen]
    gap = holds.time[first] - holds.time[first - 1]
    long_ = (gap > max_hold_ns) | (gap == 0)
    return _Arrivals(cell[long_], first[long_])
