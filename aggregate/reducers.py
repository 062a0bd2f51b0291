"""The reducers: what each reads, what partials it is made of, and how they make figures. A new one is one row here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from aggregate import balance, derived, durations, events, filling, outages, presence, reads, sampled
from aggregate.edges import NS_PER_S, daily_instants
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
        after_ns: how long after a bucket's end its partials may still matter, for the figures of later buckets.
    """

    columns: Callable[[Kind, Statistic], Iterator[Column]]
    reads: Callable[[Span, Statistic], Iterator[Need]]
    partials: Callable[[View, Statistic], Mapping[str, Value]]
    finish: Callable[[Figures, Statistic], Iterator[Line]]
    grid: Grid | None = None
    after_ns: int = 0


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


def finish(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """Make a statistic's lines; see `Reduction.finish`."""
    return REDUCTIONS[statistic.reducer].finish(figures, statistic)


def _nothing(_view: View, _statistic: Statistic) -> Mapping[str, Value]:
    return {}


def _none(_of: Kind | Span, _statistic: Statistic) -> Iterator[Any]:
    """No columns and no rows but those of the operands."""
    yield from ()


_DAY_NS = 86_400 * NS_PER_S
_UNTIL_ANCHOR_NS = _DAY_NS + 3 * 3600 * NS_PER_S
"""Anchors lie a day apart, and a few hours more where clocks go back."""

_DERIVED = (_none, _none, _nothing)
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
            balance.columns, reads.movements, balance.partials, balance.balance, _anchors, _UNTIL_ANCHOR_NS
        ),
        Reducer.BOUND: Reduction(
            balance.bound_columns, reads.numbered, balance.bound_partials, balance.bound, _anchors, _UNTIL_ANCHOR_NS
        ),
        Reducer.MEAN_DURATION: Reduction(*_MEAN, durations.mean),
        Reducer.QUANTILE: Reduction(*_QUANTILE, durations.quantile),
        Reducer.RATIO: Reduction(*_DERIVED, derived.ratio),
        Reducer.DIFFERENCE: Reduction(*_DERIVED, derived.difference),
        Reducer.PEAK: Reduction(*_DERIVED, derived.peak, derived.hours),
        Reducer.PEAK_HOUR: Reduction(*_DERIVED, derived.peak_hour, derived.hours),
        Reducer.RISE: Reduction(filling.rise_columns, reads.register, filling.rise_partials, filling.fill_rate),
        Reducer.ABOVE: Reduction(filling.above_columns, reads.held, filling.above_partials, filling.above),
        Reducer.TIME_TO_FULL: Reduction(
            filling.forecast_columns,
            reads.register,
            filling.forecast_partials,
            filling.time_to_full,
            filling.days_before,
            filling.DAYS * _DAY_NS,
        ),
        Reducer.ONLINE: Reduction(*_PRESENCE, presence.online),
        Reducer.OFFLINE_SECONDS: Reduction(*_PRESENCE, presence.offline_seconds),
        Reducer.OUTAGES: Reduction(*_PRESENCE, presence.outages),
        Reducer.REPAIR_TIME: Reduction(
            outages.repair_columns, reads.repairs, outages.repair_partials, outages.repair_time
        ),
        Reducer.UPTIME: Reduction(outages.uptime_columns, reads.parts, outages.uptime_partials, outages.uptime),
    }
)
