"""Eras: which sequence numbers of one boot of one stream were seen, as a span with holes. Pure.

A hole is a run of numbers that were not seen although later ones were. It is known since the arrival that showed it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_WORD = "q"
_WORDS = 3  # of a hole


class Hole(NamedTuple):
    """Numbers that were not seen.

    Attributes:
        first: the first of them.
        last: the last of them.
        since_ms: when the reading came that showed it, ms since the epoch.
    """

    first: int
    last: int
    since_ms: int

    @property
    def size(self) -> int:
        """How many numbers that are."""
        return self.last - self.first + 1


class Holes:
    """Disjoint holes in rising order, 24 bytes each."""

    __slots__ = ("_first", "_last", "_since")

    def __init__(self, holes: Iterable[tuple[int, int, int]] = ()) -> None:
        """Begin with some holes, in rising order."""
        self._first = array(_WORD)
        self._last = array(_WORD)
        self._since = array(_WORD)
        for each in holes:
            self._insert(len(self), *each)

    def __len__(self) -> int:
        """How many holes there are."""
        return len(self._first)

    def __iter__(self) -> Iterator[Hole]:
        """All holes in rising order."""
        return map(Hole, self._first, self._last, self._since)

    def add(self, first: int, last: int, since_ms: int) -> None:
        """Add a hole that touches none of the others."""
        self._insert(bisect_left(self._first, first), first, last, since_ms)

    def fill(self, first: int, last: int) -> int:
        """Take the numbers `first` to `last` out of all holes; how many of them were in one."""
        place = max(0, bisect_right(self._first, first) - 1)
        filled = 0
        while place < len(self) and self._first[place] <= last:
            begin, end, since_ms = self._first[place], self._last[place], self._since[place]
            if end < first:
                place += 1
                continue
            filled += min(end, last) - max(begin, first) + 1
            del self._first[place], self._last[place], self._since[place]
            if begin < first:
                self._insert(place, begin, first - 1, since_ms)
                place += 1
            if end > last:
                self._insert(place, last + 1, end, since_ms)
                place += 1
        return filled

    def forget(self, count: int) -> int:
        """Drop the lowest `count` holes; how many numbers they had."""
        forgotten = sum(self._last[:count]) - sum(self._first[:count]) + min(count, len(self))
        del self._first[:count], self._last[:count], self._since[:count]
        return forgotten

    def missing(self, until_ms: int | None = None) -> int:
        """How many numbers all holes have, or those known since `until_ms` or before."""
        if until_ms is None:
            return sum(self._last) - sum(self._first) + len(self)
        return sum(each.size for each in self if each.since_ms <= until_ms)

    def words(self) -> "array[int]":
        """All holes as integers: their number, then what `of_words` reads."""
        return array(_WORD, [len(self)]) + self._first + self._last + self._since

    def copy(self) -> "Holes":
        """The same holes, apart from these."""
        made = Holes()
        made._first, made._last, made._since = self._first[:], self._last[:], self._since[:]
        return made

    @classmethod
    def of_words(cls, words: "array[int]", place: int) -> "tuple[Holes, int]":
        """Read holes from `words` at `place`; them, and the place after them."""
        count = words[place]
        place += 1
        made = cls()
        made._first, made._last, made._since = (
            words[place + part * count : place + (part + 1) * count] for part in range(_WORDS)
        )
        return made, place + _WORDS * count

    def _insert(self, place: int, first: int, last: int, since_ms: int) -> None:
        self._first.insert(place, first)
        self._last.insert(place, last)
        self._since.insert(place, since_ms)


class Era:
    """One boot of one stream.

    Attributes:
        boot: the boot.
        low: the first number expected.
        high: the highest number seen; `low` − 1 before the first.
        holes: which between them were not seen.
        opened: whether `see` has added a hole since this was last set to False.
    """

    __slots__ = ("boot", "high", "holes", "low", "opened")

    def __init__(self, boot: int, low: int, high: int, holes: Holes | None = None) -> None:
        """Take up an era where it is."""
        self.boot = boot
        self.low = low
        self.high = high
        self.holes = Holes() if holes is None else holes
        self.opened = False

    def copy(self) -> "Era":
        """The same, apart from this one."""
        made = Era(self.boot, self.low, self.high, self.holes.copy())
        made.opened = self.opened
        return made

    def see(self, first: int, last: int, now_ms: int) -> int:
        """Note that the numbers `first` to `last` were seen.

        Args:
            first: the first of them.
            last: the last of them.
            now_ms: when they came: holes that they show are known since then.

        Returns:
            How many of them had not been seen before.
        """
        low, high = self.low, self.high
        new = 0
        if last > high:
            begin = max(first, high + 1)
            if begin > high + 1:
                self._open(high + 1, begin - 1, now_ms)
            self.high = last
            new += last - begin + 1
        if first < low:
            end = min(last, low - 1)
            if end < low - 1:
                self._open(end + 1, low - 1, now_ms)
            self.low = first
            new += end - first + 1
        if len(self.holes) and first <= high and last >= low:
            new += self.holes.fill(max(first, low), min(last, high))
        return new

    def _open(self, first: int, last: int, now_ms: int) -> None:
        self.holes.add(first, last, now_ms)
        self.opened = True
