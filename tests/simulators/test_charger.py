"""Chargers: the register is the integral of the power, and a session's energy is a difference of registers."""

import datetime as dt
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from devices.inventory import Inventory
from devices.names import is_id
from devices.registry import Registry
from simulators.sessions import DAYTIME, EVENING, Ledger
from simulators.site import Site, day_of
from tests.simulators.conftest import HOUR_MS, Readings, Tables, at, in_zone
from tests.simulators.rows import by_series

PLUGGED = ("Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing")
ORDER = {
    name: place for place, name in enumerate(("Available", "Preparing", "SuspendedEVSE", "Charging", "SuspendedEV"))
}


def test_the_register_is_the_integral_of_the_power(week: Tables) -> None:
    checked = 0
    for rows in by_series(week["charger_telemetry"]).values():
        assert all(after["energy_wh"] >= row["energy_wh"] for row, after in pairwise(rows))
        for row, after in pairwise(rows):
            if row["status"] == after["status"] == "Charging":
                hours = (after["ms"] - row["ms"]) / HOUR_MS
                mean = (row["power_w"] + after["power_w"]) / 2
                # Whole watt hours at both ends, whole watts, and a curve that is nearly straight over a minute.
                assert abs(after["energy_wh"] - row["energy_wh"] - mean * hours) < 1.1
                checked += 1
            elif "Charging" not in {row["status"], after["status"]} and (after["ms"] - row["ms"]) < 90_000:
                assert after["energy_wh"] == row["energy_wh"]
    assert checked > 10_000


def test_a_sessions_energy_is_what_the_register_rose_by(week: Tables) -> None:
    telemetry = by_series(week["charger_telemetry"])
    checked = 0
    for series, events in by_series(week["charger_session"]).items():
        samples = telemetry[series]
        times = np.array([row["ms"] for row in samples])
        begun = {row["id"]: row for row in events if row["phase"] == "begin"}
        for end in (row for row in events if row["phase"] == "end"):
            begin = begun.get(end["id"])
            before = 0 if begin is None else int(np.searchsorted(times, begin["ms"], side="right")) - 1
            after = int(np.searchsorted(times, end["ms"]))
            if begin is None or before < 0 or after == len(times):
                continue  # begun before the week, or ended with its last minute
            assert begin["ms"] < end["ms"]
            assert end["energy_wh"] == samples[after]["energy_wh"] - samples[before]["energy_wh"]
            assert begin["energy_wh"] is None
            checked += 1
    assert checked > 50


def test_sessions_pair_and_have_ids_of_their_own(week: Tables) -> None:
    phases: Counter[tuple[str, str]] = Counter()
    for events in by_series(week["charger_session"]).values():
        for row, after in pairwise(events):
            assert (row["phase"], after["phase"]) in {("begin", "end"), ("end", "begin")}  # one after the other
            assert (row["id"] == after["id"]) == (row["phase"] == "begin")
        phases.update((row["id"], row["phase"]) for row in events)
    assert max(phases.values()) == 1
    assert all(is_id(id_) for id_, _ in phases)


def test_states_follow_each_other_as_a_car_comes_and_goes(week: Tables) -> None:
    seen: Counter[str] = Counter()
    for rows in by_series(week["charger_telemetry"]).values():
        for row, after in pairwise(rows):
            seen[after["status"]] += 1
            if row["status"] in ORDER and after["status"] in ORDER and after["status"] != "Available":
                assert ORDER[row["status"]] <= ORDER[after["status"]]
        for row in rows:
            assert (row["power_w"] > 0) == (row["status"] == "Charging")
            assert (row["soc"] is not None) == (row["status"] in PLUGGED)
            assert (row["error"] != "NoError") == (row["status"] == "Faulted")
            assert row["current_a"] == pytest.approx(row["power_w"] / row["voltage_v"], abs=0.006)
    assert {"Available", "Charging", "SuspendedEV"} <= set(seen)
    assert 0.1 < seen["Charging"] / seen.total() < 0.4
    assert seen["SuspendedEV"] > 0.05 * seen.total()  # stays plugged in after


def test_cars_come_in_the_evening(week: Tables) -> None:
    start = min(row["ms"] for rows in by_series(week["charger_telemetry"]).values() for row in rows)
    hours = Counter(
        int((row["ms"] - start) // HOUR_MS % 24)
        for rows in by_series(week["charger_session"]).values()
        for row in rows
        if row["phase"] == "begin"
    )
    assert sum(hours[hour] for hour in range(17, 24)) > 0.6 * hours.total()
    assert not any(hours[hour] for hour in range(10))


def test_the_curve_tapers(week: Tables) -> None:
    fullest = 0
    for rows in by_series(week["charger_telemetry"]).values():
        charging = [row for row in rows if row["status"] == "Charging"]
        for row in charging:
            assert row["power_w"] <= 7000
            if row["soc"] < 0.795:
                assert row["power_w"] in {3300, 6600, 7000}
            if row["soc"] > 0.95:
                fullest += 1
                assert row["power_w"] < 3000
    assert fullest > 100


def test_temperature_follows_load(week: Tables) -> None:
    rows = [row for rows in by_series(week["charger_telemetry"]).values() for row in rows]
    loaded = np.mean([row["temp_c"] for row in rows if row["power_w"] > 6000])
    idle = np.mean([row["temp_c"] for row in rows if row["status"] == "Available"])
    assert 8 < loaded - idle < 30


def test_the_register_goes_on_over_the_new_year(readings: Readings) -> None:
    start = at("2025-12-31T12:00")
    rising = 0.0
    for rows in by_series(readings(start, start + 24 * HOUR_MS)["charger_telemetry"]).values():
        steps = np.diff([row["energy_wh"] for row in rows])
        assert bool(((steps >= 0) & (steps < 130)).all())
        rising += float(steps.sum())
    assert rising > 0


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin"])
def test_slots_never_overlap_and_some_fail(inventory: Inventory, registry: Registry, zone: str) -> None:
    compound = in_zone(inventory, zone).compounds["mianfang-dong"]
    site = Site(compound, registry["charger"], compound.of_kind("charger"), 1)
    ledger = Ledger(site)
    free = np.zeros(int(site.first_part[-1]), np.int64)
    failed = 0
    for n in range(400):
        day = day_of(dt.date(2025, 3, 1) + dt.timedelta(days=n), compound.timezone)
        for slot in (DAYTIME, EVENING):
            made = ledger.sessions(day, slot)
            steps = [made.plug_ms, made.begin_ms, made.charge_ms, made.stop_ms, made.finish_ms, made.unplug_ms]
            used = made.used
            assert bool((made.plug_ms[used] > free[used]).all())
            assert all(bool((one[used] <= two[used]).all()) for one, two in pairwise(steps))
            assert bool((made.fault_until_ms[used] >= made.unplug_ms[used]).all())
            failed += int((made.fault_until_ms > made.unplug_ms)[used].sum())
            free[used] = made.fault_until_ms[used]
    assert 5 < failed < 100
