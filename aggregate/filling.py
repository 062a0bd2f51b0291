"""Statistics of levels that fill up and are emptied: how fast they rise, how long they are too full, when they will be.

A level's rise is followed like a register's, but that a fall, as when it is emptied, counts for nothing.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from aggregate import gauge, state
from aggregate.counter import CounterPartials, counter
from aggregate.edges import NS_PER_S
from aggregate.figures import Figures
from aggregate.lines import Line
from aggregate.partials import Column, Merge, Value, scope_of
from aggregate.segments import Indices
from aggregate.view import View, read
from devices.columns import Floats, Times
from devices.errors import DeclarationError
from devices.kind import Kind
from devices.statistics import Statistic

DAYS = 7
"""A forecast is made of the rises of so many days."""

_DAY_NS = 86_400 * NS_PER_S
_HOUR_S = 3600
_SPREAD = 1.645
"""Standard errors to either side that hold the true rate in 90 of 100 cases, if daily rates are about normal."""

_LEAST_DAYS = 2
"""From so many days on their spread says something."""


def rise_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """By how much a level rose, and the time between samples that follow each other closely."""
    yield _column(kind, statistic, "rise", kind.tables[statistic.table].by_name[read(statistic)].unit)
    yield _column(kind, statistic, "rise_s", "s")


def rise_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `rise_columns`."""
    layout, values = view.numbers(statistic.table, read(statistic))

    def made() -> CounterPartials:
        return counter(layout.time, values, layout.offsets, layout.edges, layout.max_hold_ns, resets=False)

    partials = view.once(("rise", statistic.table, statistic.field), made)
    return {
        f"{read(statistic)}_rise": view.placed(statistic.table, partials.increase),
        f"{read(statistic)}_rise_s": view.placed(statistic.table, partials.observed),
    }


def fill_rate(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The rise for each hour in which the level was followed, of all series together."""
    rise, seconds = (figures.partials.numbers(f"{read(statistic)}_{what}") for what in ("rise", "rise_s"))
    for label, series, expected in figures.groups(statistic):
        amount, time = rise[series].sum(axis=0), seconds[series].sum(axis=0)
        values = np.divide(amount * _HOUR_S, time, out=np.full(len(time), np.nan), where=time > 0)
        yield Line(label, values, figures.share(seconds[series], expected))


def above_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The seconds in which a level was at its threshold or above, and those in which it was observed."""
    scope = scope_of(kind.tables[statistic.table])
    yield Column(name=f"{statistic.name}_above_s", scope=scope, unit="s")
    yield _column(kind, statistic, "observed_s", "s")


def above_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `above_columns`."""
    layout, values = view.numbers(statistic.table, read(statistic))
    codes = (values >= _threshold(statistic)).astype(np.int32)
    above = state.seconds(layout.holds, codes, 2)[..., 1]
    return {
        f"{statistic.name}_above_s": view.placed(statistic.table, above),
        f"{read(statistic)}_observed_s": view.placed(statistic.table, layout.holds.observed),
    }


def above(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The seconds at the threshold or above, summed over series."""
    seconds = figures.partials.numbers(f"{statistic.name}_above_s")
    observed = figures.partials.numbers(f"{read(statistic)}_observed_s")
    for label, series, expected in figures.groups(statistic):
        coverage = figures.share(observed[series], expected)
        yield Line(label, np.where(coverage > 0, seconds[series].sum(axis=0), np.nan), coverage)


def forecast_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The rise of a level, its last value, and the time in which it was observed."""
    yield from rise_columns(kind, statistic)
    field = kind.tables[statistic.table].by_name[read(statistic)]
    scope = scope_of(kind.tables[statistic.table])
    yield Column(name=f"{field.name}_last", scope=scope, merge=Merge.LAST, unit=field.unit)
    yield _column(kind, statistic, "observed_s", "s")


def forecast_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `forecast_columns`."""
    layout, values = view.numbers(statistic.table, read(statistic))
    last = gauge.ends(layout.holds, values).last
    # A bucket without a sample ends with what holds in it.
    cell, sample, _ = layout.holds.carry
    flat = last.reshape(-1)
    flat[cell] = np.where(np.isnan(flat[cell]), values[sample], flat[cell])
    observed = view.placed(statistic.table, layout.holds.observed)
    return {
        **rise_partials(view, statistic),
        f"{read(statistic)}_last": view.placed(statistic.table, last, np.nan),
        f"{read(statistic)}_observed_s": observed,
    }


def days_before(_statistic: Statistic, edges: Times, _tz: ZoneInfo) -> Times:
    """The ends of the buckets, and the same instants on each of the `DAYS` days before."""
    back = np.arange(DAYS + 1) * _DAY_NS
    cuts = (edges[1:, None] - back).reshape(-1)
    return np.unique(cuts[cuts >= 0])


def time_to_full(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """Seconds from the bucket's end until the first of the series reaches the threshold, were it never emptied.

    It is made of the last value that was sampled or held in the bucket, and of the mean rate of rising over the `DAYS`
    days before its end; the bounds of that and the standard error of the daily rates. It is unknown where the level
    does not rise, and its upper bound where it may not.
    """
    last = figures.partials.numbers(f"{read(statistic)}_last")
    rate = _rate(figures, statistic)
    room = np.maximum(_threshold(statistic) - last, 0.0)
    seconds = np.divide(room, rate, out=np.full(room.shape, np.nan), where=rate > 0)
    seconds[room == 0] = 0.0
    observed = figures.partials.numbers(f"{read(statistic)}_observed_s")
    for label, series, expected in figures.groups(statistic):
        soonest = np.where(np.isnan(seconds[series]), np.inf, seconds[series]).min(axis=0, initial=np.inf)
        coverage = figures.share(observed[series], expected)
        yield Line(label, np.where(np.isfinite(soonest) & (coverage > 0), soonest, np.nan), coverage)


class _Daily(NamedTuple):
    """Of each series, bucket and day before the bucket's end: how much it rose, in how many seconds."""

    rise: Floats
    seconds: Floats


def _rate(figures: Figures, statistic: Statistic) -> Floats:
    """float64[s, m]: the rate per second; for a bound, the one that 95 of 100 are below or above."""
    daily = figures.once(
        ("daily", statistic.table, statistic.field),
        lambda: _Daily(*(_daily(figures, f"{read(statistic)}_{what}") for what in ("rise", "rise_s"))),
    )
    rise, seconds = daily.rise.sum(axis=-1), daily.seconds.sum(axis=-1)
    mean: Floats = np.divide(rise, seconds, out=np.zeros(rise.shape), where=seconds > 0)
    if not statistic.bound:
        return mean
    days = (daily.seconds > 0).sum(axis=-1)
    rates = np.divide(daily.rise, daily.seconds, out=np.zeros(daily.rise.shape), where=daily.seconds > 0)
    off = np.where(daily.seconds > 0, rates - mean[..., None], 0.0)
    square = np.square(off).sum(axis=-1)
    variance = np.divide(square, days - 1, out=np.zeros(mean.shape), where=days >= _LEAST_DAYS)
    error = np.sqrt(np.divide(variance, days, out=np.zeros(mean.shape), where=days > 0))
    # The sooner it is full, the faster it rises.
    found: Floats = mean - statistic.bound * _SPREAD * error
    found[days < _LEAST_DAYS] = 0.0
    return found


def _daily(figures: Figures, column: str) -> Floats:
    """float64[s, m, DAYS]: the sum of a column over each of the days before the end of each bucket."""
    numbers, ends = figures.fine.numbers(column), figures.edges[1:]
    total = np.concatenate([np.zeros((len(numbers), 1)), np.cumsum(numbers, axis=1)], axis=1)
    cuts: Indices = np.searchsorted(figures.fine.edges, ends[:, None] - np.arange(DAYS + 1) * _DAY_NS)
    found: Floats = total[:, cuts[:, :-1]] - total[:, cuts[:, 1:]]
    return found


def _column(kind: Kind, statistic: Statistic, what: str, unit: str) -> Column:
    return Column(name=f"{read(statistic)}_{what}", scope=scope_of(kind.tables[statistic.table]), unit=unit)


def _threshold(statistic: Statistic) -> float:
    if statistic.threshold is None:
        raise DeclarationError(f"statistic {statistic.name!r}: {statistic.reducer} needs threshold")
    return statistic.threshold
