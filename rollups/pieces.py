"""A question's edges cut into pieces: what comes from rollups, from which grain, and what from raw readings."""

from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times
from rollups.grains import Grain, edges_within

_RAW_NS = 31 * 86_400 * 1_000_000_000
"""Raw readings of about this long are in memory at a time."""


class Piece(NamedTuple):
    """Consecutive buckets from one source.

    Attributes:
        grain: that of the rollups; None for raw readings.
        edges: int64[m + 1], ns.
    """

    grain: Grain | None
    edges: Times


def pieces(edges: Times, begin_ns: int, closed_ns: int, tz: ZoneInfo) -> list[Piece]:
    """Cut edges into pieces, of the coarsest grains that leave each edge one.

    Args:
        edges: int64[m + 1], ns, increasing.
        begin_ns: rollups are whole from here on,
        closed_ns: to here; not above `begin_ns` where there are none.
        tz: whose hours and days.

    Returns:
        Pieces, each of which begins where the one before ends. Their edges together contain `edges`.
    """
    return list(_coarsest(edges, begin_ns, closed_ns, tz, tuple(Grain)[::-1]))


def _coarsest(edges: Times, begin_ns: int, closed_ns: int, tz: ZoneInfo, grains: tuple[Grain, ...]) -> Iterator[Piece]:
    """The piece of the first grain, and the rest of those that follow."""
    if len(edges) < 2:
        return
    if not grains:
        yield from _raw(edges)
        return
    first, last = max(int(edges[0]), begin_ns), min(int(edges[-1]), closed_ns)
    whole = edges_within(grains[0], first, last, tz) if first < last else edges[:0]
    # Those of its buckets are of use which no edge divides.
    if len(whole) >= 2:
        divided = np.searchsorted(edges, whole[1:]) - np.searchsorted(edges, whole[:-1], "right") > 0
        begin, stop = _longest(~divided)
        whole = whole[begin : stop + 1]
    if len(whole) < 2:
        yield from _coarsest(edges, begin_ns, closed_ns, tz, grains[1:])
        return
    yield from _coarsest(_until(edges, int(whole[0])), begin_ns, closed_ns, tz, grains[1:])
    yield Piece(grains[0], whole)
    yield from _coarsest(_since(edges, int(whole[-1])), begin_ns, closed_ns, tz, grains[1:])


def _longest(good: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest run of true begins and ends."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    begins, ends = turns[::2], turns[1::2]
    if not len(begins):
        return 0, 0
    best = int(np.argmax(ends - begins))
    return int(begins[best]), int(ends[best])


def _until(edges: Times, stop: int) -> Times:
    return np.append(edges[edges < stop], stop) if edges[0] < stop else edges[:0]


def _since(edges: Times, start: int) -> Times:
    return np.append(np.int64(start), edges[edges > start]) if edges[-1] > start else edges[:0]


def _raw(edges: Times) -> Iterator[Piece]:
    """Raw readings, a month at a time."""
    cuts = np.arange(edges[0] + _RAW_NS, edges[-1], _RAW_NS, dtype=np.int64)
    whole = np.union1d(edges, cuts) if len(cuts) else edges
    bounds = np.concatenate([[edges[0]], cuts, [edges[-1]]])
    for first, last in zip(np.searchsorted(whole, bounds[:-1]), np.searchsorted(whole, bounds[1:]), strict=True):
        yield Piece(None, whole[first : last + 1])
