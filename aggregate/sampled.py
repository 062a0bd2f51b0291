"""Statistics of sampled fields: levels, states and registers."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from aggregate import gauge, state
from aggregate.counter import CounterPartials, counter
from aggregate.figures import Figures
from aggregate.lines import Line
from aggregate.partials import Column, Value, scope_of
from aggregate.view import View, read
from devices.columns import Floats
from devices.kind import TELEMETRY, Kind
from devices.statistics import Across, Statistic


def level_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The integral of a gauge, and the time over which it was observed."""
    unit = kind.tables[statistic.table].by_name[read(statistic)].unit
    yield _column(kind, statistic, "integral", f"{unit}·s")
    yield _column(kind, statistic, "observed_s", "s")


def level_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `level_columns`."""
    layout, values = view.numbers(statistic.table, read(statistic))
    return _placed(
        view, statistic, {"integral": gauge.integral(layout.holds, values), "observed_s": layout.holds.observed}
    )


def level(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The time-weighted mean of a gauge; see `_combined` for how series make one figure."""
    yield from _rates(figures, statistic, _numbers(figures, statistic, "integral"))


def state_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The seconds in each of the labels, and those in any."""
    for label in statistic.labels:
        yield _column(kind, statistic, f"{_word(label)}_s", "s")
    yield _column(kind, statistic, "observed_s", "s")


def state_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `state_columns`."""
    layout, column = view.labels(statistic.table, read(statistic))
    seconds = view.once(
        ("seconds", statistic.table, statistic.field),
        lambda: state.seconds(layout.holds, column.codes, len(column.labels)),
    )
    found = {f"{_word(label)}_s": _of(seconds, column.labels, label) for label in statistic.labels}
    return _placed(view, statistic, {**found, "observed_s": layout.holds.observed})


def in_state(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The mean number, or for `Across.MEAN` the share, of series in the labels; see `_combined`."""
    yield from _rates(figures, statistic, _summed(figures, statistic, "s"))


def seconds(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The seconds in the labels, summed over series."""
    observed = _numbers(figures, statistic, "observed_s")
    yield from _sums(figures, statistic, _summed(figures, statistic, "s"), observed)


def entries_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The entries into each of the labels, and the time in which the state was observed."""
    for label in statistic.labels:
        yield _column(kind, statistic, f"{_word(label)}_entries", "entries")
    yield _column(kind, statistic, "observed_s", "s")


def entries_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `entries_columns`."""
    layout, column = view.labels(statistic.table, read(statistic))
    counts = view.once(
        ("entries", statistic.table, statistic.field),
        lambda: state.entries(layout.holds, column.codes, len(column.labels)),
    )
    found = {f"{_word(label)}_entries": _of(counts, column.labels, label) for label in statistic.labels}
    return _placed(view, statistic, {**found, "observed_s": layout.holds.observed})


def entries(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The number of entries into each of the labels, summed over labels and series."""
    observed = _numbers(figures, statistic, "observed_s")
    yield from _sums(figures, statistic, _summed(figures, statistic, "entries"), observed)


def increase_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The increase of a register, and the time between samples that follow each other closely."""
    yield _column(kind, statistic, "increase", kind.tables[statistic.table].by_name[read(statistic)].unit)
    yield _column(kind, statistic, "increase_s", "s")


def increase_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `increase_columns`."""
    layout, values = view.numbers(statistic.table, read(statistic))

    def made() -> CounterPartials:
        return counter(layout.time, values, layout.offsets, layout.edges, layout.max_hold_ns)

    partials = view.once(("increase", statistic.table, statistic.field), made)
    return _placed(view, statistic, {"increase": partials.increase, "increase_s": partials.observed})


def increase(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The increase of registers, summed over series."""
    risen, observed = (_numbers(figures, statistic, what) for what in ("increase", "increase_s"))
    yield from _sums(figures, statistic, risen, observed)


def _column(kind: Kind, statistic: Statistic, what: str, unit: str) -> Column:
    return Column(name=_name(statistic, what), scope=scope_of(kind.tables[statistic.table]), unit=unit)


def _name(statistic: Statistic, what: str) -> str:
    """A partial of a field is the same for all statistics that read it."""
    table = "" if statistic.table == TELEMETRY else f"{statistic.table}_"
    return f"{table}{read(statistic)}_{what}"


def _word(label: str) -> str:
    return label.lower().replace("-", "_")


def _of(found: NDArray[np.float64] | NDArray[np.int64], labels: tuple[str, ...], label: str) -> Floats:
    """float64[s, m]: the figures of one label; a column may lack it."""
    if label not in labels:
        return np.zeros(found.shape[:2])
    return found[..., labels.index(label)].astype(np.float64, copy=False)


def _placed(view: View, statistic: Statistic, found: Mapping[str, Floats]) -> Mapping[str, Value]:
    return {_name(statistic, what): view.placed(statistic.table, values) for what, values in found.items()}


def _numbers(figures: Figures, statistic: Statistic, what: str) -> Floats:
    return figures.partials.numbers(_name(statistic, what))


def _summed(figures: Figures, statistic: Statistic, what: str) -> Floats:
    """float64[s, m]: the sum over the statistic's labels."""
    total = np.zeros_like(_numbers(figures, statistic, "observed_s"))
    for label in statistic.labels:
        total += _numbers(figures, statistic, f"{_word(label)}_{what}")
    return total


def _rates(figures: Figures, statistic: Statistic, amount: Floats) -> Iterator[Line]:
    observed = _numbers(figures, statistic, "observed_s")
    for label, series, expected in figures.groups(statistic):
        values = _combined(amount[series], observed[series], statistic.across)
        yield Line(label, values, figures.share(observed[series], expected))


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


def _sums(figures: Figures, statistic: Statistic, amount: Floats, observed: Floats) -> Iterator[Line]:
    for label, series, expected in figures.groups(statistic):
        total = amount[series].sum(axis=0)
        coverage = figures.share(observed[series], expected)
        # What a register rose by over a gap is known, though the time of the gap is not.
        yield Line(label, np.where((coverage > 0) | (total > 0), total, np.nan), coverage)
