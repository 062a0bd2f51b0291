"""Panels of finished figures, as the rollups keep them by the hour: they are those that the API serves."""

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.models import dashboard as models

from devices.availability import statistics_of
from devices.kind import Kind
from devices.names import Text
from devices.statistics import Group, Statistic
from grafana import panels, rolled
from grafana.panels import Panel, limits
from grafana.units import grafana_unit
from rollups.tables import FinalLine, final_lines

_HOUR_S = 3600
_BEHIND_S, _FAR_BEHIND_S = 7200.0, 14_400.0


def headlines(kinds: Iterable[Kind], where: str) -> list[Panel]:
    """One big figure for each kind: the first of its statistics of occupancy that has kept figures."""
    shown = [(kind, statistic) for kind in kinds if (statistic := _headline(kind)) is not None]
    wide = panels.COLUMNS // max(len(shown), 1)
    found: list[Panel] = []
    for place, (kind, statistic) in enumerate(shown):
        queries = [rolled.latest(kind, line, _name(kind, statistic, line), where) for line in _lines(kind, statistic)]
        title = Text(f"{kind.title.en}: {statistic.title.en}", f"{kind.title.zh}:{statistic.title.zh}")
        about = f"{statistic.definition} The last hour that is rolled up."
        panel = panels.value(title, about, queries, _colours(kind, statistic)).unit(grafana_unit(statistic.unit))
        # The last takes what is left of the row.
        width = wide if place + 1 < len(shown) else panels.COLUMNS - wide * place
        found.append(panel.grid_pos(models.GridPos(h=6, w=width)))
    return found


def by_compound(kinds: Iterable[Kind]) -> list[Panel]:
    """For each kind its headline in each compound."""
    found: list[Panel] = []
    for kind in kinds:
        statistic = _single(kind) or _headline(kind)
        if statistic is None:
            continue
        title = Text(f"{statistic.title.en} by compound", f"各小区{statistic.title.zh}")
        query = rolled.by_compound(kind, _lines(kind, statistic)[0])
        panel = panels.bars_of(
            title, f"{statistic.definition} The last hour that is rolled up.", [query], _colours(kind, statistic)
        )
        found.append(panel.unit(grafana_unit(statistic.unit)).grid_pos(models.GridPos(h=12, w=8)))
    return found


def over_time(kind: Kind, where: str, groups: Iterable[Group] = tuple(Group)) -> list[Panel]:
    """Every statistic of a kind by the hour."""
    return [
        panels.lines(
            each.title,
            f"{each.definition} By the hour, as rolled up; an hour that was not observed has none.",
            [rolled.hourly(kind, line, _name(kind, each, line), where) for line in _lines(kind, each)],
            _HOUR_S,
        ).unit(grafana_unit(each.unit))
        for group in groups
        for each in statistics_of(kind, group)
        if _lines(kind, each)
    ]


def lags(kinds: Iterable[Kind]) -> Panel:
    """How far behind the rollups of each kind are."""
    return panels.value(
        Text("Rollups behind", "汇总滞后"),
        "Time since the end of the last quarter of an hour that is rolled up; about an hour is as it should be.",
        [rolled.lag(kind, kind.title) for kind in kinds],
        [(None, "green"), (_BEHIND_S, "yellow"), (_FAR_BEHIND_S, "red")],
    ).unit("s")


def _headline(kind: Kind) -> Statistic | None:
    return next((each for each in statistics_of(kind, Group.OCCUPANCY) if _lines(kind, each)), None)


def _single(kind: Kind) -> Statistic | None:
    """The first statistic of occupancy that is one number, of which more is worse or better: no bound of another."""
    return next((each for each in statistics_of(kind, Group.OCCUPANCY) if len(_lines(kind, each)) == 1), None)


def _lines(kind: Kind, statistic: Statistic) -> Sequence[FinalLine]:
    return [each for each in final_lines(kind) if each.statistic == statistic.name]


def _name(kind: Kind, statistic: Statistic, line: FinalLine) -> Text:
    return statistic.title if line.label is None else kind.word(line.label)


def _colours(kind: Kind, statistic: Statistic) -> list[tuple[float | None, str]]:
    """Steps shared with the alarm rules, where the statistic is about a number that they look at."""
    return (limits(kind, statistic.field) if statistic.field is not None else []) or [(None, "blue")]
