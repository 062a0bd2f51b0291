"""Lockers: the cells occupied are the parcels put in and not fetched yet, each in a cell of its own."""

import datetime as dt
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from devices.inventory import Inventory
from devices.registry import Registry
from simulators.options import selected
from simulators.parcels import REFUSED, parcels, quarter_of
from simulators.site import Site
from tests.simulators.conftest import DAY_MS, HOUR_MS, Readings, Tables, at
from tests.simulators.rows import by_series


@pytest.fixture(scope="module")
def autumn(readings: Readings) -> Tables:
    """Two weeks from the beginning of a quarter, when all lockers are empty."""
    start = at("2025-10-01")
    return readings(start, start + 14 * DAY_MS)


def test_occupied_is_deposits_minus_pickups(autumn: Tables) -> None:
    deposits, pickups = by_series(autumn["locker_deposit"]), by_series(autumn["locker_pickup"])
    most = 0
    for series, rows in by_series(autumn["locker_telemetry"]).items():
        put_in = np.array([row["ms"] for row in deposits.get(series, [])])
        fetched = np.array([row["ms"] for row in pickups.get(series, [])])
        for row in rows:
            expected = np.sum(put_in <= row["ms"]) - np.sum(fetched <= row["ms"])
            assert row["occupied"] == expected
            assert 0 <= row["occupied"] <= row["total"] - row["faulty"]
            most = max(most, int(row["occupied"]))
    assert most > 20


def test_a_cell_holds_one_parcel_and_pickups_find_it(autumn: Tables) -> None:
    events = [(row, "deposit") for rows in by_series(autumn["locker_deposit"]).values() for row in rows]
    events += [(row, "pickup") for rows in by_series(autumn["locker_pickup"]).values() for row in rows]
    taken: set[tuple[str, str]] = set()
    for row, what in sorted(events, key=lambda event: event[0]["ms"]):
        cell = row["device"], row["cell"]
        assert row["cell"][0] == row["part"][0]
        if what == "deposit":
            assert cell not in taken
            taken.add(cell)
        else:
            taken.remove(cell)


def test_a_parcel_is_refused_only_where_no_cell_is_free(street: Inventory, readings: Readings) -> None:
    start = at("2025-10-01")
    tables = readings(start, start + 40 * DAY_MS, where=selected(street, "", "locker"))
    totals = {
        series: rows[0]["total"] - rows[0]["faulty"] for series, rows in by_series(tables["locker_telemetry"]).items()
    }
    deposits, pickups = by_series(tables["locker_deposit"]), by_series(tables["locker_pickup"])
    refused = by_series(tables["locker_refused_full"])
    for series, rows in refused.items():
        put_in = [row["ms"] for row in deposits[series]]
        fetched = [row["ms"] for row in pickups[series]]
        for row in rows:
            inside = sum(ms < row["ms"] for ms in put_in) - sum(ms < row["ms"] for ms in fetched)
            assert inside == totals[series]
    assert 0 < sum(map(len, refused.values())) < 0.05 * sum(map(len, deposits.values()))


def test_dwell(autumn: Tables) -> None:
    waiting: dict[tuple[str, str], dict[str, Any]] = {}
    overdue = {
        (row["device"], row["cell"], row["ms"]) for rows in by_series(autumn["locker_expire"]).values() for row in rows
    }
    dwells = []
    late = 0
    for row in sorted(
        (
            row
            for name in ("deposit", "pickup")
            for rows in by_series(autumn[f"locker_{name}"]).values()
            for row in rows
        ),
        key=lambda row: row["ms"],
    ):
        cell = row["device"], row["cell"]
        if cell not in waiting:
            waiting[cell] = row
            continue
        put_in = waiting.pop(cell)
        hours = (row["ms"] - put_in["ms"]) / HOUR_MS
        dwells.append(hours)
        expired = (*cell, put_in["ms"] + 24 * HOUR_MS) in overdue
        assert expired == (hours > 24)
        late += expired
    assert 3 < np.median(dwells) < 9
    assert max(dwells) < 96
    assert 0.01 < late / len(dwells) < 0.08


def test_couriers_come_late_in_the_morning_and_people_in_the_evening(autumn: Tables) -> None:
    start = at("2025-10-01")

    def hours(name: str) -> Counter[int]:
        rows = [row for rows in by_series(autumn[name]).values() for row in rows]
        return Counter((row["ms"] - start) // HOUR_MS % 24 for row in rows)

    deposits, pickups = hours("locker_deposit"), hours("locker_pickup")
    assert sum(deposits[hour] for hour in (10, 11, 12)) > 0.5 * deposits.total()
    assert sum(deposits[hour] for hour in (15, 16, 17)) > 0.3 * deposits.total()
    assert sum(pickups[hour] for hour in (17, 18, 19, 20)) > 0.4 * pickups.total()
    assert not any(pickups[hour] for hour in (0, 1, 2, 3, 4, 5))


def test_couriers_put_in_one_parcel_after_another(autumn: Tables) -> None:
    gaps = []
    by_device: dict[str, list[int]] = defaultdict(list)
    for (device, _), rows in by_series(autumn["locker_deposit"]).items():
        by_device[device] += [row["ms"] for row in rows]
    for times in by_device.values():
        gaps += np.diff(sorted(times)).tolist()
    assert np.median(gaps) < 30_000


def test_every_quarter_begins_empty(inventory: Inventory, registry: Registry) -> None:
    compound = inventory.compounds["jingyuan"]
    site = Site(compound, registry["locker"], compound.of_kind("locker"), 1)
    for month in (1, 4, 7, 10):
        first = dt.date(2025, month, 1)
        made = parcels(site, first)
        begin = site.day(first).start_ms
        end = site.day(quarter_of(first + dt.timedelta(days=100))).start_ms
        kept = made.cell != REFUSED
        assert kept.sum() > 3000
        assert bool(((begin <= made.in_ms) & (made.in_ms < made.out_ms) & (made.out_ms < end)).all())


def test_quarters() -> None:
    assert quarter_of(dt.date(2025, 12, 31)) == dt.date(2025, 10, 1)
    assert quarter_of(dt.date(2026, 1, 1)) == dt.date(2026, 1, 1)


def test_door_left_open_is_rare(autumn: Tables) -> None:
    pickups = sum(map(len, by_series(autumn["locker_pickup"]).values()))
    assert 0 < len(autumn["locker_door_left_open"]) < 0.02 * pickups
