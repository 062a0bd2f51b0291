"""Declared statistics, computed from rows."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from aggregate.lines import Line, Result
from aggregate.reducers import lines_of
from aggregate.view import View
from devices.columns import Batch, Times
from devices.inventory import Device
from devices.kind import Kind
from devices.statistics import Statistic

__all__ = ["Line", "Result", "evaluate"]


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
    """Compute statistics over buckets.

    A value is NaN where nothing of its time was observed: a gap is never shown as zero. What is known to have happened
    is counted all the same: events, increases and entries in a bucket whose coverage is 0.

    The coverage of a sampled field is its observed share of all expected series; that of events the share of the
    devices' time in which their telemetry was heard; that of availability the share in which the status was known.

    Args:
        kind: the kind.
        statistics: what to compute, of `devices.availability.statistics_of(kind)`.
        devices: the devices that should be there; rows of others are ignored, and one without rows is unobserved.
        tables: the rows that `requirements` names, by table name, in any order; a missing table has no rows.
        edges: int64[m + 1], ns, as `bucket_edges` makes them.
        tz: the compound's time zone.
        attributes: the compound's numbers that balances begin with, for example {"residents": 620}.

    Returns:
        One result for each statistic, in their order.

    Raises:
        QueryError: a balance begins with an attribute that is not among `attributes`.
    """
    view = View(kind, devices, tables, edges, tz, attributes)
    return [Result(statistic, lines_of(view, statistic)) for statistic in statistics]
