"""Rows that no sane device sends: what is right for them."""

import numpy as np
import pytest

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import columns_of
from devices.availability import statistics_of
from devices.kind import Kind
from devices.registry import discover
from tests.aggregate.test_evaluate import BERLIN, KINDS, SHANGHAI, at, heard, lines

DAY_S = 86_400


def test_two_years_at_once_are_counted_month_by_month() -> None:
    charger, start, stop = KINDS["charger"], at("2023-01-01", SHANGHAI), at("2025-01-01", SHANGHAI)
    # A reading every six hours, each a gap: what the register rose by belongs to the later reading.
    times = range(start, stop, 6 * 3600)
    row = heard(charger, 0, 1)[0]
    rows = [{**row, "t": t, "part": "1", "energy_wh": 10.0 * place} for place, t in enumerate(times)]
    edges = bucket_edges(start * 10**9, stop * 10**9, Every.parse("1mo"), SHANGHAI)
    found = lines(charger, "energy", {"telemetry": rows}, edges=edges)[None]
    days = np.diff(edges) // (DAY_S * 10**9)
    expected = days * 40.0
    expected[0] -= 10  # before the first reading there is none
    np.testing.assert_allclose(found.values, expected)
    # Each holds for three minutes of its six hours, on one connector of two.
    np.testing.assert_allclose(lines(charger, "occupied", {"telemetry": rows}, edges=edges)[None].coverage, 1 / 240)


def test_two_readings_of_one_time_are_no_rise_over_no_time() -> None:
    charger = KINDS["charger"]
    row = heard(charger, 0, 1)[0]
    rows = [
        {**row, "t": 100, "part": "1", "energy_wh": 5.0, "seq": 0},
        {**row, "t": 100, "part": "1", "energy_wh": 9.0, "seq": 0},
    ]
    found = lines(charger, "energy", {"telemetry": rows})[None]
    assert found.values[0] == 4
    assert found.coverage[0] == 0


@pytest.mark.parametrize("date", ["2024-03-31", "2024-10-27"])
def test_on_a_day_whose_clock_changes_nothing_is_counted_twice_or_lost(date: str) -> None:
    gate, midnight = KINDS["gate"], at(date, BERLIN)
    hours = 23 if date.endswith("31") else 25
    passes = [
        {"t": midnight + minute * 60, "device": "gate-0", "direction": "in", "method": "face", "result": "granted"}
        for minute in range(hours * 60)
    ]
    tables = {"pass": passes, "telemetry": heard(gate, midnight, midnight + hours * 3600)}
    for text, buckets in (("1d", 1), ("1h", hours), ("15m", 4 * hours)):
        edges = bucket_edges(midnight * 10**9, (midnight + hours * 3600) * 10**9, Every.parse(text), BERLIN)
        found = lines(gate, "passes", tables, edges=edges, tz=BERLIN)[None]
        assert len(found.values) == buckets
        assert found.values.sum() == hours * 60
        assert set(found.values.tolist()) == {hours * 60 / buckets}
        np.testing.assert_allclose(found.coverage, 1)


@pytest.mark.parametrize("kind", discover().values(), ids=lambda kind: kind.name)
def test_partials_of_one_name_are_declared_alike(kind: Kind) -> None:
    seen = {column.name: column for column in columns_of(kind, statistics_of(kind))}
    for statistic in statistics_of(kind):
        for column in columns_of(kind, [statistic]):
            assert column == seen[column.name]
