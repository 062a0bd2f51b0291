"""Cameras: health agrees with itself, and incidents begin before they end."""

import datetime as dt
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from devices.inventory import Inventory
from devices.names import is_id
from devices.registry import Registry
from simulators.behaviours.camera import Cameras
from simulators.options import selected
from simulators.site import Site, day_of
from tests.simulators.conftest import DAY_MS, HOUR_MS, Readings, Tables, at
from tests.simulators.rows import by_series, rows_of

START = at("2025-09-01")
DAYS = 15


@pytest.fixture(scope="module")
def month(street: Inventory, readings: Readings) -> Tables:
    return readings(START, START + DAYS * DAY_MS, where=selected(street, "jingyuan,mianfang-dong", "camera"))


def test_health_agrees_with_the_stream(month: Tables) -> None:
    streams: Counter[str] = Counter()
    recording: Counter[tuple[str, str]] = Counter()
    for rows in by_series(month["camera_telemetry"]).values():
        for row, after in pairwise(rows):
            streams[row["stream"]] += 1
            recording[row["stream"], row["recording"]] += 1
            live = row["stream"] == "live"
            assert (row["fps"] > 5) == live
            assert (row["fps"] == 0) == (not live)
            assert (row["people"] is not None) == live
            assert (row["bitrate_kbps"] == 0) == (row["stream"] == "down")
            assert row["frame_age_s"] < 1 or not live
            if not live and after["stream"] == row["stream"]:
                age = after["frame_age_s"] - row["frame_age_s"]
                assert age == pytest.approx((after["ms"] - row["ms"]) / 1000, abs=0.02) or age < 0  # a new outage
    assert streams["live"] > 0.98 * streams.total()
    assert streams["frozen"] > 0
    assert streams["down"] > 0
    assert recording["live", "false"] > 0  # a full disk, rarely
    assert recording["down", "true"] == 0


def test_night_is_cheaper_and_emptier(month: Tables) -> None:
    rows = [row for row in rows_of(month["camera_telemetry"]) if row["stream"] == "live"]

    def mean(field: str, hour: int) -> float:
        return float(np.mean([row[field] for row in rows if (row["ms"] - START) // HOUR_MS % 24 == hour]))

    assert mean("bitrate_kbps", 2) < 0.8 * mean("bitrate_kbps", 13)
    assert mean("people", 3) < 0.1
    assert mean("people", 18) > 1


def test_storage_is_overwritten_before_it_is_full(month: Tables) -> None:
    used = [row["storage_used"] for row in rows_of(month["camera_telemetry"])]
    assert 0.8 <= min(used) < max(used) < 0.97


def test_incidents_pair(month: Tables) -> None:
    begun: dict[str, dict[str, object]] = {}
    types: Counter[object] = Counter()
    for row in rows_of(month["camera_analytic"]):
        assert is_id(row["id"])
        if row["phase"] == "begin":
            assert row["id"] not in begun
            begun[row["id"]] = row
            types[row["type"]] += 1
        elif row["id"] in begun:
            assert begun[row["id"]]["type"] == row["type"]
            assert begun[row["id"]]["device"] == row["device"]
            begun[row["id"]]["ended"] = row["ms"]
        else:
            assert row["ms"] - START < 12 * HOUR_MS  # begun the day before
    assert set(types) == {"fire_lane_blocked", "intrusion", "littering", "crowd", "ev_in_lift"}
    # What has not ended at the end of the month had begun that day.
    end = START + DAYS * DAY_MS
    assert all(end - int(str(row["ms"])) < 12 * HOUR_MS for row in begun.values() if "ended" not in row)


def test_outages_go_on_over_midnight(inventory: Inventory, registry: Registry) -> None:
    compound = inventory.compounds["mianfang-dong"]
    cameras = Cameras(Site(compound, registry["camera"], compound.of_kind("camera"), 1))
    found = 0
    for n in range(400):
        day = day_of(dt.date(2025, 1, 1) + dt.timedelta(days=n), compound.timezone)
        down = cameras._plan(day).down
        late = np.flatnonzero(down.end_ms > day.stop_ms + 5 * 60_000)
        for number in late.tolist():
            following = day_of(day.date + dt.timedelta(days=1), compound.timezone)
            rows = by_series(cameras.day(following)[0])
            first = rows[compound.of_kind("camera")[int(down.series[number])].id, ""][0]
            assert first["stream"] == "down"
            assert first["frame_age_s"] >= (first["ms"] - int(down.begin_ms[number])) / 1000 - 0.01
            found += 1
    assert found > 0
