"""Who is away, and when it is their compound that is."""

from collections.abc import Iterator

import numpy as np
import pytest

from alarms.silence import Silence
from alarms.standing import Change, Standing, What
from devices.columns import Batch, Coded, SeriesKey
from devices.inventory import Device, Inventory
from devices.kind import STATUS, TELEMETRY
from devices.registry import Registry

S = 1_000_000_000
NOW = 1_800_000_000 * S


def statuses(registry: Registry, devices: list[Device], state: str, at_ns: int) -> Iterator[Batch]:
    for device in devices:
        table = registry[device.kind].tables[STATUS]
        labels = table.by_name["state"].labels
        columns = {
            "state": Coded(np.array([labels.index(state)], np.int32), labels),
            "firmware": Coded(np.array([-1], np.int32), ()),
        }
        key = SeriesKey(device.compound, device.id)
        yield Batch(table, (key,), np.zeros(1, np.int32), np.array([at_ns]), columns)


def heard(registry: Registry, device: Device, at_ns: int) -> Batch:
    table = registry[device.kind].tables[TELEMETRY]
    return Batch(table, tuple(device.keys(table))[:1], np.zeros(1, np.int32), np.array([at_ns]), {})


def told(changes: list[Change]) -> list[tuple[str, str, str]]:
    return [(each.subject.rule, each.subject.device or each.subject.compound, str(each.what)) for each in changes]


@pytest.fixture
def silence(registry: Registry, inventory: Inventory) -> Silence:
    found = Silence(registry, inventory, {})
    found.feed(statuses(registry, list(inventory.devices.values()), "online", NOW))
    assert found.tick(NOW) == []
    return found


def test_a_device_is_offline_when_it_was_away_for_long_enough(
    silence: Silence, registry: Registry, inventory: Inventory
) -> None:
    one = next(iter(inventory.devices.values()))
    silence.feed(statuses(registry, [one], "offline", NOW + 10 * S))
    assert silence.tick(NOW + 60 * S) == []
    (change,) = silence.tick(NOW + 131 * S)
    assert (change.what, change.subject.device, change.at_ns) == (What.RAISED, one.id, NOW + 130 * S)
    assert change.value == "offline"
    silence.feed(statuses(registry, [one], "online", NOW + 200 * S))
    assert told(silence.tick(NOW + 201 * S)) == [("offline", one.id, "cleared")]


def test_silence_counts_from_where_the_last_reading_ceased_to_hold(
    silence: Silence, registry: Registry, inventory: Inventory
) -> None:
    one = next(each for each in inventory.devices.values() if each.kind == "gate")
    silence.feed([heard(registry, one, NOW)])
    assert silence.tick(NOW) == silence.tick(NOW + 299 * S) == []
    (change,) = silence.tick(NOW + 301 * S)
    assert (change.at_ns, change.since_ns) == (NOW + 300 * S, NOW + 180 * S)
    silence.feed([heard(registry, one, NOW + 400 * S)])
    assert told(silence.tick(NOW + 401 * S)) == [("offline", one.id, "cleared")]


def test_who_is_in_maintenance_may_be_silent(silence: Silence, registry: Registry, inventory: Inventory) -> None:
    one = next(each for each in inventory.devices.values() if each.kind == "gate")
    silence.feed([heard(registry, one, NOW), *statuses(registry, [one], "maintenance", NOW + 1)])
    assert silence.tick(NOW + 10_000 * S) == []


def test_of_what_was_never_heard_nothing_is_known(registry: Registry, inventory: Inventory) -> None:
    assert Silence(registry, inventory, {}).tick(NOW) == []


def test_every_uplink_cut_makes_one_alarm_for_each_compound(
    silence: Silence, registry: Registry, inventory: Inventory
) -> None:
    rng = np.random.default_rng(1)
    found: list[Change] = []
    devices = list(inventory.devices.values())
    gone = {each.id: NOW + int(rng.integers(0, 90)) * S for each in devices}  # as keepalives run out
    back = {each.id: NOW + 1000 * S + int(rng.integers(0, 90)) * S for each in devices}
    for second in range(0, 1400, 2):
        now = NOW + second * S
        for name, state in ((gone, "offline"), (back, "online")):
            mine = [each for each in devices if now - 2 * S < name[each.id] <= now]
            silence.feed(statuses(registry, mine, state, now))
        found += silence.tick(now)
        kept = {subject: Standing.of(each.kept()) for subject, each in silence.standings.items()}
        assert kept == silence.standings
    assert sorted(told(found)) == sorted(
        ("uplink_down", name, what) for name in inventory.compounds for what in ("cleared", "raised")
    )


def test_who_stays_away_after_the_compound_is_back_has_an_alarm_of_its_own(
    silence: Silence, registry: Registry, inventory: Inventory
) -> None:
    compound = next(iter(inventory.compounds.values()))
    silence.feed(statuses(registry, list(compound.devices), "offline", NOW))
    assert told(silence.tick(NOW + 31 * S)) == [("uplink_down", compound.id, "raised")]
    silence.feed(statuses(registry, list(compound.devices[1:]), "online", NOW + 500 * S))
    assert silence.tick(NOW + 501 * S) == []
    assert told(silence.tick(NOW + 540 * S)) == [("uplink_down", compound.id, "cleared")]
    assert silence.tick(NOW + 600 * S) == []
    assert told(silence.tick(NOW + 700 * S)) == [("offline", compound.devices[0].id, "raised")]


def test_a_device_that_catches_up_is_not_away(silence: Silence, registry: Registry, inventory: Inventory) -> None:
    """After an outage it sends what it kept: its newest reading is old, and yet it is there."""
    one = next(each for each in inventory.devices.values() if each.kind == "gate")
    hour = 3600 * S
    for minute in range(10):
        silence.feed([heard(registry, one, NOW - hour + minute * 60 * S)])
        assert silence.tick(NOW + minute * S) == []
    assert silence.tick(NOW + 10 * S) == []
    (change,) = [each for seconds in (200, 400) for each in silence.tick(NOW + seconds * S)]
    assert change.subject.device == one.id


def test_what_was_heard_before_the_start_is_no_catching_up(
    silence: Silence, registry: Registry, inventory: Inventory
) -> None:
    one = next(each for each in inventory.devices.values() if each.kind == "gate")
    silence.feed([heard(registry, one, NOW - 3600 * S)], delivered=False)
    (change,) = silence.tick(NOW)
    assert change.subject.device == one.id
