"""A small installation with a day of readings, made from the declarations: it knows no kind by name."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Batch, Coded, Column, SeriesKey
from devices.fields import Field, Signal
from devices.inventory import Device, Inventory
from devices.kind import STATUS, Channel, Kind, Table

NS_PER_S = 1_000_000_000
NOW_NS = 1_748_743_200 * NS_PER_S  # 2025-06-01T10:00:00+08:00
DAY_S = 86_400


def inventory_of(
    kinds: Mapping[str, Kind], *, timezone: str = "Asia/Shanghai", compounds: tuple[str, ...] = ("jingyuan", "xinyuan")
) -> Inventory:
    """Compounds with two devices of each kind."""
    lines = ["name: {en: Test Road, zh: 测试路}", f"timezone: {timezone}", "compounds:"]
    for name in compounds:
        lines += [
            f"  - id: {name}",
            "    name: {en: Jingyuan, zh: 警苑小区}",
            "    buildings: 3",
            "    residents: 620",
            "    parking_spaces: 30",
            "    devices:",
        ]
        for kind in kinds.values():
            counted = kind.part is not None and not kind.part.values
            lines.append(f"      {kind.name}: {{count: 2, attributes: {{size: 7}}{', parts: 2' if counted else ''}}}")
    return Inventory.parse("\n".join(lines), kinds)


def batches(
    inventory: Inventory, kinds: Mapping[str, Kind], *, now_ns: int = NOW_NS, seconds: int = DAY_S, seed: int = 1
) -> Iterator[Batch]:
    """One batch for each table of each device: telemetry at its interval up to now, online at first, some events."""
    random = np.random.default_rng(seed)
    for device in inventory.devices.values():
        kind = kinds[device.kind]
        for table in kind.tables.values():
            yield rows(device, table, times_of(kind, table, random, now_ns, seconds), random)


def times_of(
    kind: Kind, table: Table, random: np.random.Generator, now_ns: int, seconds: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """int64[n], at most `now_ns`."""
    if table.channel is Channel.TELEMETRY:
        ago_s = np.arange(0, seconds, kind.interval_s)
    elif table.name == STATUS:
        ago_s = np.array([float(seconds)])
    else:
        ago_s = np.unique(random.integers(1, seconds, 40)).astype(np.float64)
    return np.sort(now_ns - (ago_s * NS_PER_S).astype(np.int64))


def rows(
    device: Device, table: Table, time: np.ndarray[tuple[int], np.dtype[np.int64]], random: np.random.Generator
) -> Batch:
    """Rows of one device at `time`, for each of its parts, with random values in range."""
    keys: tuple[SeriesKey, ...] = tuple(device.keys(table))
    count = len(time) * len(keys)
    columns = {field.name: _column(field, table, count, random) for field in table.fields}
    series = np.repeat(np.arange(len(keys), dtype=np.int32), len(time))
    # The parts of one moment differ by their seq, as those of a real device do.
    stamps = np.tile(time, len(keys)) + series
    return Batch(table, keys, series, stamps, columns)


def _column(field: Field, table: Table, count: int, random: np.random.Generator) -> Column:
    if field.signal is Signal.IDENTITY:
        return Coded(np.arange(count, dtype=np.int32) % 5, tuple(f"x{index}" for index in range(5)))
    if field.is_label:
        if table.name == STATUS:
            return Coded(np.full(count, field.labels.index("online"), np.int32), field.labels)
        return Coded(random.integers(0, len(field.labels), count).astype(np.int32), field.labels)
    low, high = field.low or 0.0, min(field.high or 1.0, 100.0)
    values = random.uniform(low, high, count)
    if field.signal is Signal.COUNTER:
        values = np.cumsum(values)
    return np.floor(values) if field.integer else values


def zone(name: str) -> ZoneInfo:
    """A time zone."""
    return ZoneInfo(name)
