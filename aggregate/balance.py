"""Balances: what was there at an anchor, and what came and went since; and how far off that may be.

A balance is certain only of what it was told. Events of unknown direction, and events that never came although their
sequence numbers say that there were some, may have been either way; they make the band between its bounds.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregate.edges import NS_PER_S, daily_instants
from aggregate.events import HEARD_COLUMN, tallied
from aggregate.figures import HEARD, Figures
from aggregate.lines import Line
from aggregate.partials import Column, Value, scope_of
from aggregate.view import View, matching
from devices.columns import NS_PER_MS, Floats, Times
from devices.errors import QueryError
from devices.kind import Kind
from devices.statistics import Statistic

_IN, _OUT, _UNSURE, _MISSING = "in", "out", "unsure", "missing"


def columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """How many came, and how many went."""
    yield from (_column(kind, statistic, way) for way in (_IN, _OUT))
    yield HEARD_COLUMN


def partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `columns`."""
    batch = view.batch(statistic.table)
    made: dict[str, Value] = {HEARD: view.heard}
    for way, where in ((_IN, statistic.where), (_OUT, statistic.minus)):
        made[f"{statistic.name}_{way}"] = tallied(view, statistic.table, np.flatnonzero(matching(batch, where)))
    return made


def balance(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """What was there at the anchor, plus what came and minus what went until the bucket's end.

    Its time is that since the anchor: an hour missed then is missed in every bucket until the next anchor. So its
    coverage is the smaller of that since the anchor and that of the bucket.

    Raises:
        QueryError: the compound lacks the attribute that it begins with.
    """
    base = figures.attributes.get(statistic.base or "")
    if base is None:
        raise QueryError(
            f"{statistic.name!r} needs the compound's attribute {statistic.base!r}; the inventory has none"
        )
    since = _anchors(figures, statistic)
    values = (
        base + _since(figures, since, f"{statistic.name}_{_IN}") - _since(figures, since, f"{statistic.name}_{_OUT}")
    )
    coverage = np.minimum(figures.heard, _heard_since(figures, since))
    yield Line(None, np.where(coverage > 0, values, np.nan), coverage)


def bound_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """How many events of unknown direction there were, and how many numbers are missing before those that came."""
    yield from (_column(kind, statistic, way) for way in (_UNSURE, _MISSING))


def bound_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `bound_columns`."""
    batch, stem = view.batch(statistic.table), _stem(statistic)
    rows = np.arange(len(batch))
    return {
        f"{stem}_{_UNSURE}": tallied(view, statistic.table, np.flatnonzero(matching(batch, statistic.where))),
        f"{stem}_{_MISSING}": tallied(view, statistic.table, rows, missing(batch.time, batch.offsets())),
    }


def bound(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The least or the most that a balance may have been at the bucket's end."""
    of = figures.statistics[statistic.operands[0]]
    since = _anchors(figures, of)
    slack = sum(_since(figures, since, f"{_stem(statistic)}_{way}") for way in (_UNSURE, _MISSING))
    for line in figures.lines(of):
        yield Line(line.label, np.maximum(line.values + statistic.bound * slack, 0.0), line.coverage)


def missing(time: Times, offsets: Times) -> Floats:
    """How many numbers are missing between each event and the one before it.

    The number of an event is in its time (docs/design.md §5). A lower one than before is of a new boot, which begins
    with 0.

    Args:
        time: int64[n], ns, increasing within each series.
        offsets: intp[s + 1], where each series begins.

    Returns:
        float64[n]; 0 for the first event of each series, of which nobody knows what came before.
    """
    number = time % NS_PER_MS
    found = np.zeros(len(time))
    step = number[1:] - number[:-1] - 1
    found[1:] = np.where(step >= 0, step, number[1:])
    found[offsets[:-1][offsets[:-1] < len(time)]] = 0
    return found


def _column(kind: Kind, statistic: Statistic, way: str) -> Column:
    return Column(name=f"{_stem(statistic)}_{way}", scope=scope_of(kind.tables[statistic.table]), unit=statistic.unit)


def _stem(statistic: Statistic) -> str:
    """Both bounds of a balance share their partials."""
    return statistic.operands[0] if statistic.operands else statistic.name


def _anchors(figures: Figures, statistic: Statistic) -> Times:
    """int64[m], ns: the last anchor before each bucket's end, or at it."""
    ends = figures.edges[1:]
    anchors = daily_instants(int(ends[0]), int(ends[-1]), statistic.anchor_hour, figures.tz)
    found: Times = anchors[np.searchsorted(anchors, ends, "right") - 1]
    return found


def _since(figures: Figures, since: Times, column: str) -> Floats:
    """float64[m]: the sum of a column over all series, from `since` to each bucket's end."""
    edges = figures.fine.edges
    total = np.concatenate([[0.0], np.cumsum(figures.fine.numbers(column).sum(axis=0))])
    found: Floats = total[np.searchsorted(edges, figures.edges[1:])] - total[np.searchsorted(edges, since)]
    return found


def _heard_since(figures: Figures, since: Times) -> Floats:
    """float64[m]: the share of the devices' time heard over `[since, end)` of each bucket; 1 where that is empty."""
    ends = figures.edges[1:]
    possible = (ends - since) / NS_PER_S * len(figures.devices)
    seconds = _since(figures, since, HEARD)
    share = np.divide(seconds, possible, out=np.zeros(len(ends)), where=possible > 0)
    return np.where(since == ends, 1.0, np.clip(share, 0.0, 1.0))
