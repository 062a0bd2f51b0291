"""Bins: they hold what was put in since the last collection."""

import datetime as dt
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from devices.inventory import Inventory
from devices.registry import Registry
from simulators.behaviours.bin import Bins
from simulators.options import selected
from simulators.site import Site, day_of
from tests.simulators.conftest import DAY_MS, HOUR_MS, Readings, Tables, at
from tests.simulators.rows import by_series

START = at("2025-11-05")


def test_weight_is_what_was_put_in_since_the_last_collection(week: Tables) -> None:
    deposits, collections = by_series(week["bin_deposit"]), by_series(week["bin_collected"])
    checked = 0
    for series, rows in by_series(week["bin_telemetry"]).items():
        put_in = deposits.get(series, [])
        emptied = [row["ms"] for row in collections.get(series, [])]
        for row in rows[::7]:
            since = max((ms for ms in emptied if ms <= row["ms"]), default=None)
            if since is None:
                continue  # filled in part before the week
            inside = sum(each["weight_kg"] for each in put_in if since <= each["ms"] <= row["ms"])
            assert row["weight_kg"] == pytest.approx(inside, abs=1e-6)
            checked += 1
    assert checked > 2000


def test_a_collection_takes_all_there_was(week: Tables) -> None:
    deposits = by_series(week["bin_deposit"])
    checked = 0
    for series, rows in by_series(week["bin_collected"]).items():
        for before, row in pairwise(rows):
            inside = [each["weight_kg"] for each in deposits.get(series, []) if before["ms"] <= each["ms"] < row["ms"]]
            assert row["weight_kg"] == pytest.approx(sum(inside), abs=1e-6)
            checked += bool(inside)
    assert checked > 50


def test_the_lorry_keeps_its_schedule(week: Tables) -> None:
    stops: Counter[tuple[str, int]] = Counter()
    for (_, stream), rows in by_series(week["bin_collected"]).items():
        stops.update((stream, (row["ms"] - START) // HOUR_MS % 24) for row in rows)
    bins = len({device for device, _ in by_series(week["bin_telemetry"])})
    for stream in ("kitchen", "residual"):
        assert {hour for name, hour in stops if name == stream} <= {6, 19, 7, 20}
        assert sum(count for (name, _), count in stops.items() if name == stream) == 2 * 7 * bins
    assert sum(count for (name, _), count in stops.items() if name == "hazardous") == bins  # Wednesdays


def test_households_have_a_rhythm_and_their_streams(week: Tables) -> None:
    hours: Counter[int] = Counter()
    streams: Counter[str] = Counter()
    for (_, stream), rows in by_series(week["bin_deposit"]).items():
        streams[stream] += len(rows)
        hours.update((row["ms"] - START) // HOUR_MS % 24 for row in rows)
    assert hours[7] > 2 * hours[10]
    assert hours[19] > 2 * hours[15]
    assert not hours[2]
    assert streams["residual"] > streams["kitchen"] > streams["recyclable"] > 20 * streams["hazardous"] > 0


def test_fill_rises_with_deposits_and_stays_below_one(week: Tables) -> None:
    fills = [row["fill"] for rows in by_series(week["bin_telemetry"]).values() for row in rows]
    assert min(fills) == 0
    assert 0.5 < max(fills) <= 1
    for rows in by_series(week["bin_telemetry"]).values():
        for row, after in pairwise(rows):
            if after["weight_kg"] > row["weight_kg"]:
                assert after["fill"] >= row["fill"]


def test_a_full_bin_takes_nothing(registry: Registry) -> None:
    text = (
        "name: {en: S, zh: 小}\ncompounds: [{id: small, name: {en: S, zh: 小}, buildings: 1, residents: 900, "
        "parking_spaces: 0, devices: {bin: {count: 1, attributes: {kitchen_l: 120, residual_l: 120}}}}]"
    )
    compound = Inventory.parse(text, registry).compounds["small"]
    bins = Bins(Site(compound, registry["bin"], compound.devices, 1))
    telemetry, deposits, collected = bins.day(day_of(dt.date(2025, 11, 5), compound.timezone))
    assert telemetry.floats("fill").max() > 0.97
    assert telemetry.floats("fill").max() <= 1
    room = 120 * 0.75
    kitchen, emptied = (
        batch.take(np.array([key.part == "kitchen" for key in batch.keys])[batch.series])
        for batch in (deposits, collected)
    )
    assert emptied.floats("weight_kg").max() <= room
    assert 1.5 * room < kitchen.floats("weight_kg").sum() <= 3 * room


def test_what_goes_wrong_is_rare_but_does(street: Inventory, readings: Readings) -> None:
    start, bins = at("2025-09-01"), selected(street, "", "bin")
    made = readings(start, start + 100 * DAY_MS, where=bins)["bin_telemetry"]
    smoke = np.array(made.coded("smoke").decoded()) == "true"
    for field, label in (("smoke", "true"), ("tilt", "true"), ("lid", "jammed"), ("lid", "open")):
        share = float(np.mean(np.array(made.coded(field).decoded()) == label))
        assert 0 < share < 0.02, (field, label, share)
    assert made.floats("temp_c")[smoke].min() > made.floats("temp_c").mean() + 10


def test_batteries_wear_slowly(week: Tables) -> None:
    for rows in by_series(week["bin_telemetry"]).values():
        values = [row["battery"] for row in rows]
        falls = np.diff(values)
        assert 0.2 < min(values) <= max(values) <= 1
        assert bool(((falls <= 0) | (falls > 0.5)).all())  # but for a new one
        assert bool((falls > -0.002).all())
