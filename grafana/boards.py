"""The dashboards: walls for the fleet and for a compound, one for each kind, and the pipeline's health."""

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row
from grafana_foundation_sdk.models import dashboard as models

from devices.kind import Kind
from devices.names import Text
from devices.statistics import Group
from grafana import figures, flux, panels, rolled

_WALL_REFRESH, _REFRESH = "30s", "1m"


def boards(kinds: Mapping[str, Kind]) -> dict[str, models.Dashboard]:
    """Every dashboard, by the name of its file."""
    every = list(kinds.values())
    found = {"fleet": fleet(every), "compound": compound(every), "pipeline": pipeline(every)}
    found |= {f"kind-{kind.name}": of_kind(kind) for kind in every}
    return {name: _numbered(board.build()) for name, board in found.items()}


def fleet(kinds: list[Kind]) -> Dashboard:
    """The wall of all compounds."""
    board = _board(
        "fleet", Text("Fleet wall", "全区大屏"), "All compounds at a glance.", since="now-24h", refresh=_WALL_REFRESH
    )
    board.with_panel(panels.age(kinds, flux.ALL)).with_panel(panels.offline(kinds, flux.ALL))
    for panel in figures.headlines(kinds, rolled.FLEET):
        board.with_panel(panel)
    board.with_panel(panels.ages_by_compound(kinds).grid_pos(models.GridPos(h=12, w=8)))
    for panel in figures.by_compound(kinds):
        board.with_panel(panel)
    return board


def compound(kinds: list[Kind]) -> Dashboard:
    """The wall of one compound."""
    board = _board(
        "compound",
        Text("Compound wall", "小区大屏"),
        "One compound at a glance.",
        since="now-24h",
        refresh=_WALL_REFRESH,
    )
    board.with_variable(_compounds())
    board.with_panel(panels.age(kinds)).with_panel(panels.offline(kinds))
    for panel in figures.headlines(kinds, rolled.COMPOUND):
        board.with_panel(panel)
    for kind in kinds:
        board.with_row(Row(panels.bilingual(kind.title)))
        for panel in figures.over_time(kind, rolled.COMPOUND, (Group.OCCUPANCY, Group.USAGE)):
            board.with_panel(panel)
    return board


def of_kind(kind: Kind) -> Dashboard:
    """All about the devices of one kind: raw readings of those chosen, and the statistics of their compound."""
    about = "Raw readings of the devices chosen, and the statistics of their compound."
    board = _board(f"kind-{kind.name}", kind.title, about, since="now-6h", refresh=_REFRESH)
    board.with_variable(_compounds())
    board.with_variable(_several("building", Text("Building", "楼栋"), rolled.buildings()))
    board.with_variable(_several("device", Text("Device", "设备"), rolled.devices(kind)))
    board.with_panel(panels.age([kind])).with_panel(panels.offline([kind]))
    board.with_row(Row(panels.bilingual(Text("Readings", "读数"))))
    for panel in panels.of_kind(kind):
        board.with_panel(panel)
    board.with_row(Row(panels.bilingual(Text("Statistics", "统计指标"))))
    for panel in figures.over_time(kind, rolled.COMPOUND):
        board.with_panel(panel)
    return board


def pipeline(kinds: list[Kind]) -> Dashboard:
    """Whether readings flow."""
    about = "Whether readings reach the store, and rollups follow."
    board = _board("pipeline", Text("Pipeline health", "数据链路"), about, since="now-6h", refresh=_WALL_REFRESH)
    board.with_panel(panels.age(kinds, flux.ALL)).with_panel(figures.lags(kinds))
    board.with_panel(panels.received(kinds).grid_pos(models.GridPos(h=10, w=16)))
    board.with_panel(panels.ages_by_compound(kinds).grid_pos(models.GridPos(h=10, w=8)))
    return board.with_panel(panels.offline(kinds, flux.ALL))


def _board(name: str, title: Text, about: str, *, since: str, refresh: str) -> Dashboard:
    return (
        Dashboard(panels.bilingual(title))
        .uid(f"courtyard-{name}")
        .description(f"{about} Built by `make dashboards`; do not edit it here.")
        .tags(["courtyard"])
        .readonly()
        .timezone("browser")
        .time(since, "now")
        .refresh(refresh)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )


def _compounds() -> QueryVariable:
    return (
        QueryVariable("compound")
        .label(panels.bilingual(Text("Compound", "小区")))
        .datasource(panels.SOURCE)
        .query(flux.compounds())
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _several(name: str, label: Text, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(panels.bilingual(label))
        .datasource(panels.SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NUMERICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _numbered(board: models.Dashboard) -> models.Dashboard:
    for number, panel in enumerate(_flat(board.panels or []), start=1):
        panel.id_val = number
    return board


def _flat(found: Iterable[models.Panel | models.RowPanel]) -> Iterable[models.Panel | models.RowPanel]:
    for each in found:
        yield each
        yield from getattr(each, "panels", None) or ()
