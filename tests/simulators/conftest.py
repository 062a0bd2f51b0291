"""Small streets to simulate, and readings of a few days."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest

from devices.columns import Batch
from devices.inventory import Inventory
from devices.registry import Registry
from simulators.behaviour import Behaviour, discover
from simulators.options import parse_time, selected
from simulators.source import Source

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Tables = Mapping[str, Batch]
Readings = Callable[..., Tables]


@pytest.fixture(scope="session")
def behaviours(registry: Registry) -> Mapping[str, Behaviour]:
    return discover(registry)


@pytest.fixture(scope="session")
def street(inventory: Inventory) -> Inventory:
    """Three compounds of different size."""
    return selected(inventory, "jingyuan,mianfang-dong,shuichang", "")


def in_zone(inventory: Inventory, zone: str) -> Inventory:
    """The same inventory in another time zone."""
    moved = {
        id_: replace(compound, timezone=ZoneInfo(zone))  # a day there has 23, 24 or 25 hours
        for id_, compound in inventory.compounds.items()
    }
    return Inventory(inventory.name, MappingProxyType(moved))


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    """A local time as ms since the epoch."""
    return parse_time(text, 0, ZoneInfo(zone))


def by_measurement(batches: list[Batch]) -> Tables:
    """One sorted batch of each table."""
    groups: dict[str, list[Batch]] = {}
    for batch in batches:
        groups.setdefault(batch.table.measurement, []).append(batch)
    return {name: Batch.concatenated(parts).sorted() for name, parts in sorted(groups.items())}


@pytest.fixture(scope="session")
def readings(street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> Readings:
    """Makes the readings of a span of the street, by measurement."""

    def made(start_ms: int, stop_ms: int, seed: int = 1, where: Inventory = street) -> Tables:
        return by_measurement(Source(where, registry, behaviours, seed).span(start_ms, stop_ms))

    return made


@pytest.fixture(scope="session")
def week(readings: Readings) -> Tables:
    """A week of the street, from Wednesday 5 November 2025, 00:00."""
    start = at("2025-11-05")
    return readings(start, start + 7 * DAY_MS)
