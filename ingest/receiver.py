"""The receiver: a thread that takes messages from the broker, spools them, and only then acknowledges them."""

import time
from dataclasses import dataclass, field

import structlog

from devices import topics
from devices.errors import BrokerError
from devices.payloads import MAX_PAYLOAD_BYTES
from ingest.closing import Closing, now_ms
from ingest.deadletters import LOOKED_AT_BYTES
from ingest.errors import SpoolError
from ingest.frame import Messages
from ingest.limit import RateLimit, marked
from ingest.notices import Pace
from ingest.options import IngestOptions
from ingest.spool import Spool
from mqtt.connection import Connection, wait
from mqtt.options import Backoff, BrokerOptions
from mqtt.packets import Message

log = structlog.get_logger("courtyard.ingest")

_WAIT_S = 0.25
_RETRY_S = 0.2
_STEADY_S = 5.0
_PACKETS = 500
_HELD_BYTES = 32 * 1024 * 1024
_MESSAGE_BYTES = 300  # what a message takes beside its payload


@dataclass(slots=True)
class _Held:
    """Messages received and not yet spooled."""

    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    cut: dict[int, int] = field(default_factory=dict)
    mids: list[int] = field(default_factory=list)
    size: int = 0
    since: float = 0.0

    def add(self, messages: list[Message], limit: RateLimit | None) -> None:
        """Take messages; of oversize ones just so much as their dead letter needs, of too many ones their size."""
        first = len(self.payloads)
        payloads = [message.payload for message in messages]
        sizes = [len(payload) for payload in payloads]
        topics = [message.topic for message in messages]
        over = [] if limit is None else limit.over(topics, sizes, time.monotonic())
        if max(sizes) > MAX_PAYLOAD_BYTES:
            for place, size in enumerate(sizes):
                if size > MAX_PAYLOAD_BYTES:
                    self.cut[first + place] = size
                    payloads[place] = payloads[place][:LOOKED_AT_BYTES]
                    sizes[place] = LOOKED_AT_BYTES
        if not first:
            self.since = time.monotonic()
        self.topics += topics
        self.payloads += payloads
        if over:
            marked(over, self.payloads, self.cut, first)
        self.mids += [message.mid for message in messages]
        self.size += sum(sizes) + _MESSAGE_BYTES * len(sizes)


class Receiver:
    """Takes messages from the broker into the spool.

    Attributes:
        last_message_ms: when the last message came, ms since the epoch, or None before the first.
        backpressure: whether it has stopped acknowledging because the spool takes no more.
        sessions_lost: how often the broker had forgotten the session although it should have kept it.
    """

    def __init__(
        self,
        options: IngestOptions,
        broker: BrokerOptions,
        spool: Spool,
        closing: Closing,
        limit: RateLimit | None = None,
    ) -> None:
        """Prepare to receive; `run` does it.

        Args:
            options: the settings.
            broker: how to reach the broker.
            spool: where to.
            closing: says when to end.
            limit: tells which messages are too many; None where any number is read.
        """
        self._limit = limit
        self.last_message_ms: int | None = None
        self.backpressure = False
        self.sessions_lost = 0
        self._options = options
        self._broker = broker
        self._spool = spool
        self._closing = closing
        self._filter = topics.ALL if options.share is None else f"$share/{options.share}/{topics.ALL}"
        self._connection = Connection(
            broker,
            client_id=options.client_id,
            clean_start=False,
            session_expiry_s=options.session_expiry_s,
            receive_maximum=options.receive_maximum,
        )
        self._held = _Held()
        self._retry_at = 0.0
        self._opened_at: float | None = None
        self._backoff = Backoff()
        self._pace = Pace(options.notice_s)

    @property
    def connected(self) -> bool:
        """Whether the connection to the broker stands."""
        return self._connection.is_open

    def run(self) -> None:
        """Receive until the end is asked for."""
        connection = self._connection
        try:
            while not self._closing.asked:
                if connection.is_open:
                    self._receive()
                else:
                    self._reopen()
            if self._held.topics:
                self._commit()
        finally:
            connection.close()

    def _receive(self) -> None:
        """One round: wait, read what has arrived, spool it when it is time."""
        connection, held = self._connection, self._held
        if held.size > _HELD_BYTES:
            # Only while the spool takes nothing. Read no more, for mosquitto does not keep to our window: once some of
            # it is acknowledged it sends all it has. The connection may break meanwhile, and is made again.
            self._closing.pause(_RETRY_S)
            connection.flush()
            drained = True
        else:
            if not held.topics or self.backpressure:
                wait([connection], _WAIT_S)
            drained = connection.step(most=_PACKETS, most_bytes=self._options.commit_bytes)
            messages = connection.take_messages()
            if messages:
                self.last_message_ms = now_ms()
                held.add(messages, self._limit)
        if held.topics and (drained or self._is_due()):
            self._commit()

    def _is_due(self) -> bool:
        held, options = self._held, self._options
        return (
            held.size >= options.commit_bytes
            or len(held.topics) * 2 >= options.receive_maximum  # the broker goes on with the other half
            or time.monotonic() - held.since >= options.commit_age_s
        )

    def _commit(self) -> None:
        """Spool what is held, then acknowledge it in the order received."""
        held, connection = self._held, self._connection
        if self.backpressure and time.monotonic() < self._retry_at:
            return
        try:
            self._spool.append(Messages(held.topics, held.payloads, held.cut), now_ms())
        except SpoolError as exc:
            self._hold_back(exc)
            return
        if self.backpressure:
            self.backpressure = False
            self._pace.reset()
            log.info("the spool takes messages again")
        self._held = _Held()
        # The ids held are of this connection alone (see _reopen): one of an earlier connection may by now belong to
        # another message, which acknowledging it would destroy.
        connection.acknowledge_all(held.mids)
        connection.flush()

    def _hold_back(self, exc: SpoolError) -> None:
        self.backpressure = True
        self._retry_at = time.monotonic() + _RETRY_S
        if self._pace.due():
            log.error(
                "the spool takes no more: messages are no longer acknowledged and wait at the broker",
                code=exc.code,
                error=exc.message,
            )

    def _reopen(self) -> None:
        """Try once to connect; pause where that fails."""
        connection = self._connection
        if self._opened_at is not None:
            log.warning("the connection to the broker is lost", error=connection.lost_because)
            if time.monotonic() - self._opened_at >= _STEADY_S:
                self._backoff.reset()
            self._opened_at = None
            self._closing.pause(self._backoff.pause_s())
        held = self._held
        held.mids.clear()
        try:
            connection.open()
            if connection.session_present and held.size > _HELD_BYTES // 2:
                self._held = _Held()  # the broker delivers them again; twice would fill the memory
            connection.subscribe(self._filter, wait_for_answer=not connection.session_present)
        except BrokerError as exc:
            if self._pace.due():
                log.warning(
                    "waiting for the MQTT broker",
                    host=self._broker.host,
                    port=self._broker.port,
                    code=exc.code,
                    error=exc.message,
                )
            connection.abort()
            self._closing.pause(self._backoff.pause_s())
            return
        self._pace.reset()
        self._opened_at = time.monotonic()
        log.info("connected to the MQTT broker", client_id=connection.client_id, session=connection.session_present)
        if connection.epoch > 1 and not connection.session_present:
            self.sessions_lost += 1
            log.error("the broker has lost our session: what came in between is lost unless its sender repeats it")
