"""Panels: one function per signal type, each from a field's or an event's declaration to a panel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from grafana_foundation_sdk.builders import common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from devices.fields import Field, Signal
from devices.kind import STATUS, STATUS_FIELDS, TELEMETRY, Kind, Table
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


def age(kinds: Iterable[Kind]) -> Panel:
    """How old the newest reading of each kind is; red where no sample of the kind holds any longer."""
    kinds = list(kinds)
    hold_s = max(kind.max_hold_ns for kind in kinds) / 1e9
    queries = [flux.age(kind.tables.values(), bilingual(kind.title)) for kind in kinds]
    return _stat(
        Text("Age of the newest reading", "最新读数时效"),
        "Time since the newest reading of each kind came from this compound.",
        queries,
        [(None, "green"), (hold_s, "yellow"), (4 * hold_s, "red")],
    ).unit("s")


def offline(kinds: Iterable[Kind]) -> Panel:
    """How many devices of each kind said last, or had said for them by the broker, that they are offline."""
    kinds = list(kinds)
    queries = [flux.devices_in(kind.tables[STATUS], "state", "offline", bilingual(kind.title)) for kind in kinds]
    return _stat(
        Text("Devices offline", "离线设备"),
        "Devices whose newest status is offline. A device that never reported is unknown and is not counted.",
        queries,
        [(None, "green"), (1, "red")],
    )


def of_kind(kind: Kind) -> list[Panel]:
    """Every panel of a kind: its connection, its sampled fields, its events, and the sums that it declares."""
    telemetry = kind.tables[TELEMETRY]
    panels = [connection(kind)]
    panels += [sampled(kind, telemetry, field) for field in kind.telemetry]
    for event in kind.events:
        table = kind.tables[event.name]
        categories = [each for each in event.fields if each.signal is Signal.CATEGORY]
        if not categories:
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
    # A window without a sample is bridged only as long as the last sample holds (docs/design.md §4).
    return panel.span_nulls(kind.max_hold_ns / 1e6).line_width(1).fill_opacity(0)


def events(title: Text, table: Table) -> Panel:
    """How many events there were."""
    return _bars(title, "Number of events in each window.", [flux.count(table)]).display_name(bilingual(title))


def events_by(title: Text, table: Table, category: Field) -> Panel:
    """How many events there were, by the labels of a category."""
    both = Text(f"{title.en}: {category.title.en}", f"{title.zh}:{category.title.zh}")
    panel = _bars(both, "Number of events in each window.", [flux.count_by(table, category.name)])
    return panel.display_name("${__field.labels.label}")


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
    panel.mappings([models.ValueMap(options=results)]).display_name(_series(table))
    return panel.show_value(common_models.VisibilityMode.NEVER).merge_values(True)


def _bars(title: Text, description: str, queries: Sequence[str], interval_s: float = 60) -> timeseries.Panel:
    panel = timeseries.Panel()
    _dress(panel, title, description)
    _ask(panel, queries, interval_s)
    panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    return panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))


def _stat(
    title: Text, description: str, queries: Sequence[str], steps: Sequence[tuple[float | None, str]]
) -> stat.Panel:
    panel = stat.Panel()
    _dress(panel, title, description)
    _ask(panel, queries)
    panel.grid_pos(models.GridPos(h=5, w=COLUMNS // 2)).display_name("${__field.labels.name}")
    thresholds = [models.Threshold(value=value, color=colour) for value, colour in steps]
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common_models.BigValueGraphMode.NONE)
    return panel.thresholds(
        builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(thresholds)
    ).color_mode(common_models.BigValueColorMode.BACKGROUND)


def _dress(panel: _Common, title: Text, description: str) -> None:
    panel.title(bilingual(title)).description(description).datasource(SOURCE).no_value(NO_DATA)
    panel.grid_pos(models.GridPos(h=HEIGHT, w=WIDTH))


def _ask(panel: _Common, queries: Sequence[str], interval_s: float = 60) -> None:
    # Windows shorter than the report interval would be mostly empty.
    panel.interval(f"{interval_s:g}s")
    panel.targets([_FluxBuilder(FluxQuery(query, chr(ord("A") + at))) for at, query in enumerate(queries)])


def _series(table: Table) -> str:
    return "${__field.labels.device}" + (" ${__field.labels.part}" if table.part else "")
