"""How fast a level has risen of late, and whether it will soon be too high."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alarms.verdicts import Verdicts
from devices.alarms import Filling
from devices.columns import Floats, Times

_LEAST = 6
"""A rate is one of at least this part of the time that it is to be of."""

_AWAY = 2.0
"""The condition ends where it would take this many times as long as where it begins."""


class Trend:
    """The latest samples of one series: time, level, and by how much it had risen, in how many seconds, up to then."""

    def __init__(self, hold_ns: int, samples: Sequence[tuple[int, float]] = ()) -> None:
        """Go on from what was kept.

        Args:
            hold_ns: between samples further apart nothing is known to have risen.
            samples: as `samples` gave them.
        """
        self._hold_ns = hold_ns
        self._time: Times = np.array([time for time, _ in samples], np.int64)
        self._level: Floats = np.array([level for _, level in samples], np.float64)
        self._risen, self._seconds = (
            _summed(np.empty(0), each)[: len(samples)] for each in self._steps(self._time, self._level)
        )

    @property
    def samples(self) -> list[tuple[int, float]]:
        """What is to be kept of it: time and level of the latest samples."""
        return list(zip(self._time.tolist(), self._level.tolist(), strict=True))

    def verdicts(self, condition: Filling, time: Times, level: Floats) -> Verdicts:
        """What each of some samples says; see `alarms.verdicts`.

        Args:
            condition: which.
            time: int64[n], ns, ascending.
            level: float64[n]; NaN where a sample has none, which then says nothing.

        Returns:
            int8[n]. A sample that is older than one before says nothing.
        """
        said = np.zeros(len(time), np.int8)
        newest = self._time[-1] if len(self._time) else -1
        rows = np.flatnonzero(np.isfinite(level) & (time > newest))
        if not len(rows):
            return said
        carried = len(self._time)
        times, levels = np.append(self._time, time[rows]), np.append(self._level, level[rows])
        rise, spent = self._steps(times, levels)
        risen, seconds = _summed(self._risen, rise), _summed(self._seconds, spent)
        before = np.searchsorted(times, times - round(condition.over_s * 1e9))
        new = np.arange(carried, len(times))
        said[rows] = _said(
            condition, levels[new], (risen - risen[before])[new], (seconds - seconds[before])[new]
        )  # fmt: skip
        kept = slice(int(before[-1]), None)
        self._time, self._level, self._risen, self._seconds = times[kept], levels[kept], risen[kept], seconds[kept]
        return said

    def _steps(self, time: Times, level: Floats) -> tuple[Floats, Floats]:
        """By how much it rose from each sample to the next, and in how many seconds."""
        gaps = np.diff(time)
        near = gaps <= self._hold_ns
        return np.where(near, np.maximum(np.diff(level), 0.0), 0.0), np.where(near, gaps / 1e9, 0.0)


def _summed(kept: Floats, steps: Floats) -> Floats:
    """Running sums that go on from those kept."""
    if not len(kept):
        return np.concatenate([[0.0], np.cumsum(steps)])
    new = steps[len(kept) - 1 :]
    return np.concatenate([kept, kept[-1] + np.cumsum(new)])


def _said(condition: Filling, level: Floats, risen: Floats, seconds: Floats) -> NDArray[np.int8]:
    known = seconds >= condition.over_s / _LEAST
    left = np.maximum(condition.at - level, 0.0)
    rising = risen > 0
    with np.errstate(over="ignore"):  # next to nothing rises for ever
        takes = np.divide(left * seconds, risen, out=np.full(len(level), np.inf), where=rising)
    full = level >= condition.at
    begins = full | (known & (takes <= condition.within_s))
    ends = ~full & known & (takes > _AWAY * condition.within_s)
    said: NDArray[np.int8] = begins.astype(np.int8) - ends.astype(np.int8)
    return said
