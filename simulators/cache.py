"""Keeps the latest results of a function: consecutive days look back at the same plans."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """A mapping that makes what it lacks, and forgets what was made first."""

    def __init__(self, make: Callable[[K], V], most: int = 2) -> None:
        """Keep up to `most` results of `make`, which must be a pure function."""
        self._make = make
        self._most = most
        self._kept: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        """The result for `key`."""
        if key not in self._kept:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._make(key)
        return self._kept[key]
