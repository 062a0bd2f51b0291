"""Whose statistics are compared: those of compounds, of buildings, of devices, and of all compounds together."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from devices.availability import statistics_of
from devices.inventory import RESERVED, Compound, Inventory
from devices.kind import Kind
from devices.statistics import Group, Statistic


class Level(StrEnum):
    """What a scope is; the value is what it is called."""

    COMPOUND = "compound"
    BUILDING = "building"
    DEVICE = "device"
    FLEET = "fleet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Some devices that the API has statistics of.

    Attributes:
        level: what it is.
        name: what it is called in messages.
        path: where the API has it, below its version: "compounds/jingyuan" or "fleet".
        params: which of the devices there.
        whole: these devices, as if they were all of a compound, with its numbers.
    """

    level: Level
    name: str
    path: str
    params: Mapping[str, str]
    whole: Compound


def statistics_at(level: Level, kind: Kind, group: Group | None = None) -> list[Statistic]:
    """What should be served of a kind: a balance means nothing for some of a compound's devices."""
    found = statistics_of(kind, group)
    if level in {Level.COMPOUND, Level.FLEET}:
        return [*found]
    named = {each.name: each for each in statistics_of(kind)}
    return [each for each in found if not _balanced(each, named)]


def scopes(inventory: Inventory, kind: Kind, levels: Collection[Level]) -> Iterator[Scope]:
    """The scopes in which there are devices of a kind.

    Args:
        inventory: the compounds.
        kind: the kind.
        levels: which scopes.

    Yields:
        All compounds and buildings, one device of each compound, and the fleet where its compounds share a time zone.
    """
    compounds = [each for each in inventory.compounds.values() if each.of_kind(kind.name)]
    for compound in compounds:
        path, devices = f"compounds/{compound.id}", compound.of_kind(kind.name)
        if Level.COMPOUND in levels:
            yield Scope(level=Level.COMPOUND, name=compound.id, path=path, params={}, whole=compound)
        for building in dict.fromkeys(each.building for each in devices) if Level.BUILDING in levels else ():
            some = tuple(each for each in devices if each.building == building)
            yield Scope(
                level=Level.BUILDING,
                name=f"{compound.id} building {building}",
                path=path,
                params={"building": building},
                whole=replace(compound, devices=some),
            )
        if Level.DEVICE in levels:
            # Which device it is differs from compound to compound.
            one = devices[len(compound.id) % len(devices)]
            params = {"device": one.id}
            whole = replace(compound, devices=(one,))
            yield Scope(level=Level.DEVICE, name=one.id, path=path, params=params, whole=whole)
    if Level.FLEET in levels and len({each.timezone for each in inventory.compounds.values()}) == 1:
        yield Scope(level=Level.FLEET, name=Level.FLEET, path="fleet", params={}, whole=_together(inventory))


def _together(inventory: Inventory) -> Compound:
    """All compounds as one."""
    every = [*inventory.compounds.values()]
    return Compound(
        id=RESERVED,
        name=inventory.name,
        timezone=every[0].timezone,
        buildings=sum(each.buildings for each in every),
        residents=sum(each.residents for each in every),
        parking_spaces=sum(each.parking_spaces for each in every),
        households_heated=sum(each.households_heated for each in every),
        devices=tuple(device for each in every for device in each.devices),
    )


def _balanced(statistic: Statistic, named: Mapping[str, Statistic]) -> bool:
    """Whether it is a balance, or made of one."""
    return statistic.base is not None or any(_balanced(named[name], named) for name in statistic.operands)
