"""The writer: a thread that brings what is spooled into the store, in order, and trims the spool after it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from devices.columns import Batch
from devices.errors import CourtyardError
from ingest.closing import Closing, now_ms
from ingest.decode import Decoded
from ingest.deliver import Delivery, GaveUpError, WriterState
from ingest.errors import SpoolError
from ingest.frame import Spooled
from ingest.gapbook import GapBook
from ingest.ledger import moved, per_reason
from ingest.notices import Pace
from ingest.options import IngestOptions
from ingest.prefetch import ENOUGH_BYTES, Prefetch
from ingest.spool import Pending, Spool
from rollups.errors import WriteLogError

log = structlog.get_logger("courtyard.ingest")

_T = TypeVar("_T")
_LOOK_S = 0.02
_IDLE_S = 0.5
_SPOOL_PAUSE_S = 0.5
_WIPE_S = 1.0


class Writer:
    """Drains the spool into the store."""

    def __init__(  # noqa: PLR0913  (what it is wired to)
        self,
        options: IngestOptions,
        spool: Spool,
        decode: Callable[[Sequence[Spooled]], Decoded],
        delivery: Delivery,
        closing: Closing,
        *,
        book: GapBook,
        note: Callable[[Sequence[Batch]], None],
    ) -> None:
        """Prepare to write; `run` does it.

        Args:
            options: the settings.
            spool: where from.
            decode: makes readings of messages.
            delivery: brings readings into the store.
            closing: says when to end, and until when.
            book: notes the numbers of readings.
            note: notes which rows are in the store, before the spool lets go of their messages.
        """
        self._options = options
        self._spool = spool
        self._prefetch = Prefetch(spool, decode, delivery, messages=options.write_rows)
        self._delivery = delivery
        self._book = book
        self._note = note
        self._closing = closing
        self._pace = Pace(options.notice_s)
        self._wipe = Pace(_WIPE_S)

    def run(self) -> None:
        """Write until the end is asked for and the spool is empty, or the time for that has run out."""
        try:
            while self._work_waits():
                self._turn()
            self._patiently(self._spool.wipe)
        except GaveUpError as exc:
            log.warning(
                "stopped before the spool was empty; the rest is written after the next start",
                messages=self._spool.pending.messages,
                error=str(exc),
            )
        finally:
            self._prefetch.close()
            self._delivery.state = WriterState.STOPPED

    def _work_waits(self) -> bool:
        """Wait until enough is spooled or some has waited long enough; False where the end is asked for and none is."""
        spool, options, closing = self._spool, self._options, self._closing
        self._delivery.state = WriterState.IDLE
        while not spool.pending.messages:
            if closing.asked:
                return False
            if self._wipe.due():
                self._patiently(spool.wipe)
            with spool.changed:
                spool.changed.wait_for(lambda: spool.pending.messages or closing.asked, _IDLE_S)
        until = time.monotonic() + options.write_age_s
        while (left := until - time.monotonic()) > 0 and not (closing.asked or self._is_due(spool.pending)):
            closing.pause(min(left, _LOOK_S))
        return True

    def _is_due(self, pending: Pending) -> bool:
        """Whether enough waits, or some of it for long enough."""
        waited_ms = 0 if pending.oldest_ms is None else now_ms() - pending.oldest_ms
        return (
            pending.messages >= self._options.write_rows
            or pending.size >= ENOUGH_BYTES
            or waited_ms >= self._options.write_age_s * 1000
        )

    def _turn(self) -> None:
        """Bring one run of messages from the spool into the store."""
        if self._closing.over:
            raise GaveUpError("the time to drain is over")
        spool = self._spool
        self._delivery.state = WriterState.WRITING
        run = self._patiently(self._prefetch.take)
        decoded, last = run.decoded, run.last
        outcome = self._delivery.deliver(decoded, run.writes)
        seen = decoded.sightings(now_ms() if last.replayed else last.received_ms, replayed=last.replayed)
        again, gaps = self._book.enter(seen)
        outcome = replace(outcome, counts=moved(outcome.counts, again), gaps=gaps)
        self._patiently(lambda: self._note([rows.batch for rows in decoded.tables]))
        self._patiently(lambda: spool.trim(last.id, outcome))
        self._book.kept(gaps)
        if decoded.letters and self._pace.due():
            log.warning("messages are refused; see the dead letters", total_by_reason=dict(per_reason(spool.counts)))
        if self._wipe.due():
            self._patiently(spool.wipe)

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """Use the spool or the write log, waiting while its disk is full or fails.

        Raises:
            GaveUpError: the time to drain ran out first.
        """
        pace = Pace(self._options.notice_s)
        while True:
            try:
                return call()
            except (SpoolError, WriteLogError) as exc:
                if self._closing.over:
                    raise GaveUpError(exc.message) from exc
                self._wait_for_spool(exc, pace)

    def _wait_for_spool(self, exc: CourtyardError, pace: Pace) -> None:
        self._delivery.state = WriterState.SPOOL_UNAVAILABLE
        if pace.due():
            log.error("the spool cannot be used; nothing is lost, trying again", code=exc.code, error=exc.message)
        self._closing.pause(_SPOOL_PAUSE_S)
