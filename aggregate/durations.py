"""Statistics of pairs: how long it took from the event that opens one to the event that closes it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from aggregate.events import HEARD_COLUMN, known_line
from aggregate.figures import HEARD, Figures, Group
from aggregate.lines import Line
from aggregate.pair import Keyed, PairPartials
from aggregate.pair import pair as matched_pairs
from aggregate.partials import Column, Merge, Scope, Value, scope_of
from aggregate.segments import Indices
from aggregate.view import View, matching
from devices.alarms import Match
from devices.columns import ABSENT
from devices.kind import Kind, Pair
from devices.statistics import Statistic

_CLOSED, _SECONDS, _HISTOGRAM = "closed", "s", "histogram"


def mean_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """How many pairs were closed, and after how long, summed."""
    pair = _pair(kind, statistic)
    yield Column(name=f"{pair.name}_{_CLOSED}", scope=_scope(kind, pair), unit="pairs")
    yield Column(name=f"{pair.name}_{_SECONDS}", scope=_scope(kind, pair), unit="s")
    yield HEARD_COLUMN


def mean_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `mean_columns`."""
    pair = _pair(view.kind, statistic)
    made = _made(view, pair)
    return {
        f"{pair.name}_{_CLOSED}": made.count.astype(np.float64),
        f"{pair.name}_{_SECONDS}": made.seconds,
        HEARD: view.heard,
    }


def mean(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The mean time between the events of a pair."""
    pair = _pair(figures.kind, statistic)
    number, seconds = (figures.partials.numbers(f"{pair.name}_{what}") for what in (_CLOSED, _SECONDS))
    for label, series, _ in _groups(figures, statistic, pair):
        count, whole = number[series].sum(axis=0), seconds[series].sum(axis=0)
        means = np.divide(whole, count, out=np.full(count.shape, np.nan), where=count > 0)
        yield known_line(figures, label, means, count > 0)


def quantile_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The histogram of the times."""
    pair = _pair(kind, statistic)
    yield Column(name=f"{pair.name}_{_HISTOGRAM}", scope=_scope(kind, pair), merge=Merge.HISTOGRAM, unit="pairs by bin")
    yield HEARD_COLUMN


def quantile_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `quantile_columns`."""
    pair = _pair(view.kind, statistic)
    return {f"{pair.name}_{_HISTOGRAM}": _made(view, pair).histogram, HEARD: view.heard}


def quantile(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """A quantile of the time between the events of a pair."""
    pair = _pair(figures.kind, statistic)
    whole = figures.partials.histogram(f"{pair.name}_{_HISTOGRAM}")
    for label, series, _ in _groups(figures, statistic, pair):
        rows = np.flatnonzero(series)
        (values,) = whole.rows(rows).added(np.zeros(len(rows), np.intp), 1).quantile(statistic.quantile or 0.5)
        yield known_line(figures, label, values, ~np.isnan(values))


def _pair(kind: Kind, statistic: Statistic) -> Pair:
    return next(each for each in kind.pairs if each.name == statistic.pair)


def _scope(kind: Kind, pair: Pair) -> Scope:
    return scope_of(kind.tables[pair.closes[0].event])


def _groups(figures: Figures, statistic: Statistic, pair: Pair) -> list[Group]:
    return figures.groups(replace(statistic, table=pair.closes[0].event))


def _made(view: View, pair: Pair) -> PairPartials:
    """The pairs that were closed, by the series of the event that closed them."""
    return view.once(("pair", pair.name), lambda: _matched(view, pair))


def _matched(view: View, pair: Pair) -> PairPartials:
    shared: dict[str, int] = {}
    opens, _ = _keyed(view, pair, pair.opens, shared)
    found = [_keyed(view, pair, match, shared) for match in pair.closes]
    closes = Keyed(*(np.concatenate(columns) for columns in zip(*(keyed for keyed, _ in found), strict=True)))
    series = np.concatenate([place for _, place in found])
    return matched_pairs(opens, closes, series, len(view.expected(pair.closes[0].event)), view.edges)


def _keyed(view: View, pair: Pair, match: Match, shared: dict[str, int]) -> tuple[Keyed, Indices]:
    """The events that match, their keys in codes that all events of a pair share, and their series."""
    batch = view.batch(match.event)
    column = batch.coded(pair.key)
    rows = np.flatnonzero(
        matching(batch, {name: (label,) for name, label in match.where.items()}) & (column.codes != ABSENT)
    )
    codes = np.array([*(shared.setdefault(label, len(shared)) for label in column.labels), ABSENT], np.intp)
    series = batch.series[rows]
    keyed = Keyed(batch.time[rows], view.owners(match.event)[series], codes[column.codes[rows]])
    return keyed, view.places(match.event)[series]
