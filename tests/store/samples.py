"""Rows of any table, drawn at random from what its declaration allows."""

import math
from collections.abc import Sequence

import numpy as np

from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey
from devices.fields import Field, Signal
from devices.kind import Table

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
MINUTE_NS = 60_000_000_000
SPAN_NS = 60 * MINUTE_NS
STOP_NS = START_NS + SPAN_NS
COMPOUNDS = ("jingyuan", "a-1", "zz")

AWKWARD = (
    "a", "A-1", "with space", 'with "quotes"', "comma,comma", "equals=equals", "back\\slash", "ends\\", "\\", '\\"',
    " ", "小区", "🙂", "NaN", "null", "NULL", "true", "1", "-0", "#comment", ",result,table", "${x}", "'", "a|b", "%s",
)  # fmt: skip
"""Texts that a careless encoder or reader would change."""

_SPECIAL = (
    0.0,
    -0.0,
    1.0,
    0.1,
    1 / 3,
    2 / 3,
    1e-300,
    5e-324,
    123456.789012345678,
    1e15,
    1e16,
    1e21,
    1e22,
    1e300,
    1e308,
)


def keys_of(table: Table, devices: int = 2) -> tuple[SeriesKey, ...]:
    """Series of `table`: `devices` devices in each of `COMPOUNDS`, with up to three parts, in no order."""
    parts: Sequence[str] = ("",)
    if table.part is not None:
        parts = table.part.values[:3] or ("1", "2", "10")
    return tuple(
        SeriesKey(compound, f"{compound}-{table.kind}-{number:02d}", part)
        for number in range(devices, 0, -1)
        for compound in COMPOUNDS
        for part in parts
    )


def sample(
    table: Table,
    rows: int = 300,
    *,
    seed: int = 1,
    absent: float = 0.5,
    keys: tuple[SeriesKey, ...] | None = None,
    start_ns: int = START_NS,
    stop_ns: int = STOP_NS,
) -> Batch:
    """A batch with rows in no order, each identity once.

    Args:
        table: of which table.
        rows: how many.
        seed: of the random numbers.
        absent: how often an optional field is absent.
        keys: of which series; those of `keys_of` unless given.
        start_ns: first time.
        stop_ns: the time after the last.
    """
    rng = np.random.default_rng(seed)
    keys = keys_of(table) if keys is None else keys
    # Whole milliseconds and some nanoseconds, as rows have them; drawn without repetition over all series.
    step = max((stop_ns - start_ns) // (8 * max(rows, 1)), 1)
    steps = rng.choice((stop_ns - start_ns) // step, rows, replace=False)
    time = start_ns + steps.astype(np.int64) * step
    columns = {field.name: _column(field, rows, rng, absent) for field in table.fields}
    return Batch(table, keys, rng.integers(0, len(keys), rows, np.int32), time, columns)


def sample_of_hour(table: Table, hour: int, rows: int = 100) -> Batch:
    """Rows of one hour, the same at every call."""
    later = hour * SPAN_NS
    return sample(table, rows, seed=hour, start_ns=START_NS + later, stop_ns=STOP_NS + later)


def _column(field: Field, rows: int, rng: np.random.Generator, absent: float) -> Column:
    missing = np.zeros(rows, np.bool_) if field.required else rng.random(rows) < absent
    if field.is_number:
        return np.where(missing, np.nan, _numbers(field, rows, rng))
    labels = AWKWARD if field.signal is Signal.IDENTITY else field.labels
    codes = rng.integers(0, len(labels), rows, np.int32)
    return Coded(np.where(missing, ABSENT, codes).astype(np.int32), labels)


def _numbers(field: Field, rows: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    low, high = field.low, field.high
    if low is None or high is None:
        raise AssertionError(field)
    numbers = rng.uniform(low, high, rows)  # 17 digits
    allowed = [low, high, math.nextafter(high, low), *(each for each in _SPECIAL if low <= each <= high)]
    return np.where(rng.random(rows) < 0.5, numbers, rng.choice(np.array(allowed), rows))
