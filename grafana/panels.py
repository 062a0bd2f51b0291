"""Panels: one function per signal type, each from a field's or an event's declaration to a panel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from devices.alarms import Level, Severity
from devices.fields import Field, Signal
from devices.kind import FEWEST_TOLD, STATUS, STATUS_FIELDS, TELEMETRY, Kind, Table
from devices.names import Text
from devices.statistics import Reducer, Statistic
from grafana import flux
from grafana.units import grafana_unit

SOURCE = models.DataSourceRef(type_val="influxdb", uid="courtyard")
"""The data source that grafana/provisioning declares."""

HEIGHT = 7
WIDTH = 8
COLUMNS = 24

NO_DATA = "No data / 无数据"

_PALETTE = ("blue", "orange", "purple", "yellow", "semi-dark-green", "light-blue", "light-orange", "light-purple")
_CONNECTION = {"offline": "red", "online": "green", "maintenance": "yellow"}

_SEVERITIES = {
    Severity.CRITICAL: "dark-red", Severity.MAJOR: "red", Severity.MINOR: "orange", Severity.WARNING: "yellow",
}  # fmt: skip

Panel = Builder[models.Panel]


class _Common(Protocol):
    """What the builders of all panel types share."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: models.DataSourceRef) -> Self: ...
    def grid_pos(self, grid_pos: models.GridPos) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def interval(self, interval: str) -> Self: ...
    def targets(self, targets: list[Builder[Dataquery]]) -> Self: ...


@dataclass(frozen=True)
class FluxQuery(Dataquery):
    """One Flux query of a panel."""

    query: str
    ref_id: str

    def to_json(self) -> dict[str, object]:
        """The query as Grafana keeps it."""
        return {"datasource": SOURCE, "query": self.query, "refId": self.ref_id}


@dataclass(frozen=True)
class _FluxBuilder(Builder[Dataquery]):
    query: FluxQuery

    def build(self) -> Dataquery:
        return self.query


def bilingual(text: Text) -> str:
    """A title in both languages."""
    return f"{text.en} / {text.zh}"


def age(kinds: Iterable[Kind], where: str = flux.COMPOUND) -> Panel:
    """How old the newest reading of each kind is; red where no sample of the kind holds any longer."""
    kinds = list(kinds)
    hold_s = max(kind.max_hold_ns for kind in kinds) / 1e9
    queries = [flux.age(kind.tables.values(), bilingual(kind.title), where) for kind in kinds]
    return value(
        Text("Age of the newest reading", "最新读数时效"),
        "Time since the newest reading of each kind, by the device's own time.",
        queries,
        [(None, "green"), (hold_s, "yellow"), (4 * hold_s, "red")],
    ).unit("s")


def offline(kinds: Iterable[Kind], where: str = flux.COMPOUND) -> Panel:
    """How many devices of each kind said last, or had said for them by the broker, that they are offline."""
    kinds = list(kinds)
    queries = [flux.devices_in(kind.tables[STATUS], "state", "offline", bilingual(kind.title), where) for kind in kinds]
    return value(
        Text("Devices offline", "离线设备"),
        "Devices whose newest status is offline. A device that never reported is unknown and is not counted.",
        queries,
        [(None, "green"), (1, "red")],
    ).unit("none")


def ages_by_compound(kinds: Iterable[Kind]) -> bargauge.Panel:
    """How old the newest reading of each compound is."""
    kinds = list(kinds)
    hold_s = min(kind.max_hold_ns for kind in kinds) / 1e9
    tables = [kind.tables[TELEMETRY] for kind in kinds]
    steps = [(None, "green"), (hold_s, "yellow"), (4 * hold_s, "red")]
    title = Text("Age of the newest reading by compound", "各小区最新读数时效")
    return bars_of(
        title, "Time since the newest reading of each compound.", [flux.ages_by_compound(tables)], steps
    ).unit("s")


def received(kinds: Iterable[Kind]) -> timeseries.Panel:
    """How many readings of each kind there are."""
    panel = _bars(
        Text("Readings stored", "入库读数"),
        "Number of telemetry readings in each window, by their own time.",
        [flux.count(kind.tables[TELEMETRY], flux.ALL) for kind in kinds],
    )
    for at, kind in enumerate(kinds):
        panel.override_by_query(
            _ref(at), [models.DynamicConfigValue(id_val="displayName", value=bilingual(kind.title))]
        )
    return panel.unit("short")


def of_kind(kind: Kind) -> list[Panel]:
    """Every panel of a kind: its connection, its sampled fields, its events, and the sums that it declares."""
    telemetry = kind.tables[TELEMETRY]
    panels = [connection(kind)]
    panels += [sampled(kind, telemetry, field) for field in kind.telemetry]
    for event in kind.events:
        table = kind.tables[event.name]
        categories = [each for each in event.fields if each.signal is Signal.CATEGORY]
        if not categories or event.about_people:  # of which the breakdowns leave something out
            panels.append(events(event.title, table))
        panels += [events_by(event.title, table, each) for each in categories]
    panels += [total(kind, each) for each in kind.statistics if each.reducer is Reducer.TOTAL]
    return panels


def connection(kind: Kind) -> Panel:
    """The status of every device over time."""
    table, field = kind.tables[STATUS], STATUS_FIELDS[0]
    return _timeline(kind, table, field, _CONNECTION)


def sampled(kind: Kind, table: Table, field: Field) -> Panel:
    """A sampled field of every device over time, by its signal type."""
    if field.signal is Signal.STATE:
        colours = {label: _PALETTE[at % len(_PALETTE)] for at, label in enumerate(field.labels)}
        return _timeline(kind, table, field, colours)
    if field.signal is Signal.COUNTER:
        what = "Increase within each window. A register that fell was reset: its new value counts."
        panel = _bars(field.title, what, [flux.increase(table, field.name)], kind.interval_s)
        return panel.unit(grafana_unit(field.unit)).display_name(_series(table))
    panel = timeseries.Panel()
    _dress(panel, field.title, "Mean of the samples in each window; a gap stays a gap.")
    _ask(panel, [flux.mean(table, field.name)], kind.interval_s)
    panel.unit(grafana_unit(field.unit)).display_name(_series(table))
    _draw_limits(panel, kind, field)
    # A window without a sample is bridged only as long as the last sample holds (docs/design.md §4).
    return panel.span_nulls(kind.max_hold_ns / 1e6).line_width(1).fill_opacity(0)


def events(title: Text, table: Table) -> Panel:
    """How many events there were."""
    panel = _bars(title, "Number of events in each window.", [flux.count(table)])
    return panel.display_name(bilingual(title)).unit("short")


def events_by(title: Text, table: Table, category: Field) -> Panel:
    """How many events there were, by the labels of a category."""
    both = Text(f"{title.en}: {category.title.en}", f"{title.zh}:{category.title.zh}")
    few = (
        f" Numbers below {FEWEST_TOLD} are not shown: they could be about single persons." if table.about_people else ""
    )
    panel = _bars(both, f"Number of events in each window.{few}", [flux.count_by(table, category.name)])
    return panel.display_name("${__field.labels.label}").unit("short")


def total(kind: Kind, statistic: Statistic) -> Panel:
    """The sum of an event's value, as a statistic of the kind declares it."""
    table, field = kind.tables[statistic.table], statistic.field or ""
    query = flux.total(table, field, statistic.where)
    panel = _bars(statistic.title, statistic.definition.replace("the bucket", "each window"), [query])
    return panel.unit(grafana_unit(statistic.unit)).display_name(bilingual(statistic.title))


def _timeline(kind: Kind, table: Table, field: Field, colours: dict[str, str]) -> Panel:
    panel = statetimeline.Panel()
    _dress(panel, field.title, "Last value in each window; a gap stays a gap.")
    _ask(panel, [flux.last(table, field.name)], kind.interval_s)
    results = {
        label: models.ValueMappingResult(text=label, color=colours[label], index=at)
        for at, label in enumerate(field.labels)
    }
    panel.mappings([models.ValueMap(options=results)]).display_name(_series(table)).unit("string")
    return panel.show_value(common_models.VisibilityMode.NEVER).merge_values(True)


def value(
    title: Text, description: str, queries: Sequence[str], steps: Sequence[tuple[float | None, str]]
) -> stat.Panel:
    """One big figure for each query, or for each series of one; coloured by steps."""
    panel = stat.Panel()
    _dress(panel, title, description)
    _ask(panel, queries)
    panel.grid_pos(models.GridPos(h=5, w=COLUMNS // 2)).display_name("${__field.labels.name}")
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common_models.BigValueGraphMode.NONE)
    return panel.thresholds(_steps(steps)).color_mode(common_models.BigValueColorMode.BACKGROUND)


def bars_of(
    title: Text, description: str, queries: Sequence[str], steps: Sequence[tuple[float | None, str]]
) -> bargauge.Panel:
    """A bar for each series, with its name; coloured by steps."""
    panel = bargauge.Panel()
    _dress(panel, title, description)
    _ask(panel, queries)
    panel.display_name("${__field.labels.name}").reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.orientation(common_models.VizOrientation.HORIZONTAL).display_mode(common_models.BarGaugeDisplayMode.BASIC)
    return panel.thresholds(_steps(steps)).min(0)


def lines(title: Text, description: str, queries: Sequence[str], interval_s: float) -> timeseries.Panel:
    """A line for each series, with its name; a gap stays a gap."""
    panel = timeseries.Panel()
    _dress(panel, title, description)
    _ask(panel, queries, interval_s)
    panel.display_name("${__field.labels.name}").span_nulls(False)
    return panel.line_width(1).fill_opacity(0)


def limits(kind: Kind, field: str) -> list[tuple[float | None, str]]:
    """The steps at which the alarm rules of a kind find a number too high, or too low; [] where none does.

    Args:
        kind: the kind.
        field: name of a number of its telemetry.

    Returns:
        Where each colour begins, from the lowest number on.
    """
    found = [
        (each.severity, each.condition)
        for each in kind.alarms
        if isinstance(each.condition, Level) and each.condition.field == field and each.condition.of is None
    ]
    if not found:
        return []
    above = sorted((level.at, _SEVERITIES[severity]) for severity, level in found if level.high)
    below = sorted((level.at, _SEVERITIES[severity]) for severity, level in found if not level.high)
    steps: list[tuple[float | None, str]] = [(None, below[0][1] if below else "green")]
    # From a low limit up it is as bad as the next higher limit says, and above all of them good.
    steps += [(at, below[place + 1][1] if place + 1 < len(below) else "green") for place, (at, _) in enumerate(below)]
    return steps + list(above)


def _draw_limits(panel: timeseries.Panel, kind: Kind, field: Field) -> None:
    steps = limits(kind, field.name)
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.LINE)
        panel.thresholds(_steps(steps)).thresholds_style(style)


def _steps(steps: Sequence[tuple[float | None, str]]) -> builders.ThresholdsConfig:
    thresholds = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(thresholds)


def _bars(title: Text, description: str, queries: Sequence[str], interval_s: float = 60) -> timeseries.Panel:
    panel = timeseries.Panel()
    _dress(panel, title, description)
    _ask(panel, queries, interval_s)
    panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    return panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))


def _dress(panel: _Common, title: Text, description: str) -> None:
    panel.title(bilingual(title)).description(description).datasource(SOURCE).no_value(NO_DATA)
    panel.grid_pos(models.GridPos(h=HEIGHT, w=WIDTH))


def _ask(panel: _Common, queries: Sequence[str], interval_s: float = 60) -> None:
    # Windows shorter than the report interval would be mostly empty.
    panel.interval(f"{interval_s:g}s")
    panel.targets([_FluxBuilder(FluxQuery(query, _ref(at))) for at, query in enumerate(queries)])


def _ref(at: int) -> str:
    """The name of a query: A to Z, then A1 and so on."""
    return chr(ord("A") + at % 26) + (str(at // 26) if at >= 26 else "")


def _series(table: Table) -> str:
    return "${__field.labels.device}" + (" ${__field.labels.part}" if table.part else "")
