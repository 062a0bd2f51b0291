"""Statistics of events: counts and sums."""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregate.event import counted, summed
from aggregate.figures import HEARD, PART, Figures, Mask
from aggregate.lines import UNSPECIFIED, Line
from aggregate.partials import Column, Scope, Value, scope_of
from aggregate.segments import Indices
from aggregate.view import View, matching, read
from devices.columns import Floats
from devices.kind import Kind
from devices.statistics import Statistic

HEARD_COLUMN = Column(name=HEARD, scope=Scope.DEVICE, unit="s")


def count_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The number of events, by label where the statistic is broken down by a category."""
    for label in _labels(kind, statistic):
        yield Column(name=_name(statistic, label), scope=scope_of(kind.tables[statistic.table]), unit=statistic.unit)
    yield HEARD_COLUMN


def count_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `count_columns`."""
    batch = view.batch(statistic.table)
    rows = np.flatnonzero(matching(batch, statistic.where))
    counts = _by_label(view, statistic, rows)
    return {**counts, HEARD: view.heard}


def count(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The number of events."""
    for label, numbers in _by_line(figures, statistic):
        yield known_line(figures, label, numbers, numbers > 0)


def total_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The sum of a value of events, and how many had one."""
    for label in _labels(kind, statistic):
        scope = scope_of(kind.tables[statistic.table])
        yield Column(name=_name(statistic, label), scope=scope, unit=statistic.unit)
        yield Column(name=f"{_name(statistic, label)}_count", scope=scope, unit="events")
    yield HEARD_COLUMN


def total_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `total_columns`."""
    batch = view.batch(statistic.table)
    values = batch.floats(read(statistic))
    rows = np.flatnonzero(matching(batch, statistic.where) & ~np.isnan(values))
    return {
        **_by_label(view, statistic, rows, values),
        **{f"{name}_count": number for name, number in _by_label(view, statistic, rows).items()},
        HEARD: view.heard,
    }


def total(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The sum of a value of events; one without a value adds nothing."""
    counts = _by_line(figures, statistic, "_count")
    for (label, amount), (_, number) in zip(_by_line(figures, statistic), counts, strict=True):
        yield known_line(figures, label, amount, number > 0)


def known_line(figures: Figures, label: str | None, values: Floats, certain: Mask) -> Line:
    """A line of events: what happened is known; that nothing did is known only where the devices were heard."""
    return Line(label, np.where(certain | (figures.heard > 0), values, np.nan), figures.heard)


def _labels(kind: Kind, statistic: Statistic) -> tuple[str | None, ...]:
    """The labels by which events are counted apart: (None,) unless the statistic is broken down by a category."""
    if statistic.by is None or statistic.by == PART:
        return (None,)
    field = kind.tables[statistic.table].by_name[statistic.by]
    labels = [label for label in field.labels if label in statistic.where.get(field.name, field.labels)]
    if not field.required and field.name not in statistic.where:
        labels.append(UNSPECIFIED)
    return tuple(labels)


def _name(statistic: Statistic, label: str | None) -> str:
    return statistic.name if label is None else f"{statistic.name}_{label.lower().replace('-', '_')}"


def _by_label(view: View, statistic: Statistic, rows: Indices, values: Floats | None = None) -> dict[str, Value]:
    """The number of rows, or the sum of their values, by column."""
    labels = _labels(view.kind, statistic)
    if labels == (None,):
        return {_name(statistic, None): tallied(view, statistic.table, rows, values)}
    column = view.batch(statistic.table).coded(statistic.by or "")
    # An absent code is -1 and so finds the last entry.
    lines = np.array([*(label for label in column.labels), UNSPECIFIED], object)[column.codes[rows]]
    return {
        _name(statistic, label): tallied(view, statistic.table, rows[np.asarray(lines == label, np.bool_)], values)
        for label in labels
    }


def tallied(view: View, table: str, rows: Indices, values: Floats | None = None) -> Floats:
    """Count some rows of a table, or sum a value of theirs.

    Args:
        view: the rows.
        table: the table.
        rows: intp[k], which of its rows.
        values: float64[n], a value of each row of the table.

    Returns:
        float64[s, m], by expected series and bucket.
    """
    batch, places = view.batch(table), view.places(table)
    time, group, groups = batch.time[rows], places[batch.series[rows]], len(view.expected(table))
    if values is None:
        return counted(time, group, groups, view.edges).astype(np.float64)
    return summed(time, values[rows], group, groups, view.edges)


def _by_line(figures: Figures, statistic: Statistic, suffix: str = "") -> Iterator[tuple[str | None, Floats]]:
    """The label of each line, and float64[m], its figure."""
    if statistic.by == PART:
        numbers = figures.partials.numbers(statistic.name + suffix)
        for label, series, _ in figures.groups(statistic):
            yield label, numbers[series].sum(axis=0)
        return
    for label in _labels(figures.kind, statistic):
        yield label, figures.partials.numbers(_name(statistic, label) + suffix).sum(axis=0)
