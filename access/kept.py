"""A small table held in memory for half a second, so that not each request asks; a revocation counts at once."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

HOLD_S = 0.5
"""What is revoked by another process is refused here after so many seconds at most; by this one at once."""


class Kept(Generic[T]):
    """Reads something anew where what it holds is older than `HOLD_S`. Any number of threads may ask."""

    def __init__(self, read: Callable[[], T], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold nothing yet."""
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[float, T] | None = None

    def __call__(self) -> T:
        """What was read, half a second ago at most; raises what reading raises."""
        held = self._held
        if held is not None and self._clock() - held[0] < HOLD_S:
            return held[1]
        with self._lock:
            held = self._held
            if held is None or self._clock() - held[0] >= HOLD_S:
                begun = self._clock()
                held = self._held = (begun, self._read())
            return held[1]

    def forget(self) -> None:
        """Read anew at the next question."""
        with self._lock:
            self._held = None
