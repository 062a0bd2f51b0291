"""Statistics of sampled fields: levels, states and registers."""

from collections.abc import Iterator

import numpy as np

from aggregate import gauge, state
from aggregate.counter import counter
from aggregate.lines import Line
from aggregate.view import View, read
from devices.columns import Coded, Codes, Floats
from devices.statistics import Across, Statistic


def level(view: View, statistic: Statistic) -> Iterator[Line]:
    """The time-weighted mean of a gauge; see `_combined` for how series make one figure."""
    layout, values = view.numbers(statistic.table, read(statistic))
    integral = gauge.integral(layout.holds, values)
    yield from _rates(view, statistic, integral, layout.holds.observed)


def in_state(view: View, statistic: Statistic) -> Iterator[Line]:
    """The mean number, or for `Across.MEAN` the share, of series in the labels; see `_combined`."""
    layout, column = view.labels(statistic.table, read(statistic))
    within = state.seconds(layout.holds, _inside(column, statistic), 2)[..., 1]
    yield from _rates(view, statistic, within, layout.holds.observed)


def seconds(view: View, statistic: Statistic) -> Iterator[Line]:
    """The seconds in the labels, summed over series."""
    layout, column = view.labels(statistic.table, read(statistic))
    within = state.seconds(layout.holds, _inside(column, statistic), 2)[..., 1]
    yield from _sums(view, statistic, within, layout.holds.observed)


def entries(view: View, statistic: Statistic) -> Iterator[Line]:
    """The number of entries into each of the labels, summed over labels and series."""
    layout, column = view.labels(statistic.table, read(statistic))
    # Labels that are not asked about become one, which spares their columns.
    renamed = np.zeros(len(column.labels), np.int32)
    for code, label in enumerate(statistic.labels, start=1):
        renamed[[each == label for each in column.labels]] = code
    counts = state.entries(layout.holds, renamed[column.codes], len(statistic.labels) + 1)
    yield from _sums(view, statistic, counts[..., 1:].sum(axis=-1).astype(np.float64), layout.holds.observed)


def increase(view: View, statistic: Statistic) -> Iterator[Line]:
    """The increase of registers, summed over series."""
    layout, values = view.numbers(statistic.table, read(statistic))
    partials = counter(layout.time, values, layout.offsets, layout.edges, layout.max_hold_ns)
    yield from _sums(view, statistic, partials.increase, partials.observed)


def _inside(column: Coded, statistic: Statistic) -> Codes:
    return np.array([label in statistic.labels for label in column.labels], np.int32)[column.codes]


def _rates(view: View, statistic: Statistic, amount: Floats, observed: Floats) -> Iterator[Line]:
    for label, series, expected in view.groups(statistic):
        values = _combined(amount[series], observed[series], statistic.across)
        yield Line(label, values, view.share(observed[series], expected))


def _combined(amount: Floats, observed: Floats, across: Across) -> Floats:
    """Make one rate of those of s series.

    Args:
        amount: float64[s, m], unit · seconds.
        observed: float64[s, m], seconds.
        across: SUM: the sum of each observed series' own rate. MAX: the largest of them. MEAN: the mean over all
            observed time, in which a series counts by how long it was observed.

    Returns:
        float64[m]; NaN where no series was observed.
    """
    known = observed > 0
    if across is Across.MEAN:
        amount, observed = amount.sum(axis=0, keepdims=True), observed.sum(axis=0, keepdims=True)
    empty = -np.inf if across is Across.MAX else 0.0
    rates = np.divide(amount, observed, out=np.full(amount.shape, empty), where=observed > 0)
    made = rates.max(axis=0, initial=-np.inf) if across is Across.MAX else rates.sum(axis=0)
    return np.where(known.any(axis=0), made, np.nan)


def _sums(view: View, statistic: Statistic, amount: Floats, observed: Floats) -> Iterator[Line]:
    for label, series, expected in view.groups(statistic):
        total = amount[series].sum(axis=0)
        coverage = view.share(observed[series], expected)
        # What a register rose by over a gap is known, though the time of the gap is not.
        yield Line(label, np.where((coverage > 0) | (total > 0), total, np.nan), coverage)
