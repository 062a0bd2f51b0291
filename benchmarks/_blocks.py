"""Kernels over blocks of whole series, on all cores: how one who has millions of rows in memory would call them.

A series' figures depend on its own rows alone, so that blocks of series can be reduced one after the other or side by
side. numpy lets other threads run while it works on arrays of this size.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from multiprocessing import cpu_count
from typing import TypeVar

import numpy as np

from aggregate.ragged import Offsets

Made = TypeVar("Made")

ROWS = 786_432
"""About so many rows make a block. With smaller ones, calls cost more than what stays in a nearer cache saves."""

_WORTH = 4 * ROWS
"""With fewer rows a block of its own is not worth its calls."""


def blocks(offsets: Offsets) -> Iterator[slice]:
    """Cut series into blocks of about `ROWS` rows, each of whole series.

    Args:
        offsets: intp[s + 1], where each series begins.

    Yields:
        The series of each block, as a slice of `range(s)`; together they are all.
    """
    series = len(offsets) - 1
    # As many for each core, about equal, so that none waits for another at the end.
    turns = -(-int(offsets[-1] - offsets[0]) // (ROWS * cpu_count()))
    rows = (offsets[-1] - offsets[0]) / max(turns * cpu_count(), 1)
    first = 0
    while first < series:
        last = int(np.searchsorted(offsets, offsets[first] + rows, "right"))
        last = min(max(last, first + 1), series)
        yield slice(first, last)
        first = last


def each_block(offsets: Offsets, reduce: Callable[[slice], Made]) -> list[Made]:
    """Reduce each block of series.

    Args:
        offsets: intp[s + 1], where each series begins.
        reduce: given the series of a block, makes its figures; it must not change what other blocks read.

    Returns:
        The figures of each block, in order; of all series at once where there are few rows.
    """
    if offsets[-1] - offsets[0] < _WORTH:
        return [reduce(slice(0, len(offsets) - 1))]
    return list(_threads().map(reduce, list(blocks(offsets))))


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_count(), "core")
