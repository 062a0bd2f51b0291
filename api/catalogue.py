"""What is declared, and what the inventory says: kinds, statistics, compounds. It asks no store."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from api.models import (
    CompoundSummary,
    FieldModel,
    KindList,
    KindModel,
    PartModel,
    StatisticList,
    StatisticModel,
    TableModel,
    Title,
)
from devices.availability import statistics_of
from devices.inventory import Compound
from devices.kind import STATUS, TELEMETRY, Channel, Kind, Table
from devices.names import Text
from devices.payloads import Schemas
from devices.statistics import Group

_CHANNEL_TITLES = MappingProxyType({TELEMETRY: Text("Telemetry", "遥测"), STATUS: Text("Connection", "连接状态")})


def kind_list(kinds: Mapping[str, Kind]) -> KindList:
    """All kinds with their fields, statistics and payload schemas."""
    schemas = Schemas(kinds)
    return KindList(total=len(kinds), kinds=[_kind(kind, schemas) for kind in kinds.values()])


def statistic_list(kinds: Mapping[str, Kind], group: Group | None, names: tuple[str, ...]) -> StatisticList:
    """Every declared statistic of `group` (None: of all) and of the kinds `names` (none: of all)."""
    rows = [
        StatisticModel.of(kind.name, row)
        for kind in kinds.values()
        if not names or kind.name in names
        for row in statistics_of(kind, group)
    ]
    return StatisticList(total=len(rows), statistics=rows)


def compound_summary(compound: Compound) -> CompoundSummary:
    """A compound as the inventory has it."""
    return CompoundSummary(
        id=compound.id,
        name=Title.of(compound.name),
        timezone=compound.timezone.key,
        buildings=compound.buildings,
        residents=compound.residents,
        parking_spaces=compound.parking_spaces,
        households_heated=compound.households_heated,
        devices=dict(Counter(device.kind for device in compound.devices)),
    )


def _kind(kind: Kind, schemas: Schemas) -> KindModel:
    channels = [str(channel) for channel in Channel if (kind.name, str(channel)) in schemas]
    return KindModel(
        name=kind.name,
        title=Title.of(kind.title),
        interval_s=kind.interval_s,
        max_hold_s=kind.max_hold_ns / 1e9,
        part=PartModel.of(kind.part) if kind.part is not None else None,
        topics={channel: f"compounds/{{compound}}/{kind.name}/{{device}}/{channel}" for channel in channels},
        tables=[_table(kind, table) for table in kind.tables.values()],
        statistics=[StatisticModel.of(kind.name, row) for row in statistics_of(kind)],
        schemas={channel: schemas[kind.name, channel].json_schema() for channel in channels},
    )


def _table(kind: Kind, table: Table) -> TableModel:
    titles = {**_CHANNEL_TITLES} | {event.name: event.title for event in kind.events}
    return TableModel(
        name=table.name,
        title=Title.of(titles[table.name]),
        channel=table.channel,
        has_part=table.part is not None,
        fields=[FieldModel.of(field) for field in table.fields],
    )
