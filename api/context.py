"""What every service of the API works on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from api.options import ApiOptions
from api.times import Clock, shown
from devices.errors import NotFoundError, QueryError
from devices.inventory import Compound, Device, Inventory
from devices.kind import Kind
from rollups.reader import Reader
from store.protocol import Store

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The world as the API knows it.

    Attributes:
        options: limits.
        inventory: which compounds and devices there are.
        kinds: how each kind is declared.
        store: where the rows are.
        reader: makes statistics of rows and rollups.
        clock: the present.
        threads: ask the store several things at once.
    """

    options: ApiOptions
    inventory: Inventory
    kinds: Mapping[str, Kind]
    store: Store
    reader: Reader
    clock: Clock
    threads: Executor

    def beside(self, call: Callable[[T], R], each: Iterable[T]) -> Iterator[R]:
        """What a call gives of each of some things, beside each other, in their order."""
        return self.threads.map(call, each)

    def compound(self, name: str) -> Compound:
        """The compound with this id; a `NotFoundError` where there is none."""
        found = self.inventory.compounds.get(name)
        if found is None:
            raise NotFoundError(
                f"there is no compound {shown(name)}; /v1/compounds lists them", code="unknown_compound"
            )
        return found

    def device(self, name: str) -> Device:
        """The device with this id; a `NotFoundError` where there is none."""
        found = self.inventory.devices.get(name)
        if found is None:
            raise NotFoundError(f"there is no device {shown(name)}; /v1/devices lists them", code="unknown_device")
        return found

    def building(self, compound: Compound, name: str) -> str:
        """The building of a compound that a parameter names; a `QueryError` that says which there are."""
        if name not in map(str, range(1, compound.buildings + 1)):
            raise QueryError(
                f"building={shown(name)}: {compound.id} has buildings 1 to {compound.buildings}",
                code="unknown_building",
            )
        return name

    def kind(self, name: str) -> Kind:
        """The kind that a parameter names; a `QueryError` that lists them where there is none."""
        found = self.kinds.get(name)
        if found is None:
            raise QueryError(f"kind={shown(name)} is unknown; send one of {', '.join(self.kinds)}", code="unknown_kind")
        return found
