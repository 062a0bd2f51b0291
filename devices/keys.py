"""Series in a book, each with a number, and choices among them that make no object for each series.

A batch of 25,000 rows may hold as many series. What is known of a series (its line protocol, that its ids are sound)
can be kept by its number, and looked up for all rows at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from devices.columns import Codes, SeriesKey


class KeyBook:
    """The series of one table, each once, by their numbers. It only grows; other threads may read meanwhile."""

    def __init__(self) -> None:
        """Begin without any."""
        self._keys: list[SeriesKey] = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    def __getitem__(self, number: int) -> SeriesKey:
        """The series with a number."""
        return self._keys[number]

    def add(self, keys: Iterable[SeriesKey]) -> None:
        """Give series that are not in it the next numbers."""
        self._keys += keys

    def since(self, number: int) -> list[SeriesKey]:
        """All series from a number on."""
        return self._keys[number:]


class ChosenKeys(Sequence[SeriesKey]):
    """Some series of a book, each once.

    Attributes:
        book: the book.
        numbers: int32[n], their numbers in it, ascending.
    """

    def __init__(self, book: KeyBook, numbers: Codes) -> None:
        """Choose series.

        Raises:
            ValueError: the numbers do not ascend.
        """
        if not bool((numbers[1:] > numbers[:-1]).all()):
            raise ValueError("the numbers of chosen series must ascend")
        self.book = book
        self.numbers = numbers

    def __len__(self) -> int:
        """How many there are."""
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int | np.integer) -> SeriesKey: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[SeriesKey]: ...
    def __getitem__(self, place: int | np.integer | slice) -> SeriesKey | Sequence[SeriesKey]:
        """One of them, or some."""
        if isinstance(place, slice):
            return ChosenKeys(self.book, self.numbers[place])
        return self.book[self.numbers[place]]

    def __iter__(self) -> Iterator[SeriesKey]:
        """All of them."""
        return map(self.book.__getitem__, self.numbers.tolist())

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds the same series in the same order."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """That of a tuple of them."""
        return hash(tuple(self))
