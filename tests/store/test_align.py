"""Fields into rows, against dictionaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey
from devices.fields import gauge, identity, state
from devices.kind import Channel, Table
from devices.names import Text
from store.align import Piece, assembled, by_series_and_time, joined, newest
from tests.store.model import Value, bits, rows_of

_T = Text("x", "x")
LABELS = ("a", "b", "c")
TABLE = Table(
    kind="k",
    name="t",
    channel=Channel.TELEMETRY,
    fields=(gauge("x", _T, "1", 0, 1), gauge("y", _T, "1", 0, 1), state("s", _T, LABELS), identity("i", _T)),
)
KEYS = tuple(SeriesKey("c", device) for device in "abcd")

times = st.integers(-(2**63) + 2, 2**63 - 2) | st.integers(0, 5)
identities = st.tuples(st.integers(0, len(KEYS) - 1), times)
maps = st.dictionaries(identities, st.integers(0, len(LABELS) - 1), max_size=8)


def piece(values: dict[tuple[int, int], int], name: str) -> Piece:
    ordered = sorted(values)
    codes = np.array([values[each] for each in ordered], np.int32)
    column: Column = codes.astype(np.float64) if name in "xy" else Coded(codes, LABELS)
    series = np.array([number for number, _ in ordered], np.int32)
    return Piece(series, np.array([time for _, time in ordered], np.int64), column)


@given(st.dictionaries(st.sampled_from("xysi"), maps), maps)
def test_assembled(fields: dict[str, dict[tuple[int, int], int]], others: dict[tuple[int, int], int]) -> None:
    pieces = {name: piece(values, name) for name, values in fields.items()}
    pieces["n"] = piece(others, "i")._replace(values=None)
    batch = assembled(TABLE, KEYS, ("s", "x", "y", "i"), pieces)
    expected = []
    for number, time in sorted({each for values in [*fields.values(), others] for each in values}):
        row: dict[str, Value] = {}
        for name in ("s", "x", "y", "i"):
            value = fields.get(name, {}).get((number, time))
            row[name] = None if value is None else float(value) if name in "xy" else LABELS[value]
        expected.append((KEYS[number], time, row))
    assert bits(rows_of(batch)) == bits(expected)
    assert set(batch.series.tolist()) == set(range(len(batch.keys)))


@given(st.lists(identities, max_size=30), st.sampled_from([1, 70_000]))
def test_order(rows: list[tuple[int, int]], scale: int) -> None:
    series = np.array([number * scale for number, _ in rows], np.int32)
    time = np.array([time for _, time in rows], np.int64)
    order = by_series_and_time(series, time)
    expected = sorted(range(len(rows)), key=lambda row: (rows[row], row))
    if order is None:
        assert expected == list(range(len(rows)))
    else:
        assert order.tolist() == expected


def batch_of(values: dict[tuple[int, int], int], keys: tuple[SeriesKey, ...] = KEYS) -> Batch:
    return assembled(TABLE, keys, ("x", "i"), {"x": piece(values, "x")})


@given(maps, maps, st.integers(1, 20))
def test_joined_and_newest(one: dict[tuple[int, int], int], two: dict[tuple[int, int], int], limit: int) -> None:
    two = {each: value for each, value in two.items() if each not in one}
    both = joined(batch_of(one), batch_of(two))
    assert bits(rows_of(both)) == bits(rows_of(batch_of(one | two)))
    assert list(both.keys) == sorted(set(both.keys))
    rows = rows_of(both)
    chosen = sorted(rows, key=lambda row: (row[1], row[0]))[-limit:]
    assert bits(rows_of(newest(both, limit))) == bits(sorted(chosen, key=lambda row: row[:2]))


@pytest.mark.parametrize("years", [1, 290])
def test_many_series_over_a_long_time(years: int) -> None:
    """More series and nanoseconds than one 64-bit key holds at once."""
    keys = tuple(SeriesKey("c", f"{number:04d}") for number in range(1000))
    rng = np.random.default_rng(3)
    span = years * 365 * 86_400 * 10**9
    time = np.sort(rng.integers(0, span, (1000, 20)), axis=1)
    whole = Piece(np.repeat(np.arange(1000, dtype=np.int32), 20), time.ravel(), np.arange(20_000.0))
    some = np.sort(rng.choice(20_000, 7_000, replace=False))
    part = Piece(whole.series[some], whole.time[some], Coded(np.zeros(7_000, np.int32), LABELS))
    batch = assembled(TABLE, keys, ("x", "s"), {"x": whole, "s": part})
    assert len(batch) == 20_000
    assert batch.floats("x").tolist() == list(range(20_000))
    assert np.flatnonzero(batch.coded("s").codes != ABSENT).tolist() == some.tolist()
