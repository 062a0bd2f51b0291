"""What goes wrong with devices: it changes what is true, and so what they report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Column, Floats, SeriesKey, Times
from devices.fields import Signal
from devices.inventory import Device
from devices.kind import STATUS, STATUS_FIELDS, TELEMETRY, Kind
from simulators.behaviour import Behaviour
from simulators.faults.options import FaultRates
from simulators.faults.spells import Spells, since
from simulators.timeline import Instants, Intervals

_SKEW_MS = 90_000
_STATE, _FIRMWARE = (field.name for field in STATUS_FIELDS)


class DeviceFaults:
    """Applies the faults of devices to what they would have reported. Spans must come in the order of time."""

    def __init__(  # noqa: PLR0913, PLR0917  (what it is drawn from)
        self,
        rates: FaultRates,
        devices: Sequence[Device],
        kinds: Mapping[str, Kind],
        behaviours: Mapping[str, Behaviour],
        seed: int,
        start_ms: int,
        firmware: str,
    ) -> None:
        """Draw nothing yet.

        Args:
            rates: how often.
            devices: all devices; a device's number is its place here.
            kinds: the kinds.
            behaviours: how each kind behaves, and what it reports when it is frozen.
            seed: the fleet's seed.
            start_ms: where simulated time begins, ms since the epoch.
            firmware: what a status says of it.
        """
        self._devices = tuple(devices)
        self._kinds = kinds
        self._behaviours = behaviours
        self._numbers = {device.id: number for number, device in enumerate(devices)}
        self._start_ms = start_ms
        self._firmware = firmware

        def spells(name: str, rate: float, minutes: float, most_minutes: float) -> Spells:
            return Spells(name, seed, len(devices), rate=rate, minutes=minutes, most_minutes=most_minutes)

        self._outages = spells("outages", rates.outages, 45, 600)
        self._reboots = spells("reboots", rates.reboots, 1.5, 5)
        self._freezes = spells("frozen", rates.frozen, 25, 300)
        self._skews = spells("skew", rates.skew, 120, 900)
        self._resets = spells("resets", rates.resets, 1, 1)
        self._registers: dict[tuple[str, SeriesKey, str], _Register] = {}

    def boots(self, device: NDArray[np.int64], ms: Times) -> NDArray[np.int64]:
        """How often each device has started anew until each (device, ms); int64[n]."""
        if not len(ms):
            return np.zeros(0, np.int64)
        reboots = self._reboots.within(self._start_ms, int(ms.max()))
        ours = reboots.begin_ms >= self._start_ms
        return Instants(reboots.series[ours], reboots.begin_ms[ours]).count(device, ms)

    def applied(self, batches: Sequence[Batch], start_ms: int, stop_ms: int) -> list[Batch]:
        """What devices report of a span, faults and all.

        Args:
            batches: what they would have reported without faults.
            start_ms: where the span begins, ms since the epoch.
            stop_ms: where it ends.
        """
        dead = Intervals.joined([each.within(start_ms, stop_ms) for each in (self._outages, self._reboots)]).merged()
        freezes, skews, resets = (each.within(start_ms, stop_ms) for each in (self._freezes, self._skews, self._resets))
        made = []
        for batch in batches:
            batch = self._reset(batch, resets)  # noqa: PLW2901  (each fault takes what the one before left)
            batch = batch.take(self._since(batch, dead) < 0)  # noqa: PLW2901
            batch = self._frozen(batch, freezes)  # noqa: PLW2901
            made.append(self._skewed(batch, skews))
        made += self._statuses(dead, start_ms, stop_ms)
        return [batch for batch in made if len(batch)]

    def _owners(self, batch: Batch) -> NDArray[np.int64]:
        return np.array([self._numbers[key.device] for key in batch.keys], np.int64)[batch.series]

    def _since(self, batch: Batch, spells: Intervals) -> Times:
        return since(spells, self._owners(batch), batch.time // NS_PER_MS)

    def _frozen(self, batch: Batch, freezes: Intervals) -> Batch:
        freeze = self._behaviours[batch.table.kind].freeze
        if freeze is None or batch.table.name != TELEMETRY:
            return batch
        begun = self._since(batch, freezes)
        return replace(batch, columns={**batch.columns, **freeze(batch, begun)})

    def _skewed(self, batch: Batch, skews: Intervals) -> Batch:
        begun = self._since(batch, skews)
        # A clock is off by as much for the whole of a spell.
        off = np.where(begun >= 0, begun * 7919 % (2 * _SKEW_MS) - _SKEW_MS, 0)
        return replace(batch, time=batch.time + off * NS_PER_MS) if off.any() else batch

    def _reset(self, batch: Batch, resets: Intervals) -> Batch:
        counters = [field.name for field in batch.table.fields if field.signal is Signal.COUNTER]
        if not counters or not len(batch):
            return batch
        batch = batch.sorted()
        columns: dict[str, Column] = dict(batch.columns)
        offsets = batch.offsets()
        for name in counters:
            values = batch.floats(name).copy()
            for place, key in enumerate(batch.keys):
                rows = slice(int(offsets[place]), int(offsets[place + 1]))
                register = self._registers.setdefault((batch.table.measurement, key, name), _Register())
                mine = np.sort(resets.begin_ms[resets.series == self._numbers[key.device]])
                values[rows] = register.read(batch.time[rows] // NS_PER_MS, values[rows], mine)
            columns[name] = values
        return replace(batch, columns=columns)

    def _statuses(self, dead: Intervals, start_ms: int, stop_ms: int) -> Iterator[Batch]:
        """What statuses say of the spells that begin or end in a span."""
        said: dict[str, list[tuple[int, int, str]]] = {}
        for number, begin, end in zip(dead.series.tolist(), dead.begin_ms.tolist(), dead.end_ms.tolist(), strict=True):
            if begin < self._start_ms:
                continue
            for ms, state in ((begin, "offline"), (end, "online")):
                if start_ms <= ms < stop_ms:
                    said.setdefault(self._devices[number].kind, []).append((number, ms, state))
        for kind, rows in said.items():
            table = self._kinds[kind].tables[STATUS]
            owners = sorted({number for number, _, _ in rows})
            place = {number: series for series, number in enumerate(owners)}
            labels = table.by_name[_STATE].labels
            columns: dict[str, Column] = {
                _STATE: Coded(np.array([labels.index(state) for _, _, state in rows], np.int32), labels),
                _FIRMWARE: Coded(np.zeros(len(rows), np.int32), (self._firmware,)),
            }
            keys = tuple(SeriesKey(self._devices[each].compound, self._devices[each].id) for each in owners)
            series = np.array([place[number] for number, _, _ in rows], np.int32)
            time = np.array([ms for _, ms, _ in rows], np.int64) * NS_PER_MS
            yield Batch(table, keys, series, time, columns).sorted()


class _Register:
    """A register, and by how much less it shows since it was reset."""

    def __init__(self) -> None:
        self._raw = 0.0
        self._off = 0.0
        self._read_ms = -1

    def read(self, ms: Times, values: Floats, resets_ms: Times) -> Floats:
        """What it shows at `ms`, were it never reset but at `resets_ms`; both ascending."""
        if not len(ms):
            return values
        shown = values.copy()
        begin = 0
        for reset in resets_ms[(resets_ms > self._read_ms) & (resets_ms <= ms[-1])].tolist():
            place = int(np.searchsorted(ms, reset))
            shown[begin:place] -= self._off
            if place:
                self._raw = float(values[place - 1])
            if place or self._read_ms >= 0:
                self._off = self._raw
            begin = place
        shown[begin:] -= self._off
        self._raw, self._read_ms = float(values[-1]), int(ms[-1])
        return np.round(shown, 6)
