"""What the pages show, without HTML or a language: made of the service's answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from access.callers import Grant, Scope
from alarms.alarm import Open, Wanted
from api.alarms import AlarmModel, AlarmsQuestion
from api.connection import State
from api.inventory import DevicesQuestion
from api.models import CompoundDetail, CompoundNow, DeviceSummary, Figure, Title
from api.service import Service
from devices.alarms import Severity
from devices.inventory import Inventory
from devices.kind import Kind
from devices.names import Text
from devices.statistics import Group, Reducer
from pages.tongue import Tongue

SEVERITIES = tuple(Severity)
HANDS = 12
"""So many alarms are shown on top."""
_MOST = 1000
_STALE_S = 300.0

Figures = tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A kind's headline: the first of its statistics of occupancy."""

    kind: str
    statistic: str
    title: Text
    definition: Text


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One compound of the fleet.

    Attributes:
        now: how it is.
        devices: how many devices it has.
        alarms: its open ones, the worst first.
        worst: the severity of the worst, or "".
        figures: of each column.
        stale: whether nothing has come of it for longer than its readings hold.
    """

    now: CompoundNow
    devices: int
    alarms: list[AlarmModel]
    worst: str
    figures: list[Figures]
    stale: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """All compounds at this moment.

    Attributes:
        people: how many are inside; None where that is not known of any.
        states: number of devices by state.
        devices: number of devices.
        alarms: all open ones, the worst first; None where they are out of reach.
        hands: the first of them.
        critical: how many are critical.
        untaken: how many nobody has taken on.
        age: of the newest reading, in seconds.
        grey: whether that is older than readings hold.
        columns: the headlines.
        rows: the compounds, those that need hands first.
    """

    people: float | None
    states: Mapping[State, int]
    devices: int
    alarms: list[AlarmModel] | None
    hands: list[AlarmModel]
    critical: int
    untaken: int
    age: float | None
    grey: bool
    columns: list[Column]
    rows: list[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One kind of a compound: its headline, and how old that is.

    Attributes:
        kind_title: the kind's name.
        title: the headline's.
        figures: the headline, a figure for each of its lines.
        others: further figures of the kind that have one line.
        states: number of its devices by state.
        devices: number of its devices.
        age: of its newest reading, in seconds.
        grey: whether that is older than its readings hold.
    """

    kind_title: Text
    title: Text
    figures: Figures
    others: list[Figure] = field(default_factory=list)
    states: Mapping[State, int]
    devices: int
    age: float | None
    grey: bool


def open_alarms(service: Service, compound: str | None = None, device: str | None = None) -> list[AlarmModel] | None:
    """The open alarms, the worst first; None where they are out of reach."""
    return _alarms(service, Wanted(compound=compound, device=device), _MOST)


def latest_alarms(service: Service, device: str, most: int) -> list[AlarmModel] | None:
    """The latest alarms of a device, open or not; None where they are out of reach."""
    return _alarms(service, Wanted(state=Open.ALL, device=device), most)


def grant(tongue: Tongue, given: Grant, inventory: Inventory) -> tuple[str, str]:
    """What somebody may, and where, in words; of compounds that `inventory` does not have, the ids."""
    comma = tongue.word("comma")
    may = comma.join(tongue.word(f"may_{each}") for each in Scope if each in given.scopes)
    if given.compounds is None:
        return may, tongue.word("all_compounds")
    names = {each.id: tongue.text(each.name) for each in inventory.compounds.values()}
    return may, comma.join(names.get(each, each) for each in sorted(given.compounds))


def fleet(service: Service, kinds: Mapping[str, Kind]) -> Fleet:
    """All compounds at this moment."""
    compounds = service.overview().compounds
    alarms = open_alarms(service)
    columns = [found for kind in kinds.values() if (found := headline(kind)) is not None]
    rows = [_row(now, kinds, columns, alarms or []) for now in compounds]
    rows.sort(key=lambda row: (_rank(row.worst), -row.now.states[State.OFFLINE], not row.stale, -len(row.alarms)))
    people = [each.people_inside for each in compounds if each.people_inside is not None]
    ages = [each.last_reading_age_s for each in compounds if each.last_reading_age_s is not None]
    return Fleet(
        people=sum(people) if people else None,
        states={state: sum(each.states[state] for each in compounds) for state in State},
        devices=sum(row.devices for row in rows),
        alarms=alarms,
        hands=sorted(alarms or [], key=lambda each: (_rank(each.severity), each.acknowledged is not None))[:HANDS],
        critical=sum(each.severity is Severity.CRITICAL for each in alarms or []),
        untaken=sum(each.acknowledged is None for each in alarms or []),
        age=min(ages, default=None),
        grey=min(ages, default=_STALE_S + 1) > _STALE_S,
        columns=columns,
        rows=rows,
    )


def tiles(compound: CompoundDetail, kinds: Mapping[str, Kind]) -> list[Tile]:
    """The kinds of a compound."""
    now, found = compound.now, []
    figures = _by_statistic(now)
    for name, states in now.states_by_kind.items():
        kind, column = kinds[name], headline(kinds[name])
        if column is None:
            continue
        age = now.ages_by_kind.get(name)
        bounds = {each.name for each in kind.statistics if each.reducer is Reducer.BOUND}
        others = [
            lines[0]
            for (of, statistic), lines in figures.items()
            if of == name and statistic not in {column.statistic, *bounds} and len(lines) == 1
        ]
        found.append(
            Tile(
                kind_title=kind.title,
                title=column.title,
                figures=figures.get((name, column.statistic), ()),
                others=others,
                states=states,
                devices=sum(states.values()),
                age=age,
                grey=age is None or age > kind.max_hold_ns / 1e9,
            )
        )
    return found


def devices_of(service: Service, compound: str) -> list[DeviceSummary]:
    """The devices of a compound."""
    question = DevicesQuestion(compound=compound, building=None, kinds=(), state=None, limit=_MOST, offset=0)
    return service.devices(question).devices


def headline(kind: Kind) -> Column | None:
    """The first of a kind's statistics of occupancy."""
    for each in kind.statistics:
        if each.group is Group.OCCUPANCY:
            definition = Text(each.definition, each.title.zh)
            return Column(kind=kind.name, statistic=each.name, title=each.title, definition=definition)
    return None


def total(figures: Iterable[Figure]) -> float | None:
    """The sum of what is known."""
    known = [each.value for each in figures if each.value is not None]
    return sum(known) if known else None


def highest(figures: Iterable[Figure]) -> float | None:
    """The highest of what is known."""
    return max((each.value for each in figures if each.value is not None), default=None)


def titles(kinds: Mapping[str, Kind]) -> dict[str, Title]:
    """The names of kinds."""
    return {name: Title.of(kind.title) for name, kind in kinds.items()}


def _alarms(service: Service, wanted: Wanted, most: int) -> list[AlarmModel] | None:
    if not service.alarms.there:
        return None
    return service.alarms.find(AlarmsQuestion(wanted=wanted, start=None, stop=None, limit=most, offset=0)).alarms


def _row(now: CompoundNow, kinds: Mapping[str, Kind], columns: Sequence[Column], alarms: Iterable[AlarmModel]) -> Row:
    mine = [each for each in alarms if each.compound == now.id]
    figures = _by_statistic(now)
    holds = [kinds[name].max_hold_ns / 1e9 for name in now.states_by_kind]
    age = now.last_reading_age_s
    return Row(
        now=now,
        devices=sum(now.states.values()),
        alarms=mine,
        worst=str(mine[0].severity) if mine else "",
        figures=[figures.get((column.kind, column.statistic), ()) for column in columns],
        stale=age is None or age > min(holds, default=_STALE_S),
    )


def _by_statistic(now: CompoundNow) -> dict[tuple[str, str], Figures]:
    return {key: tuple(found) for key, found in groupby(now.figures, lambda each: (each.kind, each.statistic))}


def _rank(severity: str) -> int:
    return SEVERITIES.index(Severity(severity)) if severity else len(SEVERITIES)
