"""The reducers: what each reads, what partials it is made of, and how they make figures. A new one is one row here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from aggregate import durations, events, presence, reads, sampled
from aggregate.edges import daily_instants
from aggregate.figures import Figures
from aggregate.lines import Line
from aggregate.partials import Column, Value
from aggregate.reads import Need, Span
from aggregate.view import View
from devices.availability import statistics_of
from devices.columns import Times
from devices.kind import Kind
from devices.statistics import Reducer, Statistic

Grid = Callable[[Statistic, Times, ZoneInfo], Times]


@dataclass(frozen=True, slots=True)
class Reduction:
    """One reducer.

    Attributes:
        columns: names the partials that a statistic is made of.
        reads: names the rows that these are made of.
        partials: makes them of the rows in a view; may make more.
        finish: makes a statistic's lines of them.
        grid: the instants at which buckets must be cut for this, beside their edges; None where there are none.
    """

    columns: Callable[[Kind, Statistic], Iterator[Column]]
    reads: Callable[[Span, Statistic], Iterator[Need]]
    partials: Callable[[View, Statistic], Mapping[str, Value]]
    finish: Callable[[Figures, Statistic], Iterator[Line]]
    grid: Grid | None = None


def lines_of(figures: Figures, statistic: Statistic) -> tuple[Line, ...]:
    """Make a statistic's lines, once.

    Raises:
        QueryError: the compound lacks what the statistic needs.
    """
    finish = REDUCTIONS[statistic.reducer].finish
    return figures.once(("lines", statistic.name), lambda: tuple(finish(figures, statistic)))


def basic(kind: Kind, statistics: Sequence[Statistic]) -> tuple[Statistic, ...]:
    """Statistics, and the operands of those that are made of others; each once, operands first."""
    named = {each.name: each for each in statistics_of(kind)}
    found: dict[str, Statistic] = {}
    for each in statistics:
        for operand in (*basic(kind, [named[name] for name in each.operands]), each):
            found.setdefault(operand.name, operand)
    return tuple(found.values())


def grid(kind: Kind, statistics: Sequence[Statistic], edges: Times, tz: ZoneInfo) -> Times:
    """The edges on which partials are needed, to make statistics over buckets.

    Args:
        kind: the kind.
        statistics: what is to be made.
        edges: int64[m + 1], ns, the buckets.
        tz: the compound's time zone.

    Returns:
        int64[n + 1], ns, increasing, with all of `edges` among them.
    """
    found = [edges]
    for each in basic(kind, statistics):
        cut = REDUCTIONS[each.reducer].grid
        if cut is not None:
            found.append(cut(each, edges, tz))
    return edges if len(found) == 1 else np.unique(np.concatenate(found))


def _anchors(statistic: Statistic, edges: Times, tz: ZoneInfo) -> Times:
    """The anchors between the edges, and the last one before the first bucket's end."""
    return daily_instants(int(edges[1]), int(edges[-1]), statistic.anchor_hour, tz)


def _ratio(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The first operand divided by the second, line by line, or by its one line; NaN where that is 0 or unknown."""
    above, below = (lines_of(figures, figures.statistics[name]) for name in statistic.operands)
    divisors = {line.label: line for line in below}
    for line in above:
        divisor = divisors.get(line.label) or divisors[None]
        known = ~np.isnan(divisor.values) & (divisor.values != 0)
        values = np.divide(line.values, divisor.values, out=np.full(len(known), np.nan), where=known)
        yield Line(line.label, values, np.minimum(line.coverage, divisor.coverage))


def _none(_of: Kind | Span, _statistic: Statistic) -> Iterator[Any]:
    """No columns and no rows but those of the operands."""
    yield from ()


_LEVEL = (sampled.level_columns, reads.held, sampled.level_partials)
_STATE = (sampled.state_columns, reads.held, sampled.state_partials)
_MEAN = (durations.mean_columns, reads.pairs, durations.mean_partials)
_QUANTILE = (durations.quantile_columns, reads.pairs, durations.quantile_partials)
_PRESENCE = (presence.columns, reads.presence, presence.partials)

REDUCTIONS: Mapping[Reducer, Reduction] = MappingProxyType(
    {
        Reducer.LEVEL: Reduction(*_LEVEL, sampled.level),
        Reducer.IN_STATE: Reduction(*_STATE, sampled.in_state),
        Reducer.SECONDS: Reduction(*_STATE, sampled.seconds),
        Reducer.ENTRIES: Reduction(sampled.entries_columns, reads.changes, sampled.entries_partials, sampled.entries),
        Reducer.INCREASE: Reduction(
            sampled.increase_columns, reads.register, sampled.increase_partials, sampled.increase
        ),
        Reducer.COUNT: Reduction(events.count_columns, reads.events, events.count_partials, events.count),
        Reducer.TOTAL: Reduction(events.total_columns, reads.events, events.total_partials, events.total),
        Reducer.BALANCE: Reduction(
            events.balance_columns, reads.movements, events.balance_partials, events.balance, _anchors
        ),
        Reducer.MEAN_DURATION: Reduction(*_MEAN, durations.mean),
        Reducer.QUANTILE: Reduction(*_QUANTILE, durations.quantile),
        Reducer.RATIO: Reduction(_none, _none, lambda _view, _statistic: {}, _ratio),
        Reducer.ONLINE: Reduction(*_PRESENCE, presence.online),
        Reducer.OFFLINE_SECONDS: Reduction(*_PRESENCE, presence.offline_seconds),
        Reducer.OUTAGES: Reduction(*_PRESENCE, presence.outages),
    }
)
