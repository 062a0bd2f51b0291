"""Where a behaviour takes place: the devices of one kind in one compound, the local day, and the draws of both."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Codes, Column, Times, column_of
from devices.errors import InventoryError
from devices.inventory import Compound, Device
from devices.kind import TELEMETRY, Kind, Table

HOUR_MS = 3_600_000

Values = ArrayLike | Coded
"""A column to be, as `Site.batch` takes it."""
_JITTER_MS = 250


class Day(NamedTuple):
    """A local day.

    Attributes:
        date: its date.
        start_ms: when it begins, ms since the epoch, UTC.
        stop_ms: when the next one begins: 23, 24 or 25 hours later.
    """

    date: dt.date
    start_ms: int
    stop_ms: int

    @property
    def is_weekend(self) -> bool:
        """Whether it is a Saturday or a Sunday."""
        return self.date.weekday() >= 5

    def at(self, hours: ArrayLike) -> Times:
        """Hours after its midnight (25.5: half past one of the next night) as ms since the epoch, whole."""
        ms: Times = self.start_ms + np.rint(np.asarray(hours) * HOUR_MS).astype(np.int64)
        return ms

    def covers(self, ms: Times) -> NDArray[np.bool_]:
        """Which of `ms` lie within it."""
        return (ms >= self.start_ms) & (ms < self.stop_ms)


@lru_cache(maxsize=4096)
def day_of(date: dt.date, timezone: ZoneInfo) -> Day:
    """The day `date` in `timezone`."""
    return Day(date, _midnight_ms(date, timezone), _midnight_ms(date + dt.timedelta(days=1), timezone))


def date_at(ms: int, timezone: ZoneInfo) -> dt.date:
    """The local date at an instant, given in ms since the epoch."""
    return dt.datetime.fromtimestamp(ms / 1000, timezone).date()


class Samples(NamedTuple):
    """When telemetry is due, ordered by device, part and time.

    Attributes:
        device: int64[n], index into the site's devices.
        part: int64[n], index into that device's parts.
        series: int32[n], index into the keys of the telemetry table.
        ms: int64[n], ms since the epoch.
    """

    device: NDArray[np.int64]
    part: NDArray[np.int64]
    series: Codes
    ms: Times


@dataclass(frozen=True, eq=False)
class Site:
    """The devices of one kind in one compound.

    Attributes:
        compound: the compound.
        kind: the kind.
        devices: its devices of that kind, at least one.
        seed: the fleet's seed.
    """

    compound: Compound
    kind: Kind
    devices: tuple[Device, ...]
    seed: int

    def rng(self, purpose: str, date: dt.date | None = None) -> np.random.Generator:
        """The generator of one purpose on one date: always the same draws for the same site and seed.

        Args:
            purpose: what is drawn; two purposes draw independently.
            date: the local date, or None for what never changes, such as who lives here.
        """
        name = f"{self.compound.id}/{self.kind.name}/{purpose}".encode()
        digest = hashlib.blake2b(name, digest_size=16).digest()
        words = np.frombuffer(digest, "<u4").tolist()
        return np.random.default_rng([self.seed, 0 if date is None else date.toordinal(), *words])

    def day(self, date: dt.date) -> Day:
        """The local day `date`."""
        return day_of(date, self.compound.timezone)

    def days_until(self, day: Day, back: int) -> list[Day]:
        """The `back` days before `day` and itself, in order."""
        return [self.day(day.date - dt.timedelta(days=ago)) for ago in range(back, -1, -1)]

    def attribute(self, name: str, default: float) -> NDArray[np.float64]:
        """What the inventory says of each device as `name`; float64[devices].

        Raises:
            InventoryError: it is not a number, or is negative.
        """
        values = [device.attributes.get(name, default) for device in self.devices]
        for device, value in zip(self.devices, values, strict=True):
            if isinstance(value, str) or not 0 <= value < 1e9:
                raise InventoryError(f"device {device.id!r}: attribute {name!r} must be a number from 0, not {value!r}")
        return np.array(values, np.float64)

    @cached_property
    def first_part(self) -> NDArray[np.int64]:
        """Where each device's parts begin among all parts of the site; int64[devices + 1]."""
        return np.concatenate(([0], np.cumsum([len(device.parts) for device in self.devices])))

    def samples(self, day: Day) -> Samples:
        """When each device reports on `day`: on a grid with a fixed phase of its own, and late by some ms."""
        interval = self.kind.interval_s * 1000
        phases = self.rng("phase").uniform(0, interval, len(self.devices))
        first = np.ceil((day.start_ms - phases) / interval).astype(np.int64)
        last = np.ceil((day.stop_ms - phases) / interval).astype(np.int64)
        counts = last - first
        device = np.repeat(np.arange(len(self.devices)), counts)
        step = np.arange(len(device)) - np.repeat(np.cumsum(counts) - counts, counts) + first[device]
        late = self.rng("jitter", day.date).integers(0, min(_JITTER_MS, max(1, round(interval / 4))), len(device))
        ms = np.clip((step * interval + phases[device]).astype(np.int64) + late, day.start_ms, day.stop_ms - 1)
        return self._by_part(device, ms, counts)

    def _by_part(self, device: NDArray[np.int64], ms: Times, counts: NDArray[np.int64]) -> Samples:
        parts = np.diff(self.first_part)
        ends = np.cumsum(counts)
        # Every part of a device repeats the whole run of its device.
        owner = np.repeat(np.arange(len(self.devices)), parts)
        lengths = counts[owner]
        begins = (ends - counts)[owner]
        series = np.repeat(np.arange(len(owner)), lengths)
        rows = np.arange(len(series)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begins[series]
        return Samples(device[rows], series - self.first_part[device[rows]], series.astype(np.int32), ms[rows])

    def telemetry(self, samples: Samples, columns: Mapping[str, Values]) -> Batch:
        """The telemetry batch of `samples`; `columns` as in `batch`."""
        part = samples.part if self.kind.part is not None else None
        return self.batch(TELEMETRY, samples.device, samples.ms, part, columns)

    def batch(
        self,
        table: str,
        device: NDArray[np.int64],
        ms: Times,
        part: NDArray[np.int64] | None,
        columns: Mapping[str, Values],
    ) -> Batch:
        """Make a batch of one of the kind's tables.

        Args:
            table: name of the table.
            device: int64[n], index into the site's devices.
            ms: int64[n], ms since the epoch.
            part: int64[n], index into the device's parts; None in tables without parts.
            columns: by field: n numbers (NaN where absent); n codes into the declared labels (-1 where absent); for an
                identity n strings. A field left out is absent in all rows.
        """
        declared = self.kind.tables[table]
        series = device if part is None else self.first_part[device] + part
        made = {name: _column(declared, name, columns.get(name), len(ms)) for name in declared.by_name}
        keys = tuple(key for each in self.devices for key in each.keys(declared))
        return Batch(declared, keys, series.astype(np.int32), ms.astype(np.int64) * NS_PER_MS, made)


def _column(table: Table, name: str, values: Values | None, count: int) -> Column:
    field = table.by_name[name]
    if values is None:
        return column_of(field, [None] * count)
    if field.is_number:
        return np.broadcast_to(np.asarray(values, np.float64), count)
    if field.is_label:
        return Coded(np.broadcast_to(np.asarray(values, np.int32), count), field.labels)
    if isinstance(values, Coded):
        return values
    return column_of(field, list(np.asarray(values)))


def _midnight_ms(date: dt.date, timezone: ZoneInfo) -> int:
    return round(dt.datetime.combine(date, dt.time(), timezone).timestamp() * 1000)


def joined(batches: Sequence[Batch], day: Day) -> Batch:
    """Those rows of `batches` (of one table, at least one batch) that fall on `day`, by series and time."""
    whole = Batch.concatenated(batches)
    return whole.take(day.covers(whole.time // NS_PER_MS)).sorted()
