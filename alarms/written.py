"""The rows that the write log tells of, read from the store: of telemetry each once, and newer than all before."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from devices.columns import Batch, SeriesKey
from devices.inventory import Inventory
from devices.kind import TELEMETRY, Kind, Table
from rollups.grains import QUARTER_NS
from rollups.writelog import EVERYTHING, Mark
from store.protocol import Query, Store

OLDEST_NS = 2 * 86_400 * 1_000_000_000
"""Rows that come later than this raise nothing any more."""

_FEW_ROWS = 10_000

Series = tuple[str, SeriesKey]
"""A series by the measurement of its table."""


@dataclass(slots=True)
class _Touched:
    """What was written of a table: which devices, and from which quarter to which."""

    devices: set[str] = field(default_factory=set)
    first: int = 2**62
    last: int = -1


class Written:
    """Reads what was written, and remembers of every series of telemetry which row was the newest."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        inventory: Inventory,
        raw: Store,
        seen: Mapping[Series, int],
        clock: Callable[[], int],
    ) -> None:
        """Go on from where it stood.

        Args:
            kinds: the kinds.
            inventory: which compounds and devices there are.
            raw: holds readings.
            seen: the time of the newest row of each series that was looked at.
            clock: the present, in ns.
        """
        self._kinds = kinds
        self._inventory = inventory
        self._raw = raw
        self._clock = clock
        self._tables = {table.measurement: table for kind in kinds.values() for table in kind.tables.values()}
        self._seen = dict(seen)
        self._last: dict[tuple[str, str], int] = {}
        self.fresh: dict[Series, int] = {}
        """What is newer than what `note` was told last."""
        self._note_devices()

    def note(self) -> None:
        """What is fresh is kept by now."""
        self._seen.update(self.fresh)
        self.fresh = {}
        self._note_devices()

    def rows(self, marks: Iterable[Mark]) -> Iterator[tuple[str, list[Batch]]]:
        """The rows that marks tell of, kind by kind; raises `StoreError`."""
        touched: dict[str, dict[str, _Touched]] = {}
        for mark in marks:
            if mark.measurement == EVERYTHING:  # the log was too long to be kept: anything may have been written
                self._touch_all(touched, mark.first)
                continue
            table = self._tables.get(mark.measurement)
            if table is None or not len(mark.quarter):
                continue
            found = touched.setdefault(table.kind, {}).setdefault(table.name, _Touched())
            found.devices.update(name for name in mark.devices if name in self._inventory.devices)
            found.first = min(found.first, int(mark.quarter.min()))
            found.last = max(found.last, int(mark.quarter.max()))
        for kind, tables in touched.items():
            yield (
                kind,
                [
                    self._newer(self._read(self._kinds[kind].tables[name], each))
                    for name, each in tables.items()
                    if each.devices
                ],
            )

    def _touch_all(self, touched: dict[str, dict[str, _Touched]], first: int) -> None:
        last = self._clock() // QUARTER_NS
        for table in self._tables.values():
            found = touched.setdefault(table.kind, {}).setdefault(table.name, _Touched())
            found.devices.update(each.id for each in self._inventory.of_kind(table.kind))
            found.first, found.last = min(found.first, first), max(found.last, last)

    def _read(self, table: Table, touched: _Touched) -> Batch:
        start_ns = max(touched.first * QUARTER_NS, self._clock() - OLDEST_NS, 0)
        if table.name == TELEMETRY:
            known = [self._last.get((table.measurement, name), 0) for name in touched.devices]
            start_ns = max(start_ns, min(known) + 1)
        stop_ns = (touched.last + 1) * QUARTER_NS
        devices = tuple(sorted(touched.devices))
        compounds = tuple({self._inventory.devices[name].compound for name in devices})
        expected = len(devices) * max(stop_ns - start_ns, 0) / (self._kinds[table.kind].interval_s * 1e9)
        return self._raw.read(
            Query(
                table=table,
                start_ns=start_ns,
                stop_ns=stop_ns,
                compounds=compounds,
                devices=devices,
                few=expected < _FEW_ROWS,
            )
        )

    def _newer(self, batch: Batch) -> Batch:
        """The rows of telemetry that are newer than all that was looked at of their series; all of other tables."""
        if batch.table.name != TELEMETRY or not len(batch):
            return batch
        name = batch.table.measurement
        newest = np.array([self._seen.get((name, key), -1) for key in batch.keys], np.int64)
        fresh = batch.take(batch.time > newest[batch.series])
        np.maximum.at(newest, fresh.series, fresh.time)
        for key, time_ns in zip(fresh.keys, newest.tolist(), strict=True):
            if time_ns > self._seen.get((name, key), -1):
                self.fresh[name, key] = time_ns
        return fresh

    def _note_devices(self) -> None:
        """Of a device with parts the part that is furthest behind counts."""
        parts: dict[tuple[str, str], list[int]] = {}
        for (name, key), time_ns in self._seen.items():
            parts.setdefault((name, key.device), []).append(time_ns)
        self._last = {device: min(times) for device, times in parts.items()}
