"""Statistics of compounds, of some of their devices, and of all together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from access.callers import Scope
from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import results_of
from aggregate.lines import Result
from aggregate.reducers import basic, grid
from api.answers import FleetAnswer, KindAnswer, LineModel, Period, StatisticAnswer, StatisticsAnswer
from api.context import Context
from api.models import Title
from api.rows import finite
from api.small_cells import withheld
from api.times import Span, before, parse_span, rfc3339, rfc3339_all, shown
from devices.availability import statistics_of
from devices.errors import NotFoundError, QueryError
from devices.inventory import RESERVED, Compound, Device
from devices.kind import Kind
from devices.statistics import Group, Reducer, Statistic
from rollups.reader import Question

_JUST_NOW_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticsQuestion:
    """Which statistics are asked for.

    Attributes:
        start: first instant, as the caller wrote it.
        stop: end, as the caller wrote it.
        every: length of a bucket, as the caller wrote it.
        kinds: names of kinds; none means each that there are devices of.
        statistics: names of statistics; none means all.
        building: only the devices of this building.
        device: only this device.
        compare: whether the period before is asked for too.
    """

    start: str | None
    stop: str | None
    every: str
    kinds: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    building: str | None = None
    device: str | None = None
    compare: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scope:
    """Whose statistics are asked for.

    Attributes:
        devices: all of them.
        tz: their time zone.
        attributes: the numbers that balances begin with.
        compound: as `rollups.reader.Question` has it.
        whole: whether they are all devices of their compounds.
    """

    devices: Sequence[Device]
    tz: ZoneInfo
    attributes: Mapping[str, float]
    compound: str | None
    whole: bool


def answer(context: Context, compound: Compound, group: Group, question: StatisticsQuestion) -> StatisticsAnswer:
    """Statistics of one compound, or of some of its devices, over one span.

    Args:
        context: the world.
        compound: whose.
        group: occupancy, usage or availability.
        question: which span, buckets, kinds and devices.

    Returns:
        The figures. Buckets that have not begun yet are unobserved, whatever they hold.

    Raises:
        QueryError: a bad span, bucket length, kind, statistic or building.
        NotFoundError: the compound has no such device.
        StoreError: the store failed.
    """
    scope = _scope(context, compound, question)
    period, previous = _periods(context, scope, group, question)
    return StatisticsAnswer(
        **dict(period),
        compound=compound.id,
        building=question.building,
        device=question.device,
        name=Title.of(compound.name),
        group=group,
        timezone=scope.tz.key,
        every=question.every,
        previous=previous,
    )


def fleet(context: Context, group: Group, question: StatisticsQuestion) -> FleetAnswer:
    """Statistics of all compounds together over one span; see `answer`.

    Raises:
        QueryError: as for `answer`; or the compounds lie in several time zones, so that they share no days.
        StoreError: the store failed.
    """
    compounds = context.inventory.compounds.values()
    zones = {each.timezone for each in compounds} or {ZoneInfo("UTC")}
    if len(zones) != 1:
        raise QueryError("the compounds lie in several time zones; ask for each of them", code="several_time_zones")
    scope = _Scope(
        devices=tuple(context.inventory.devices.values()),
        tz=zones.pop(),
        attributes=context.inventory.attributes,
        # Finished figures are kept of all compounds, not of those that somebody may see.
        compound=RESERVED if context.inventory.is_whole else None,
        whole=True,
    )
    period, previous = _periods(context, scope, group, question)
    return FleetAnswer(
        **dict(period),
        compounds=len(compounds),
        name=Title.of(context.inventory.name),
        group=group,
        timezone=scope.tz.key,
        every=question.every,
        previous=previous,
    )


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
    wanted = [context.inventory.compounds[name] for name in found]
    asked = [(kind, statistics_of(kind, group)) for kind in context.kinds.values()]

    def made(one: tuple[Kind, Sequence[Statistic]]) -> list[tuple[str, Kind, Result]]:
        return list(_present_of(context, *one, wanted, now_ns))

    for results in context.beside(made, [each for each in asked if each[1]]):
        for compound, kind, result in results:
            found[compound].append((kind, result))
    return found


def _present_of(
    context: Context, kind: Kind, statistics: Sequence[Statistic], wanted: Sequence[Compound], now_ns: int
) -> Iterator[tuple[str, Kind, Result]]:
    """The present of one kind: by compound id, its results."""
    edges = np.array([now_ns - _JUST_NOW_NS, now_ns], np.int64)
    having = [compound for compound in wanted if compound.of_kind(kind.name)]
    for zone in dict.fromkeys(compound.timezone for compound in having):
        members = [compound for compound in having if compound.timezone == zone]
        devices = [device for compound in members for device in compound.of_kind(kind.name)]
        cut = grid(kind, statistics, edges, zone)
        partials = context.reader.partials(kind, statistics, devices, cut, zone)
        for compound in members:
            mine = compound.of_kind(kind.name)
            results = results_of(
                kind, statistics, mine, partials.only(mine), edges, tz=zone, attributes=compound.attributes
            )
            yield from ((compound.id, kind, result) for result in results)


def _scope(context: Context, compound: Compound, question: StatisticsQuestion) -> _Scope:
    devices: Sequence[Device] = compound.devices
    if question.device is not None:
        device = context.device(question.device)
        if device.compound != compound.id:
            raise NotFoundError(
                f"device={shown(question.device)} stands in {device.compound}, not in {compound.id}",
                code="unknown_device",
            )
        devices = (device,)
    if question.building is not None:
        building = context.building(compound, question.building)
        devices = [device for device in devices if device.building == building]
    whole = question.device is None and question.building is None
    return _Scope(
        devices=devices,
        tz=compound.timezone,
        attributes=compound.attributes,
        compound=compound.id if whole else None,
        whole=whole,
    )


def _periods(
    context: Context, scope: _Scope, group: Group, question: StatisticsQuestion
) -> tuple[Period, Period | None]:
    """The span that is asked about, and the one before."""
    now_ns, every = context.clock(), Every.parse(question.every)
    asked = _asked(context, scope, group, question)
    span = parse_span(question.start, question.stop, now_ns=now_ns, tz=scope.tz, max_days=context.options.max_span_days)
    period = _period(context, scope, asked, span, every, now_ns)
    if not question.compare:
        return period, None
    return period, _period(context, scope, asked, before(span, scope.tz), every, now_ns)


def _asked(
    context: Context, scope: _Scope, group: Group, question: StatisticsQuestion
) -> list[tuple[Kind, tuple[Statistic, ...]]]:
    """The kinds and statistics that are asked for."""
    kinds = [context.kind(name) for name in dict.fromkeys(question.kinds)]
    if not kinds:
        there = {device.kind for device in scope.devices}
        kinds = [kind for kind in context.kinds.values() if kind.name in there]
    names = set(question.statistics)
    known = {each.name for kind in kinds for each in statistics_of(kind, group)}
    if unknown := sorted(names - known):
        raise QueryError(
            f"statistic={shown(unknown[0])} is none of the {group} statistics here; "
            f"send one of {', '.join(sorted(known))}",
            code="unknown_statistic",
        )
    return [(kind, tuple(_served(kind, group, names, whole=scope.whole))) for kind in kinds]


def _served(kind: Kind, group: Group, names: set[str], *, whole: bool) -> Iterable[Statistic]:
    """The statistics of a kind; a balance is about all devices of a compound, and means nothing for some of them."""
    for each in statistics_of(kind, group):
        balanced = any(one.base is not None for one in basic(kind, [each]))
        if (not names or each.name in names) and (whole or not balanced):
            yield each
        elif each.name in names:
            raise QueryError(
                f"statistic={each.name!r} is about whole compounds; leave building and device out",
                code="whole_compounds",
            )


def _period(  # noqa: PLR0913, PLR0917  (whose statistics, and over what)
    context: Context,
    scope: _Scope,
    asked: Sequence[tuple[Kind, tuple[Statistic, ...]]],
    span: Span,
    every: Every,
    now_ns: int,
) -> Period:
    edges = bucket_edges(span.start_ns, span.stop_ns, every, scope.tz)
    begun = edges[:-1] < now_ns
    kinds = {}
    for kind, statistics in asked:
        devices = tuple(device for device in scope.devices if device.kind == kind.name)
        question = Question(
            kind=kind,
            statistics=statistics,
            devices=devices,
            edges=edges,
            tz=scope.tz,
            attributes=scope.attributes,
            compound=scope.compound,
        )
        results = context.reader.results(question) if statistics else []
        kinds[kind.name] = KindAnswer(
            title=Title.of(kind.title),
            devices=len(devices),
            statistics={
                result.statistic.name: _statistic(result, begun, discreet=_is_discreet(context, kind, result))
                for result in results
            },
        )
    return Period(
        start=rfc3339(span.start_ns, scope.tz),
        stop=rfc3339(span.stop_ns, scope.tz),
        buckets=rfc3339_all(edges[:-1], scope.tz),
        kinds=kinds,
    )


def _is_discreet(context: Context, kind: Kind, result: Result) -> bool:
    """Whether small counts are to be withheld: a breakdown of what single persons did, and a caller who reads."""
    row = result.statistic
    broken_down = row.reducer is Reducer.COUNT and row.by is not None and kind.tables[row.table].about_people
    return broken_down and Scope.MANAGE not in context.caller.grant.scopes


def _statistic(result: Result, begun: NDArray[np.bool_], *, discreet: bool) -> StatisticAnswer:
    row = result.statistic
    values = np.array([line.values for line in result.lines]).reshape(len(result.lines), len(begun))
    small = withheld(values) if discreet else np.zeros(values.shape, bool)
    return StatisticAnswer(
        title=Title.of(row.title),
        unit=row.unit,
        definition=row.definition,
        by=row.by,
        lines=[
            LineModel(
                label=line.label,
                values=finite(np.where(begun & ~hidden, line.values, np.nan)),
                coverage=np.where(begun, line.coverage, 0.0).tolist(),
                unit=row.unit,
                withheld=tuple(np.flatnonzero(begun & hidden).tolist()),
            )
            for line, hidden in zip(result.lines, small, strict=True)
        ],
    )
