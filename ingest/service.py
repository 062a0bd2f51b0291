"""Ingest as a whole: a receiver and a writer with the spool between them."""

import traceback
from collections.abc import Callable, Mapping
from threading import Event, Thread

import structlog
from prometheus_client import CollectorRegistry

from devices.inventory import Inventory
from devices.kind import Kind
from ingest.closing import Closing, now_ms
from ingest.deadletters import DeadLetter
from ingest.decode import Decoder
from ingest.deliver import Delivery
from ingest.health import Health
from ingest.metrics import IngestMetrics
from ingest.options import IngestOptions
from ingest.receiver import Receiver
from ingest.spool import Limits, Spool
from ingest.writer import Writer
from mqtt.options import BrokerOptions
from store.protocol import Store

log = structlog.get_logger("courtyard.ingest")

_JOIN_S = 60.0
"""How much longer than asked a thread may take to end: a connection attempt or a write in progress comes first."""


class Ingest:
    """Receives, spools and writes, in two threads of its own.

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
        """
        self.ended = Event()
        self._failure: str | None = None
        self._drain_timeout_s = options.drain_timeout_s
        metrics = IngestMetrics(registry if registry is not None else CollectorRegistry(), self.health)
        self._receiving, self._writing = Closing(), Closing()
        decoder = Decoder(inventory, kinds, max_future_s=options.max_future_s, max_age_days=options.max_age_days)
        self._delivery = Delivery(
            store,
            self._writing,
            most_rows=options.write_rows,
            notice_s=options.notice_s,
            observe=metrics.observe_write,
        )
        self._spool = Spool(
            options.spool,
            Limits(
                max_bytes=options.spool_max_bytes,
                min_free_bytes=options.min_free_bytes,
                dead_letters_max=options.dead_letters_max,
                dead_letters_max_bytes=options.dead_letters_max_bytes,
            ),
        )
        self._receiver = Receiver(options, broker, self._spool, self._receiving)
        writer = Writer(options, self._spool, decoder, self._delivery, self._writing)
        self._threads = (
            Thread(target=self._guarded, args=("receiver", self._receiver.run), name="ingest-receiver", daemon=True),
            Thread(target=self._guarded, args=("writer", writer.run), name="ingest-writer", daemon=True),
        )

    def start(self) -> None:
        """Start to receive and to write. Broker and store may be away: both are waited for."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop receiving, write what is spooled while the store answers (at most `drain_timeout_s`), and close."""
        receiver, writer = self._threads
        self._receiving.ask()
        self._join(receiver, 0.0)
        self._writing.ask(self._drain_timeout_s)
        self._spool.wake()
        self._join(writer, self._drain_timeout_s)
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
