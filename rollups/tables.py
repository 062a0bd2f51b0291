"""The tables of rollups. They are ordinary tables, so that any store keeps them, and Grafana reads their fields.

`{kind}_{scope}_{grain}` holds partials: a row for each series and bucket, at the bucket's start, with a field for each
partial. `{kind}_compound_{grain}` holds finished figures: a row for each compound, or `ALL` for the whole fleet, with a
field for each line of each statistic and one for its coverage. `{kind}_rollups` says from when to when they are whole.
`inventory_devices` holds a row for each device; its building stands where the part does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from aggregate.evaluate import columns_of, partials_of, results_of
from aggregate.figures import PART
from aggregate.partials import Column, Merge, Scope
from aggregate.reducers import basic, grid
from devices.availability import statistics_of
from devices.errors import DeclarationError
from devices.fields import Field, gauge, identity
from devices.inventory import RESERVED, Inventory
from devices.kind import Channel, Kind, Part, Table
from devices.names import Text, is_name
from devices.statistics import Statistic
from rollups.grains import QUARTER_NS, Grain

ALL = RESERVED
"""Stands for the whole fleet where a compound's id stands, and for all devices where a device's stands."""

FINAL_GRAINS = (Grain.HOUR, Grain.DAY)
"""Finished figures are kept for these."""

BEGIN, CLOSED, PARTIALS_OF, FIGURES_OF = "begin_s", "closed_s", "partials_of", "figures_of"
KIND = "of_kind"
_MOST = 1e300


class FinalLine(NamedTuple):
    """One line of a statistic, and where its figures are kept.

    Attributes:
        statistic: name of the statistic.
        label: the line's label.
        value: field of its values.
        coverage: field of its coverage.
    """

    statistic: str
    label: str | None
    value: str
    coverage: str


def partials_table(kind: Kind, scope: Scope, grain: Grain) -> Table:
    """The table of a kind's partials of one scope and grain."""
    return _partials_table(_Declared(kind), scope, grain)


def figures_table(kind: Kind, grain: Grain) -> Table:
    """The table of a kind's finished figures."""
    return _figures_table(_Declared(kind), grain)


def state_table(kind: Kind) -> Table:
    """The table that says from when to when a kind's rollups are whole, and of which declaration they are."""
    # All of one type, so that a store gives them in one answer.
    fields = tuple(identity(name, Text(name, name)) for name in (BEGIN, CLOSED, PARTIALS_OF, FIGURES_OF))
    return Table(kind=kind.name, name="rollups", channel=Channel.TELEMETRY, fields=fields)


def places_table() -> Table:
    """The table that says of which kind each device is, and at which building it stands."""
    building = Part(name="building", title=Text("Building", "楼栋"))
    fields = (identity(KIND, Text("Kind", "类型")),)
    return Table(kind="inventory", name="devices", channel=Channel.TELEMETRY, fields=fields, part=building)


def tables(kinds: Mapping[str, Kind]) -> Iterator[Table]:
    """All tables of the rollups of some kinds."""
    for kind in kinds.values():
        for scope in scopes_of(kind):
            yield from (partials_table(kind, scope, grain) for grain in Grain)
        yield from (figures_table(kind, grain) for grain in FINAL_GRAINS)
        yield state_table(kind)
    yield places_table()


def scopes_of(kind: Kind) -> tuple[Scope, ...]:
    """What has partials in a kind."""
    found = {column.scope for column in columns_of(kind, statistics_of(kind))}
    return tuple(scope for scope in Scope if scope in found)


def final_lines(kind: Kind) -> tuple[FinalLine, ...]:
    """The lines whose figures are kept: those of statistics whose lines do not depend on the inventory."""
    return _final_lines(_Declared(kind))


def partials_signature(kind: Kind) -> str:
    """Changes where a kind's partials would be others."""
    named = [(each.name, each.scope, each.merge, each.unit) for each in columns_of(kind, statistics_of(kind))]
    return _digest([kind.interval_s, named, [repr(each) for each in statistics_of(kind)]])


def figures_signature(kind: Kind, inventory: Inventory) -> str:
    """Changes where a kind's figures would be others, given the same partials."""
    fleet = [
        (each.id, each.timezone.key, each.residents, each.parking_spaces, each.households_heated, each.buildings,
         [(device.id, device.parts) for device in each.of_kind(kind.name)])
        for each in inventory.compounds.values()
    ]  # fmt: skip
    return _digest([partials_signature(kind), fleet])


class _Declared:
    """A kind as a key of caches: kinds hold mappings, and so have no hash of their own."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __hash__(self) -> int:
        return id(self.kind)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Declared) and other.kind is self.kind


@cache
def _partials_table(declared: _Declared, scope: Scope, grain: Grain) -> Table:
    kind = declared.kind
    columns = [each for each in columns_of(kind, statistics_of(kind)) if each.scope is scope]
    return Table(
        kind=kind.name,
        name=f"{scope}_{grain.value}",
        channel=Channel.TELEMETRY,
        fields=tuple(map(_partial_field, columns)),
        part=kind.part if scope is Scope.PART else None,
    )


def _partial_field(column: Column) -> Field:
    title = Text(column.name, column.name)
    if column.merge is Merge.HISTOGRAM:
        return identity(column.name, title)
    return gauge(column.name, title, column.unit, -_MOST, _MOST, required=column.merge is Merge.SUM)


@cache
def _figures_table(declared: _Declared, grain: Grain) -> Table:
    kind = declared.kind
    units = {each.name: each for each in statistics_of(kind)}
    fields: list[Field] = []
    for line in final_lines(kind):
        of = units[line.statistic]
        fields.append(gauge(line.value, of.title, of.unit, -_MOST, _MOST, required=False))
        fields.append(gauge(line.coverage, of.title, "1", 0, 1))
    names = [each.name for each in fields]
    if len(set(names)) != len(names) or not all(map(is_name, names)):
        raise DeclarationError(f"kind {kind.name!r}: two lines of its statistics would get one field")
    return Table(kind=kind.name, name=f"compound_{grain.value}", channel=Channel.TELEMETRY, fields=tuple(fields))


@cache
def _final_lines(declared: _Declared) -> tuple[FinalLine, ...]:
    kind = declared.kind
    statistics = statistics_of(kind)
    zone = ZoneInfo("UTC")
    edges = np.array([8 * 86_400, 8 * 86_400 + 900], np.int64) * (QUARTER_NS // 900)
    nothing = partials_of(kind, statistics, (), {}, grid(kind, statistics, edges, zone))
    bases = {each.base: 0.0 for each in statistics if each.base is not None}
    results = results_of(kind, statistics, (), nothing, edges, tz=zone, attributes=bases)
    return tuple(
        _final_line(result.statistic.name, line.label)
        for result in results
        if not _by_inventory(kind, result.statistic)
        for line in result.lines
    )


def _by_inventory(kind: Kind, statistic: Statistic) -> bool:
    """Whether the inventory says which lines a statistic has."""
    declared = kind.part is not None and kind.part.values
    return not declared and any(each.by == PART for each in basic(kind, [statistic]))


def _final_line(statistic: str, label: str | None) -> FinalLine:
    name = statistic if label is None else f"{statistic}_{label.lower().replace('-', '_')}"
    return FinalLine(statistic, label, name, f"{name}_coverage")


def _digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
