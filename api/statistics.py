"""Statistics of compounds: what to read, how much of it at once, and what the core makes of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import evaluate
from aggregate.lines import Line, Result
from aggregate.requirements import requirements
from api.answers import KindAnswer, LineModel, StatisticAnswer, StatisticsAnswer
from api.context import Context
from api.models import Title
from api.rows import finite
from api.times import NS_PER_DAY, parse_span, rfc3339
from devices.availability import statistics_of
from devices.columns import Batch, Times
from devices.inventory import Compound
from devices.kind import Kind
from devices.statistics import Group, Statistic
from store.protocol import Query

_CHUNK_NS = 31 * NS_PER_DAY
"""Rows of about this long are in memory at a time, unless one bucket is longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticsQuestion:
    """Which statistics are asked for.

    Attributes:
        start: first instant, as the caller wrote it.
        stop: end, as the caller wrote it.
        every: length of a bucket, as the caller wrote it.
        kinds: names of kinds; none means each that the compound has devices of.
    """

    start: str | None
    stop: str | None
    every: str
    kinds: tuple[str, ...]


def answer(context: Context, compound: Compound, group: Group, question: StatisticsQuestion) -> StatisticsAnswer:
    """Statistics of one compound over one span.

    Args:
        context: the world.
        compound: whose.
        group: occupancy, usage or availability.
        question: which span, buckets and kinds.

    Returns:
        The figures. Buckets that have not begun yet are unobserved, whatever they hold.

    Raises:
        QueryError: a bad span, bucket length or kind.
        StoreError: the store failed.
    """
    tz, now_ns = compound.timezone, context.clock()
    kinds = [context.kind(name) for name in dict.fromkeys(question.kinds)]
    if not kinds:
        kinds = [kind for kind in context.kinds.values() if compound.of_kind(kind.name)]
    every = Every.parse(question.every)
    span = parse_span(question.start, question.stop, now_ns=now_ns, tz=tz, max_days=context.options.max_span_days)
    edges = bucket_edges(span.start_ns, span.stop_ns, every, tz)
    begun = edges[:-1] < now_ns
    return StatisticsAnswer(
        compound=compound.id,
        name=Title.of(compound.name),
        group=group,
        timezone=tz.key,
        start=rfc3339(span.start_ns, tz),
        stop=rfc3339(span.stop_ns, tz),
        every=question.every,
        buckets=[rfc3339(edge, tz) for edge in edges[:-1].tolist()],
        kinds={
            kind.name: KindAnswer(
                title=Title.of(kind.title),
                devices=len(compound.of_kind(kind.name)),
                statistics={
                    result.statistic.name: _statistic(result, begun)
                    for result in over_span(context, compound, kind, statistics_of(kind, group), edges)
                },
            )
            for kind in kinds
        },
    )


def over_span(
    context: Context, compound: Compound, kind: Kind, statistics: Sequence[Statistic], edges: Times
) -> list[Result]:
    """Evaluate statistics of one kind in one compound, a month of rows at a time.

    Args:
        context: the world.
        compound: whose.
        kind: of what.
        statistics: which.
        edges: int64[m + 1], ns.

    Returns:
        One result per statistic, in their order, with m values a line.
    """
    if not statistics:
        return []
    chunks = [
        _evaluate(compound, kind, statistics, _read(context, kind, statistics, part, compound), part)
        for part in _chunks(edges)
    ]
    return [_joined(results) for results in zip(*chunks, strict=True)]


def at_present(
    context: Context, compounds: Iterable[Compound], group: Group, now_ns: int
) -> Mapping[str, list[tuple[Kind, Result]]]:
    """Evaluate the statistics of `group` over the last second, for many compounds with few questions to the store.

    Args:
        context: the world.
        compounds: which compounds.
        group: which statistics.
        now_ns: the present.

    Returns:
        By compound id: the results of each kind that it has devices of, with one value a line.
    """
    found: dict[str, list[tuple[Kind, Result]]] = {compound.id: [] for compound in compounds}
    edges = np.array([now_ns - 1_000_000_000, now_ns], np.int64)
    wanted = [context.inventory.compounds[name] for name in found]
    for kind in context.kinds.values():
        statistics = statistics_of(kind, group)
        having = [compound for compound in wanted if compound.of_kind(kind.name)]
        for zone in dict.fromkeys(compound.timezone for compound in having) if statistics else ():
            members = [compound for compound in having if compound.timezone == zone]
            tables = _read(context, kind, statistics, edges, *members)
            split = {name: _by_compound(batch) for name, batch in tables.items()}
            for compound in members:
                own = {
                    name: split[name].get(compound.id, Batch.empty(batch.table, batch.columns))
                    for name, batch in tables.items()
                }
                results = _evaluate(compound, kind, statistics, own, edges)
                found[compound.id] += [(kind, result) for result in results]
    return found


def _read(
    context: Context, kind: Kind, statistics: Sequence[Statistic], edges: Times, *compounds: Compound
) -> dict[str, Batch]:
    """The rows that `statistics` need of compounds of one time zone, by table."""
    names = tuple(compound.id for compound in compounds)
    every = len(names) == len(context.inventory.compounds)
    return {
        need.table.name: context.store.read(
            Query(
                table=need.table,
                start_ns=need.start_ns,
                stop_ns=need.stop_ns,
                compounds=None if every else names,
                fields=need.fields,
                before_ns=need.before_ns,
            )
        )
        for need in requirements(kind, statistics, edges, compounds[0].timezone)
    }


def _evaluate(
    compound: Compound, kind: Kind, statistics: Sequence[Statistic], tables: Mapping[str, Batch], edges: Times
) -> list[Result]:
    attributes = {
        "buildings": float(compound.buildings),
        "residents": float(compound.residents),
        "parking_spaces": float(compound.parking_spaces),
        "households_heated": float(compound.households_heated),
    }
    return evaluate(
        kind, statistics, compound.of_kind(kind.name), tables, edges, tz=compound.timezone, attributes=attributes
    )


def _chunks(edges: Times) -> Iterator[Times]:
    """Cut the buckets where a month of rows is full; neighbours share an edge."""
    first = 0
    while first < len(edges) - 1:
        last = int(np.searchsorted(edges, edges[first] + _CHUNK_NS, "right")) - 1
        last = max(last, first + 1)
        yield edges[first : last + 1]
        first = last


def _joined(results: Sequence[Result]) -> Result:
    """The results of consecutive buckets as one; their lines are declared, so all have the same."""
    if len(results) == 1:
        return results[0]
    lines = [
        Line(
            lines[0].label,
            np.concatenate([line.values for line in lines]),
            np.concatenate([line.coverage for line in lines]),
        )
        for lines in zip(*(result.lines for result in results), strict=True)
    ]
    return Result(results[0].statistic, tuple(lines))


def _by_compound(batch: Batch) -> dict[str, Batch]:
    """The rows of each compound, as batches of their own."""
    names = [key.compound for key in batch.keys]
    found: dict[str, Batch] = {}
    for name in dict.fromkeys(names):
        mine = [series for series, owner in enumerate(names) if owner == name]
        place = np.full(len(names), -1, np.int32)
        place[mine] = np.arange(len(mine), dtype=np.int32)
        rows = batch.take(place[batch.series] >= 0)
        keys = tuple(batch.keys[series] for series in mine)
        found[name] = Batch(batch.table, keys, place[rows.series], rows.time, rows.columns)
    return found


def _statistic(result: Result, begun: NDArray[np.bool_]) -> StatisticAnswer:
    row = result.statistic
    return StatisticAnswer(
        title=Title.of(row.title),
        unit=row.unit,
        definition=row.definition,
        by=row.by,
        lines=[
            LineModel(
                label=line.label,
                values=finite(np.where(begun, line.values, np.nan)),
                coverage=np.where(begun, line.coverage, 0.0).tolist(),
                unit=row.unit,
            )
            for line in result.lines
        ],
    )
