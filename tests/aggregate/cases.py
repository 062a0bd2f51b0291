"""Small hostile cases for the kernels: few ticks, so that samples, edges and holds often coincide."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from aggregate.holds import Holds
from aggregate.ragged import Offsets
from devices.columns import Codes, Floats, Times

Item = TypeVar("Item", bound=np.generic)

TICK_NS = 7_000_000_001
"""No divisor of anything."""

BASE_NS = 1_700_000_000_000_000_000
LABELS = 3


@dataclass(frozen=True)
class Case:
    """Some series over some buckets, as ticks and as arrays that cannot be written to."""

    ticks: list[list[int]]
    edge_ticks: list[int]
    hold_ticks: int
    values: list[list[float]]
    codes: list[list[int]]

    @property
    def series(self) -> list[list[int]]:
        return [[_ns(tick) for tick in each] for each in self.ticks]

    @property
    def edge_list(self) -> list[int]:
        return [_ns(tick) for tick in self.edge_ticks]

    @property
    def time(self) -> Times:
        return frozen(np.array([time for each in self.series for time in each], np.int64))

    @property
    def offsets(self) -> Offsets:
        return frozen(np.cumsum([0, *map(len, self.ticks)]).astype(np.intp))

    @property
    def edges(self) -> Times:
        return frozen(np.array(self.edge_list, np.int64))

    @property
    def max_hold_ns(self) -> int:
        return self.hold_ticks * TICK_NS

    @property
    def flat_values(self) -> Floats:
        return frozen(np.array([value for each in self.values for value in each], np.float64))

    @property
    def flat_codes(self) -> Codes:
        return frozen(np.array([code for each in self.codes for code in each], np.int32))

    @property
    def holds(self) -> Holds:
        return Holds.sampled(self.time, self.offsets, self.edges, self.max_hold_ns)

    def refined(self, more: list[int]) -> "Case":
        """The same with edges added between the first and the last."""
        inside = [tick for tick in more if self.edge_ticks[0] < tick < self.edge_ticks[-1]]
        return Case(self.ticks, sorted({*self.edge_ticks, *inside}), self.hold_ticks, self.values, self.codes)

    def only(self, part: slice) -> "Case":
        """The same for some of the series."""
        return Case(self.ticks[part], self.edge_ticks, self.hold_ticks, self.values[part], self.codes[part])


def frozen(array: NDArray[Item]) -> NDArray[Item]:
    """The array, which now refuses to be written to: a kernel that mutates its input fails."""
    array.setflags(write=False)
    return array


def _ns(tick: int) -> int:
    return BASE_NS + tick * TICK_NS


@st.composite
def cases(draw: st.DrawFn, low: float = -1e6) -> Case:
    ticks = draw(st.lists(st.lists(st.integers(0, 60), max_size=12).map(sorted), max_size=4))
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=8)))
    hold = draw(st.integers(1, 30))
    numbers = st.one_of(st.floats(low, 1e6), st.integers(0, 5).map(float))
    values = [draw(st.lists(numbers, min_size=len(each), max_size=len(each))) for each in ticks]
    codes = [draw(st.lists(st.integers(0, LABELS - 1), min_size=len(each), max_size=len(each))) for each in ticks]
    return Case(ticks, edges, hold, values, codes)
