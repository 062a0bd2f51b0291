"""The street of the project has exactly what the renovation gave it."""

from collections import Counter

from devices.inventory import Inventory
from devices.registry import Registry


def test_the_given_totals(inventory: Inventory) -> None:
    compounds = inventory.compounds.values()
    kinds = Counter(device.kind for device in inventory.devices.values())
    assert len(compounds) == 22
    assert sum(each.buildings for each in compounds) == 144
    assert sum(each.residents for each in compounds) == 13_000
    assert sum(each.parking_spaces for each in compounds) == 625
    assert sum(each.households_heated for each in compounds) == 1_060
    assert kinds["camera"] == 75
    assert kinds["bin"] == 35


def test_every_compound_has_every_kind_and_two_names(inventory: Inventory, registry: Registry) -> None:
    for compound in inventory.compounds.values():
        assert all(compound.of_kind(kind) for kind in registry), compound.id
        assert compound.name.en.isascii()
        assert not compound.name.zh.isascii()
    names = [compound.name for compound in inventory.compounds.values()]
    assert len({name.en for name in names}) == len({name.zh for name in names}) == 22


def test_jingyuan(inventory: Inventory) -> None:
    assert inventory.compounds["jingyuan"].name == ("Jingyuan", "警苑小区")


def test_devices_stand_at_buildings_that_exist(inventory: Inventory) -> None:
    for device in inventory.devices.values():
        assert 1 <= int(device.building) <= inventory.compounds[device.compound].buildings


def test_chargers_fit_the_parking(inventory: Inventory) -> None:
    for compound in inventory.compounds.values():
        connectors = sum(len(device.parts) for device in compound.of_kind("charger"))
        assert 0 < connectors <= compound.parking_spaces / 4
