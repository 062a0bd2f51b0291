"""Rows for tests: written by hand, or drawn from a kind's declaration; and what a store would give back of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from aggregate.requirements import Need
from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey, column_of
from devices.fields import Field, Signal
from devices.inventory import Device
from devices.kind import Channel, Kind, Table

COMPOUND = "jingyuan"


def devices_of(kind: Kind, count: int = 3, parts: int = 2) -> list[Device]:
    """`count` devices, each with the declared parts or `parts` numbered ones."""
    named: tuple[str, ...] = ("",)
    if kind.part is not None:
        named = kind.part.values or tuple(str(number + 1) for number in range(parts))
    return [
        Device(
            id=f"{kind.name}-{number}",
            kind=kind.name,
            compound=COMPOUND,
            building="1",
            parts=named,
            attributes=MappingProxyType({}),
        )
        for number in range(count)
    ]


def batch(table: Table, rows: Sequence[Mapping[str, object]]) -> Batch:
    """A batch of hand-written rows: "t" in seconds, "device", maybe "part" and "seq", and fields."""
    keys = [SeriesKey(COMPOUND, str(row["device"]), str(row.get("part", ""))) for row in rows]
    distinct = tuple(dict.fromkeys(keys))
    return Batch(
        table,
        distinct,
        np.array([distinct.index(key) for key in keys], np.int32),
        np.array([round(float(str(row["t"])) * 1e9) + int(str(row.get("seq", 0))) for row in rows], np.int64),
        {field.name: column_of(field, [row.get(field.name) for row in rows]) for field in table.fields},
    )


def drawn(
    kind: Kind, devices: Sequence[Device], start_ns: int, stop_ns: int, rng: np.random.Generator
) -> dict[str, Batch]:
    """Random rows of every table, in random order, with gaps, resets and absent values.

    Times of what is sampled are whole seconds, so that some are bucket edges. Each device is silent for 30 % of the
    time.
    """
    made = {}
    for table in kind.tables.values():
        keys = tuple(key for device in devices for key in device.keys(table))
        each = []
        for number in range(len(keys)):
            time = _times(kind, table, start_ns, stop_ns, rng)
            silent = rng.integers(start_ns, stop_ns)
            time = time[(time < silent) | (time > silent + 0.3 * (stop_ns - start_ns))]
            each.append(_rows(table, keys, number, time, rng))
        whole = Batch.concatenated(each) if each else Batch.empty(table)
        made[table.name] = whole.take(rng.permutation(len(whole)))
    return made


def _times(kind: Kind, table: Table, start_ns: int, stop_ns: int, rng: np.random.Generator) -> np.ndarray:
    interval = kind.interval_s if table.channel is Channel.TELEMETRY else 3000.0
    number = max(round((stop_ns - start_ns) / 1e9 / interval), 1)
    time = np.unique(rng.integers(start_ns // 10**9, stop_ns // 10**9, number) * 10**9)
    if table.channel is not Channel.EVENT:
        return time
    # Numbered, some numbers missing, and now and then a new boot.
    return time + np.cumsum(rng.integers(1, 3, len(time))) % 50


def _rows(table: Table, keys: tuple[SeriesKey, ...], number: int, time: np.ndarray, rng: np.random.Generator) -> Batch:
    columns = {field.name: _column(field, len(time), rng) for field in table.fields}
    return Batch(table, keys, np.full(len(time), number, np.int32), time.astype(np.int64), columns)


def _column(field: Field, n: int, rng: np.random.Generator) -> Column:
    absent = np.zeros(n, np.bool_) if field.required else rng.random(n) < 0.4
    if field.signal is Signal.IDENTITY:
        return Coded(np.where(absent, ABSENT, rng.integers(0, 3, n)).astype(np.int32), ("a", "b", "c"))
    if field.is_label:
        codes = rng.integers(0, len(field.labels), n)
        return Coded(np.where(absent, ABSENT, codes).astype(np.int32), field.labels)
    high = min(field.high or 1.0, 1e6)
    rising = np.cumsum(rng.random(n)) % 20  # falls now and then
    values = rising if field.signal is Signal.COUNTER else rng.uniform(field.low or 0.0, high, n)
    return np.where(absent, np.nan, values)


def read(tables: Mapping[str, Batch], needs: Sequence[Need]) -> dict[str, Batch]:
    """What a store gives for `needs`, and nothing more: other rows and fields are left out."""
    return {need.table.name: _read(tables[need.table.name], need) for need in needs}


def _read(batch: Batch, need: Need) -> Batch:
    chosen = {name: batch.columns[name] for name in need.fields}
    batch = replace(batch, columns=chosen).sorted()
    within = batch.take((batch.time >= need.start_ns) & (batch.time < need.stop_ns))
    before = batch.take((batch.time < need.start_ns) & (batch.time >= need.start_ns - need.before_ns))
    parts = [within]
    for name, column in before.columns.items():
        codes = column.codes if isinstance(column, Coded) else np.where(np.isnan(column), ABSENT, 0)
        last: dict[int, int] = {}
        for row in np.flatnonzero(codes != ABSENT).tolist():
            last[int(before.series[row])] = row
        found = before.take(np.array(list(last.values()), np.intp))
        parts.append(replace(found, columns={other: _only(found, other, name) for other in found.columns}))
    return Batch.concatenated(parts).sorted()


def _only(batch: Batch, other: str, name: str) -> Column:
    """Column `other`, emptied unless it is `name`: a last value says nothing about the other fields."""
    column = batch.columns[other]
    if other == name:
        return column
    if isinstance(column, Coded):
        return Coded(np.full(len(batch), ABSENT, np.int32), column.labels)
    return np.full(len(batch), np.nan)
