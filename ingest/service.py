"""Ingest as a whole: a receiver and a writer with the spool between them, and a keeper beside them."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock, Thread
from typing import TypeVar

import pyarrow as pa
import structlog
from prometheus_client import CollectorRegistry

from devices.inventory import Inventory
from devices.kind import Kind
from ingest import gapbook
from ingest.closing import Closing, now_ms
from ingest.deadletters import DeadLetter
from ingest.decode import Decoded, Decoder
from ingest.deliver import Delivery
from ingest.errors import SpoolError
from ingest.frame import Spooled
from ingest.gapbook import TrackingBook
from ingest.gapwatch import GapWatch
from ingest.gather import Gatherer
from ingest.health import Health
from ingest.keeper import Keeper
from ingest.limit import RateLimit, allowance
from ingest.lookahead import Lookahead
from ingest.metrics import IngestMetrics
from ingest.options import IngestOptions
from ingest.receiver import Receiver
from ingest.spool import Limits, Spool
from ingest.writer import Writer
from mqtt.options import BrokerOptions
from rollups.writelog import SUFFIX, WriteLog
from store.protocol import Store

log = structlog.get_logger("courtyard.ingest")

_T = TypeVar("_T")
_JOIN_S = 60.0
"""How much longer than asked a thread may take to end: a connection attempt or a write in progress comes first."""


class Ingest:
    """Receives, spools and writes, in threads of its own.

    Attributes:
        ended: set when a thread has died by an error: nothing more will be received or written. See `health().failure`.
    """

    def __init__(  # noqa: PLR0913  (what it is wired to)
        self,
        options: IngestOptions,
        broker: BrokerOptions,
        inventory: Inventory,
        kinds: Mapping[str, Kind],
        store: Store,
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Open the spool and prepare the threads; `start` starts them.

        Args:
            options: the settings.
            broker: how to reach the broker.
            inventory: the devices that may send.
            kinds: what they may send.
            store: where readings go. It stays the caller's, who closes it after `stop`.
            registry: where to register the metrics; a registry of its own where None.

        Raises:
            SpoolError: the spool cannot be opened.
            WriteLogError: the write log beside it cannot be opened.
        """
        self.ended = Event()
        self._failure: str | None = None
        self._drain_timeout_s = options.drain_timeout_s
        metrics = IngestMetrics(registry if registry is not None else CollectorRegistry(), self.health)
        self._receiving, self._writing, self._keeping = Closing(), Closing(), Closing()
        self._delivery = Delivery(
            store,
            self._writing,
            most_rows=options.write_rows,
            notice_s=options.notice_s,
            observe=metrics.observe_write,
        )
        self._spool = Spool(options.spool, Limits.of(options))
        self._log = self._opened(lambda: WriteLog(options.spool.with_suffix(SUFFIX)))
        limit = None
        if options.device_rate:
            allowed = allowance(inventory, kinds, options.device_rate)
            limit = RateLimit(allowed, options.device_catch_up_s, options.max_age_days * 86_400)
        self._receiver = Receiver(options, broker, self._spool, self._receiving, limit)
        tracks = options.share is None
        book = self._opened(lambda: self._spool.ask(gapbook.tracking if tracks else gapbook.noting))
        decoder = Decoder(
            inventory,
            kinds,
            max_future_s=options.max_future_s,
            max_age_days=options.max_age_days,
            max_age_days_of=options.max_age_days_of,
            streams=book.streams,
            barred=lambda: self._spool.barred,
        )
        decode = _one_at_a_time(decoder.decode)
        writer = Writer(options, self._spool, decode, self._delivery, self._writing, book=book, note=self._log.note)
        self._follower: Gatherer | Lookahead = (
            Lookahead(self._spool, book.tracker, decode)
            if isinstance(book, TrackingBook)
            else Gatherer(options.spool, self._spool)
        )
        self._watch = GapWatch(self._follower, grace_s=options.gap_grace_s)
        keeper = Keeper(
            self._spool,
            self._keeping,
            dead_letters_days=options.dead_letters_days,
            notice_s=options.notice_s,
            tasks=(self._follower.step, self._watch.report),
        )
        parts = {"receiver": self._receiver.run, "writer": writer.run, "keeper": keeper.run}
        self._threads = tuple(
            Thread(target=self._guarded, args=(name, run), name=f"ingest-{name}", daemon=True)
            for name, run in parts.items()
        )

    def start(self) -> None:
        """Start to receive and to write. Broker and store may be away: both are waited for."""
        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 40 MB more of what it was once given
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop receiving, write what is spooled while the store answers (at most `drain_timeout_s`), and close."""
        receiver, writer, keeper = self._threads
        self._receiving.ask()
        self._keeping.ask()
        self._join(receiver, 0.0)
        self._join(keeper, 0.0)
        self._writing.ask(self._drain_timeout_s)
        self._spool.wake()
        self._join(writer, self._drain_timeout_s)
        self._let_go()
        self._log.close()
        self._spool.close()

    def run_forever(self, stop: Event) -> int:
        """Start, run until `stop` is set or a thread dies, and stop.

        Args:
            stop: set by the caller's signal handler.

        Returns:
            The process's exit status: 0 where the end was asked for, 1 where a thread died.
        """
        self.start()
        while not stop.wait(0.2):
            if self.ended.is_set():
                break
        self.stop()
        return 0 if self._failure is None else 1

    def health(self) -> Health:
        """How ingest is at the moment."""
        pending, receiver = self._spool.pending, self._receiver
        waited = 0 if pending.oldest_ms is None else max(0, now_ms() - pending.oldest_ms)
        return Health(
            failure=self._failure,
            connected=receiver.connected,
            sessions_lost=receiver.sessions_lost,
            last_message_ms=receiver.last_message_ms,
            backpressure=receiver.backpressure,
            pending_batches=pending.batches,
            pending_messages=pending.messages,
            pending_bytes=pending.size,
            oldest_pending_s=waited / 1000,
            writer=self._delivery.state,
            counts=self._spool.counts,
            missing=self._watch.missing(),
        )

    def dead_letters(self, *, after_id: int = 0, limit: int = 1000) -> list[DeadLetter]:
        """The dead letters kept, oldest first; for other processes `ingest.inspection` reads them.

        Args:
            after_id: only those with a higher number.
            limit: at most so many.

        Raises:
            SpoolError: the spool cannot be read.
        """
        return self._spool.dead_letters(after_id=after_id, limit=limit)

    def _opened(self, opening: Callable[[], _T]) -> _T:
        try:
            return opening()
        except BaseException:
            self._spool.close()
            raise

    def _let_go(self) -> None:
        """Let another worker merge, where this one does."""
        if not isinstance(self._follower, Gatherer):
            return
        try:
            self._follower.close()
        except SpoolError as exc:
            log.warning("what the workers saw is not saved; it is merged again", code=exc.code, error=exc.message)

    def _guarded(self, name: str, run: Callable[[], None]) -> None:
        """Run a thread; its death by an error is made known instead of passing in silence."""
        try:
            run()
        except Exception as exc:  # noqa: BLE001  (whatever it is: it ends this thread, and must be seen)
            self._die(name, exc)

    def _die(self, name: str, exc: Exception) -> None:
        # Where it happened, but not the exception's text: that might hold what a device sent.
        where = [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in traceback.extract_tb(exc.__traceback__)]
        self._failure = f"the {name} died: {type(exc).__name__} in {where[-1]}"
        log.critical("ingest has failed: a thread died; restart it", thread=name, error=type(exc).__name__, where=where)
        self.ended.set()

    def _join(self, thread: Thread, allowed_s: float) -> None:
        if not thread.is_alive():
            return
        thread.join(allowed_s + _JOIN_S)
        if thread.is_alive():
            self._failure = f"{thread.name} does not end"
            log.critical("a thread does not end; leaving it", thread=thread.name)


def _one_at_a_time(decode: Callable[[Sequence[Spooled]], Decoded]) -> Callable[[Sequence[Spooled]], Decoded]:
    """The same for several threads."""
    lock = Lock()

    def locked(batches: Sequence[Spooled]) -> Decoded:
        with lock:
            return decode(batches)

    return locked
