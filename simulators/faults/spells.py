"""Spells: when faults last, for each device or compound, drawn day by day from the seed."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times
from simulators.timeline import Intervals

DAY_MS = 86_400_000


class Spells:
    """The spells of one fault."""

    def __init__(  # noqa: PLR0913  (a draw's parameters are one row)
        self, name: str, seed: int, series: int, *, rate: float, minutes: float, most_minutes: float
    ) -> None:
        """Draw nothing yet.

        Args:
            name: the fault's name; two faults draw independently.
            seed: the fleet's seed.
            series: how many devices or compounds there are.
            rate: mean number of spells of each a day.
            minutes: their median length.
            most_minutes: their greatest length.
        """
        self._name = name
        self._seed = seed
        self._series = series
        self._rate = rate
        self._minutes = minutes
        self._most = most_minutes
        self._days: dict[int, Intervals] = {}

    def within(self, start_ms: int, stop_ms: int) -> Intervals:
        """All spells that touch a span, and some more."""
        first = (start_ms - round(self._most * 60_000)) // DAY_MS
        return Intervals.joined([self._day(day) for day in range(first, stop_ms // DAY_MS + 1)])

    def rng(self, day: int, purpose: str = "") -> np.random.Generator:
        """The generator of this fault on one day, counted from the epoch."""
        digest = hashlib.blake2b(f"{self._name}/{purpose}".encode(), digest_size=16).digest()
        return np.random.default_rng([self._seed, day, *np.frombuffer(digest, "<u4").tolist()])

    def _day(self, day: int) -> Intervals:
        if day not in self._days:
            between: Times = np.array([day, day + 1], np.int64) * DAY_MS
            self._days[day] = Intervals.drawn(
                self.rng(day), self._series, rate=self._rate, between=between, minutes=self._minutes,
                most_minutes=self._most,
            )  # fmt: skip
        return self._days[day]


def ordered(series: NDArray[np.integer], ms: Times) -> NDArray[np.intp]:
    """The order by series, then time, in which `Intervals` are asked."""
    return np.lexsort((ms, series))


def since(spells: Intervals, series: NDArray[np.integer], ms: Times) -> Times:
    """When the spell that each (series, ms), in any order, lies in began; -1 where in none; int64[n]."""
    order = ordered(series, ms)
    found = np.empty(len(ms), np.int64)
    found[order] = spells.since(series[order], ms[order])
    return found
