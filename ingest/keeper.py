"""The keeper: a thread that sees to what may wait a second: replays, retention of dead letters, gaps."""

from collections.abc import Callable, Sequence

import structlog

from ingest.closing import Closing, now_ms
from ingest.errors import SpoolError
from ingest.notices import Pace
from ingest.spool import Spool

log = structlog.get_logger("courtyard.ingest")

_EVERY_S = 1.0
_PURGE_S = 60.0
_MS_PER_DAY = 86_400_000


class Keeper:
    """Keeps house beside receiver and writer."""

    def __init__(
        self,
        spool: Spool,
        closing: Closing,
        *,
        dead_letters_days: float,
        notice_s: float,
        tasks: Sequence[Callable[[], None]],
    ) -> None:
        """Prepare; `run` does it.

        Args:
            spool: the spool.
            closing: says when to end.
            dead_letters_days: how long dead letters are kept, in days.
            notice_s: a trouble that lasts is logged once in so many seconds.
            tasks: what else is to be done each second.
        """
        self._spool = spool
        self._closing = closing
        self._kept_ms = round(dead_letters_days * _MS_PER_DAY)
        self._tasks = (self._replay, self._purge, *tasks)
        self._pace = Pace(notice_s)
        self._purging = Pace(_PURGE_S)

    def run(self) -> None:
        """Keep house until the end is asked for."""
        while not self._closing.asked:
            for task in self._tasks:
                try:
                    task()
                except SpoolError as exc:
                    if self._pace.due():
                        log.warning("the spool cannot be used now; trying again", code=exc.code, error=exc.message)
            self._closing.pause(_EVERY_S)

    def _replay(self) -> None:
        while not self._closing.asked and (taken := self._spool.take_replays()):
            log.info("dead letters are replayed", letters=taken)

    def _purge(self) -> None:
        if self._purging.due() and (dropped := self._spool.purge(now_ms() - self._kept_ms)):
            log.info("old dead letters are dropped", letters=dropped)
