"""How the rows of one field lie: series end to end, rows without a value left out."""

from dataclasses import dataclass
from functools import cached_property

from aggregate.holds import Holds
from aggregate.ragged import Offsets
from devices.columns import Times

FOREVER_NS = 2**62
"""Longer than any two times lie apart: how long a status holds, since it is sent when it changes, not by the clock."""


@dataclass(frozen=True, eq=False)
class Layout:
    """s series of samples.

    Attributes:
        time: int64[n], ns, increasing within each series.
        offsets: intp[s + 1], where each series begins.
        edges: int64[m + 1], ns.
        max_hold_ns: how long a sample holds.
    """

    time: Times
    offsets: Offsets
    edges: Times
    max_hold_ns: int

    @cached_property
    def holds(self) -> Holds:
        """The samples with how long each holds."""
        return Holds.sampled(self.time, self.offsets, self.edges, self.max_hold_ns)
