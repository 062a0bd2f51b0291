"""Bands, peaks, forecasts, repairs and uptime, computed by hand."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregate.balance import missing
from aggregate.edges import Every, bucket_edges
from devices.availability import COMMON_STATISTICS
from devices.columns import NS_PER_MS, Times
from devices.kind import Kind
from tests.aggregate.test_evaluate import BERLIN, EDGES, KINDS, SHANGHAI, Rows, at, heard, lines, passed

DAY_S = 86_400
nan = np.nan


def values(kind: Kind, name: str, tables: Mapping[str, Rows], label: str | None = None, **more: object) -> list[float]:
    statistic = next((each for each in COMMON_STATISTICS if each.name == name), None)
    found = lines(kind, statistic or name, tables, **more)[label]  # type: ignore[arg-type]
    return [round(value, 9) for value in found.values.tolist()]


def filled(start: int, stop: int, per_day: float, at_start: float = 0.0) -> list[dict[str, object]]:
    """The telemetry of one bin whose four streams fill steadily."""
    return [
        {**row, "part": part, "fill": at_start + (float(str(row["t"])) - start) / DAY_S * per_day}
        for row in heard(KINDS["bin"], start, stop)
        for part in ("recyclable", "kitchen", "hazardous", "residual")
    ]


def test_the_band_of_people_inside_is_as_wide_as_what_is_not_known() -> None:
    gate, midnight = KINDS["gate"], at("2024-06-01", SHANGHAI)
    hours = [midnight + hour * 3600 for hour in (5, 6, 7, 8)]
    events = [
        {**passed(hours[0] + 10, "in"), "seq": 0},
        {**passed(hours[0] + 20, "unknown"), "seq": 1},
        {**passed(hours[0] + 30, "unknown", "denied"), "seq": 2},
        {**passed(hours[1] + 10, "out"), "seq": 6},  # 3, 4 and 5 never came
    ]
    tables = {"pass": events, "telemetry": heard(gate, midnight, hours[-1])}
    edges = np.array(hours, np.int64) * 10**9
    assert values(gate, "people_inside", tables, edges=edges) == [621, 620, 620]
    assert values(gate, "people_inside_low", tables, edges=edges) == [620, 616, 616]
    assert values(gate, "people_inside_high", tables, edges=edges) == [622, 624, 624]


def test_the_band_begins_anew_at_the_anchor_and_knows_the_last_number_before_it() -> None:
    gate, four = KINDS["gate"], at("2024-06-02T04:00", SHANGHAI)
    events = [
        {**passed(four - 7200, "unknown"), "seq": 7},
        {**passed(four - 3600, "in"), "seq": 8},
        {**passed(four + 60, "in"), "seq": 10},  # 9 is missing since before or after the anchor
    ]
    tables = {"pass": events, "telemetry": heard(gate, four - DAY_S, four + 3600)}
    edges = np.array([four - 3600, four, four + 3600], np.int64) * 10**9
    assert values(gate, "people_inside_low", tables, edges=edges) == [620, 620]
    assert values(gate, "people_inside_high", tables, edges=edges) == [620, 622]


def test_nobody_is_ever_less_than_inside() -> None:
    gate, four = KINDS["gate"], at("2024-06-02T04:00", SHANGHAI)
    events = [passed(four + minute, "unknown") for minute in range(5)]
    tables = {"pass": events, "telemetry": heard(gate, four, four + 3600)}
    edges = np.array([four, four + 3600], np.int64) * 10**9
    assert values(gate, "people_inside_low", tables, edges=edges, residents=3) == [0]


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=4))
def test_missing_numbers_equal_the_reference(series: list[list[int]]) -> None:
    time = [place * NS_PER_MS * 1000 + number for each in series for place, number in enumerate(each)]
    offsets = np.cumsum([0, *map(len, series)])
    expected = []
    for each in series:
        for place, number in enumerate(each):
            before = each[place - 1] if place else number - 1
            expected.append(number - before - 1 if number > before else number)
    np.testing.assert_array_equal(missing(np.array(time, np.int64), offsets), expected)


def test_the_busiest_hour_is_one_of_the_local_clock() -> None:
    gate, midnight = KINDS["gate"], at("2024-06-01", SHANGHAI)
    minutes = [8 * 60 + 59, 9 * 60, 9 * 60 + 30, 18 * 60, 18 * 60 + 1]
    tables = {
        "pass": [passed(midnight + minute * 60, "in") for minute in minutes],
        "telemetry": heard(gate, midnight, midnight + DAY_S - 180),
    }
    days = np.array([midnight, midnight + DAY_S, midnight + 2 * DAY_S], np.int64) * 10**9
    np.testing.assert_array_equal(values(gate, "passes_peak", tables, edges=days), [2, nan])
    np.testing.assert_array_equal(values(gate, "passes_peak_hour", tables, edges=days), [9, nan])


def test_a_day_without_passes_has_no_busiest_hour() -> None:
    gate, midnight = KINDS["gate"], at("2024-06-01", SHANGHAI)
    tables: Mapping[str, Rows] = {"telemetry": heard(gate, midnight, midnight + DAY_S)}
    day = np.array([midnight, midnight + DAY_S], np.int64) * 10**9
    assert values(gate, "passes_peak", tables, edges=day) == [0]
    np.testing.assert_array_equal(values(gate, "passes_peak_hour", tables, edges=day), [nan])


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    gate, midnight = KINDS["gate"], at("2024-10-27", BERLIN)  # 02:00 to 03:00 comes twice
    tables = {
        "pass": [passed(midnight + second, "in") for second in (2 * 3600 + 60, 3 * 3600 + 60, 3 * 3600 + 90)],
        "telemetry": heard(gate, midnight, midnight + 25 * 3600),
    }
    edges = bucket_edges(midnight * 10**9, (midnight + 25 * 3600) * 10**9, Every.parse("1d"), BERLIN)
    assert values(gate, "passes_peak", tables, edges=edges, tz=BERLIN) == [2]
    assert values(gate, "passes_peak_hour", tables, edges=edges, tz=BERLIN) == [2]


def test_free_cells_are_what_is_neither_occupied_nor_faulty() -> None:
    locker = KINDS["locker"]
    rows = [
        {"t": t, "device": "locker-0", "part": "small", "total": 20, "occupied": 7, "faulty": 1, "temp_c": 20}
        for t in range(0, 7200, 300)
    ]
    assert values(locker, "cells_free", {"telemetry": rows}, "small") == [12, 12]
    np.testing.assert_array_equal(values(locker, "cells_free", {"telemetry": rows}, "large"), [nan, nan])


def test_a_level_that_falls_has_not_risen_less() -> None:
    levels = [0.1, 0.2, 0.4, 0.0, 0.1, 0.1]  # emptied once
    rows = [
        {**row, "part": "kitchen", "fill": level}
        for row, level in zip(heard(KINDS["bin"], 0, 3600), levels, strict=True)
    ]
    edges: Times = np.array([0, 3000], np.int64) * 10**9
    assert values(KINDS["bin"], "fill_rate", {"telemetry": rows}, "kitchen", edges=edges) == [pytest.approx(0.4 * 1.2)]


def test_overflow_is_the_time_at_the_threshold_or_above() -> None:
    levels = [0.94, 0.95, 1.0, 0.1, 0.1, 0.1]
    rows = [
        {**row, "part": "kitchen", "fill": level}
        for row, level in zip(heard(KINDS["bin"], 0, 3600), levels, strict=True)
    ]
    found = lines(KINDS["bin"], "overflow_seconds", {"telemetry": rows})[None]
    assert found.values.tolist() == [1200, 0]
    assert found.coverage.tolist() == [0.25, 1200 / 3600 / 4]  # held for 30 minutes; one stream of four


def test_a_bin_that_fills_steadily_is_full_when_it_is() -> None:
    start = at("2024-06-01", SHANGHAI)
    rows = filled(start, start + 4 * DAY_S, 0.1)
    edges = (start + np.arange(3, 5, dtype=np.int64) * DAY_S) * 10**9
    (middle,) = values(KINDS["bin"], "time_to_full", {"telemetry": rows}, "kitchen", edges=edges)
    level = 0.1 * (4 - 600 / DAY_S)  # the last sample of the bucket
    assert middle == pytest.approx((0.95 - level) / 0.1 * DAY_S)
    for name in ("time_to_full_low", "time_to_full_high"):  # no day differs from another
        assert values(KINDS["bin"], name, {"telemetry": rows}, "kitchen", edges=edges) == [pytest.approx(middle)]


def test_the_interval_of_a_forecast_comes_of_the_days_rates() -> None:
    start = at("2024-06-01", SHANGHAI)
    rows = filled(start, start + DAY_S, 0.1) + filled(start + DAY_S, start + 2 * DAY_S, 0.2, at_start=0.1)
    edges = (start + np.arange(1, 3, dtype=np.int64) * DAY_S) * 10**9
    tables = {"telemetry": rows}
    names = ("time_to_full_low", "time_to_full", "time_to_full_high")
    low, middle, high = (values(KINDS["bin"], name, tables, "kitchen", edges=edges)[0] for name in names)
    room = 0.95 - (0.1 + 0.2 * (1 - 600 / DAY_S))
    # The rates lie 0.1 apart, so that their standard error is 0.05; the first day has one sample fewer before it.
    assert middle == pytest.approx(room / 0.15 * DAY_S, rel=0.01)
    assert low == pytest.approx(room / (0.15 + 1.645 * 0.05) * DAY_S, rel=0.01)
    assert high == pytest.approx(room / (0.15 - 1.645 * 0.05) * DAY_S, rel=0.01)


def test_what_does_not_fill_is_never_full_and_what_is_full_is_so_now() -> None:
    start = at("2024-06-01", SHANGHAI)
    edges = (start + np.arange(1, 3, dtype=np.int64) * DAY_S) * 10**9
    for level, expected in ((0.4, nan), (0.96, 0.0)):
        rows = filled(start, start + 2 * DAY_S, 0.0, at_start=level)
        for name in ("time_to_full_low", "time_to_full", "time_to_full_high"):
            found = values(KINDS["bin"], name, {"telemetry": rows}, "kitchen", edges=edges)
            np.testing.assert_array_equal(found, [expected], err_msg=name)


def test_one_day_makes_no_interval() -> None:
    start = at("2024-06-01", SHANGHAI)
    edges = (start + np.arange(2, dtype=np.int64) * DAY_S) * 10**9
    rows = filled(start, start + DAY_S, 0.1)
    for name in ("time_to_full_low", "time_to_full_high"):
        found = values(KINDS["bin"], name, {"telemetry": rows}, "kitchen", edges=edges)
        np.testing.assert_array_equal(found, [nan])


def test_an_outage_counts_where_it_ends_however_often_it_was_said() -> None:
    gate = KINDS["gate"]
    said = [
        (100, "online"),
        (200, "offline"),
        (300, "offline"),
        (4000, "online"),
        (5000, "offline"),
        (5500, "maintenance"),
    ]
    tables = {"status": [{"t": t, "device": "gate-0", "state": label} for t, label in said]}
    np.testing.assert_array_equal(values(gate, "repair_time", tables), [nan, (3800 + 500) / 2])


def test_an_outage_from_before_the_span_is_as_long_as_it_was() -> None:
    gate, start = KINDS["gate"], 100 * DAY_S
    said = [(start - 5 * DAY_S, "offline"), (start - DAY_S, "offline"), (start + 60, "online")]
    tables = {"status": [{"t": t, "device": "gate-0", "state": label} for t, label in said]}
    edges = np.array([start, start + 3600], np.int64) * 10**9
    assert values(gate, "repair_time", tables, edges=edges) == [5 * DAY_S + 60]


def test_uptime_excludes_maintenance_and_counts_an_offline_charger_for_each_connector() -> None:
    charger = KINDS["charger"]
    rows = [
        {**row, "part": part, "status": "Faulted" if part == "2" and float(str(row["t"])) < 720 else "Available"}
        for row in heard(charger, 0, 3600)
        for part in ("1", "2")
    ]
    said = [(1800, "offline"), (2400, "online"), (3000, "maintenance"), (3600, "online")]
    tables = {"telemetry": rows, "status": [{"t": t, "device": "charger-0", "state": label} for t, label in said]}
    found = lines(charger, "uptime", tables)[None]
    # Two connectors for an hour: one faulted for 12 minutes, both offline for 10 while they still sent.
    assert found.values[0] == pytest.approx((7200 - 720 - 1200) / 7200)
    assert found.coverage[0] == 1
    assert found.coverage[1] == pytest.approx(120 / 3600)  # what was heard at 3540 holds until 3720
    assert found.values[1] == 1


def test_uptime_is_unknown_where_nothing_is_heard() -> None:
    found = lines(KINDS["charger"], "uptime", {}, edges=EDGES)[None]
    np.testing.assert_array_equal(found.values, [nan, nan])
    assert found.coverage.tolist() == [0, 0]
