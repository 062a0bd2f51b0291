"""Statistics computed by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import Line, evaluate
from aggregate.lines import UNSPECIFIED
from devices.columns import Times
from devices.errors import QueryError
from devices.kind import Kind
from devices.names import Text
from devices.registry import discover
from devices.statistics import Across, Group, Reducer, Statistic
from tests.aggregate.rows import batch, devices_of

KINDS = discover()
SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
EDGES = np.array([0, 3600, 7200], np.int64) * 10**9
Rows = Sequence[Mapping[str, object]]


def lines(
    kind: Kind,
    name: str | Statistic,
    tables: Mapping[str, Rows],
    *,
    edges: Times = EDGES,
    tz: ZoneInfo = SHANGHAI,
    devices: int = 1,
    residents: float | None = 620,
) -> dict[str | None, Line]:
    """One statistic of hand-written rows, by label."""
    statistic = name if isinstance(name, Statistic) else next(each for each in kind.statistics if each.name == name)
    (result,) = evaluate(
        kind,
        [statistic],
        devices_of(kind, devices),
        {table: batch(kind.tables[table], rows) for table, rows in tables.items()},
        edges,
        tz=tz,
        attributes={} if residents is None else {"residents": residents},
    )
    return {line.label: line for line in result.lines}


def heard(kind: Kind, start: int, stop: int, device: int = 0) -> list[dict[str, object]]:
    """Telemetry of one device at its nominal interval."""
    return [
        {"t": at, "device": f"{kind.name}-{device}", **_any(kind)} for at in range(start, stop, round(kind.interval_s))
    ]


def _any(kind: Kind) -> dict[str, object]:
    return {
        each.name: False if each.boolean else each.labels[0] if each.labels else each.low
        for each in kind.tables["telemetry"].fields
    }


def at(text: str, tz: ZoneInfo) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp())


def passed(t: int, direction: str, result: str = "granted", **more: object) -> dict[str, object]:
    return {"t": t, "device": "gate-0", "direction": direction, "method": "face", "result": result, **more}


def test_people_inside_begin_anew_at_the_anchor() -> None:
    gate, midnight = KINDS["gate"], at("2024-06-01", SHANGHAI)
    edges = bucket_edges(midnight * 10**9, (midnight + 8 * 3600) * 10**9, Every.parse("2h"), SHANGHAI)
    events = [
        passed(midnight - 19 * 3600, "out"),  # 05:00 the day before: since that day's anchor
        passed(midnight + 3600, "in"),
        passed(midnight + 3 * 3600, "out", "denied"),
        passed(midnight + 4 * 3600, "out"),  # at the anchor: since then
        passed(midnight + 6 * 3600, "out"),  # at an edge: the next bucket's
        passed(midnight + 7 * 3600, "unknown"),
    ]
    telemetry = heard(gate, midnight - 86_400, midnight + 8 * 3600)
    line = lines(gate, "people_inside", {"pass": events, "telemetry": telemetry}, edges=edges)[None]
    # Ends at 02:00 (since 04:00 the day before), 04:00 (the anchor itself), 06:00 and 08:00.
    np.testing.assert_array_equal(line.values, [620 - 1 + 1, 620, 619, 618])
    np.testing.assert_allclose(line.coverage, 1.0)


def test_an_hour_missed_since_the_anchor_shows_in_the_coverage_of_a_balance() -> None:
    gate, four = KINDS["gate"], at("2024-06-01T04:00", SHANGHAI)
    edges = bucket_edges(four * 10**9, (four + 4 * 3600) * 10**9, Every.parse("1h"), SHANGHAI)
    telemetry = heard(gate, four, four + 3600) + heard(gate, four + 2 * 3600, four + 4 * 3600)
    line = lines(gate, "people_inside", {"telemetry": telemetry}, edges=edges)[None]
    # The last report before the gap, at 04:59, holds for three minutes.
    np.testing.assert_allclose(line.coverage, [1, 120 / 3600, (2 * 3600 + 120) / (3 * 3600), (3 * 3600 + 120) / 14400])
    np.testing.assert_array_equal(line.values, [620, 620, 620, 620])


def test_a_balance_without_its_base_is_refused() -> None:
    with pytest.raises(QueryError, match="residents"):
        lines(KINDS["gate"], "people_inside", {}, residents=None)


def test_an_event_count_of_zero_is_known_only_where_the_device_was_heard() -> None:
    gate = KINDS["gate"]
    tables = {"pass": [passed(10, "in"), passed(3600, "in")], "telemetry": heard(gate, 0, 1800)}
    line = lines(gate, "passes", tables)[None]
    np.testing.assert_array_equal(line.values, [1, 1])  # the second is known to have happened
    np.testing.assert_allclose(line.coverage, [(29 * 60 + 180) / 3600, 0])
    line = lines(gate, "denials", tables)[None]
    np.testing.assert_array_equal(line.values, [0, np.nan])


def test_counts_are_broken_down_by_label_and_none_is_lost() -> None:
    gate = KINDS["gate"]
    events = [
        passed(1, "in", category="resident"),
        passed(2, "in", category="delivery"),
        passed(3, "in"),
        passed(4, "in", "denied", category="visitor"),
    ]
    found = lines(gate, "passes_by_category", {"pass": events})
    assert list(found) == ["resident", "visitor", "staff", "delivery", UNSPECIFIED]
    assert [line.values[0] for line in found.values()][0::3] == [1, 1]
    assert found[UNSPECIFIED].values[0] == 1
    assert np.isnan(found["visitor"].values[0])
    assert list(lines(gate, "passes_by_direction", {"pass": events})) == ["in", "out", "unknown"]


def test_a_ratio_by_nothing_is_unknown() -> None:
    gate = KINDS["gate"]
    events = [passed(1, "in"), passed(2, "in", "denied"), passed(3, "in", "denied"), passed(4, "out")]
    line = lines(gate, "denial_rate", {"pass": events, "telemetry": heard(gate, 0, 7200)})[None]
    np.testing.assert_array_equal(line.values, [0.5, np.nan])
    np.testing.assert_array_equal(line.coverage, [1, 1])


def test_a_ratio_is_divided_label_by_label() -> None:
    gate = KINDS["gate"]
    named = {each.name: each for each in gate.statistics}
    wide = replace(
        gate,
        statistics=(
            replace(named["denials"], by="direction"),
            replace(named["attempts"], by="direction"),
            named["passes"],
            replace(named["denial_rate"], by="direction"),
            replace(named["denial_rate"], name="of_passes", operands=("denials", "passes")),
        ),
    )
    events = [passed(1, "in"), passed(2, "in", "denied"), passed(3, "out"), passed(4, "out")]
    found = lines(wide, "denial_rate", {"pass": events})
    assert {label: line.values[0] for label, line in found.items()}["in"] == 0.5
    assert np.isnan(found["out"].values[0])  # no denial is known, and whether there was one is not
    assert lines(wide, "of_passes", {"pass": events})["in"].values[0] == 1 / 3


def charging(t: int, part: str, status: str, energy: float = 0.0) -> dict[str, object]:
    return {"t": t, "device": "charger-0", "part": part, "status": status, "energy_wh": energy}


def test_connectors_are_summed_and_averaged() -> None:
    charger = KINDS["charger"]
    rows = [charging(at, "1", "Charging") for at in range(0, 3600, 60)]
    rows += [charging(at, "2", "Charging" if at < 900 else "Available") for at in range(0, 1800, 60)]
    occupied, used = (lines(charger, name, {"telemetry": rows})[None] for name in ("occupied", "utilisation"))
    # The second was heard until 29:00 + 3 min: 15 of 32 minutes charging.
    np.testing.assert_allclose(occupied.values, [1 + 15 / 32, 1.0])
    np.testing.assert_allclose(used.values, [75 / 92, 1.0])
    # The last report of the first, at 59:00, holds for two minutes of the second hour.
    np.testing.assert_allclose(occupied.coverage, [92 / 120, 2 / 120])


def test_energy_is_shared_out_over_an_edge_and_reset_counts_from_zero() -> None:
    rows = [
        charging(3570, "1", "Charging", 100),
        charging(3630, "1", "Charging", 160),
        charging(3690, "1", "Charging", 5),
    ]
    line = lines(KINDS["charger"], "energy", {"telemetry": rows})[None]
    np.testing.assert_array_equal(line.values, [30, 30 + 5])
    np.testing.assert_allclose(line.coverage, [30 / 7200, 90 / 7200])


def test_energy_over_a_long_gap_is_counted_where_it_is_seen() -> None:
    rows = [charging(-90_000, "1", "Charging", 100), charging(4000, "1", "Charging", 700)]
    line = lines(KINDS["charger"], "energy", {"telemetry": rows})[None]
    np.testing.assert_array_equal(line.values, [np.nan, 600])
    np.testing.assert_array_equal(line.coverage, [0, 0])


def full(t: int, device: int, part: str, fill: float | None) -> dict[str, object]:
    return {"t": t, "device": f"bin-{device}", "part": part, "fill": fill}


def test_levels_by_part_are_averaged_over_time_and_bins() -> None:
    waste = KINDS["bin"]
    rows = [
        full(0, 0, "kitchen", 0.2),
        full(900, 0, "kitchen", 0.4),
        full(0, 1, "kitchen", 0.8),
        full(60, 1, "kitchen", None),
    ]
    found = lines(waste, "fill", {"telemetry": rows}, devices=2)
    assert list(found) == ["recyclable", "kitchen", "hazardous", "residual"]
    # Bin 0: 15 min at 0.2, then 30 min (its hold) at 0.4; bin 1: 30 min at 0.8. The row without a value is none.
    np.testing.assert_allclose(found["kitchen"].values, [(15 * 0.2 + 30 * 0.4 + 30 * 0.8) / 75, np.nan])
    np.testing.assert_allclose(found["kitchen"].coverage, [75 / 120, 0])
    assert np.isnan(found["residual"].values).all()
    fullest = lines(waste, "fill_fullest", {"telemetry": rows}, devices=2)[None]
    np.testing.assert_allclose(fullest.values, [0.8, np.nan])
    np.testing.assert_allclose(fullest.coverage, [75 / (8 * 60), 0])


@pytest.mark.parametrize(
    ("across", "value"),
    [(Across.SUM, 0.2 + 0.8), (Across.MEAN, (30 * 0.2 + 10 * 0.8) / 40), (Across.MAX, 0.8)],
)
def test_series_make_one_level(across: Across, value: float) -> None:
    waste = KINDS["bin"]
    fill = next(each for each in waste.statistics if each.name == "fill_fullest")
    # Bin 0 is observed for all 30 minutes, bin 1 for the last 10.
    rows = [full(0, 0, "kitchen", 0.2), full(1200, 1, "kitchen", 0.8)]
    edges = np.array([0, 1800], np.int64) * 10**9
    line = lines(waste, replace(fill, across=across), {"telemetry": rows}, edges=edges, devices=2)[None]
    np.testing.assert_allclose(line.values, [value])


def test_dwell_is_matched_by_cell_and_never_across_lockers() -> None:
    locker = KINDS["locker"]

    def event(t: int, cell: str, device: int = 0, part: str = "small") -> dict[str, object]:
        return {"t": t, "device": f"locker-{device}", "part": part, "cell": cell}

    tables = {
        "deposit": [event(-86_400, "a1"), event(100, "a1", 1), event(200, "b2"), event(5000, "a1")],
        "pickup": [event(100, "a1"), event(300, "b2"), event(1100, "a1", 1), event(2000, "c3"), event(7200, "a1")],
    }
    line = lines(locker, "dwell_p50", tables, devices=2)[None]
    np.testing.assert_allclose(line.values, [1000, np.nan], rtol=0.02)  # of 86,500, 100 and 1,000 s
    np.testing.assert_allclose(lines(locker, "dwell_p90", tables, devices=2)[None].values[0], 86_500, rtol=0.02)


def test_durations_are_broken_down_by_the_part_of_the_close() -> None:
    charger = KINDS["charger"]
    mean = next(each for each in charger.statistics if each.name == "session_mean_duration")

    def session(t: int, phase: str, name: str, part: str) -> dict[str, object]:
        return {"t": t, "device": "charger-0", "part": part, "phase": phase, "id": name}

    events = [
        session(0, "begin", "x", "1"), session(600, "end", "x", "1"),
        session(10, "begin", "y", "2"), session(40, "end", "y", "2"),
        session(50, "begin", "z", "2"), session(60, "end", "z", "2"),
    ]  # fmt: skip
    found = lines(charger, replace(mean, by="part"), {"session": events})
    assert {label: line.values[0] for label, line in found.items()} == {"1": 600, "2": 20}
    assert lines(charger, mean, {"session": events})[None].values[0] == pytest.approx(640 / 3)


def test_entries_are_counted_label_by_label() -> None:
    charger = KINDS["charger"]
    faulted = next(each for each in charger.statistics if each.name == "faulted_seconds")
    entered = replace(faulted, name="faults", reducer=Reducer.ENTRIES)
    rows = [
        charging(60 * index, "1", status)
        for index, status in enumerate(["Faulted", "Available", "Faulted", "Unavailable", "Unavailable", "Faulted"])
    ]
    assert lines(charger, entered, {"telemetry": rows})[None].values[0] == 3


def test_a_status_holds_until_the_next_however_late() -> None:
    gate = KINDS["gate"]
    serviced = Statistic(
        name="serviced_seconds",
        title=Text("Under maintenance", "维护时间"),
        group=Group.AVAILABILITY,
        unit="s",
        reducer=Reducer.SECONDS,
        definition="Seconds under maintenance.",
        table="status",
        field="state",
        labels=("maintenance",),
    )
    rows = [
        {"t": -90_000, "device": "gate-0", "state": "maintenance"},
        {"t": 5400, "device": "gate-0", "state": "online"},
    ]
    line = lines(gate, serviced, {"status": rows})[None]
    np.testing.assert_array_equal(line.values, [3600, 1800])
    np.testing.assert_array_equal(line.coverage, [1, 1])


def test_numbered_parts_are_in_the_order_of_their_numbers() -> None:
    charger = KINDS["charger"]
    power = replace(next(each for each in charger.statistics if each.name == "energy"), by="part")
    (result,) = evaluate(charger, [power], devices_of(charger, 1, parts=11), {}, EDGES, tz=SHANGHAI, attributes={})
    assert [line.label for line in result.lines] == [str(number) for number in range(1, 12)]


def test_a_day_of_25_hours_is_one_bucket_of_25_hours() -> None:
    gate = KINDS["gate"]
    start, stop = at("2024-10-27", BERLIN), at("2024-10-28", BERLIN)
    edges = bucket_edges(start * 10**9, stop * 10**9, Every.parse("1d"), BERLIN)
    open_ = next(each for each in gate.statistics if each.name == "open_seconds")
    rows = [{**row, "door": "open"} for row in heard(gate, start, stop)]
    line = lines(gate, open_, {"telemetry": rows}, edges=edges, tz=BERLIN)[None]
    np.testing.assert_array_equal(line.values, [25 * 3600])
    np.testing.assert_array_equal(line.coverage, [1])
