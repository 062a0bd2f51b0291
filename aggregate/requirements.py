"""What has to be read from a store before statistics can be evaluated."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from aggregate.reads import Need, Span
from aggregate.reducers import REDUCTIONS, basic, grid
from devices.columns import Times
from devices.kind import Kind
from devices.statistics import Statistic

__all__ = ["Need", "raw_needs", "requirements"]


def requirements(kind: Kind, statistics: Sequence[Statistic], edges: Times, tz: ZoneInfo) -> list[Need]:
    """Name the rows that `evaluate` needs, once for each table.

    Args:
        kind: the kind.
        statistics: what is to be evaluated, of `devices.availability.statistics_of(kind)`.
        edges: int64[m + 1], ns, as `bucket_edges` makes them.
        tz: the compound's time zone.

    Returns:
        One need for each table that is read. Its attributes are those of a store's query, and its span may be wider
        than the edges: a balance reads from its anchor on, a register until after the last edge.
    """
    # Each statistic reads as far back as its own grid goes, and no further.
    spans = ((each, grid(kind, [each], edges, tz)) for each in basic(kind, statistics))
    return _once(need for each, cut in spans for need in REDUCTIONS[each.reducer].reads(Span(kind, cut), each))


def raw_needs(kind: Kind, statistics: Sequence[Statistic], edges: Times) -> list[Need]:
    """Name the rows that `partials_of` needs for the same edges, once for each table; see `requirements`."""
    span = Span(kind, edges)
    return _once(need for each in basic(kind, statistics) for need in REDUCTIONS[each.reducer].reads(span, each))


def _once(needs: Iterator[Need]) -> list[Need]:
    merged: dict[str, Need] = {}
    for need in needs:
        name = need.table.name
        merged[name] = _merged(merged[name], need) if name in merged else need
    return list(merged.values())


def _merged(one: Need, other: Need) -> Need:
    start = min(one.start_ns, other.start_ns)
    furthest = min(each.start_ns - each.before_ns for each in (one, other))
    return Need(
        table=one.table,
        fields=tuple(each.name for each in one.table.fields if each.name in {*one.fields, *other.fields}),
        start_ns=start,
        stop_ns=max(one.stop_ns, other.stop_ns),
        before_ns=start - furthest,
    )
