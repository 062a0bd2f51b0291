"""Small cells: a breakdown of passes that fewer than five people made tells of people, so it is withheld. Pure.

Threshold k = 5, and where only one cell of a bucket is small the next smallest is withheld with it, since the total
would give the one away (primary and secondary suppression: Hundepool et al., Statistical Disclosure Control, 2012).
"""

import numpy as np
from numpy.typing import NDArray

from devices.kind import FEWEST_TOLD

K = FEWEST_TOLD
"""Cells of 1 to K - 1 are withheld."""


def withheld(counts: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which cells of a breakdown are not to be told.

    Args:
        counts: float64[labels, buckets]; NaN where unobserved.

    Returns:
        bool[labels, buckets].
    """
    small = (counts > 0) & (counts < K)
    alone = small.sum(axis=0) == 1
    others = np.where(small | ~(counts > 0), np.inf, counts)
    if alone.any() and len(counts):
        least = others.argmin(axis=0)
        buckets = np.flatnonzero(alone & np.isfinite(others.min(axis=0)))
        small[least[buckets], buckets] = True
    return small
