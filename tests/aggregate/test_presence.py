"""Online, offline, under maintenance, unknown: against a reference that looks at every instant."""

from itertools import pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregate.evaluate import evaluate
from devices.availability import COMMON_STATISTICS
from devices.fields import gauge
from devices.inventory import Device
from devices.kind import Kind, Part
from devices.names import Text
from tests.aggregate.rows import COMPOUND, batch

HOLD_S = 6
KIND = Kind(
    name="lamp",
    title=Text("Lamp", "灯"),
    interval_s=HOLD_S / 3,
    part=Part(name="bulb", title=Text("Bulb", "灯泡"), values=("a", "b")),
    telemetry=(gauge("level", Text("Level", "亮度"), "1", 0, 1),),
)
STATES = ("offline", "online", "maintenance")
TICK = st.integers(1, 40)
STATUS = st.dictionaries(TICK, st.sampled_from(STATES), max_size=8)
BEATS = st.dictionaries(TICK, st.sampled_from(["a", "b"]), max_size=10)
DEVICE = st.tuples(STATUS, BEATS)
EDGES = st.sets(st.integers(1, 50), min_size=2, max_size=6).map(sorted)


def measured(
    devices: list[tuple[dict[int, str], dict[int, str]]], edges: list[int]
) -> dict[str, tuple[list[float], list[float]]]:
    """Values and coverage of each common statistic."""
    status = [
        {"t": tick, "device": f"d{number}", "state": label}
        for number, (said, _) in enumerate(devices)
        for tick, label in said.items()
    ]
    beats = [
        {"t": tick, "device": f"d{number}", "part": part, "level": 0.5}
        for number, (_, heard) in enumerate(devices)
        for tick, part in heard.items()
    ]
    results = evaluate(
        KIND,
        COMMON_STATISTICS,
        [_device(f"d{number}") for number in range(len(devices))],
        {"status": batch(KIND.tables["status"], status), "telemetry": batch(KIND.tables["telemetry"], beats)},
        np.array(edges, np.int64) * 10**9,
        tz=ZoneInfo("UTC"),
        attributes={},
    )
    return {each.statistic.name: (each.lines[0].values.tolist(), each.lines[0].coverage.tolist()) for each in results}


def seen(said: dict[int, str], heard: dict[int, str], at: int) -> str | None:
    """What is known of a device from a tick to the next."""
    status = max(((tick, label) for tick, label in said.items() if tick <= at), default=(0, None))[1]
    if status in {"offline", "maintenance"}:
        return status
    return "online" if any(tick <= at < tick + HOLD_S for tick in heard) else None


@given(st.lists(DEVICE, min_size=1, max_size=3), EDGES)
def test_availability_equals_the_reference(
    devices: list[tuple[dict[int, str], dict[int, str]]], edges: list[int]
) -> None:
    found = measured(devices, edges)
    for bucket, (start, stop) in enumerate(pairwise(edges)):
        states = [seen(*device, at) for device in devices for at in range(start, stop)]
        online, offline = states.count("online"), states.count("offline")
        coverage = 1 - states.count(None) / len(states)
        went = 0
        for said, _ in devices:
            ticks = sorted(said)
            went += sum(
                said[tick] == "offline" and said[before] != "offline" and start <= tick < stop
                for before, tick in pairwise(ticks)
            )
        for name, value in (
            ("online", online / (online + offline) if online + offline else np.nan),
            ("offline_seconds", offline if coverage else np.nan),
            ("outages", went if coverage else np.nan),
        ):
            np.testing.assert_allclose(found[name][0][bucket], value, rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(found[name][1][bucket], coverage, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("said", "heard", "online", "offline", "coverage"),
    [
        ({}, {2: "a", 5: "b"}, 1.0, 0, 0.9),  # telemetry alone says it is there, from 2 to 11
        ({1: "online"}, {}, np.nan, np.nan, 0.0),  # "online" alone does not: it may have died without a will
        ({1: "offline"}, {}, 0.0, 10, 1.0),  # holds without limit
        ({1: "online", 6: "offline"}, {1: "a"}, 0.5, 5, 1.0),
        ({1: "maintenance"}, {3: "a"}, np.nan, 0, 1.0),  # neither online nor offline, but known
    ],
)
def test_what_says_that_a_device_is_there(
    said: dict[int, str], heard: dict[int, str], online: float, offline: float, coverage: float
) -> None:
    found = measured([(said, heard)], [1, 11])
    np.testing.assert_array_equal(found["online"], [[online], [coverage]])
    np.testing.assert_array_equal(found["offline_seconds"], [[offline], [coverage]])


def _device(name: str) -> Device:
    return Device(
        id=name, kind=KIND.name, compound=COMPOUND, building="1", parts=("a", "b"), attributes=MappingProxyType({})
    )
