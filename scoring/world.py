"""One kind in one compound, or what stands for one, as it really was, with what several statistics need made once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from devices.columns import SeriesKey
from devices.inventory import Compound, Device
from devices.kind import STATUS, TELEMETRY, Channel, Kind
from devices.statistics import Statistic
from scoring import walks
from scoring.truth import Series, Tables

Made = TypeVar("Made")
FOREVER = 2**62

Event = tuple[int, SeriesKey, Mapping[str, Any]]
"""An event: when, of which series, and its fields."""


@dataclass(frozen=True)
class World:
    """What is true of one kind in one compound, over some buckets.

    Attributes:
        kind: the kind.
        compound: the compound.
        tables: the rows; those of other devices are left out.
        edges: ns since the epoch, ascending.
    """

    kind: Kind
    compound: Compound
    tables: Tables
    edges: Sequence[int]
    _made: dict[Any, Any] = field(default_factory=dict)

    @property
    def buckets(self) -> range:
        """The buckets by number."""
        return range(len(self.edges) - 1)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of the kind."""
        return self.compound.of_kind(self.kind.name)

    @property
    def timezone(self) -> ZoneInfo:
        """The compound's time zone."""
        return self.compound.timezone

    @property
    def hold(self) -> int:
        """How long telemetry holds, in ns."""
        return self.kind.max_hold_ns

    def hold_in(self, table: str) -> int:
        """How long a row of a table holds, in ns."""
        return self.hold if self.kind.tables[table].channel is Channel.TELEMETRY else FOREVER

    def length(self, bucket: int) -> int:
        """The ns of a bucket."""
        return self.edges[bucket + 1] - self.edges[bucket]

    def once(self, what: Any, make: Callable[[], Made]) -> Made:  # noqa: ANN401  (whatever names it)
        """What `make` makes, made at the first call for `what`."""
        if what not in self._made:
            self._made[what] = make()
        made: Made = self._made[what]
        return made

    def keys(self, table: str) -> list[SeriesKey]:
        """Every series that should be in a table."""
        return [key for device in self.devices for key in device.keys(self.kind.tables[table])]

    def series(self, table: str, key: SeriesKey) -> Series:
        """The rows of a series."""
        found = self.tables.get(table, {}).get(key)
        if found is not None:
            return found
        return Series([], {each.name: [] for each in self.kind.tables[table].fields})

    def lines(self, statistic: Statistic) -> dict[str | None, list[SeriesKey]]:
        """The series of each line of a statistic, which may be broken down by part."""
        keys = self.keys(statistic.table)
        if statistic.by != "part":
            return {None: keys}
        part = self.kind.tables[statistic.table].part
        names = [*(part.values if part is not None else ())]
        names += sorted({key.part for key in keys} - {*names}, key=lambda name: (len(name), name))
        return {name: [key for key in keys if key.part == name] for name in names}

    def said(self, device: Device) -> list[tuple[int, str]]:
        """The statuses of a device."""
        times, values = self.series(STATUS, SeriesKey(device.compound, device.id)).of("state")
        return list(zip(times, values, strict=True))

    def alive(self, device: Device) -> list[int]:
        """The times of a device's telemetry, whatever its parts."""

        def made() -> list[int]:
            keys = device.keys(self.kind.tables[TELEMETRY])
            return sorted(time for key in keys for time in self.series(TELEMETRY, key).times)

        return self.once(("alive", device.id), made)

    def heard(self) -> list[float]:
        """The share of each bucket's device time in which telemetry was heard."""

        def made() -> list[float]:
            seen = [walks.held_ns(self.alive(device), self.hold, self.edges) for device in self.devices]
            return self.coverage(seen, len(self.devices))

        return self.once("heard", made)

    def coverage(self, seen: Sequence[Sequence[int]], expected: int) -> list[float]:
        """The observed share of each bucket: the ns of each series, of `expected` that there should be."""
        if not expected:
            return [0.0 for _ in self.buckets]
        return [min(sum(each[b] for each in seen) / (expected * self.length(b)), 1.0) for b in self.buckets]

    def over(self, edges: Sequence[int]) -> "World":
        """The same over other buckets."""
        return World(self.kind, self.compound, self.tables, edges)

    def events(self, table: str, where: Mapping[str, Sequence[str]]) -> list[Event]:
        """The events of a table whose categories have one of the labels, with their fields."""

        def made() -> list[Event]:
            found: list[Event] = []
            for key in self.keys(table):
                series = self.series(table, key)
                names = [*series.columns]
                for row, time in enumerate(series.times):
                    found.append((time, key, {name: series.columns[name][row] for name in names}))
            return found

        every = self.once(("events", table), made)
        return [each for each in every if all(each[2][name] in labels for name, labels in where.items())]
