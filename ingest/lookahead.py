"""Looking ahead: while the store is away nothing leaves the spool, yet what is missing in what waits is told in time.

It follows the numbers of what waits in a copy of what is known, in memory alone, and forgets that when the writer has
caught up. The writer counts everything in its turn.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence

from ingest.closing import now_ms
from ingest.database import read_batches
from ingest.decode import Decoded
from ingest.frame import Spooled
from ingest.gaps import Tracker
from ingest.spool import Spool

_BEHIND_MS = 30_000
"""What is written within this time is told in time by the writer: a loss is to be told within 60 s, and looking ahead
takes what each message costs once more."""
_MESSAGES = 2000
_BYTES = 1024 * 1024
_AT_ONCE_S = 0.5


class Lookahead:
    """Follows what waits, where that is long."""

    def __init__(self, spool: Spool, tracker: Tracker, decode: Callable[[Sequence[Spooled]], Decoded]) -> None:
        """Prepare.

        Args:
            spool: where it waits.
            tracker: knows of all that has left the spool.
            decode: makes readings of messages; may be called while the writer decodes.
        """
        self._spool = spool
        self._written = tracker
        self._decode = decode
        self._ahead: Tracker | None = None
        self._position = 0
        self._read_ms: int | None = None

    @property
    def tracker(self) -> Tracker:
        """Knows most: of all that was received where it looks ahead, else of all that has left the spool."""
        return self._ahead or self._written

    def clock_ms(self) -> int:
        """Up to which arrivals that tracker knows everything, ms since the epoch."""
        oldest_ms = self._spool.pending.oldest_ms if self._ahead is None else self._read_ms
        return now_ms() if oldest_ms is None else oldest_ms

    def step(self) -> None:
        """Follow what has come, for half a second at most.

        Raises:
            SpoolError: the spool cannot be read.
        """
        oldest_ms = self._spool.pending.oldest_ms
        if oldest_ms is None or now_ms() - oldest_ms < _BEHIND_MS:
            self._ahead = None
            return
        until = time.monotonic() + _AT_ONCE_S
        while time.monotonic() < until:
            first, batches = self._spool.ask(self._next)
            if first is None:
                self._read_ms = None
                return
            if self._ahead is None or first > self._position + 1:
                # The writer has been here. What it trimmed it had followed before, so the copy, being made after the
                # look into the spool, knows all up to `first`; of what is beyond some is followed twice, which changes
                # nothing.
                self._ahead, self._position, self._read_ms = self._written.copy(), first - 1, oldest_ms
                continue
            if not batches:
                self._read_ms = None
                return
            last = batches[-1]
            self._ahead.track(self._decode(batches).sightings(now_ms() if last.replayed else last.received_ms))
            self._position, self._read_ms = last.id, last.received_ms

    def _next(self, db: sqlite3.Connection) -> tuple[int | None, list[Spooled]]:
        """The number of the oldest batch, and what comes next."""
        (first,) = db.execute("SELECT min(id) FROM batches").fetchone()
        return first, read_batches(db, after_id=self._position, messages=_MESSAGES, size=_BYTES)
