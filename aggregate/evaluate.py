"""Declared statistics: partials made of rows, and figures made of partials."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from aggregate.figures import Figures
from aggregate.lines import Line, Result
from aggregate.partials import Column, Partials, Scope, Value, keys_of
from aggregate.reducers import REDUCTIONS, basic, finish, grid
from aggregate.view import View
from devices.columns import Batch, Times
from devices.inventory import Device
from devices.kind import Kind
from devices.statistics import Statistic

__all__ = ["Line", "Result", "columns_of", "evaluate", "partials_of", "results_of"]


def evaluate(  # noqa: PLR0913  (the question and all it is asked of)
    kind: Kind,
    statistics: Sequence[Statistic],
    devices: Sequence[Device],
    tables: Mapping[str, Batch],
    edges: Times,
    *,
    tz: ZoneInfo,
    attributes: Mapping[str, float],
) -> list[Result]:
    """Compute statistics over buckets, from rows.

    Args:
        kind: the kind.
        statistics: what to compute, of `devices.availability.statistics_of(kind)`.
        devices: the devices that should be there; rows of others are ignored, and one without rows is unobserved.
        tables: the rows that `requirements` names, by table name, in any order; a missing table has no rows.
        edges: int64[m + 1], ns, as `bucket_edges` makes them.
        tz: the compound's time zone.
        attributes: the compound's numbers that balances begin with, for example {"residents": 620}.

    Returns:
        One result for each statistic, in their order; see `results_of`.

    Raises:
        QueryError: a balance begins with an attribute that is not among `attributes`.
    """
    partials = partials_of(kind, statistics, devices, tables, grid(kind, statistics, edges, tz))
    return results_of(kind, statistics, devices, partials, edges, tz=tz, attributes=attributes)


def columns_of(kind: Kind, statistics: Sequence[Statistic]) -> tuple[Column, ...]:
    """The partials that statistics are made of, each once.

    Args:
        kind: the kind.
        statistics: what is to be made.
    """
    found = (column for each in basic(kind, statistics) for column in REDUCTIONS[each.reducer].columns(kind, each))
    return tuple({column.name: column for column in found}.values())


def partials_of(
    kind: Kind,
    statistics: Sequence[Statistic],
    devices: Sequence[Device],
    tables: Mapping[str, Batch],
    edges: Times,
) -> Partials:
    """Make the partials of statistics from rows. Those of a device are made of its own rows alone.

    Args:
        kind: the kind.
        statistics: whose partials.
        devices: the devices that should be there, of any number of compounds; rows of others are ignored.
        tables: the rows that `raw_needs` names for the same edges, by table name, in any order.
        edges: int64[m + 1], ns, increasing.

    Returns:
        The columns that `columns_of` names, over m buckets.
    """
    columns = columns_of(kind, statistics)
    view = View(kind, devices, tables, edges)
    values: dict[str, Value] = {}
    for each in basic(kind, statistics):
        values |= REDUCTIONS[each.reducer].partials(view, each)
    keys = {scope: keys_of(kind, devices, scope) for scope in Scope}
    return Partials(edges, keys, columns, {column.name: values[column.name] for column in columns})


def results_of(  # noqa: PLR0913  (the question and all it is asked of)
    kind: Kind,
    statistics: Sequence[Statistic],
    devices: Sequence[Device],
    partials: Partials,
    edges: Times,
    *,
    tz: ZoneInfo,
    attributes: Mapping[str, float],
) -> list[Result]:
    """Make statistics of partials.

    A value is NaN where nothing of its time was observed: a gap is never shown as zero. What is known to have happened
    is counted all the same: events, increases and entries in a bucket whose coverage is 0.

    The coverage of a sampled field is its observed share of all expected series; that of events the share of the
    devices' time in which their telemetry was heard; that of availability the share in which the status was known.

    Args:
        kind: the kind.
        statistics: what to make, of `devices.availability.statistics_of(kind)`.
        devices: the devices that the partials are about, in their order.
        partials: with at least the columns of the statistics, on edges that contain `aggregate.reducers.grid`.
        edges: int64[m + 1], ns, increasing.
        tz: the compound's time zone.
        attributes: the compound's numbers that balances begin with.

    Returns:
        One result for each statistic, in their order.

    Raises:
        QueryError: a balance begins with an attribute that is not among `attributes`.
    """
    figures = Figures(kind, devices, partials, edges, tz, attributes, finish)
    return [Result(statistic, figures.lines(statistic)) for statistic in statistics]
