"""What a statistic reads: which tables, which fields, and how far outside the span."""

from collections.abc import Iterator
from dataclasses import dataclass

from aggregate.edges import NS_PER_S
from aggregate.figures import PART
from devices.columns import Times
from devices.kind import STATUS, TELEMETRY, Channel, Kind, Pair, Table
from devices.statistics import Statistic

GAP_LOOKBACK_NS = 7 * 86_400 * NS_PER_S
"""How long a gap before the span may be for what is shown after it, an increase or an entry, to be counted."""

PAIR_LOOKBACK_NS = 30 * 86_400 * NS_PER_S
"""How long ago what is closed within the span may have been opened, and an outage that ends in it have begun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Rows of one table, as a store is asked for them.

    Attributes:
        table: the table.
        fields: its fields, in declared order; none for a table that has none.
        start_ns: all rows from here on are needed; at or before the first edge.
        stop_ns: to before here; at or after the last edge.
        before_ns: how far before `start_ns` the last value of each series and field is needed.
    """

    table: Table
    fields: tuple[str, ...]
    start_ns: int
    stop_ns: int
    before_ns: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """What is asked about: a kind, over buckets.

    Attributes:
        kind: the kind.
        edges: int64[m + 1], ns.
    """

    kind: Kind
    edges: Times

    def need(self, table: str, *fields: str | None, since: int | None = None, before: int = 0, after: int = 0) -> Need:
        """Rows of a table with `fields`, from the first edge or `since`, to `after` behind the last edge."""
        of = self.kind.tables[table]
        named = {*fields, _certain(of, fields)}
        start = int(self.edges[0]) if since is None else min(since, int(self.edges[0]))
        return Need(
            table=of,
            fields=tuple(each.name for each in of.fields if each.name in named),
            start_ns=start,
            stop_ns=int(self.edges[-1]) + after,
            before_ns=min(before, start),
        )

    def heard(self) -> Need:
        """The telemetry times of the devices, by which it is known when an event would have been seen."""
        return self.need(TELEMETRY, before=self.kind.max_hold_ns)

    def hold_ns(self, table: str, telemetry_ns: int) -> int:
        """How far back a sample still matters: all the way for a status, `telemetry_ns` for telemetry."""
        sampled = self.kind.tables[table].channel is Channel.TELEMETRY
        return telemetry_ns if sampled else int(self.edges[0])


def held(span: Span, statistic: Statistic) -> Iterator[Need]:
    """A sampled field, and what is held as the span begins."""
    yield span.need(statistic.table, statistic.field, before=span.hold_ns(statistic.table, span.kind.max_hold_ns))


def changes(span: Span, statistic: Statistic) -> Iterator[Need]:
    """A sampled state, and the last one before the span, from which the first in it may differ."""
    yield span.need(statistic.table, statistic.field, before=span.hold_ns(statistic.table, _gap_ns(span)))


def register(span: Span, statistic: Statistic) -> Iterator[Need]:
    """A register, from the last reading before the span to the first after it."""
    yield span.need(statistic.table, statistic.field, before=_gap_ns(span), after=span.kind.max_hold_ns)


def events(span: Span, statistic: Statistic) -> Iterator[Need]:
    """Events within the span, with what they are selected and broken down by."""
    by = None if statistic.by == PART else statistic.by
    yield span.need(statistic.table, statistic.field, by, *statistic.where)
    yield span.heard()


def movements(span: Span, statistic: Statistic) -> Iterator[Need]:
    """Events that add to a balance or take from it."""
    yield span.need(statistic.table, *statistic.where, *statistic.minus)
    yield span.heard()


def numbered(span: Span, statistic: Statistic) -> Iterator[Need]:
    """Events that a balance is not sure of, and the last one before the span, whose number the next one follows."""
    yield span.need(statistic.table, *statistic.where, before=_gap_ns(span))


def pairs(span: Span, statistic: Statistic) -> Iterator[Need]:
    """The events of a pair, and those before the span that they may close."""
    pair: Pair = next(each for each in span.kind.pairs if each.name == statistic.pair)
    for match in (pair.opens, *pair.closes):
        since = max(int(span.edges[0]) - PAIR_LOOKBACK_NS, 0)
        yield span.need(match.event, pair.key, *match.where, since=since)
    yield span.heard()


def presence(span: Span, statistic: Statistic) -> Iterator[Need]:
    """The status of devices, of whatever age, and their telemetry times."""
    del statistic
    yield span.need(STATUS, "state", before=int(span.edges[0]))
    yield span.heard()


def repairs(span: Span, statistic: Statistic) -> Iterator[Need]:
    """The status of devices, from before outages that may end in the span."""
    since = max(int(span.edges[0]) - PAIR_LOOKBACK_NS, 0)
    yield span.need(STATUS, "state", since=since, before=since)
    yield from presence(span, statistic)


def parts(span: Span, statistic: Statistic) -> Iterator[Need]:
    """A sampled state of parts, and the status of their devices."""
    yield from held(span, statistic)
    yield from presence(span, statistic)


def _gap_ns(span: Span) -> int:
    return max(GAP_LOOKBACK_NS, span.kind.max_hold_ns)


def _certain(table: Table, fields: tuple[str | None, ...]) -> str | None:
    """A field that is in every row, unless one of `fields` is: a store may leave out rows that have none of those."""
    certain = [each.name for each in table.fields if each.required]
    if any(name in certain for name in fields):
        return None
    if certain:
        return certain[0]
    return table.fields[0].name if table.fields and not any(fields) else None
