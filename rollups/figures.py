"""Finished figures as rows, and rows as results again."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aggregate.lines import Line, Result
from devices.columns import Batch, Column, SeriesKey, Times
from devices.kind import Kind
from devices.statistics import Statistic
from rollups.grains import Grain
from rollups.tables import ALL, FinalLine, figures_table, final_lines

GONE = -1e300
"""Stands where a figure that was known is not any more: a store keeps an old value where a new row has none."""

_GONE_BELOW = -1e299
Mask = NDArray[np.bool_]


def key_of(compound: str | None) -> SeriesKey:
    """The series of a compound's figures; None stands for the fleet."""
    return SeriesKey(ALL if compound is None else compound, ALL)


def batch_of(  # noqa: PLR0913  (whose figures, and which)
    kind: Kind, grain: Grain, compound: str | None, starts: Times, results: Sequence[Result], *, again: bool
) -> Batch:
    """Rows of figures.

    Args:
        kind: whose.
        grain: length of the buckets.
        compound: id of the compound; None for the fleet.
        starts: int64[m], ns, where each bucket begins.
        results: of every statistic of the kind, with m values a line.
        again: whether there may be rows already, whose values must go where they are not known any more.

    Returns:
        A row for each bucket.
    """
    found = {(result.statistic.name, line.label): line for result in results for line in result.lines}
    columns: dict[str, Column] = {}
    for each in final_lines(kind):
        line = found[each.statistic, each.label]
        values = np.where(np.isfinite(line.values), line.values, GONE if again else np.nan)
        columns[each.value], columns[each.coverage] = values, line.coverage
    series = np.zeros(len(starts), np.int32)
    return Batch(figures_table(kind, grain), (key_of(compound),), series, starts, columns)


def lines_of(kind: Kind, statistics: Sequence[Statistic]) -> dict[str, list[FinalLine]] | None:
    """The lines whose figures are kept, by statistic; None where those of one of the statistics are not."""
    found: dict[str, list[FinalLine]] = {each.name: [] for each in statistics}
    for line in final_lines(kind):
        if line.statistic in found:
            found[line.statistic].append(line)
    return found if all(found.values()) else None


def results_of(
    statistics: Sequence[Statistic], lines: Mapping[str, Sequence[FinalLine]], batch: Batch, starts: Times
) -> list[Result] | None:
    """Results of rows.

    Args:
        statistics: which.
        lines: as `lines_of` names them.
        batch: the rows of one compound with the fields of these lines.
        starts: int64[m], ns, where each bucket begins.

    Returns:
        One result for each statistic; None where a bucket has no row.
    """
    at = np.searchsorted(batch.time, starts)
    if not len(batch) or not np.array_equal(batch.time[np.minimum(at, len(batch) - 1)], starts):
        return None
    results = []
    for statistic in statistics:
        made = []
        for line in lines[statistic.name]:
            values = batch.floats(line.value)[at]
            values[values < _GONE_BELOW] = np.nan
            made.append(Line(line.label, values, batch.floats(line.coverage)[at]))
        results.append(Result(statistic, tuple(made)))
    return results
