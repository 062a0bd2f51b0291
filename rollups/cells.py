"""Cells: a device and a quarter of an hour, as one number each, so that many of them are an array."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]

_BITS = 32


class Cells(NamedTuple):
    """Cells apart.

    Attributes:
        device: int64[n], which of a kind's devices.
        quarter: int64[n], which quarter of an hour since the epoch.
    """

    device: Codes
    quarter: Codes

    @property
    def codes(self) -> Codes:
        """int64[k], ascending, each cell once."""
        return np.unique((self.device << _BITS) | self.quarter)


def apart(codes: Codes) -> Cells:
    """The cells of codes."""
    return Cells(codes >> _BITS, codes & (2**_BITS - 1))


def every(devices: int, first: int, stop: int) -> Codes:
    """The codes of all devices from one quarter to before another."""
    quarters = np.arange(first, stop, dtype=np.int64)
    return ((np.arange(devices, dtype=np.int64)[:, None] << _BITS) | quarters).reshape(-1)


def clipped(codes: Codes, first: int, stop: int) -> Codes:
    """The codes whose quarter lies from `first` to before `stop`."""
    quarter = apart(codes).quarter
    return codes[(quarter >= first) & (quarter < stop)]
