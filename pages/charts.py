"""Charts as ECharts takes them: https://echarts.apache.org/en/option.html. A gap stays a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.answers import ReadingsAnswer, StatisticAnswer
from api.service import Service
from api.statistics import StatisticsQuestion
from api.times import NS_PER_S
from devices.fields import Field
from devices.kind import Kind
from devices.statistics import Group, Reducer, Statistic
from pages.tongue import Tongue

Options = dict[str, Any]

PALETTE = ("#0b6363", "#c2570c", "#5b4fa8", "#9a7b00", "#b3265e", "#2f6fb0", "#4a7a2c", "#6b5a4d", "#0e8f8f")
"""Told apart by colour-blind eyes too; each has a contrast of 3 on white at least."""

_HOUR_S, _HOURS = 3600, 24
_COUNTS = {Reducer.COUNT, Reducer.INCREASE, Reducer.TOTAL}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its title."""

    title: str
    options: Options


def of_compound(service: Service, compound: str, kinds: Sequence[Kind], tongue: Tongue) -> list[Chart]:
    """How full and how much used a compound was in the last 24 hours: two charts for each kind.

    Args:
        service: answers.
        compound: its id.
        kinds: of what it has devices.
        tongue: the language.

    Raises:
        CourtyardError: whatever keeps the service from answering.
    """
    charts = []
    # From a full hour on: finished hours are kept, parts of one are made anew.
    hour = service.context.clock() // NS_PER_S // _HOUR_S - _HOURS + 1
    for group in (Group.OCCUPANCY, Group.USAGE):
        chosen = {kind.name: row for kind in kinds if (row := _chosen(kind, group)) is not None}
        names = tuple({row.name for row in chosen.values()})
        question = StatisticsQuestion(
            start=str(hour * _HOUR_S), stop=None, every="1h", kinds=tuple(chosen), statistics=names
        )
        answer = service.statistics(compound, group, question)
        for kind in kinds:
            found = answer.kinds[kind.name].statistics if kind.name in chosen else {}
            if kind.name in chosen and chosen[kind.name].name in found:
                statistic = found[chosen[kind.name].name]
                title = f"{tongue.text(kind.title)} · {tongue.text(statistic.title)}"
                charts.append(
                    Chart(title, _buckets(answer.buckets, statistic, kind, tongue, bars=group is Group.USAGE))
                )
    return charts


def of_readings(answer: ReadingsAnswer, kind: Kind, fields: Sequence[Field], tongue: Tongue) -> list[Chart]:
    """The numbers that a device sent over time: a chart for each field, a line for each part.

    Args:
        answer: its readings, the oldest first.
        kind: its kind.
        fields: which.
        tongue: the language.
    """
    charts = []
    hold_ms = kind.max_hold_ns / 1e6
    for each in fields:
        scale, unit = _scale(each.unit)
        lines: dict[str, list[list[float | str | None]]] = {}
        last: dict[str, float] = {}
        for reading in answer.readings:
            value = reading.values[each.name]
            if not isinstance(value, int | float):
                continue
            part = reading.part or ""
            line, time_ms = lines.setdefault(part, []), _ms(reading.time)
            if part in last and time_ms - last[part] > hold_ms:
                line.append([last[part] + hold_ms, None])
            last[part] = time_ms
            line.append([time_ms, value * scale])
        if lines:
            named = [(tongue.text(kind.word(part)) if part else "", points) for part, points in lines.items()]
            charts.append(Chart(tongue.text(each.title), _options(named, unit, tongue, times=True)))
    return charts


def _chosen(kind: Kind, group: Group) -> Statistic | None:
    """The statistic that a chart shows: the first of a group; of usage, the first that adds up."""
    for each in kind.statistics:
        if each.group is group and (group is Group.OCCUPANCY or each.reducer in _COUNTS):
            return each
    return None


def _buckets(buckets: Sequence[str], statistic: StatisticAnswer, kind: Kind, tongue: Tongue, *, bars: bool) -> Options:
    scale, unit = _scale(statistic.unit)
    lines: list[tuple[str, list[Any]]] = [
        (
            "" if line.label is None else tongue.text(kind.word(line.label)),
            [None if value is None else round(value * scale, 4) for value in line.values],
        )
        for line in statistic.lines
    ]
    options = _options(lines, unit, tongue, times=False, bars=bars)
    options["xAxis"]["data"] = [each[11:16] for each in buckets]
    return options


def _options(
    lines: Sequence[tuple[str, list[Any]]], unit: str, tongue: Tongue, *, times: bool, bars: bool = False
) -> Options:
    name = unit if unit == "%" else tongue.value(0, unit).partition(" ")[2]
    drawn: Options = (
        {"type": "bar", "stack": "all"} if bars else {"type": "line", "showSymbol": False, "lineStyle": {"width": 2}}
    )
    return {
        "animation": False,
        "aria": {"enabled": True},
        "color": list(PALETTE),
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "right": 0, "show": len(lines) > 1, "itemHeight": 9, "itemWidth": 16},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {"type": "time" if times else "category", "axisLabel": {"hideOverlap": True}},
        "yAxis": {"type": "value", "name": name, "nameTextStyle": {"align": "left"}, "scale": not bars and unit != "%"},
        "series": [{**drawn, "name": label, "data": data, "connectNulls": False} for label, data in lines],
    }


def _scale(unit: str) -> tuple[float, str]:
    return {"1": (100.0, "%"), "Wh": (0.001, "kWh")}.get(unit, (1.0, unit))


def _ms(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000
