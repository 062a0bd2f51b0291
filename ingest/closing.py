"""Asking a thread to end, and how long it may take."""

import math
import time
from threading import Event

_LONGEST_PAUSE_S = 0.5


class Closing:
    """A request to end with a deadline, and the pauses that such a request cuts short."""

    def __init__(self) -> None:
        """Begin without a request."""
        self._asked = Event()
        self._deadline = math.inf

    def ask(self, within_s: float = 0.0) -> None:
        """Ask to end, at the latest `within_s` seconds from now."""
        self._deadline = time.monotonic() + within_s
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()

    @property
    def over(self) -> bool:
        """Whether the time to end has run out."""
        return time.monotonic() >= self._deadline

    def pause(self, seconds: float) -> None:
        """Sleep, but wake at once when the end is asked for; after that sleep only for short, to try often."""
        if not self.asked:
            self._asked.wait(seconds)
        else:
            time.sleep(max(0.0, min(seconds, _LONGEST_PAUSE_S, self._deadline - time.monotonic())))


def now_ms() -> int:
    """The time, ms since the epoch."""
    return time.time_ns() // 1_000_000
