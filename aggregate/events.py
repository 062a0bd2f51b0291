"""Statistics of events: counts, sums, balances, and the time between the events of a pair."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from aggregate.edges import NS_PER_S, daily_instants
from aggregate.event import counted, summed
from aggregate.histogram import histogram, quantile
from aggregate.holds import Holds, Indices
from aggregate.lines import UNSPECIFIED, Line
from aggregate.pair import Closed, Keyed, closed
from aggregate.view import PART, Mask, View, read
from devices.columns import ABSENT, Batch, Floats, Times
from devices.errors import QueryError
from devices.kind import Match, Pair
from devices.statistics import Statistic


def count(view: View, statistic: Statistic) -> Iterator[Line]:
    """The number of events."""
    batch = view.batch(statistic.table)
    rows = np.flatnonzero(_matching(batch, statistic.where))
    labels, group = _broken_down(view, statistic)
    counts = counted(batch.time[rows], group[rows], len(labels) + 1, view.edges)
    for label, number in zip(labels, counts, strict=False):
        yield _line(view, label, number.astype(np.float64), number > 0)


def total(view: View, statistic: Statistic) -> Iterator[Line]:
    """The sum of a value of events; one without a value adds nothing."""
    batch = view.batch(statistic.table)
    values = batch.floats(read(statistic))
    rows = np.flatnonzero(_matching(batch, statistic.where) & ~np.isnan(values))
    labels, group = _broken_down(view, statistic)
    args = (group[rows], len(labels) + 1, view.edges)
    counts, sums = counted(batch.time[rows], *args), summed(batch.time[rows], values[rows], *args)
    for label, number, amount in zip(labels, counts, sums, strict=False):
        yield _line(view, label, amount, number > 0)


def balance(view: View, statistic: Statistic) -> Iterator[Line]:
    """What was there at the anchor, plus what came and minus what went until the bucket's end.

    Its time is that since the anchor: an hour missed then is missed in every bucket until the next anchor. So its
    coverage is the smaller of that since the anchor and that of the bucket.

    Raises:
        QueryError: the compound lacks the attribute that it begins with.
    """
    base = view.attributes.get(statistic.base or "")
    if base is None:
        raise QueryError(
            f"{statistic.name!r} needs the compound's attribute {statistic.base!r}; the inventory has none"
        )
    batch = view.batch(statistic.table)
    ends = view.edges[1:]
    anchors = daily_instants(int(ends[0]), int(ends[-1]), statistic.anchor_hour, view.tz)
    since = anchors[np.searchsorted(anchors, ends, "right") - 1]

    def happened(where: Mapping[str, Sequence[str]]) -> Indices:
        time = np.sort(batch.time[_matching(batch, where)])
        return np.searchsorted(time, ends) - np.searchsorted(time, since)

    values = base + happened(statistic.where) - happened(statistic.minus)
    coverage = np.minimum(view.heard, _heard_since(view, since, ends))
    yield Line(None, np.where(coverage > 0, values, np.nan), coverage)


def mean_duration(view: View, statistic: Statistic) -> Iterator[Line]:
    """The mean time between the events of a pair."""

    def mean(time: Times, seconds: Floats, group: Indices, groups: int) -> Floats:
        number = counted(time, group, groups, view.edges)
        whole = summed(time, seconds, group, groups, view.edges)
        means: Floats = np.divide(whole, number, out=np.full(number.shape, np.nan), where=number > 0)
        return means

    yield from _durations(view, statistic, mean)


def duration_quantile(view: View, statistic: Statistic) -> Iterator[Line]:
    """A quantile of the time between the events of a pair."""
    q = statistic.quantile or 0.5

    def of(time: Times, seconds: Floats, group: Indices, groups: int) -> Floats:
        return quantile(histogram(time, seconds, group, groups, view.edges), q)

    yield from _durations(view, statistic, of)


def _line(view: View, label: str | None, values: Floats, certain: Mask) -> Line:
    """A line of events: what happened is known; that nothing did is known only where the devices were heard."""
    return Line(label, np.where(certain | (view.heard > 0), values, np.nan), view.heard)


def _matching(batch: Batch, where: Mapping[str, Sequence[str]]) -> Mask:
    """bool[n]: which rows have, for each named category, one of its labels."""
    rows = np.ones(len(batch), np.bool_)
    for name, wanted in where.items():
        column = batch.coded(name)
        # An absent code is -1 and so finds the last entry.
        rows &= np.array([*(label in wanted for label in column.labels), False])[column.codes]
    return rows


def _broken_down(view: View, statistic: Statistic) -> tuple[Sequence[str | None], Indices]:
    """The labels of the lines, and intp[n], of which line each row is; len(labels) if of none."""
    batch = view.batch(statistic.table)
    if statistic.by is None:
        return (None,), np.zeros(len(batch), np.intp)
    if statistic.by == PART:
        return _by_part(view, statistic.table)
    field, column = batch.table.by_name[statistic.by], batch.coded(statistic.by)
    labels = [label for label in field.labels if label in statistic.where.get(field.name, field.labels)]
    if not field.required and field.name not in statistic.where:
        labels.append(UNSPECIFIED)
    place = {label: index for index, label in enumerate(labels)}
    lines = [place.get(label, len(labels)) for label in column.labels]
    return labels, np.array([*lines, place.get(UNSPECIFIED, len(labels))], np.intp)[column.codes]


def _by_part(view: View, table: str) -> tuple[Sequence[str], Indices]:
    """The parts, and intp[n], at which of them each row is."""
    parts, batch = view.parts(table), view.batch(table)
    place = {part: index for index, part in enumerate(parts)}
    of_series = np.array([place.get(key.part, ABSENT) for key in batch.keys], np.intp)
    return parts, of_series[batch.series]


def _heard_since(view: View, since: Times, ends: Times) -> Floats:
    """float64[m]: the share of the devices' time heard over `[since, end)` of each bucket; 1 where that is empty."""
    cuts = np.unique(np.concatenate([since, ends]))
    if len(cuts) < 2:
        return np.ones(len(ends))
    alive = view.alive
    heard = Holds.sampled(alive.time, alive.offsets, cuts, alive.max_hold_ns).observed.sum(axis=0)
    below = np.concatenate([[0.0], np.cumsum(heard)])
    seconds = below[np.searchsorted(cuts, ends)] - below[np.searchsorted(cuts, since)]
    possible = (ends - since) / NS_PER_S * len(view.devices)
    share = np.divide(seconds, possible, out=np.zeros(len(ends)), where=possible > 0)
    return np.where(since == ends, 1.0, np.clip(share, 0.0, 1.0))


def _durations(
    view: View, statistic: Statistic, figure: Callable[[Times, Floats, Indices, int], Floats]
) -> Iterator[Line]:
    pair = next(each for each in view.kind.pairs if each.name == statistic.pair)
    time, part, pairs = view.once(("pair", pair.name), lambda: _pairs(view, pair))
    labels: Sequence[str | None] = (None,)
    group = np.zeros(len(pairs.close), np.intp)
    if statistic.by == PART:
        labels, group = view.parts(pair.closes[0].event), part[pairs.close]
    for label, values in zip(labels, figure(time[pairs.close], pairs.seconds, group, len(labels)), strict=True):
        yield _line(view, label, values, ~np.isnan(values))


def _pairs(view: View, pair: Pair) -> tuple[Times, Indices, Closed]:
    """The time and part of each closing event, and which of them closed what."""
    shared: dict[str, int] = {}
    opens, _ = _keyed(view, pair, pair.opens, shared)
    found = [_keyed(view, pair, match, shared) for match in pair.closes]
    closes = Keyed(*(np.concatenate(columns) for columns in zip(*(keyed for keyed, _ in found), strict=True)))
    return closes.time, np.concatenate([part for _, part in found]), closed(opens, closes)


def _keyed(view: View, pair: Pair, match: Match, shared: dict[str, int]) -> tuple[Keyed, Indices]:
    """The events that match, their keys in codes that all events of a pair share, and their parts."""
    batch = view.batch(match.event)
    column = batch.coded(pair.key)
    where = {name: (label,) for name, label in match.where.items()}
    rows = np.flatnonzero(_matching(batch, where) & (column.codes != ABSENT))
    codes = np.array([*(shared.setdefault(label, len(shared)) for label in column.labels), ABSENT], np.intp)
    keyed = Keyed(batch.time[rows], view.owners(match.event)[batch.series[rows]], codes[column.codes[rows]])
    return keyed, _by_part(view, match.event)[1][rows]
