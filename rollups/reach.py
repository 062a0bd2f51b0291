"""Which cells change when rows are written late.

A row changes more than its own bucket: a sample holds into the next ones, and shares its increase with the one before;
the next sample, however late, counts what happened since; a status holds until the next; an event is closed by another.
How far each statistic looks back is in `aggregate.reads`; here the same is looked at from the other end.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from aggregate.reads import GAP_LOOKBACK_NS, PAIR_LOOKBACK_NS
from aggregate.segments import Indices
from aggregate.timeline import OFFLINE, STATE
from aggregate.view import matching
from devices.columns import ABSENT, Batch, Coded
from devices.inventory import Device
from devices.kind import STATUS, Channel, Kind, Table
from rollups.cells import Cells, Codes, apart
from rollups.grains import QUARTER_NS
from store.protocol import Query, Store


def reach(kind: Kind, devices: Sequence[Device], raw: Store, marks: Mapping[str, Codes], stop: int) -> Codes:
    """Name the cells whose partials rows may have changed.

    Args:
        kind: the kind.
        devices: its devices, which codes index.
        raw: holds the rows, those written late among them.
        marks: by table name, codes of the cells that rows were written into.
        stop: cells from this quarter on are of no interest.

    Returns:
        Codes, ascending, all before `stop`.

    Raises:
        StoreError: the store failed.
    """
    found: list[Codes] = [np.empty(0, np.int64)]
    asked = _Rows(devices, raw, stop)
    for name, codes in marks.items():
        if not len(codes):
            continue
        table = kind.tables[name]
        cells = apart(codes)
        if table.channel is Channel.TELEMETRY:
            found += _sampled(kind, table, cells, asked)
        elif name == STATUS:
            found.append(_said(table, cells, asked))
        else:
            found.append(codes)
            found.append(_numbered(table, cells, asked))
    found += _closing(kind, {name: codes for name, codes in marks.items() if len(codes)}, asked)
    every = np.unique(np.concatenate(found))
    return every[apart(every).quarter < stop]


class _Rows:
    """Rows of some devices after some cells."""

    def __init__(self, devices: Sequence[Device], raw: Store, stop: int) -> None:
        self.devices = devices
        self.stop = stop
        self._raw = raw
        self._number = {(each.compound, each.id): number for number, each in enumerate(devices)}

    def read(self, table: Table, fields: tuple[str, ...], cells: Cells, last: int) -> tuple[Batch, Indices]:
        """The rows of the cells' devices from the first cell to before the quarter `last`, and each row's device."""
        chosen = [self.devices[each] for each in np.unique(cells.device).tolist()]
        batch = self._raw.read(
            Query(
                table=table,
                start_ns=int(cells.quarter.min()) * QUARTER_NS,
                stop_ns=min(last, self.stop) * QUARTER_NS,
                compounds=tuple(dict.fromkeys(each.compound for each in chosen)),
                devices=tuple(each.id for each in chosen),
                fields=fields,
            )
        )
        owner = np.array([*(self._number.get((key.compound, key.device), ABSENT) for key in batch.keys), ABSENT])
        return batch, owner[batch.series].astype(np.int64)


def _sampled(kind: Kind, table: Table, cells: Cells, asked: _Rows) -> list[Codes]:
    """Around each cell as far as a sample holds, and where the next sample of a field comes later than that."""
    hold = -(-kind.max_hold_ns // QUARTER_NS)
    near = np.arange(-hold, hold + 1)
    found = [Cells(np.repeat(cells.device, len(near)), (cells.quarter[:, None] + near).reshape(-1)).codes]
    last = int(cells.quarter.max()) + 1 + GAP_LOOKBACK_NS // QUARTER_NS
    if int(cells.quarter.min()) + 1 + hold >= asked.stop:
        return found
    batch, owner = asked.read(table, tuple(table.by_name), cells, last)
    for name in table.by_name:
        column = batch.columns[name]
        there = column.codes != ABSENT if isinstance(column, Coded) else ~np.isnan(column)
        found.append(_next(batch.take(there), owner[there], cells))
    return found


def _numbered(table: Table, cells: Cells, asked: _Rows) -> Codes:
    """Where the next event of a series is, before which numbers may be missing."""
    last = int(cells.quarter.max()) + 1 + GAP_LOOKBACK_NS // QUARTER_NS
    field = next((each.name for each in table.fields if each.required), None)
    batch, owner = asked.read(table, () if field is None else (field,), cells, last)
    return _next(batch, owner, cells)


def _next(batch: Batch, owner: Indices, cells: Cells) -> Codes:
    """For each cell and each series of its device: the cell of the first row after it.

    Args:
        batch: rows, sorted by series and time.
        owner: int64[n], whose each row is.
        cells: cells of these devices.
    """
    if not len(batch):
        return np.empty(0, np.int64)
    quarter = batch.time // QUARTER_NS
    order = np.lexsort((cells.quarter, cells.device))
    device, when = cells.device[order], cells.quarter[order]
    # A row is the next one after a cell where a cell of its device lies between it and the row before it, or at that.
    before = np.concatenate([[-1], quarter[:-1]])
    before[np.concatenate([[True], batch.series[1:] != batch.series[:-1]])] = -1
    cell = (device << 32) | when
    passed = np.searchsorted(cell, (owner << 32) | quarter) > np.searchsorted(
        cell, (owner << 32) | np.maximum(before, 0)
    )
    return Cells(owner[passed], quarter[passed]).codes


def _said(table: Table, cells: Cells, asked: _Rows) -> Codes:
    """From each cell to the next status after it, and to where the outage ends that this may be part of."""
    batch, owner = asked.read(table, (STATE.name,), cells, asked.stop)
    state = batch.coded(STATE.name)
    offline = np.array([*(label == STATE.labels[OFFLINE] for label in state.labels), False])[state.codes]
    found = []
    for device, first in zip(cells.device.tolist(), cells.quarter.tolist(), strict=True):
        mine = np.flatnonzero((owner == device) & (batch.time >= (first + 1) * QUARTER_NS))
        quarter = batch.time[mine] // QUARTER_NS
        last = int(quarter[0]) if len(mine) else asked.stop - 1
        back = quarter[~offline[mine]][:1]
        every = np.concatenate([np.arange(first, last + 1), back])
        found.append(Cells(np.full(len(every), device), every).codes)
    return np.concatenate(found)


def _closing(kind: Kind, marks: Mapping[str, Codes], asked: _Rows) -> list[Codes]:
    """Where what was opened or closed in a cell is closed next."""
    found = []
    for pair in kind.pairs:
        matches = (pair.opens, *pair.closes)
        mine = [marks[name] for name in dict.fromkeys(match.event for match in matches) if name in marks]
        if not mine:
            continue
        cells = apart(np.unique(np.concatenate(mine)))
        last = int(cells.quarter.max()) + 1 + PAIR_LOOKBACK_NS // QUARTER_NS
        keys: dict[str, int] = {}
        parts = []
        for match in matches:
            batch, owner = asked.read(kind.tables[match.event], (pair.key, *match.where), cells, last)
            column = batch.coded(pair.key)
            number = np.array([*(keys.setdefault(label, len(keys)) for label in column.labels), ABSENT])[column.codes]
            wanted = (number != ABSENT) & matching(batch, {name: (label,) for name, label in match.where.items()})
            parts.append(np.stack([owner, number, batch.time // QUARTER_NS, batch.time])[:, wanted])
        owner, key, quarter, time = np.concatenate(parts, axis=1)
        order = np.lexsort((time, key, owner))
        owner, key, quarter = owner[order], key[order], quarter[order]
        same = (owner[1:] == owner[:-1]) & (key[1:] == key[:-1])
        # Only the event after one that lies in a cell can be closed, or close, otherwise than before.
        inside = np.isin((owner[:-1] << 32) | quarter[:-1], (cells.device << 32) | cells.quarter)
        found.append(Cells(owner[1:][same & inside], quarter[1:][same & inside]).codes)
    return found
