"""Makes rollups: partials of cells from raw readings, hours and days of these, and finished figures of those.

Everything is made anew and written over what is there, so that doing it twice, or half and then again, does no harm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aggregate import evaluate
from aggregate.partials import Partials, keys_of
from aggregate.reducers import REDUCTIONS, basic, grid
from devices.availability import statistics_of
from devices.columns import Batch, Times
from devices.inventory import Device, Inventory
from devices.kind import Kind
from rollups import figures, rows
from rollups.cells import Codes, apart
from rollups.grains import QUARTER_NS, Grain, edges_within
from rollups.pieces import Piece
from rollups.reader import Reader
from rollups.tables import FINAL_GRAINS, partials_table, scopes_of
from store.protocol import Store

_DAY_QUARTERS = 96
Mask = NDArray[np.bool_]
Touched = tuple[str | None, Grain, Mask]


@dataclass(frozen=True, slots=True)
class Whole:
    """From when to when quarters are rolled up, once those at hand are: ns."""

    begin_ns: int
    closed_ns: int


class Roller:
    """Makes the rollups of one kind."""

    def __init__(self, kind: Kind, raw: Store, rolled: Store, inventory: Inventory) -> None:
        """Prepare to make rollups.

        Args:
            kind: the kind.
            raw: holds readings.
            rolled: holds rollups.
            inventory: which compounds and devices there are.
        """
        self.kind = kind
        self.devices = inventory.of_kind(kind.name)
        self._rolled = rolled
        self._inventory = inventory
        self._reader = Reader(raw, rolled, inventory)
        self._statistics = statistics_of(kind)
        self._columns = evaluate.columns_of(kind, self._statistics)
        self._zones = tuple(dict.fromkeys(each.timezone for each in inventory.compounds.values()))
        zone = {name: self._zones.index(each.timezone) for name, each in inventory.compounds.items()}
        self._zone_of = np.array([zone[each.compound] for each in self.devices], np.intp)
        self.after_ns = max(REDUCTIONS[each.reducer].after_ns for each in basic(kind, self._statistics))

    def partials(self, codes: Codes, whole: Whole) -> None:
        """Make the partials of cells, and of the hours and days that they are in.

        Args:
            codes: which cells, within what is whole.
            whole: which quarters are rolled up once these are.

        Raises:
            StoreError: a store failed; some of it may be made.
        """
        self._quarters(codes)
        for number, zone in enumerate(self._zones):
            mine = codes[self._zone_of[apart(codes).device] == number]
            if len(mine):
                self._longer(mine, whole, zone)

    def finish(self, codes: Codes, whole: Whole, *, again: bool) -> None:
        """Make the finished figures that cells matter for, of the partials that are there.

        Args:
            codes: which cells, within what is whole.
            whole: which quarters are rolled up.
            again: whether any of it may have been made before.

        Raises:
            StoreError: a store failed; some of it may be made.
        """
        for number, zone in enumerate(self._zones):
            mine = codes[self._zone_of[apart(codes).device] == number]
            if len(mine):
                self._figures(mine, whole, zone, again=again)

    def _quarters(self, codes: Codes) -> None:
        """The quarters of cells, of raw readings, a day at a time."""
        device, quarter = apart(codes)
        for day in np.unique(quarter // _DAY_QUARTERS).tolist():
            chosen = quarter // _DAY_QUARTERS == day
            mine, when = np.unique(device[chosen]), quarter[chosen]
            edges = np.arange(when.min(), when.max() + 2) * QUARTER_NS
            devices = [self.devices[each] for each in mine.tolist()]
            partials = self._reader.of_readings(self.kind, self._statistics, devices, edges)
            cells = np.zeros((len(devices), len(edges) - 1), np.bool_)
            cells[np.searchsorted(mine, device[chosen]), when - when.min()] = True
            self._write(Grain.QUARTER, devices, partials, cells)

    def _longer(self, codes: Codes, whole: Whole, zone: ZoneInfo) -> None:
        """The hours and days that cells are in, of quarters that are there, a day at a time."""
        device, quarter = apart(codes)
        begins = quarter * QUARTER_NS
        for start, stop in _days(int(begins.min()), int(begins.max()), zone):
            first, last = max(start, whole.begin_ns), min(stop, whole.closed_ns)
            chosen = (begins >= first) & (begins < last)
            hours = edges_within(Grain.HOUR, first, last, zone)
            if not chosen.any() or len(hours) < 2:
                continue
            mine = np.unique(device[chosen])
            devices = [self.devices[each] for each in mine.tolist()]
            quarters = edges_within(Grain.QUARTER, first, last, zone)
            partials = self._reader.of_rollups(self.kind, self._columns, devices, Piece(Grain.QUARTER, quarters))
            place, when = np.searchsorted(mine, device[chosen]), begins[chosen]
            for grain, edges in ((Grain.HOUR, hours), (Grain.DAY, np.array([start, stop]))):
                if edges[0] < first or edges[-1] > last:
                    continue
                bucket = np.searchsorted(edges, when, "right") - 1
                inside = (bucket >= 0) & (bucket < len(edges) - 1)
                cells = np.zeros((len(devices), len(edges) - 1), np.bool_)
                cells[place[inside], bucket[inside]] = True
                self._write(grain, devices, partials.merged(edges), cells)

    def _write(self, grain: Grain, devices: Sequence[Device], partials: Partials, cells: Mask) -> None:
        """Write the partials of cells: bool[d, m]."""
        batches = []
        for scope in scopes_of(self.kind):
            keys = keys_of(self.kind, devices, scope)
            place = {(each.compound, each.id): number for number, each in enumerate(devices)}
            owner = np.array([place[key.compound, key.device] for key in keys], np.intp)
            batches.append(rows.batch_of(partials_table(self.kind, scope, grain), scope, partials, cells[owner]))
        self._rolled.write([batch for batch in batches if len(batch)])

    def _figures(self, codes: Codes, whole: Whole, zone: ZoneInfo, *, again: bool) -> None:
        """The figures of the hours and days that cells matter for."""
        device, quarter = apart(codes)
        begins = quarter * QUARTER_NS
        first = int(begins.min())
        last = min(int(begins.max()) + QUARTER_NS + self.after_ns, whole.closed_ns)
        day = 86_400 * 1_000_000_000
        wanted = {
            grain: edges_within(grain, max(first - 2 * day, whole.begin_ns), min(last + 2 * day, whole.closed_ns), zone)
            for grain in FINAL_GRAINS
        }
        touched = self._touched(device, begins, wanted)
        if not touched:
            return
        cuts = [
            grid(self.kind, self._statistics, wanted[grain][np.flatnonzero(hit)[0] : np.flatnonzero(hit)[-1] + 2], zone)
            for _, grain, hit in touched
        ]
        edges = np.unique(np.concatenate(cuts))
        devices = [each for number, each in enumerate(self.devices) if self._zones[self._zone_of[number]] == zone]
        partials = self._reader.partials(
            self.kind, self._statistics, devices, edges, zone, span=(whole.begin_ns, whole.closed_ns)
        )
        batches: dict[Grain, list[Batch]] = {}
        for compound, grain, hit in touched:
            batches.setdefault(grain, []).append(
                self._finished(compound, grain, wanted[grain], hit, partials, zone, again=again)
            )
        for of_grain in batches.values():
            self._rolled.write(of_grain)

    def _touched(
        self, device: Codes, begins: Times, wanted: dict[Grain, Times]
    ) -> list[tuple[str | None, Grain, Mask]]:
        """Of each compound, and the fleet (None): which buckets of a grain cells matter for."""
        compounds = np.array([each.compound for each in self.devices], object)[device]
        found = []
        names: list[str | None] = sorted(set(compounds.tolist()))
        if len(self._zones) == 1:
            names.append(None)
        for name in names:
            when = np.unique(begins if name is None else begins[compounds == name])
            for grain, edges in wanted.items():
                if len(edges) < 2:
                    continue
                hit = np.searchsorted(when, edges[1:]) > np.searchsorted(when, edges[:-1] - self.after_ns)
                if hit.any():
                    found.append((name, grain, hit))
        return found

    def _finished(  # noqa: PLR0913, PLR0917  (whose figures, of what)
        self,
        compound: str | None,
        grain: Grain,
        edges: Times,
        hit: Mask,
        partials: Partials,
        zone: ZoneInfo,
        *,
        again: bool,
    ) -> Batch:
        of = self._inventory if compound is None else self._inventory.compounds[compound]
        devices = of.of_kind(self.kind.name)
        first, last = np.flatnonzero(hit)[[0, -1]].tolist()
        mine = partials if compound is None else partials.only(devices)
        buckets = edges[first : last + 2]
        results = evaluate.results_of(
            self.kind, self._statistics, devices, mine, buckets, tz=zone, attributes=of.attributes
        )
        batch = figures.batch_of(self.kind, grain, compound, buckets[:-1], results, again=again)
        return batch.take(hit[first : last + 1])


def _days(first_ns: int, last_ns: int, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Begin and end of the local days that contain the instants from one to another."""
    day = 86_400 * 1_000_000_000
    edges = edges_within(Grain.DAY, max(first_ns - 2 * day, 0), last_ns + 2 * day, zone)
    if not len(edges) or edges[0] > first_ns:
        edges = np.concatenate([[0], edges])
    for start, stop in pairwise(edges.tolist()):
        if stop > first_ns and start <= last_ns:
            yield start, stop
