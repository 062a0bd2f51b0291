"""The values of fields as InfluxDB answers with them become pieces that `store.align` can line up."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from devices.columns import ABSENT, Coded, Codes, Column, SeriesKey, Times
from devices.fields import Field, Signal
from devices.kind import Table
from store.align import Piece, by_series_and_time
from store.checks import anchor
from store.influx_csv import Answer, Run, Values
from store.lines import marker


def presence(table: Table) -> str:
    """The field that every row has."""
    found = anchor(table)
    return found.name if found is not None else str(marker(table))


def type_of(declared: Field | None) -> pa.DataType:
    """The type of a field's values; None stands for the marker."""
    if declared is None or declared.is_number:
        return pa.float64()
    return pa.bool_() if declared.boolean else pa.string()


def by_type(table: Table, names: Iterable[str]) -> Iterable[tuple[str, ...]]:
    """Names of one type together: what differs in type comes in answers of its own, each one block of CSV."""
    groups: dict[object, list[str]] = {}
    for name in names:
        declared = table.by_name.get(name)
        groups.setdefault(None if declared is None else type_of(declared), []).append(name)
    return [tuple(group) for group in groups.values()]


def piece_of(declared: Field | None, runs: Sequence[tuple[Run, Answer]], ranks: Mapping[SeriesKey, int]) -> Piece:
    """All values of one field, by series and time."""
    runs = sorted(runs, key=lambda each: ranks[each[0].key])
    parts = [(answer.time[run.begin : run.end], answer.values[run.begin : run.end]) for run, answer in runs]
    lengths = [len(time) for time, _ in parts]
    series = np.repeat(np.array([ranks[run.key] for run, _ in runs], np.int32), lengths)
    time = np.concatenate([time for time, _ in parts])
    values = np.concatenate([values for _, values in parts])
    order = by_series_and_time(series, time)
    if order is not None:
        series, time, values = series[order], time[order], values[order]
    once = _once(series, time)
    if once is not None:
        series, time, values = series[once], time[once], values[once]
    # All runs of one field come from one answer.
    return Piece(series, time, None if declared is None else _column(declared, values, runs[0][1].labels))


def _once(series: Codes, time: Times) -> NDArray[np.bool_] | None:
    """Which of the sorted values to take, so that none is there twice; None where none is.

    While late points wait in its cache beside a full block of 1,000 on disk, influxd 2.8 gives that block twice.
    """
    again = (series[1:] == series[:-1]) & (time[1:] == time[:-1])
    return np.append(~again, True) if again.any() else None


def _column(declared: Field, values: Values, labels: tuple[str, ...]) -> Column:
    if declared.is_number:
        return values.astype(np.float64, copy=False)
    codes = values.astype(np.int32, copy=False)
    if declared.boolean:
        return Coded(codes, declared.labels)
    if declared.signal is Signal.IDENTITY:
        occurring, compact = np.unique(codes, return_inverse=True)
        return Coded(compact.astype(np.int32), tuple(labels[code] for code in occurring.tolist()))
    places = {label: place for place, label in enumerate(declared.labels)}
    return Coded(np.array([places.get(label, ABSENT) for label in labels], np.int32)[codes], declared.labels)
