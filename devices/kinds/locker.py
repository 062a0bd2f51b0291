"""Parcel lockers: cells by size, and what happens at their doors."""

from devices.fields import Field, gauge, identity
from devices.kind import Event, Kind, Match, Pair, Part
from devices.names import Text
from devices.statistics import Across, Group, Reducer, Statistic

_CELL: tuple[Field, ...] = (identity("cell", Text("Cell", "格口")),)

KIND = Kind(
    name="locker",
    title=Text("Parcel locker", "快递柜"),
    interval_s=300,
    part=Part(name="size", title=Text("Cell size", "格口尺寸"), values=("small", "medium", "large")),
    telemetry=(
        gauge("total", Text("Cells", "格口总数"), "cells", 0, 10_000, integer=True),
        gauge("occupied", Text("Occupied cells", "占用格口"), "cells", 0, 10_000, integer=True),
        gauge("faulty", Text("Faulty cells", "故障格口"), "cells", 0, 10_000, integer=True),
        gauge("temp_c", Text("Temperature", "温度"), "°C", -60, 100),
    ),
    events=(
        Event(name="deposit", title=Text("Deposit", "投递"), has_part=True, fields=_CELL),
        Event(name="pickup", title=Text("Pick-up", "取件"), has_part=True, fields=_CELL),
        Event(name="expire", title=Text("Expired", "超期"), has_part=True, fields=_CELL),
        Event(name="refused_full", title=Text("Refused, full", "满柜拒收"), has_part=True, fields=()),
        Event(name="door_left_open", title=Text("Door left open", "柜门未关"), has_part=True, fields=_CELL),
    ),
    pairs=(
        Pair(
            name="dwell",
            title=Text("Dwell", "滞留"),
            key="cell",
            opens=Match(event="deposit"),
            closes=(Match(event="pickup"),),
        ),
    ),
    statistics=(
        Statistic(
            name="cells_occupied",
            title=Text("Cells occupied", "占用格口"),
            group=Group.OCCUPANCY,
            unit="cells",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean number of occupied cells, by size.",
            field="occupied",
            by="part",
        ),
        Statistic(
            name="cells_total",
            title=Text("Cells", "格口总数"),
            group=Group.OCCUPANCY,
            unit="cells",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean number of cells, by size.",
            field="total",
            by="part",
        ),
        Statistic(
            name="deposits",
            title=Text("Deposits", "投递次数"),
            group=Group.USAGE,
            unit="parcels",
            reducer=Reducer.COUNT,
            definition="Parcels put in within the bucket.",
            table="deposit",
        ),
        Statistic(
            name="pickups",
            title=Text("Pick-ups", "取件次数"),
            group=Group.USAGE,
            unit="parcels",
            reducer=Reducer.COUNT,
            definition="Parcels taken out within the bucket.",
            table="pickup",
        ),
        Statistic(
            name="overdue",
            title=Text("Overdue", "超期件"),
            group=Group.USAGE,
            unit="parcels",
            reducer=Reducer.COUNT,
            definition="Parcels that became overdue within the bucket.",
            table="expire",
        ),
        Statistic(
            name="refused_full",
            title=Text("Refused, full", "满柜拒收"),
            group=Group.USAGE,
            unit="parcels",
            reducer=Reducer.COUNT,
            definition="Parcels refused within the bucket because no cell of their size was free.",
            table="refused_full",
        ),
        Statistic(
            name="dwell_p50",
            title=Text("Dwell, median", "滞留时长中位数"),
            group=Group.USAGE,
            unit="s",
            reducer=Reducer.QUANTILE,
            definition="Median time from deposit to pick-up of parcels taken out within the bucket, within 2 %.",
            table="pickup",
            pair="dwell",
            quantile=0.5,
        ),
        Statistic(
            name="dwell_p90",
            title=Text("Dwell, 90th percentile", "滞留时长 90 分位"),
            group=Group.USAGE,
            unit="s",
            reducer=Reducer.QUANTILE,
            definition="Time from deposit to pick-up that 90 % of parcels taken out within the bucket did not exceed, "
            "within 2 %.",
            table="pickup",
            pair="dwell",
            quantile=0.9,
        ),
        Statistic(
            name="cells_faulty",
            title=Text("Faulty cells", "故障格口"),
            group=Group.AVAILABILITY,
            unit="cells",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean number of faulty cells.",
            field="faulty",
            across=Across.SUM,
        ),
    ),
)
