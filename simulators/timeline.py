"""Asking many series at once what happened until when: instants and intervals, without a loop over samples.

Series and time are packed into one sorted key, so that one binary search serves all series.
"""

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times

_SERIES_SHIFT = 44
"""Milliseconds since the epoch take less than 44 bits until the year 2527."""


def keyed(series: NDArray[np.integer], ms: Times) -> NDArray[np.int64]:
    """Series and time as one number that sorts by series, then time; int64[n]."""
    return (series.astype(np.int64) << _SERIES_SHIFT) + ms


class Instants:
    """Instants of several series."""

    def __init__(self, series: NDArray[np.integer], ms: Times) -> None:
        """Sort them.

        Args:
            series: int[n], whose instant it is.
            ms: int64[n], ms since the epoch.
        """
        keys = keyed(series, ms)
        self.order = np.argsort(keys, kind="stable")
        self._keys = keys[self.order]

    def until(self, series: NDArray[np.integer], ms: Times) -> NDArray[np.int64]:
        """How many instants, over all series in order, lie at or before (series, ms); int64[m]."""
        return np.searchsorted(self._keys, keyed(series, ms), side="right")

    def before_series(self, series: NDArray[np.integer]) -> NDArray[np.int64]:
        """How many instants the series before each of `series` have; int64[m]."""
        return np.searchsorted(self._keys, series.astype(np.int64) << _SERIES_SHIFT)

    def count(self, series: NDArray[np.integer], ms: Times) -> NDArray[np.int64]:
        """How many instants of its own series lie at or before each (series, ms); int64[m]."""
        return self.until(series, ms) - self.before_series(series)

    def within(self, series: NDArray[np.integer], ms: Times, span_ms: int) -> NDArray[np.bool_]:
        """Whether an instant of its own series lies within the last `span_ms` before each (series, ms); bool[m]."""
        return self.until(series, ms) > self.until(series, ms - span_ms)


class Intervals:
    """Intervals of several series, half-open, few of them: outages, doors held open."""

    def __init__(self, series: NDArray[np.integer], begin_ms: Times, end_ms: Times) -> None:
        """Hold intervals [begin, end) in ms since the epoch, each of a series."""
        self.series = series.astype(np.int64)
        self.begin_ms = begin_ms
        self.end_ms = end_ms

    @classmethod
    def drawn(  # noqa: PLR0913  (a draw's parameters are one row)
        cls,
        rng: np.random.Generator,
        series: int,
        *,
        rate: float,
        between: Times,
        minutes: float,
        most_minutes: float,
        spread: float = 0.8,
    ) -> "Intervals":
        """Draw a Poisson number of intervals with log-normal lengths.

        Args:
            rng: the generator.
            series: the number of series.
            rate: mean number of intervals for each series.
            between: int64[2]; they begin uniformly within these two, in ms since the epoch.
            minutes: their median length.
            most_minutes: their greatest length.
            spread: the standard deviation of the logarithm of the length.
        """
        count = int(rng.poisson(rate * series))
        begin = rng.integers(int(between[0]), int(between[1]), count)
        length = np.minimum(minutes * np.exp(rng.normal(0, spread, count)), most_minutes)
        return cls(rng.integers(0, series, count), begin, begin + np.maximum(length * 60_000, 1000).astype(np.int64))

    @classmethod
    def joined(cls, many: list["Intervals"]) -> "Intervals":
        """All intervals of `many`."""
        return cls(
            np.concatenate([each.series for each in many]),
            np.concatenate([each.begin_ms for each in many]),
            np.concatenate([each.end_ms for each in many]),
        )

    def merged(self) -> "Intervals":
        """The same time in each series as intervals apart, by series and time: those that overlap or touch are one."""
        if not len(self.series):
            return self
        order = np.lexsort((self.begin_ms, self.series))
        series, begin, end = self.series[order], self.begin_ms[order], self.end_ms[order]
        # Series and time as one number: the latest end so far never reaches into the next series.
        until = np.maximum.accumulate(keyed(series, end))
        apart = np.flatnonzero(keyed(series, begin)[1:] > until[:-1]) + 1
        first, last = np.append(0, apart), np.append(apart, len(series)) - 1
        return Intervals(
            series[first], begin[first], until[last] - keyed(series[first], np.zeros(len(first), np.int64))
        )

    def since(self, series: NDArray[np.integer], ms: Times) -> Times:
        """When the interval that each (series, ms) lies in began, the earliest of several; -1 where in none.

        Args:
            series: int[m], together with `ms` in ascending order.
            ms: int64[m], ms since the epoch.
        """
        began = np.full(len(ms), -1, np.int64)
        keys = keyed(series, ms)
        lows = np.searchsorted(keys, keyed(self.series, self.begin_ms))
        highs = np.searchsorted(keys, keyed(self.series, self.end_ms))
        order = np.argsort(-self.begin_ms, kind="stable")  # the earliest is written last
        bounds = (each[order].tolist() for each in (lows, highs, self.begin_ms))
        for low, high, begin in zip(*bounds, strict=True):
            began[low:high] = begin
        return began

    def cover(self, series: NDArray[np.integer], ms: Times) -> NDArray[np.bool_]:
        """Which of (series, ms), in ascending order, lie within an interval; bool[m]."""
        return self.since(series, ms) >= 0
