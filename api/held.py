"""An answer that is made at most once in a while, however many ask for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from devices.errors import CourtyardError

T = TypeVar("T")


class Held(Generic[T]):
    """Calls `make`, and gives what it said, a refusal too, to all who ask within `for_s` seconds.

    Those who ask while it is being made wait for it, so that a crowd asks the store once.
    """

    def __init__(self, make: Callable[[], T], for_s: float) -> None:
        """Hold nothing yet."""
        self._make = make
        self._for_s = for_s
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._outcome: tuple[T] | CourtyardError | None = None

    def __call__(self) -> T:
        """What `make` said last; raises what it raised."""
        with self._lock:
            outcome = self._outcome
            if outcome is None or time.monotonic() >= self._until:
                outcome = self._outcome = self._ask()
                self._until = time.monotonic() + self._for_s
        if isinstance(outcome, CourtyardError):
            raise outcome.with_traceback(None)  # one traceback for all would grow with every caller
        return outcome[0]

    def _ask(self) -> tuple[T] | CourtyardError:
        try:
            return (self._make(),)
        except CourtyardError as exc:
            return exc
