"""Statistics as a file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from api import statistics
from api.answers import FleetAnswer, StatisticsAnswer
from api.context import Context
from api.export import File, Turn, file_of, zone_of
from api.files import Format
from api.statistics import StatisticsQuestion
from api.times import parse_span, shown
from devices.availability import statistics_of
from devices.errors import QueryError
from devices.inventory import RESERVED, Compound
from devices.statistics import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticsExport:
    """Which statistics are asked for.

    Attributes:
        compound: id of a compound; None means all together.
        group: of which group; None means all.
        question: which statistics, over what.
        format: what kind of file.
    """

    compound: str | None
    group: Group | None
    question: StatisticsQuestion
    format: Format


def figures(context: Context, question: StatisticsExport, turn: Turn) -> File:
    """Statistics as rows.

    Args:
        context: the world.
        question: which.
        turn: entered while a piece is made.

    Returns:
        A row for each bucket of each line: start, compound ("all" for the fleet), group, kind, statistic, label, unit,
        value, coverage. A value that is not known is missing, never 0.

    Raises:
        NotFoundError: an unknown compound, building's or device's.
        QueryError: as for `api.statistics.answer`.
        StoreError: the store failed.
    """
    compound = None if question.compound is None else context.compound(question.compound)
    zone = zone_of(context, () if compound is None else (compound.id,))
    now_ns = context.clock()
    span = parse_span(
        question.question.start,
        question.question.stop,
        now_ns=now_ns,
        tz=zone,
        max_days=context.options.max_span_days,
    )
    context.record("export.statistics", RESERVED if compound is None else compound.id)
    schema = _figures_schema(zone)
    kinds = _kinds(context, compound, question.question)
    groups = (question.group,) if question.group is not None else tuple(Group)
    _check_names(context, question.question, kinds, groups)

    def tables() -> Iterator[pa.Table]:
        for group in groups:
            for kind in kinds:
                asked = _asked(context, question.question, kind, group)
                if asked is None:
                    continue
                with turn():
                    found = (
                        statistics.fleet(context, group, asked)
                        if compound is None
                        else statistics.answer(context, compound, group, asked)
                    )
                yield from _lines(found, RESERVED if compound is None else compound.id, group, schema)

    what = "-".join(
        [compound.id if compound is not None else RESERVED, *(groups if question.group else ("statistics",))]
    )
    return file_of(what, span, zone, tables(), schema, question.format)


def _figures_schema(zone: ZoneInfo) -> pa.Schema:
    texts = ("compound", "group", "kind", "statistic", "label", "unit")
    return pa.schema(
        [
            ("start", pa.timestamp("ms", zone.key)),
            *((name, pa.string()) for name in texts),
            ("value", pa.float64()),
            ("coverage", pa.float64()),
        ]
    )


def _kinds(context: Context, compound: Compound | None, question: StatisticsQuestion) -> tuple[str, ...]:
    """The names of the kinds that are asked for, each once."""
    if compound is None and not (question.building is None and question.device is None):
        raise QueryError("building and device lie within a compound; send compound too", code="unknown_building")
    if question.device is not None:
        return (context.device(question.device).kind,)
    there = [name for name in context.kinds if (compound or context.inventory).of_kind(name)]
    return tuple(dict.fromkeys(question.kinds or there))


def _asked(context: Context, question: StatisticsQuestion, kind: str, group: Group) -> StatisticsQuestion | None:
    """The part of a question that one kind and group can answer; None where they have none of what it names."""
    there = {each.name for each in statistics_of(context.kind(kind), group)}
    wanted = tuple(name for name in question.statistics if name in there)
    if question.statistics and not wanted:
        return None
    return replace(question, kinds=(kind,), statistics=wanted, compare=False)


def _check_names(
    context: Context, question: StatisticsQuestion, kinds: tuple[str, ...], groups: tuple[Group, ...]
) -> None:
    known = {each.name for kind in kinds for group in groups for each in statistics_of(context.kind(kind), group)}
    if unknown := sorted(set(question.statistics) - known):
        raise QueryError(
            f"statistic={shown(unknown[0])} is none of those here; send one of {', '.join(sorted(known))}",
            code="unknown_statistic",
        )


def _lines(found: StatisticsAnswer | FleetAnswer, compound: str, group: Group, schema: pa.Schema) -> Iterator[pa.Table]:
    """The lines of an answer, a table for each statistic."""
    starts = pa.array([datetime.fromisoformat(each) for each in found.buckets], schema.field("start").type)
    for kind, of_kind in found.kinds.items():
        for name, statistic in of_kind.statistics.items():
            for line in statistic.lines:
                said = (compound, str(group), kind, name, line.label, statistic.unit)
                texts = [pa.repeat(pa.scalar(each, pa.string()), len(starts)) for each in said]
                yield pa.table([starts, *texts, pa.array(line.values, pa.float64()), pa.array(line.coverage)], schema)
