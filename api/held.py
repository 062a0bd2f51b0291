"""An answer that is made at most once in a while, however many ask for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from devices.errors import CourtyardError

T = TypeVar("T")

_log = structlog.get_logger("api")


class Held(Generic[T]):
    """Calls `make`, and gives what it said, a refusal too, to all who ask within `for_s` seconds.

    Those who ask while it is being made wait for it, so that a crowd asks the store once; up to `stale_s` after it was
    made they get the one before instead, and need not wait.
    """

    def __init__(self, make: Callable[[], T], for_s: float, *, stale_s: float = 0.0) -> None:
        """Hold nothing yet."""
        self._make = make
        self._for_s = for_s
        self._stale_s = stale_s
        self._lock = threading.Lock()
        self._made = float("-inf")
        self._outcome: tuple[T] | CourtyardError | None = None

    def __call__(self) -> T:
        """What `make` said last; raises what it raised."""
        outcome, age_s = self._outcome, time.monotonic() - self._made
        if outcome is not None and age_s < self._for_s:
            return _given(outcome)
        if outcome is None or age_s >= self._stale_s:
            with self._lock:
                outcome = self._renewed()
        elif self._lock.acquire(blocking=False):
            threading.Thread(target=self._renew_beside, name="held", daemon=True).start()
        return _given(outcome)

    def _renewed(self) -> tuple[T] | CourtyardError:
        """Make it anew, unless somebody just has; the lock is held."""
        begun = time.monotonic()
        if self._outcome is not None and begun - self._made < self._for_s:
            return self._outcome
        try:
            made = self._asked()
        except BaseException:
            self._outcome = None
            raise
        self._outcome = made
        # As old as what it was made of; but what took long to make shall serve for a while, too.
        self._made = max(begun, time.monotonic() - self._for_s / 2)
        return made

    def _asked(self) -> tuple[T] | CourtyardError:
        try:
            return (self._make(),)
        except CourtyardError as exc:
            return exc

    def _renew_beside(self) -> None:
        try:
            self._renewed()
        except Exception as exc:  # noqa: BLE001  (a fault of ours: whoever asks next makes it anew, and meets it)
            _log.error("an answer that is held could not be renewed", error=type(exc).__name__, exc_info=exc)
        finally:
            self._lock.release()


def _given(outcome: tuple[T] | CourtyardError) -> T:
    if isinstance(outcome, CourtyardError):
        raise outcome.with_traceback(None)  # one traceback for all would grow with every caller
    return outcome[0]
