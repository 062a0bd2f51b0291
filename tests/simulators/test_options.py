"""What a fleet can be asked to do, and what it answers to nonsense."""

from zoneinfo import ZoneInfo

import pytest

from devices.errors import SettingsError
from devices.inventory import Inventory
from simulators.options import FleetOptions, parse_speed, parse_time, selected
from tests.simulators.conftest import DAY_MS, HOUR_MS, at

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = at("2025-11-05T12:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        (" NOW-24h ", NOW - DAY_MS),
        ("now-90m", NOW - 90 * 60_000),
        ("now-30s", NOW - 30_000),
        ("now-7d", NOW - 7 * DAY_MS),
        ("2025-11-05T12:00", NOW),
        ("2025-11-05 12:00:00.000", NOW),
        ("2025-11-05", NOW - 12 * HOUR_MS),
        ("2025-11-05T04:00Z", NOW),
        ("2025-11-05T05:00+01:00", NOW),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert parse_time(text, NOW, SHANGHAI) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "now+1h", "now-1y", "now-", "2025-13-01", "0001-01-01", "now-9999999h"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(SettingsError, match=r"no time; write .*now-24h|must lie between"):
        FleetOptions(start_ms=parse_time(text, NOW, SHANGHAI))


@pytest.mark.parametrize(("text", "expected"), [("max", None), ("MAX", None), ("60", 60.0), ("0.5", 0.5)])
def test_speeds(text: str, expected: float | None) -> None:
    assert parse_speed(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "nan", "inf", "1e9"])
def test_no_speeds(text: str) -> None:
    with pytest.raises(SettingsError, match="speed"):
        FleetOptions(start_ms=NOW, speed=parse_speed(text))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stop_ms": NOW - 1}, "--to lies before --from"),
        ({"start_ms": 0}, "--from must lie between 2022-01-03 and"),
        ({"stop_ms": 10**14}, "--to must lie between"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**63}, "--seed"),
        ({"batch": 0}, "--batch must be from 1 to 1000"),
        ({"batch": 1001}, "--batch must be from 1 to 1000"),
        ({"window": 0}, "--window"),
        ({"window": 65_536}, "--window"),
    ],
)
def test_nonsense_is_refused_with_what_to_give_instead(changed: dict[str, int], message: str) -> None:
    given = {"start_ms": NOW} | changed
    with pytest.raises(SettingsError, match=message):
        FleetOptions(**given)  # type: ignore[arg-type]  # all of them are whole numbers


def test_a_selection(inventory: Inventory) -> None:
    chosen = selected(inventory, "jingyuan, maofang", "gate,bin")
    assert list(chosen.compounds) == ["jingyuan", "maofang"]
    assert {device.kind for device in chosen.devices.values()} == {"gate", "bin"}
    assert selected(inventory, "", "").devices == inventory.devices


@pytest.mark.parametrize(
    ("compounds", "kinds", "message"),
    [
        ("nowhere", "", "unknown compound nowhere; known are baihuo"),
        ("", "fountain", "unknown kind fountain; known are bin"),
    ],
)
def test_an_unknown_name(inventory: Inventory, compounds: str, kinds: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        selected(inventory, compounds, kinds)


def test_a_selection_without_devices(inventory: Inventory) -> None:
    only_gates = selected(inventory, "jingyuan", "gate")
    with pytest.raises(SettingsError, match="unknown kind"):
        selected(only_gates, "", "bin")
