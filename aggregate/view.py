"""The rows of one question, laid out for the kernels. What several partials share is made once."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregate.layout import FOREVER_NS, Layout
from aggregate.partials import keys_of, scope_of
from aggregate.ragged import kept
from aggregate.segments import Indices
from devices.columns import ABSENT, Batch, Coded, Floats, SeriesKey, Times
from devices.errors import DeclarationError
from devices.inventory import Device
from devices.kind import TELEMETRY, Channel, Kind
from devices.statistics import Statistic

Made = TypeVar("Made")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class View:
    """The rows of one kind of device over one span, of any number of compounds.

    The expected devices are the universe: rows of other series are ignored, and an expected series without rows counts
    as unobserved.

    Attributes:
        kind: the kind.
        devices: the expected devices.
        tables: rows by table name; a table that is missing has no rows.
        edges: int64[m + 1], ns.
    """

    kind: Kind
    devices: Sequence[Device]
    tables: Mapping[str, Batch]
    edges: Times
    _made: dict[Hashable, Any] = dataclasses.field(default_factory=dict)

    def once(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes, made at the first call for `what`."""
        if what not in self._made:
            self._made[what] = make()
        made: Made = self._made[what]
        return made

    def expected(self, table: str) -> tuple[SeriesKey, ...]:
        """The series that should be in a table."""
        scope = scope_of(self.kind.tables[table])
        return self.once(("expected", scope), lambda: keys_of(self.kind, self.devices, scope))

    def places(self, table: str) -> Indices:
        """intp[s]: which of the expected series each series of a table's batch is."""
        expected = self.once(
            ("places", scope_of(self.kind.tables[table])),
            lambda: {key: place for place, key in enumerate(self.expected(table))},
        )
        return np.array([expected.get(key, ABSENT) for key in self.batch(table).keys], np.intp)

    def placed(self, table: str, values: Floats, empty: float = 0.0) -> Floats:
        """Figures of the series that occur in a table, as figures of those that are expected there.

        Args:
            table: the table.
            values: float64[s, m], one row for each series of its batch.
            empty: what stands for series without rows.

        Returns:
            float64[e, m].
        """
        places = self.places(table)
        made = np.full((len(self.expected(table)), *values.shape[1:]), empty)
        made[places[places >= 0]] = values[places >= 0]
        return made

    def batch(self, table: str) -> Batch:
        """The rows of a table, sorted, of expected series only."""
        return self.once(("batch", table), lambda: self._batch(table))

    def _batch(self, table: str) -> Batch:
        batch = self.tables.get(table)
        if batch is None:
            return Batch.empty(self.kind.tables[table])
        expected = set(self.expected(table))
        known = np.array([key in expected for key in batch.keys], np.bool_)
        return (batch if known.all() else batch.take(known[batch.series])).sorted()

    def numbers(self, table: str, field: str) -> tuple[Layout, Floats]:
        """The samples of a number field, and float64[n], finite."""
        values = self.batch(table).floats(field)
        present = ~np.isnan(values)
        return self._layout(table, field, present), values if present.all() else values[present]

    def labels(self, table: str, field: str) -> tuple[Layout, Coded]:
        """The samples of a label field, and their labels, none absent."""
        column = self.batch(table).coded(field)
        present = column.codes != ABSENT
        codes = column.codes if present.all() else column.codes[present]
        return self._layout(table, field, present), Coded(codes, column.labels)

    def _layout(self, table: str, field: str, present: Mask) -> Layout:
        batch = self.batch(table)
        if present.all():  # all such fields of a table share one
            return self.once(("layout", table), lambda: self._laid_out(batch, batch.time, batch.offsets()))
        return self.once(
            ("layout", table, field),
            lambda: self._laid_out(batch, batch.time[present], kept(present, batch.offsets())),
        )

    def _laid_out(self, batch: Batch, time: Times, offsets: Indices) -> Layout:
        sampled = batch.table.channel is Channel.TELEMETRY
        return Layout(time, offsets, self.edges, self.kind.max_hold_ns if sampled else FOREVER_NS)

    def owners(self, table: str) -> Indices:
        """intp[s]: which of the devices each series of a table is about; -1 for series that are ignored."""
        place = {(each.compound, each.id): index for index, each in enumerate(self.devices)}
        keys = self.batch(table).keys
        return np.array([place.get((key.compound, key.device), ABSENT) for key in keys], np.intp)

    @cached_property
    def alive(self) -> Layout:
        """The telemetry of each device as one series, whatever its parts and fields: d series."""
        batch = self.batch(TELEMETRY)
        device, time = self.owners(TELEMETRY)[batch.series], batch.time
        order = np.lexsort((time, device))
        offsets = np.searchsorted(device[order], np.arange(len(self.devices) + 1))
        return Layout(time[order], offsets, self.edges, self.kind.max_hold_ns)

    @cached_property
    def heard(self) -> Floats:
        """float64[d, m]: the seconds in which the telemetry of each device was heard."""
        return self.alive.holds.observed


def matching(batch: Batch, where: Mapping[str, Sequence[str]]) -> Mask:
    """bool[n]: which rows have, for each named category, one of its labels."""
    rows = np.ones(len(batch), np.bool_)
    for name, wanted in where.items():
        column = batch.coded(name)
        # An absent code is -1 and so finds the last entry.
        rows &= np.array([*(label in wanted for label in column.labels), False])[column.codes]
    return rows


def read(statistic: Statistic) -> str:
    """The field that a statistic reads.

    Raises:
        DeclarationError: it names none.
    """
    if statistic.field is None:
        raise DeclarationError(f"statistic {statistic.name!r}: {statistic.reducer} needs field")
    return statistic.field
