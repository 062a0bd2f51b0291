"""The rows of one question, laid out for the kernels. What several statistics share is made once."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import NS_PER_S
from aggregate.holds import Indices
from aggregate.layout import FOREVER_NS, Layout
from aggregate.ragged import kept
from devices.availability import statistics_of
from devices.columns import ABSENT, Batch, Coded, Floats, SeriesKey, Times
from devices.errors import DeclarationError
from devices.inventory import Device
from devices.kind import TELEMETRY, Channel, Kind
from devices.statistics import Statistic

Made = TypeVar("Made")
Mask = NDArray[np.bool_]

PART = "part"
"""What `Statistic.by` says to break a figure down by part."""


class Group(NamedTuple):
    """The series that make one line.

    Attributes:
        label: the line's label, or None.
        series: bool[s], which of the series that occur belong to it.
        expected: how many series should be there.
    """

    label: str | None
    series: Mask
    expected: int


@dataclass(frozen=True, eq=False)
class View:
    """The rows of one kind of device over one span.

    The expected devices are the universe: rows of other series are ignored, and an expected series without rows counts
    as unobserved.

    Attributes:
        kind: the kind.
        devices: the expected devices.
        tables: rows by table name; a table that is missing has no rows.
        edges: int64[m + 1], ns.
        tz: the compound's time zone.
        attributes: the compound's numbers, for balances.
    """

    kind: Kind
    devices: Sequence[Device]
    tables: Mapping[str, Batch]
    edges: Times
    tz: ZoneInfo
    attributes: Mapping[str, float]
    _made: dict[Hashable, Any] = dataclasses.field(default_factory=dict)

    @cached_property
    def lengths(self) -> Floats:
        """float64[m], seconds of each bucket."""
        return np.diff(self.edges) / NS_PER_S

    @cached_property
    def statistics(self) -> Mapping[str, Statistic]:
        """Every statistic of the kind by name."""
        return {each.name: each for each in statistics_of(self.kind)}

    def once(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes, made at the first call for `what`."""
        if what not in self._made:
            self._made[what] = make()
        made: Made = self._made[what]
        return made

    def expected(self, table: str) -> tuple[SeriesKey, ...]:
        """The series that should be in a table."""
        of = self.kind.tables[table]
        return self.once(("expected", table), lambda: tuple(key for each in self.devices for key in each.keys(of)))

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
        """float64[m], 0 to 1: the share of the devices' time in which their telemetry was heard."""
        return self.share(self.alive.holds.observed, len(self.devices))

    def share(self, observed: Floats, expected: int) -> Floats:
        """The coverage of `expected` series.

        Args:
            observed: float64[s, m], seconds.
            expected: how many series there should be.

        Returns:
            float64[m], 0 to 1.
        """
        if not expected:
            return np.zeros(len(self.lengths))
        total: Floats = observed.sum(axis=0)
        return np.minimum(total / (expected * self.lengths), 1.0)

    def parts(self, table: str) -> tuple[str, ...]:
        """The parts by which a table's figures are broken down, in declared or numerical order."""
        part = self.kind.tables[table].part
        declared = () if part is None else part.values
        found = sorted({key.part for key in self.expected(table)}, key=lambda name: (len(name), name))
        return tuple(dict.fromkeys((*declared, *found)))

    def groups(self, statistic: Statistic) -> list[Group]:
        """The series of a table by line: one group, or one for each part."""
        keys, expected = self.batch(statistic.table).keys, self.expected(statistic.table)
        if statistic.by != PART:
            return [Group(None, np.ones(len(keys), np.bool_), len(expected))]
        return [
            Group(
                part,
                np.array([key.part == part for key in keys], np.bool_),
                sum(key.part == part for key in expected),
            )
            for part in self.parts(statistic.table)
        ]


def read(statistic: Statistic) -> str:
    """The field that a statistic reads.

    Raises:
        DeclarationError: it names none.
    """
    if statistic.field is None:
        raise DeclarationError(f"statistic {statistic.name!r}: {statistic.reducer} needs field")
    return statistic.field
