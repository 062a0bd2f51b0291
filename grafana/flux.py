"""The Flux queries of raw readings. Pure text; `v.…` and `${…}` are filled in by Grafana.

Readings lie in the default bucket: measurement, tags compound, device and part, one field per column.
"""

from collections.abc import Iterable, Mapping

from devices.kind import FEWEST_TOLD, Table
from store.checks import anchor
from store.lines import marker

COMPOUND = 'r.compound == "${compound}"'
"""Rows of the chosen compound; ids hold lower case letters, digits and hyphens only."""

CHOSEN = 'r.compound == "${compound}" and r.device =~ /^(?:${device:regex})$/'
"""Rows of the chosen devices of the chosen compound."""

ALL = "exists r.compound"
"""Rows of all compounds."""

_AWAY = "-30d"
"""How far back to look for the newest reading of a device that may be away."""


def compounds() -> str:
    """The ids of all compounds that have readings."""
    return (
        'import "influxdata/influxdb/schema"\n\n'
        f'schema.tagValues(bucket: v.defaultBucket, tag: "compound", start: {_AWAY})'
    )


def mean(table: Table, field: str) -> str:
    """The mean sample of a gauge, per series and window; a window without one is empty, not zero."""
    return pipe(*_source(table, field), "aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: true)")


def last(table: Table, field: str) -> str:
    """The last label of a state, per series and window; a window without one is empty."""
    return pipe(*_source(table, field), "aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: true)")


def increase(table: Table, field: str) -> str:
    """The increase of a counter, per series and window. A fall is a reset: the new value is what was added since."""
    return pipe(*_source(table, field), "difference(nonNegative: true, initialZero: true)", _bars("sum"))


def count_by(table: Table, category: str) -> str:
    """The number of events per window and label of a category; small ones of what single persons did are left out."""
    few = f"filter(fn: (r) => r._value >= {FEWEST_TOLD})"
    return pipe(
        *_source(table, category),
        'duplicate(column: "_value", as: "label")',
        'group(columns: ["label"])',
        _bars("count"),
        *((few,) if table.about_people else ()),
    )


def count(table: Table, where: str = CHOSEN) -> str:
    """The number of rows per window, over all devices."""
    return pipe(
        *_source(table, counted(table), where),
        "group()",
        _bars("count"),
    )


def total(table: Table, field: str, where: Mapping[str, Iterable[str]]) -> str:
    """The sum of an event's value per window, over all devices, of events with the labels in `where`."""
    # Conditions stand on other fields than the summed one, so fields become columns first.
    fields = " or ".join(f'r._field == "{name}"' for name in (field, *where))
    conditions = " and ".join(
        ["exists r." + field]
        + ["(" + " or ".join(f'r.{name} == "{label}"' for label in labels) + ")" for name, labels in where.items()]
    )
    return pipe(
        *_source(table, None),
        f"filter(fn: (r) => {fields})",
        'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
        f"filter(fn: (r) => {conditions})",
        "group()",
        f'rename(columns: {{{field}: "_value"}})',
        _bars("sum"),
    )


def age(tables: Iterable[Table], name: str, where: str = COMPOUND) -> str:
    """Seconds since the newest reading, over all `tables`, labelled `name`."""
    return pipe(*_newest(tables, where), "group()", 'max(column: "_time")', _seconds(f'name: "{name}"'), named())


def ages_by_compound(tables: Iterable[Table]) -> str:
    """Seconds since the newest reading of each compound, labelled by its id."""
    return pipe(
        *_newest(tables, ALL, "compound"), 'group(columns: ["compound"])', 'max(column: "_time")',
        _seconds("name: r.compound"), named(),
    )  # fmt: skip


def devices_in(table: Table, field: str, label: str, name: str, where: str = COMPOUND) -> str:
    """How many devices have `label` as their newest value of a state, labelled `name`."""
    return pipe(
        "from(bucket: v.defaultBucket)",
        f"range(start: {_AWAY})",
        *_filters(table, field, where),
        "last()",
        "group()",
        # Not `if … then 1 else 0`: influxd 2.8 answers that with no rows.
        f'map(fn: (r) => ({{name: "{name}", _value: int(v: r._value == "{label}")}}))',
        named(),
        "sum()",
    )


def counted(table: Table) -> str:
    """The field that every row of a table has: a required one or, where there is none, the store's constant one."""
    required = anchor(table)
    return required.name if required is not None else marker(table) or ""


def told(table: Table) -> tuple[str, ...]:
    """Leaves out small finished counts by category of what single persons did; nothing for other tables."""
    few = f"filter(fn: (r) => r._value == 0.0 or r._value >= {FEWEST_TOLD:.1f})"
    return (few,) if table.about_people else ()


def named() -> str:
    """One series for each name."""
    return 'group(columns: ["name"])'


def pipe(source: str, *steps: str) -> str:
    """A query of steps."""
    return "\n  |> ".join([source, *steps])


def _newest(tables: Iterable[Table], where: str, *tags: str) -> tuple[str, ...]:
    measurements = " or ".join(f'r._measurement == "{table.measurement}"' for table in tables)
    kept = ", ".join(f'"{each}"' for each in ("_time", *tags))
    return (
        "from(bucket: v.defaultBucket)",
        f"range(start: {_AWAY})",
        f"filter(fn: (r) => {measurements})",
        f"filter(fn: (r) => {where})",
        "last()",
        f"keep(columns: [{kept}])",
    )


def _seconds(name: str) -> str:
    return f"map(fn: (r) => ({{{name}, _value: float(v: int(v: now()) - int(v: r._time)) / 1000000000.0}}))"


def _bars(function: str) -> str:
    # A bar stands where its window begins; a window without events has none.
    return f'aggregateWindow(every: v.windowPeriod, fn: {function}, timeSrc: "_start", createEmpty: false)'


def _source(table: Table, field: str | None, where: str = CHOSEN) -> tuple[str, ...]:
    return (
        "from(bucket: v.defaultBucket)",
        "range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        *_filters(table, field, where),
    )


def _filters(table: Table, field: str | None, where: str) -> tuple[str, ...]:
    chosen = "" if field is None else f' and r._field == "{field}"'
    return f'filter(fn: (r) => r._measurement == "{table.measurement}"{chosen})', f"filter(fn: (r) => {where})"
