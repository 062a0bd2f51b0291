"""How everything is at this moment, looked at once for all who ask.

Pages, walls and programs all ask how compounds and devices are now. A look asks the store a few questions about all of
them; it serves whoever asks within a second, and while a new one is made, a little longer. It says of what time it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.connection import Connection, connections
from api.context import Context
from api.held import Held
from api.models import CompoundNow
from api.overview import compounds_now
from devices.inventory import Device

_LONGER = 3.0
"""So many times as long as it is held, a look serves while the next is made."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look.

    Attributes:
        compounds: how each compound is, by id, in the inventory's order.
        devices: how each device is connected, by id.
    """

    compounds: Mapping[str, CompoundNow]
    devices: Mapping[str, Connection]


class Present:
    """Gives the latest look. Any number of threads may ask at once."""

    def __init__(self, context: Context) -> None:
        """Look at the world of `context`."""
        self._context = context
        hold_s = context.options.hold_s
        self._held = Held(self._look, hold_s, stale_s=_LONGER * hold_s)

    def compounds(self) -> list[CompoundNow]:
        """Every compound, in the inventory's order; raises StoreError."""
        return list(self._held().compounds.values())

    def compound(self, name: str) -> CompoundNow:
        """A compound that there is; raises StoreError."""
        return self._held().compounds[name]

    def devices(self, wanted: Iterable[Device]) -> dict[str, Connection]:
        """The connection of some devices, by id; raises StoreError."""
        found = self._held().devices
        return {each.id: found[each.id] for each in wanted}

    def _look(self) -> _Look:
        inventory = self._context.inventory
        devices = connections(self._context, tuple(inventory.devices.values()))
        found = compounds_now(self._context, inventory.compounds.values(), devices)
        return _Look({each.id: each for each in found}, devices)
