"""The grains of rollups: quarters of an hour, which are the same everywhere, and hours and days of a local clock."""

from enum import Enum
from zoneinfo import ZoneInfo

import numpy as np

from aggregate.edges import NS_PER_S, Every, clock_edges
from devices.columns import Times

QUARTER_NS = 900 * NS_PER_S
"""The base grain. The clocks of all time zones of today agree on where quarters of an hour begin."""


class Grain(Enum):
    """How long the buckets of a rollup are; the value is its name in tables."""

    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def every(self) -> Every:
        """Its length."""
        return Every.parse(self.value)


def edges_within(grain: Grain, start_ns: int, stop_ns: int, tz: ZoneInfo) -> Times:
    """The edges of a grain's buckets from `start_ns` to `stop_ns`, both included where they are some.

    Args:
        grain: which.
        start_ns: from here on.
        stop_ns: up to here.
        tz: whose clock; quarters do not ask.

    Returns:
        int64[n], increasing.
    """
    if grain is Grain.QUARTER:
        first, last = -(-start_ns // QUARTER_NS), stop_ns // QUARTER_NS
        return np.arange(first, last + 1, dtype=np.int64) * QUARTER_NS
    return clock_edges(start_ns, stop_ns, grain.every, tz)
