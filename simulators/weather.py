"""The air outside, as sensors feel it: a year, a day, and the weather in between, without a draw."""

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times
from simulators.site import HOUR_MS, Day

_WARMEST_DAY = 205
_WARMEST_HOUR = 15.0


def ambient_c(day: Day, ms: Times) -> NDArray[np.float64]:
    """Air temperature of northern China in °C; float64[n].

    Args:
        day: the local day.
        ms: int64[n], ms since the epoch, about that day.
    """
    hours = (ms - day.start_ms) / HOUR_MS
    days = day.date.timetuple().tm_yday + hours / 24
    year = 13.5 + 14.5 * np.cos(2 * np.pi * (days - _WARMEST_DAY) / 365.25)
    # Fronts pass every few days: two periods without a common multiple never repeat in sight.
    fronts = 2.2 * np.sin(2 * np.pi * days / 5.3) + 1.4 * np.sin(2 * np.pi * days / 11.7)
    return year + fronts + 4.5 * np.cos(2 * np.pi * (hours - _WARMEST_HOUR) / 24)
