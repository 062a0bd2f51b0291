"""How often somebody may ask: requests by key, and tries to sign in by name and by address.

The counting is the library `limits` (MIT); the headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from access.errors import ThrottledError

_WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with a limit.

    Attributes:
        limit: so many a minute are allowed.
        left: so many of them are left.
        reset_s: until when they are counted, in seconds from now.
        allowed: whether this one is.
    """

    limit: int
    left: int
    reset_s: int
    allowed: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """What tells a client."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={_WINDOW_S}',
            "RateLimit": f'"minute";r={self.left};t={self.reset_s}',
        }


class Limiter:
    """Counts in a minute that slides, for any number of names. Any number of threads may ask."""

    def __init__(self, per_minute: int) -> None:
        """Allow so many a minute; 0 allows all."""
        self._item = RateLimitItemPerMinute(max(per_minute, 1))
        self._unlimited = per_minute == 0
        self._window = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, name: str) -> Standing | None:
        """Count one; how the name stands then, or None where nothing is limited."""
        if self._unlimited:
            return None
        allowed = self._window.hit(self._item, name)
        reset, left = self._window.get_window_stats(self._item, name)
        return Standing(self._item.amount, left, max(math.ceil(reset - time.time()), 1), allowed)


class SignIns:
    """Slows down who tries passwords: so many tries a minute for one name, and for one address."""

    def __init__(self, *, by_name: int = 5, by_address: int = 20) -> None:
        """Allow so many tries a minute."""
        self._by_name, self._by_address = Limiter(by_name), Limiter(by_address)

    def check(self, name: str, address: str) -> None:
        """Count one try; raises `ThrottledError` where there were too many."""
        for standing in (self._by_address.hit(address), self._by_name.hit(name)):
            if standing is not None and not standing.allowed:
                raise ThrottledError("too many tries to sign in; wait a minute", retry_after_s=standing.reset_s)
