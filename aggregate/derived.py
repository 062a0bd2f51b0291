"""Statistics of other statistics: ratios, differences and peaks of their operands."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from aggregate.edges import NS_PER_S, Every, clock_edges
from aggregate.figures import HEARD, Figures, Mask
from aggregate.lines import Line
from devices.columns import Floats, Times
from devices.statistics import Statistic

_HOUR = Every.parse("1h")


def ratio(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The first operand divided by the second, line by line, or by its one line; NaN where that is 0 or unknown."""
    above, below = (figures.lines(figures.statistics[name]) for name in statistic.operands)
    divisors = {line.label: line for line in below}
    for line in above:
        divisor = divisors.get(line.label) or divisors[None]
        known = ~np.isnan(divisor.values) & (divisor.values != 0)
        values = np.divide(line.values, divisor.values, out=np.full(len(known), np.nan), where=known)
        yield Line(line.label, values, np.minimum(line.coverage, divisor.coverage))


def difference(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The first operand minus the others, line by line; NaN where one is unknown."""
    first, *others = (figures.lines(figures.statistics[name]) for name in statistic.operands)
    for lines in zip(first, *others, strict=True):
        values = lines[0].values - sum(line.values for line in lines[1:])
        yield Line(lines[0].label, values, np.min([line.coverage for line in lines], axis=0))


def hours(_statistic: Statistic, edges: Times, tz: ZoneInfo) -> Times:
    """Every full hour of the wall clock between the edges."""
    first, last = int(edges[0]), int(edges[-1])
    return np.unique(np.concatenate([[first], clock_edges(first, last, _HOUR, tz), [last]]))


def peak(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The most events within one hour of the clock."""
    most, _, known = _peaks(figures, statistic)
    yield Line(None, np.where(known, most, np.nan), figures.heard)


def peak_hour(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The hour of the local day in which there were most events, the earliest of several; NaN where there were none."""
    most, begins, _ = _peaks(figures, statistic)
    local = [datetime.fromtimestamp(begin // NS_PER_S, figures.tz).hour for begin in begins.tolist()]
    yield Line(None, np.where(most > 0, np.array(local, np.float64), np.nan), figures.heard)


def _peaks(figures: Figures, statistic: Statistic) -> tuple[Floats, Times, Mask]:
    """By bucket: the most events within an hour, int64[m] when that hour began, and whether anything is known."""
    edges = np.unique(np.concatenate([figures.edges, hours(statistic, figures.edges, figures.tz)]))
    counts = figures.fine.merged(edges).numbers(statistic.operands[0]).sum(axis=0)
    first = np.searchsorted(edges, figures.edges)
    most = np.maximum.reduceat(counts, first[:-1])
    bucket = np.repeat(np.arange(len(first) - 1), np.diff(first))
    at = np.where(counts == most[bucket], np.arange(len(counts)), len(counts))
    begins = edges[np.minimum.reduceat(at, first[:-1])]
    return most, begins, (most > 0) | (figures.partials.numbers(HEARD).sum(axis=0) > 0)
