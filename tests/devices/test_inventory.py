"""The inventory of the 22 compounds, and what a wrong one is told."""

import pytest

from devices.errors import InventoryError
from devices.inventory import Inventory
from devices.names import is_id
from devices.registry import Registry


def test_the_built_in_inventory_has_the_known_figures(inventory: Inventory, registry: Registry) -> None:
    compounds = inventory.compounds.values()
    assert len(compounds) == 22
    assert sum(each.buildings for each in compounds) == 144
    assert sum(each.residents for each in compounds) == 13_000
    assert sum(each.parking_spaces for each in compounds) == 625
    assert sum(each.households_heated for each in compounds) == 1_060
    assert sum(len(each.of_kind("camera")) for each in compounds) == 75
    assert sum(len(each.of_kind("bin")) for each in compounds) == 35
    assert all(each.of_kind(kind) for each in compounds for kind in registry)
    assert inventory.compounds["jingyuan"].name == ("Jingyuan", "警苑小区")
    assert all(each.name.en and each.name.zh for each in compounds)
    assert len({each.name.zh for each in compounds}) == 22


def test_devices_are_unique_and_stand_at_a_building(inventory: Inventory) -> None:
    assert sum(len(each.devices) for each in inventory.compounds.values()) == len(inventory.devices)
    for device in inventory.devices.values():
        assert is_id(device.id)
        assert 1 <= int(device.building) <= inventory.compounds[device.compound].buildings


_COMPOUND = """
  - id: a
    name: {en: A, zh: 甲}
    buildings: 2
    residents: 10
    parking_spaces: 0
    devices: {gate: {count: 3}, charger: {count: 1, parts: 2}}
"""
_HEAD = "name: {en: X, zh: 街}\ncompounds:"


def test_parts_and_buildings_follow_from_the_counts(registry: Registry) -> None:
    inventory = Inventory.parse(_HEAD + _COMPOUND, registry)
    gates = inventory.compounds["a"].of_kind("gate")
    assert [(each.id, each.building) for each in gates] == [("a-gate-01", "1"), ("a-gate-02", "2"), ("a-gate-03", "1")]
    charger = inventory.devices["a-charger-01"]
    assert charger.parts == ("1", "2")
    tables = registry["charger"].tables
    assert [key.part for key in charger.keys(tables["telemetry"])] == ["1", "2"]
    assert [key.part for key in charger.keys(tables["status"])] == [""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "wrong"),
        ("[", "not YAML"),
        ("name: 1", "wrong"),
        (_HEAD + _COMPOUND.replace("id: a", "id: A b"), "pattern"),
        (_HEAD + _COMPOUND.replace("residents: 10", "residents: -1"), "residents"),
        (_HEAD + _COMPOUND.replace("residents: 10", "residents: ten"), "residents"),
        (_HEAD + _COMPOUND.replace("residents: 10", "residents: 10\n    owner: x"), "owner"),
        (_HEAD + _COMPOUND + _COMPOUND, "stands twice"),
        (_HEAD + _COMPOUND.replace("gate", "lamp"), "unknown kind 'lamp'; known are bin"),
        (_HEAD + _COMPOUND.replace(", parts: 2", ""), "say how many parts"),
        (_HEAD + _COMPOUND.replace("gate: {count: 3}", "gate: {count: 3, parts: 2}"), "take no `parts`"),
        ("timezone: Mars/Olympus\n" + _HEAD + _COMPOUND, "time zone"),
        ("timezone: ../../etc/passwd\n" + _HEAD + _COMPOUND, "time zone"),
        ("timezone: Asia\n" + _HEAD + _COMPOUND, "time zone"),
        ("timezone: Asia/" + "x" * 300 + "\n" + _HEAD + _COMPOUND, "time zone"),
    ],
)
def test_a_wrong_inventory_is_refused_by_name(text: str, says: str, registry: Registry) -> None:
    with pytest.raises(InventoryError, match=says):
        Inventory.parse(text, registry)
