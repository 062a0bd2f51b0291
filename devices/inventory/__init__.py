"""The inventory: which compounds there are, and which devices stand in them. Parsing only: files are read elsewhere."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, PositiveInt, StringConstraints

from devices.columns import SeriesKey
from devices.errors import InventoryError
from devices.kind import Kind, Table
from devices.names import ID_PATTERN, Text

ATTRIBUTES = ("buildings", "residents", "parking_spaces", "households_heated")
"""The numbers of a compound."""

RESERVED = "all"
"""No compound may be called so: it stands for all of them."""

_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
_Count = Annotated[int, pydantic.Field(ge=0, le=1_000_000)]
_CLOSED = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Name(BaseModel):
    model_config = _CLOSED
    en: str
    zh: str


class _Group(BaseModel):
    """Devices of one kind in one compound: `count` alike ones, each with `parts` parts and the same attributes."""

    model_config = _CLOSED
    count: _Count
    parts: PositiveInt | None = None
    attributes: dict[str, float | int | str] = {}


class _Compound(BaseModel):
    model_config = _CLOSED
    id: _Id
    name: _Name
    buildings: PositiveInt
    residents: _Count
    parking_spaces: _Count
    households_heated: _Count = 0
    devices: dict[str, _Group]


class _File(BaseModel):
    model_config = _CLOSED
    name: _Name
    timezone: str = "Asia/Shanghai"
    compounds: list[_Compound]


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """One device.

    Attributes:
        id: unique over the whole inventory: `{compound}-{kind}-{nn}`.
        kind: name of its kind.
        compound: id of its compound.
        building: the building it stands at, "1" to the compound's number of buildings.
        parts: the names of its parts, or ("",) where its kind has none.
        attributes: what the inventory says of it beyond that, for example locker cells by size.
    """

    id: str
    kind: str
    compound: str
    building: str
    parts: tuple[str, ...]
    attributes: Mapping[str, float | int | str]

    def keys(self, table: Table) -> Iterator[SeriesKey]:
        """The series that this device has in `table`."""
        for part in self.parts if table.part is not None else ("",):
            yield SeriesKey(self.compound, self.id, part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compound:
    """One residential compound.

    Attributes:
        id: its id in topics.
        name: its name.
        timezone: where its days begin.
        buildings: number of buildings.
        residents: number of residents.
        parking_spaces: number of marked parking spaces.
        households_heated: number of households with separate heating.
        devices: its devices, by kind, then number.
    """

    id: str
    name: Text
    timezone: ZoneInfo
    buildings: int
    residents: int
    parking_spaces: int
    households_heated: int
    devices: tuple[Device, ...]

    def of_kind(self, kind: str) -> tuple[Device, ...]:
        """Its devices of one kind."""
        return tuple(device for device in self.devices if device.kind == kind)

    @property
    def attributes(self) -> dict[str, float]:
        """Its numbers, with which balances begin."""
        return {name: float(getattr(self, name)) for name in ATTRIBUTES}


@dataclass(frozen=True)
class Inventory:
    """All compounds of one installation.

    Attributes:
        name: name of the installation.
        compounds: by id, in the file's order.
        is_whole: whether these are all, and not those that somebody may see.
    """

    name: Text
    compounds: Mapping[str, Compound]
    is_whole: bool = True

    def within(self, compounds: Collection[str]) -> "Inventory":
        """The part of it that has only some compounds; ids of others are of no effect."""
        chosen = {name: each for name, each in self.compounds.items() if name in compounds}
        return Inventory(self.name, MappingProxyType(chosen), is_whole=False)

    @cached_property
    def devices(self) -> Mapping[str, Device]:
        """Every device by its id."""
        return MappingProxyType(
            {device.id: device for compound in self.compounds.values() for device in compound.devices}
        )

    def of_kind(self, kind: str) -> tuple[Device, ...]:
        """All devices of one kind."""
        return tuple(device for device in self.devices.values() if device.kind == kind)

    @property
    def attributes(self) -> dict[str, float]:
        """The numbers of all compounds together."""
        return {name: sum(each.attributes[name] for each in self.compounds.values()) for name in ATTRIBUTES}

    @classmethod
    def parse(cls, text: str, kinds: Mapping[str, Kind]) -> Self:
        """Read an inventory file's text (YAML).

        Args:
            text: the content of a file like `devices/inventory/fangzhi-road.yaml`.
            kinds: the kinds that devices may be of.

        Returns:
            The inventory.

        Raises:
            InventoryError: the text is no YAML, has a key too many or too few, names an unknown kind or time zone, or
                says something twice.
        """
        try:
            file = _File.model_validate(yaml.safe_load(text))
            timezone = ZoneInfo(file.timezone)
        except yaml.YAMLError as exc:
            raise InventoryError(f"the inventory is not YAML: {exc}") from exc
        except pydantic.ValidationError as exc:
            raise InventoryError(f"the inventory is wrong: {exc}") from exc
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:  # a folder of zones, or a name too long for one
            raise InventoryError(f"unknown time zone {file.timezone!r}; write one like Asia/Shanghai") from exc
        if any(each.id == RESERVED for each in file.compounds):
            raise InventoryError(f"a compound is called {RESERVED!r}, which stands for all of them; rename it")
        compounds = {each.id: _compound(each, kinds, timezone) for each in file.compounds}
        if len(compounds) != len(file.compounds):
            raise InventoryError("a compound's id stands twice in the inventory")
        ids = [device.id for each in compounds.values() for device in each.devices]
        if len(set(ids)) != len(ids):
            raise InventoryError("two devices get the same id; rename one of the compounds")
        return cls(Text(file.name.en, file.name.zh), MappingProxyType(compounds))


def _compound(entry: _Compound, kinds: Mapping[str, Kind], timezone: ZoneInfo) -> Compound:
    devices: list[Device] = []
    for name, group in sorted(entry.devices.items()):
        if name not in kinds:
            raise InventoryError(f"compound {entry.id!r}: unknown kind {name!r}; known are {', '.join(kinds)}")
        parts = _parts(kinds[name], group, entry.id)
        devices += [
            Device(
                id=f"{entry.id}-{name}-{number + 1:02d}",
                kind=name,
                compound=entry.id,
                building=str(number % entry.buildings + 1),
                parts=parts,
                attributes=MappingProxyType(dict(group.attributes)),
            )
            for number in range(group.count)
        ]
    return Compound(
        id=entry.id,
        name=Text(entry.name.en, entry.name.zh),
        timezone=timezone,
        buildings=entry.buildings,
        residents=entry.residents,
        parking_spaces=entry.parking_spaces,
        households_heated=entry.households_heated,
        devices=tuple(devices),
    )


def _parts(kind: Kind, group: _Group, compound: str) -> tuple[str, ...]:
    if kind.part is None or kind.part.values:
        if group.parts is not None:
            raise InventoryError(f"compound {compound!r}: devices of kind {kind.name!r} take no `parts`")
        return kind.part.values if kind.part is not None else ("",)
    if group.parts is None:
        raise InventoryError(f"compound {compound!r}: say how many parts ({kind.part.name}) each {kind.name!r} has")
    return tuple(str(number + 1) for number in range(group.parts))
