"""Whether a device is connected: its last status decides, then its last telemetry."""

import numpy as np
import pytest

from devices.columns import Batch, Coded
from devices.inventory import Inventory
from devices.kind import STATUS, TELEMETRY
from devices.registry import Registry
from tests.api.client import Client
from tests.api.conftest import Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, NS_PER_S

DEVICE = "jingyuan-gate-01"
SECOND = NS_PER_S
HOLD_S = 180


class World:
    """Devices that say what a test has them say, in a store that begins empty."""

    def __init__(self, memory: MemoryStore, inventory: Inventory, registry: Registry) -> None:
        """Write to `memory`."""
        self._memory = memory
        self._inventory = inventory
        self._registry = registry

    def say(self, state: str, ago_s: float, device: str = DEVICE, firmware: str | None = "1.2") -> None:
        table = self._registry[self._inventory.devices[device].kind].tables[STATUS]
        labels = table.by_name["state"].labels
        self._write(
            device,
            STATUS,
            ago_s,
            {
                "state": Coded(np.array([labels.index(state)], np.int32), labels),
                "firmware": Coded(np.array([0 if firmware else -1], np.int32), (firmware,) if firmware else ()),
            },
        )

    def report(self, ago_s: float, device: str = DEVICE) -> None:
        self._write(device, TELEMETRY, ago_s, None)

    def _write(self, device: str, name: str, ago_s: float, columns: dict[str, Coded] | None) -> None:
        entry = self._inventory.devices[device]
        table = self._registry[entry.kind].tables[name]
        key = next(iter(entry.keys(table)))
        if columns is None:
            zero = np.zeros(1, np.int32)
            filled = {each.name: Coded(zero, each.labels) if each.is_label else np.zeros(1) for each in table.fields}
        else:
            filled = dict(columns)
        time = np.array([NOW_NS - int(ago_s * SECOND)], np.int64)
        self._memory.write([Batch(table, (key,), np.zeros(1, np.int32), time, filled)])


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def world(memory: MemoryStore, small: Inventory, registry: Registry) -> World:
    return World(memory, small, registry)


def state(client: Client, device: str = DEVICE) -> tuple[str, str | None, str | None]:
    found = client.get(f"/v1/devices/{device}").json()
    listed = client.get("/v1/devices?limit=1000").json()["devices"]
    assert next(each["state"] for each in listed if each["id"] == device) == found["state"]
    return found["state"], found["since"], found["last_reading"]


def test_a_device_never_heard_of_is_unknown(own: Client) -> None:
    assert state(own) == ("unknown", None, None)


def test_telemetry_that_holds_means_online(own: Client, world: World) -> None:
    world.report(HOLD_S - 1)
    assert state(own) == ("online", None, "2025-06-01T09:57:01+08:00")
    world.say("online", 3600)
    assert state(own) == ("online", "2025-06-01T09:00:00+08:00", "2025-06-01T09:57:01+08:00")


def test_silence_beyond_the_hold_is_unknown_and_not_offline(own: Client, world: World) -> None:
    world.report(HOLD_S)
    world.say("online", 3600)
    assert state(own) == ("unknown", "2025-06-01T10:00:00+08:00", "2025-06-01T09:57:00+08:00")


def test_a_device_goes_unknown_as_time_passes(own: Client, world: World, clock: Clock) -> None:
    world.report(0)
    assert state(own)[0] == "online"
    clock.now_ns += HOLD_S * SECOND
    assert state(own)[0] == "unknown"


@pytest.mark.parametrize("said", ["offline", "maintenance"])
def test_the_last_status_decides(own: Client, world: World, said: str) -> None:
    world.report(1)
    world.say("online", 60)
    world.say(said, 30)
    assert state(own)[:2] == (said, "2025-06-01T09:59:30+08:00")
    world.say("online", 10)
    assert state(own)[:2] == ("online", "2025-06-01T09:59:50+08:00")


def test_a_status_of_long_ago_still_counts(own: Client, world: World) -> None:
    world.say("offline", 300 * 86400)
    assert state(own)[:2] == ("offline", "2024-08-05T10:00:00+08:00")


def test_the_last_reading_of_long_ago_is_found_for_one_device(own: Client, world: World) -> None:
    world.report(300 * 86400)
    found = own.get(f"/v1/devices/{DEVICE}").json()
    assert found["last_reading"] == "2024-08-05T10:00:00+08:00"
    assert found["latest"][0]["age_s"] == 300 * 86400
    assert found["since"] == "2024-08-05T10:03:00+08:00"


def test_a_clock_ahead_of_ours_makes_no_negative_age(own: Client, world: World) -> None:
    world.report(-30)
    found = own.get(f"/v1/devices/{DEVICE}").json()
    assert (found["state"], found["latest"][0]["age_s"]) == ("online", 0)


def test_firmware_is_what_the_last_status_says(own: Client, world: World) -> None:
    world.say("online", 20, firmware="2.0-rc1")
    assert own.get(f"/v1/devices/{DEVICE}").json()["firmware"] == "2.0-rc1"
    world.say("offline", 10, firmware=None)
    assert own.get(f"/v1/devices/{DEVICE}").json()["firmware"] is None


def test_devices_are_found_and_counted_by_state(own: Client, world: World, small: Inventory) -> None:
    gates = [device.id for device in small.devices.values() if device.kind == "gate"]
    world.report(1, gates[0])
    world.say("offline", 5, gates[1])
    world.say("maintenance", 5, gates[2])
    for name, expected in {"online": gates[:1], "offline": gates[1:2], "maintenance": gates[2:3]}.items():
        page = own.get(f"/v1/devices?state={name}").json()
        assert [each["id"] for each in page["devices"]] == expected
        assert page["total"] == len(expected)
    unknown = own.get("/v1/devices?state=unknown&limit=2&offset=1").json()
    assert unknown["total"] == len(small.devices) - 3
    assert len(unknown["devices"]) == 2
    now = own.get("/v1/compounds/jingyuan").json()["now"]
    assert now["states_by_kind"]["gate"] == {"online": 1, "offline": 1, "maintenance": 0, "unknown": 0}
    assert now["states"]["unknown"] == len(small.compounds["jingyuan"].devices) - 2


def test_without_readings_nothing_is_claimed(own: Client) -> None:
    now = own.get("/v1/compounds/jingyuan").json()["now"]
    assert (now["last_reading"], now["last_reading_age_s"]) == (None, None)
    assert all(each["coverage"] == 0 for each in now["figures"])
