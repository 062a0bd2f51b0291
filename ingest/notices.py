"""Log lines about a trouble that lasts: the first at once, then one in so many seconds."""

import time


class Pace:
    """Says when the next line is due."""

    def __init__(self, every_s: float) -> None:
        """Allow a line in `every_s` seconds."""
        self._every_s = every_s
        self._next = 0.0

    def due(self) -> bool:
        """Whether a line may be logged now; True at most once in the interval."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True

    def reset(self) -> None:
        """Let the next line come at once: the trouble is over."""
        self._next = 0.0
