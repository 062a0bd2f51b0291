"""States: sampled labels that hold until their next sample."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregate.edges import NS_PER_S
from aggregate.holds import Holds
from devices.columns import Codes, Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StatePartials:
    """What adds up over buckets.

    Attributes:
        seconds: float64[s, m, L], observed seconds in each label.
        observed: float64[s, m], observed seconds.
        entries: int64[s, m, L], entries into each label.
    """

    seconds: Floats
    observed: Floats
    entries: NDArray[np.int64]


def state(holds: Holds, codes: Codes, labels: int) -> StatePartials:
    """Sum the seconds in each label over each bucket, and count the entries into it.

    An entry into a label is a sample that shows it where the sample before it in the same series, however long ago,
    showed another. It is counted in the bucket of the sample that shows it. The first sample of a series is no entry:
    nobody knows what came before.

    Args:
        holds: s series of samples over m buckets.
        codes: int[n], from 0 to before `labels`, one for each sample.
        labels: L, the number of labels.

    Returns:
        The partials.
    """
    return StatePartials(
        seconds=seconds(holds, codes, labels), observed=holds.observed, entries=entries(holds, codes, labels)
    )


def seconds(holds: Holds, codes: Codes, labels: int) -> Floats:
    """The seconds in each label; see `state`.

    Returns:
        float64[s, m, L].
    """
    # A state rarely changes: samples that follow each other without a change, a gap or an edge are one run.
    n = len(codes)
    begins = np.ones(n + 1, np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=begins[1:n])
    begins[holds.stops + 1] = True
    begins[holds.bounds] = True
    first = np.flatnonzero(begins[:n])
    inside, cell = holds.located(first)
    last = np.append(first[1:], n)[inside] - 1
    first = first[inside]
    stop = holds.edges[1:][cell % max(holds.shape[1], 1)]
    ns = np.minimum(holds.time[last] + holds.length[last], stop) - holds.time[first]
    shape = (*holds.shape, labels)
    total = np.bincount(cell * labels + codes[first], weights=ns, minlength=math.prod(shape))
    carried = holds.carry
    total[carried.cell * labels + codes[carried.sample]] += carried.ns
    return (total / NS_PER_S).reshape(shape)


def entries(holds: Holds, codes: Codes, labels: int) -> NDArray[np.int64]:
    """The entries into each label; see `state`.

    Returns:
        int64[s, m, L].
    """
    changed = np.zeros(len(codes) + 1, np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=changed[1 : len(codes)])
    changed[holds.offsets] = False
    rows = np.flatnonzero(changed)
    inside, cell = holds.located(rows)
    shape = (*holds.shape, labels)
    return np.bincount(cell * labels + codes[rows[inside]], minlength=math.prod(shape)).reshape(shape)
