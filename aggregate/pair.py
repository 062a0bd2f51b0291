"""Pairs: an opening event and the event that closes it, and the time between them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aggregate.edges import NS_PER_S
from aggregate.event import Counts, counted, summed
from aggregate.histogram import Histogram, histogram
from aggregate.segments import Indices
from devices.columns import Floats, Times


class Keyed(NamedTuple):
    """Events that open or close, in any order.

    Attributes:
        time: int64[n], ns.
        device: intp[n], whose event it is.
        key: intp[n], what it opens or closes there: a cell, a session.
    """

    time: Times
    device: Indices
    key: Indices


class Closed(NamedTuple):
    """Pairs that were closed, and closes that closed nothing.

    Attributes:
        close: intp[k], which events closed something.
        seconds: float64[k], the time since what they closed was opened.
        alone: intp[c - k], which closed nothing.
    """

    close: Indices
    seconds: Floats
    alone: Indices


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairPartials:
    """What adds up over buckets. The mean duration is `seconds / count`.

    Attributes:
        count: int64[g, m], pairs closed.
        seconds: float64[g, m], sum of their durations.
        histogram: their durations by bin.
        unopened: int64[g, m], closes that closed nothing.
    """

    count: Counts
    seconds: Floats
    histogram: Histogram
    unopened: Counts


def matched(opens: Keyed, closes: Keyed) -> Indices:
    """Find what each close closes.

    A key comes again and again, as a cell does with each parcel. A close belongs to the event before it with the same
    device and key, if that is an open; else it closes nothing. An open that another open follows is never closed: its
    close was lost. So one lost event spoils one pair, not all later ones.

    Args:
        opens: o events.
        closes: c events; one at the time of an open with its key comes after it.

    Returns:
        intp[c], indices into `opens`, or -1 where a close closes nothing; no open occurs twice.
    """
    number = len(opens.time)
    time, device, key = (np.concatenate(pair) for pair in zip(opens, closes, strict=True))
    order = np.lexsort((np.arange(len(time)) >= number, time, key, device))
    device, key = device[order], key[order]
    before, after = order[:-1], order[1:]
    pairs = (before < number) & (after >= number) & (device[:-1] == device[1:]) & (key[:-1] == key[1:])
    found = np.full(len(closes.time), -1, np.intp)
    found[after[pairs] - number] = before[pairs]
    return found


def closed(opens: Keyed, closes: Keyed) -> Closed:
    """Match events and measure the time between them; see `matched`."""
    opened = matched(opens, closes)
    close = np.flatnonzero(opened >= 0)
    seconds = (closes.time[close] - opens.time[opened[close]]) / NS_PER_S
    return Closed(close, seconds, np.flatnonzero(opened < 0))


def pair(opens: Keyed, closes: Keyed, group: Indices, groups: int, edges: Times) -> PairPartials:
    """Count pairs and their durations in the bucket and group of the close.

    Args:
        opens: o events; those from before the first edge open too.
        closes: c events; those from before the first edge close too, but are not counted.
        group: intp[c], from 0 to before `groups`, of each close.
        groups: g, the number of groups.
        edges: int64[m + 1], ns, increasing; buckets are half-open.

    Returns:
        The partials.
    """
    close, seconds, alone = closed(opens, closes)
    time = closes.time[close]
    return PairPartials(
        count=counted(time, group[close], groups, edges),
        seconds=summed(time, seconds, group[close], groups, edges),
        histogram=histogram(time, seconds, group[close], groups, edges),
        unopened=counted(closes.time[alone], group[alone], groups, edges),
    )
