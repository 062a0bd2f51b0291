"""What every service of the API works on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from access.audit import Audit
from access.callers import Caller
from api.options import ApiOptions
from api.times import Clock, shown
from devices.errors import NotFoundError, QueryError
from devices.inventory import Compound, Device, Inventory
from devices.kind import Kind
from rollups.reader import Reader
from store.protocol import Store

PROCESS = Caller(id="process", name="")
"""Who asks from within the program."""

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
        caller: who asks.
        audit: where it is written what they did; None where nothing is kept.
    """

    options: ApiOptions
    inventory: Inventory
    kinds: Mapping[str, Kind]
    store: Store
    reader: Reader
    clock: Clock
    threads: Executor
    caller: Caller = PROCESS
    audit: Audit | None = None

    def record(self, what: str, about: str = "", **detail: object) -> None:
        """Write into the audit log that the caller did something; raises `RecordsError`, and then it is not to be."""
        if self.audit is not None:
            self.audit.write(self.caller.id, what, about, **detail)

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
