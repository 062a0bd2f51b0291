"""The Flux queries of rollups: finished figures by the hour, and where devices stand. Pure text; see `grafana.flux`.

Rollups lie in a bucket of their own, beside the default one.
"""

from devices.availability import statistics_of
from devices.kind import Kind
from devices.names import Text
from devices.statistics import Reducer
from grafana.flux import named, pipe, told
from rollups.figures import GONE
from rollups.grains import Grain
from rollups.state import KEPT_NS
from rollups.tables import ALL, CLOSED, FinalLine, figures_table, places_table, state_table

FLEET = f'r.compound == "{ALL}"'
"""Figures of the whole fleet."""

COMPOUND = 'r.compound == "${compound}"'
"""Figures of the chosen compound."""

_BUCKET = 'from(bucket: v.defaultBucket + "_rollups")'
_KNOWN = f"filter(fn: (r) => r._value > {GONE / 10:.1f})"
_KEPT = f"range(start: {KEPT_NS // 10**9}, stop: {KEPT_NS // 10**9 + 1})"
_LATELY = "range(start: -2d)"


def hourly(kind: Kind, line: FinalLine, name: Text, where: str) -> str:
    """A figure by the hour, over the time shown; an hour that was not observed has none."""
    return pipe(
        _BUCKET, "range(start: v.timeRangeStart, stop: v.timeRangeStop)", *_figure(kind, line, where), *_as(name)
    )


def latest(kind: Kind, line: FinalLine, name: Text, where: str) -> str:
    """A figure of the last hour that is finished."""
    return pipe(_BUCKET, _LATELY, *_figure(kind, line, where), "last()", *_as(name))


def by_compound(kind: Kind, line: FinalLine) -> str:
    """A figure of the last hour that is finished, of each compound."""
    return pipe(
        _BUCKET, _LATELY, *_figure(kind, line, f'r.compound != "{ALL}"'), "last()",
        'duplicate(column: "compound", as: "name")', 'keep(columns: ["_time", "_value", "name"])', named(),
    )  # fmt: skip


def lag(kind: Kind, name: Text) -> str:
    """Seconds from the end of the last quarter that is rolled up until now, labelled by the kind."""
    return pipe(
        _BUCKET, _KEPT,
        f'filter(fn: (r) => r._measurement == "{state_table(kind).measurement}" and r._field == "{CLOSED}")',
        f'map(fn: (r) => ({{name: "{_both(name)}", '
        "_value: float(v: int(v: now())) / 1000000000.0 - float(v: r._value)}))",
        named(),
    )  # fmt: skip


def buildings() -> str:
    """The buildings of the chosen compound that have devices."""
    return pipe(*_places(), *_listed("part"))


def devices(kind: Kind) -> str:
    """The devices of a kind at the chosen buildings of the chosen compound."""
    chosen = f'filter(fn: (r) => r._value == "{kind.name}" and r.part =~ /^(?:${{building:regex}})$/)'
    return pipe(*_places(), chosen, *_listed("device"))


def _listed(tag: str) -> tuple[str, str, str]:
    # influxd 2.8 fails at rows that have been left without a _value.
    return "group()", f"map(fn: (r) => ({{_value: r.{tag}}}))", "unique()"


def _places() -> tuple[str, ...]:
    measurement = places_table().measurement
    return (_BUCKET, _KEPT, f'filter(fn: (r) => r._measurement == "{measurement}" and {COMPOUND})')


def _figure(kind: Kind, line: FinalLine, where: str) -> tuple[str, ...]:
    measurement = figures_table(kind, Grain.HOUR).measurement
    statistic = next(each for each in statistics_of(kind) if each.name == line.statistic)
    broken_down = statistic.by is not None and statistic.reducer is Reducer.COUNT
    return (
        f'filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{line.value}")',
        f"filter(fn: (r) => {where})",
        _KNOWN,
        *(told(kind.tables[statistic.table]) if broken_down else ()),
    )


def _as(name: Text) -> tuple[str, str]:
    return f'map(fn: (r) => ({{_time: r._time, _value: r._value, name: "{_both(name)}"}}))', named()


def _both(name: Text) -> str:
    return f"{name.en} / {name.zh}"
