"""The reducers: for each, what its statistics read and how they are computed. A new one is one row here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from aggregate import events, presence, reads, sampled
from aggregate.lines import Line
from aggregate.reads import Need, Span
from aggregate.view import View
from devices.statistics import Reducer, Statistic


@dataclass(frozen=True, slots=True)
class Reduction:
    """One reducer.

    Attributes:
        compute: makes a statistic's lines of the rows in a view.
        reads: names the rows that it needs.
    """

    compute: Callable[[View, Statistic], Iterator[Line]]
    reads: Callable[[Span, Statistic], Iterator[Need]]


def lines_of(view: View, statistic: Statistic) -> tuple[Line, ...]:
    """Compute a statistic, once.

    Raises:
        QueryError: the compound lacks what the statistic needs.
    """
    return view.once(("lines", statistic.name), lambda: tuple(REDUCTIONS[statistic.reducer].compute(view, statistic)))


def needs_of(span: Span, statistic: Statistic) -> Iterator[Need]:
    """Name the rows that a statistic needs."""
    yield from REDUCTIONS[statistic.reducer].reads(span, statistic)


def _ratio(view: View, statistic: Statistic) -> Iterator[Line]:
    """The first operand divided by the second, line by line, or by its one line; NaN where that is 0 or unknown."""
    above, below = (lines_of(view, view.statistics[name]) for name in statistic.operands)
    divisors = {line.label: line for line in below}
    for line in above:
        divisor = divisors.get(line.label) or divisors[None]
        known = ~np.isnan(divisor.values) & (divisor.values != 0)
        values = np.divide(line.values, divisor.values, out=np.full(len(known), np.nan), where=known)
        yield Line(line.label, values, np.minimum(line.coverage, divisor.coverage))


def _operands(span: Span, statistic: Statistic) -> Iterator[Need]:
    for operand in reads.operands(span, statistic):
        yield from needs_of(span, operand)


REDUCTIONS: Mapping[Reducer, Reduction] = MappingProxyType(
    {
        Reducer.LEVEL: Reduction(sampled.level, reads.held),
        Reducer.IN_STATE: Reduction(sampled.in_state, reads.held),
        Reducer.SECONDS: Reduction(sampled.seconds, reads.held),
        Reducer.ENTRIES: Reduction(sampled.entries, reads.changes),
        Reducer.INCREASE: Reduction(sampled.increase, reads.register),
        Reducer.COUNT: Reduction(events.count, reads.events),
        Reducer.TOTAL: Reduction(events.total, reads.events),
        Reducer.BALANCE: Reduction(events.balance, reads.since_anchor),
        Reducer.MEAN_DURATION: Reduction(events.mean_duration, reads.pairs),
        Reducer.QUANTILE: Reduction(events.duration_quantile, reads.pairs),
        Reducer.RATIO: Reduction(_ratio, _operands),
        Reducer.ONLINE: Reduction(presence.online, reads.presence),
        Reducer.OFFLINE_SECONDS: Reduction(presence.offline_seconds, reads.presence),
        Reducer.OUTAGES: Reduction(presence.outages, reads.presence),
    }
)
