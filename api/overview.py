"""How compounds are at this moment: who is inside, what is occupied, what is connected."""

from collections.abc import Iterable, Mapping

from aggregate.lines import Result
from api.connection import Connection, State, counts
from api.context import Context
from api.models import CompoundNow, Figure, Title
from api.rows import finite
from api.statistics import at_present
from api.times import NS_PER_S, rfc3339
from devices.inventory import Compound
from devices.kind import Kind
from devices.statistics import Group

_PEOPLE_BASE = "residents"
"""A balance that begins with the residents counts the people inside."""


def compounds_now(
    context: Context, compounds: Iterable[Compound], known: Mapping[str, Connection]
) -> list[CompoundNow]:
    """Each of `compounds` at this moment.

    Args:
        context: the world.
        compounds: which.
        known: the connection of each of their devices, by id.

    Returns:
        In the same order.
    """
    wanted = tuple(compounds)
    now_ns = context.clock()
    figures = at_present(context, wanted, Group.OCCUPANCY, now_ns)
    return [_compound(context, compound, known, figures[compound.id], now_ns) for compound in wanted]


def _compound(
    context: Context,
    compound: Compound,
    known: Mapping[str, Connection],
    results: Iterable[tuple[Kind, Result]],
    now_ns: int,
) -> CompoundNow:
    tz = compound.timezone
    results = list(results)
    mine = [known[device.id] for device in compound.devices]
    last = max((each.last_reading_ns for each in mine if each.last_reading_ns is not None), default=None)
    return CompoundNow(
        id=compound.id,
        name=Title.of(compound.name),
        time=rfc3339(now_ns, tz),
        people_inside=_people_inside(results),
        states=counts(mine),
        states_by_kind=_by_kind(context, compound, known),
        last_reading=rfc3339(last, tz) if last is not None else None,
        last_reading_age_s=max(now_ns - last, 0) / NS_PER_S if last is not None else None,
        ages_by_kind=_ages(context, compound, known, now_ns),
        figures=[figure for kind, result in results for figure in _figures(kind, result)],
    )


def _by_kind(context: Context, compound: Compound, known: Mapping[str, Connection]) -> dict[str, dict[State, int]]:
    devices = {kind: compound.of_kind(kind) for kind in context.kinds}
    return {kind: counts(known[device.id] for device in members) for kind, members in devices.items() if members}


def _ages(
    context: Context, compound: Compound, known: Mapping[str, Connection], now_ns: int
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for kind in context.kinds:
        if devices := compound.of_kind(kind):
            times = [known[each.id].last_reading_ns for each in devices]
            last = max((each for each in times if each is not None), default=None)
            found[kind] = None if last is None else max(now_ns - last, 0) / NS_PER_S
    return found


def _people_inside(results: Iterable[tuple[Kind, Result]]) -> float | None:
    for _, result in results:
        if result.statistic.base == _PEOPLE_BASE:
            return finite(result.lines[0].values)[0]
    return None


def _figures(kind: Kind, result: Result) -> list[Figure]:
    row = result.statistic
    return [
        Figure(
            kind=kind.name,
            statistic=row.name,
            title=Title.of(row.title),
            unit=row.unit,
            label=line.label,
            value=finite(line.values)[0],
            coverage=float(line.coverage[0]),
        )
        for line in result.lines
    ]
