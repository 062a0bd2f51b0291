"""The partials of one question, laid out to make figures of them. What several figures share is made once."""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import NS_PER_S
from aggregate.lines import Line
from aggregate.partials import Partials, keys_of, scope_of
from devices.availability import statistics_of
from devices.columns import Floats, Times
from devices.inventory import Device
from devices.kind import Kind
from devices.statistics import Statistic

Made = TypeVar("Made")
Mask = NDArray[np.bool_]

PART = "part"
"""What `Statistic.by` says to break a figure down by part."""

HEARD = "heard_s"
"""The column of the seconds in which a device's telemetry was heard."""


Finish = Callable[["Figures", Statistic], Iterator[Line]]
"""Makes a statistic's lines."""


class Group(NamedTuple):
    """The series that make one line.

    Attributes:
        label: the line's label, or None.
        series: bool[s], which series belong to it.
        expected: how many they are.
    """

    label: str | None
    series: Mask
    expected: int


@dataclass(frozen=True, eq=False)
class Figures:
    """Partials of one kind of device over some buckets.

    Attributes:
        kind: the kind.
        devices: the devices that the figures are about.
        fine: their partials, on edges that contain `edges` and what else the statistics ask for (`reducers.grid`).
        edges: int64[m + 1], ns, the buckets that figures are made for.
        tz: the compound's time zone.
        attributes: the compound's numbers, for balances.
        finish: makes the lines of any statistic of the kind.
    """

    kind: Kind
    devices: Sequence[Device]
    fine: Partials
    edges: Times
    tz: ZoneInfo
    attributes: Mapping[str, float]
    finish: Finish
    _made: dict[Hashable, Any] = dataclasses.field(default_factory=dict)

    @cached_property
    def partials(self) -> Partials:
        """The partials of the buckets."""
        return self.fine.merged(self.edges)

    @cached_property
    def lengths(self) -> Floats:
        """float64[m], seconds of each bucket."""
        return np.diff(self.edges) / NS_PER_S

    @cached_property
    def statistics(self) -> Mapping[str, Statistic]:
        """Every statistic of the kind by name."""
        return {each.name: each for each in statistics_of(self.kind)}

    @cached_property
    def heard(self) -> Floats:
        """float64[m], 0 to 1: the share of the devices' time in which their telemetry was heard."""
        return self.share(self.partials.numbers(HEARD), len(self.devices))

    def lines(self, statistic: Statistic) -> tuple[Line, ...]:
        """A statistic's lines, made once.

        Raises:
            QueryError: the compound lacks what the statistic needs.
        """
        return self.once(("lines", statistic.name), lambda: tuple(self.finish(self, statistic)))

    def once(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes, made at the first call for `what`."""
        if what not in self._made:
            self._made[what] = make()
        made: Made = self._made[what]
        return made

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
        of = self.kind.tables[table]
        declared = () if of.part is None else of.part.values
        found = {key.part for key in keys_of(self.kind, self.devices, scope_of(of))}
        return tuple(dict.fromkeys((*declared, *sorted(found, key=lambda name: (len(name), name)))))

    def groups(self, statistic: Statistic) -> list[Group]:
        """The series of a statistic's table by line: one group, or one for each part."""
        keys = keys_of(self.kind, self.devices, scope_of(self.kind.tables[statistic.table]))
        if statistic.by != PART:
            return [Group(None, np.ones(len(keys), np.bool_), len(keys))]
        part = np.array([key.part for key in keys], object)
        masks = {name: np.asarray(part == name, np.bool_) for name in self.parts(statistic.table)}
        return [Group(name, mask, int(mask.sum())) for name, mask in masks.items()]
