"""Marks of the write log, put together: which cells of which table were written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from devices.inventory import Inventory
from devices.kind import Kind
from rollups.cells import Cells, Codes, apart
from rollups.writelog import EVERYTHING, Mark


@dataclass(frozen=True, slots=True)
class Marks:
    """What was written.

    Attributes:
        cells: by kind and table, codes of cells: indices into `Inventory.of_kind(kind)`, and quarters.
        newest: by compound, the newest quarter.
        everything: from this quarter on anything may have been written; None where that is not so.
    """

    cells: Mapping[str, Mapping[str, Codes]]
    newest: Mapping[str, int]
    everything: int | None = None
    _none: Mapping[str, Codes] = field(default_factory=dict)

    def of(self, kind: str) -> Mapping[str, Codes]:
        """The cells of a kind's tables."""
        return self.cells.get(kind, self._none)

    def within(self, first: int) -> "Marks":
        """The same, where nothing is known of what lies before a quarter."""
        return self if self.everything is None else replace(self, everything=max(self.everything, first))

    def first(self, kind: str) -> int | None:
        """The first quarter that was written of a kind; None where nothing was."""
        found = [int(apart(codes).quarter.min()) for codes in self.of(kind).values()]
        if self.everything is not None:
            found.append(self.everything)
        return min(found, default=None)


def gathered(marks: Iterable[Mark], kinds: Mapping[str, Kind], inventory: Inventory) -> Marks:
    """Put marks together; those of tables and devices that are not known any more are left out."""
    tables = {table.measurement: table for kind in kinds.values() for table in kind.tables.values()}
    numbers: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, list[Codes]]] = {}
    newest: dict[str, int] = {}
    everything: int | None = None
    for mark in marks:
        if mark.measurement == EVERYTHING:
            everything = mark.first if everything is None else min(everything, mark.first)
            continue
        table = tables.get(mark.measurement)
        if table is None:
            continue
        if table.kind not in numbers:
            numbers[table.kind] = {each.id: number for number, each in enumerate(inventory.of_kind(table.kind))}
        place = np.array([numbers[table.kind].get(name, -1) for name in mark.devices], np.int64)[mark.device]
        known = place >= 0
        codes = Cells(place[known], mark.quarter[known]).codes
        if len(codes):
            found.setdefault(table.kind, {}).setdefault(table.name, []).append(codes)
            _note_newest(newest, mark, inventory)
    cells = {
        kind: {name: np.unique(np.concatenate(each)) for name, each in of_kind.items()}
        for kind, of_kind in found.items()
    }
    return Marks(cells, newest, everything)


def _note_newest(newest: dict[str, int], mark: Mark, inventory: Inventory) -> None:
    last = np.full(len(mark.devices), -1, np.int64)
    np.maximum.at(last, mark.device, mark.quarter)
    for name, quarter in zip(mark.devices, last.tolist(), strict=True):
        device = inventory.devices.get(name)
        if device is not None and quarter > newest.get(device.compound, -1):
            newest[device.compound] = quarter
