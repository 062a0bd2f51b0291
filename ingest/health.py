"""How ingest is: one value, for the API's /ready, for the metrics and for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.deliver import WriterState
from ingest.ledger import Account


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How ingest is.

    Attributes:
        failure: why a thread died, which never happens in order; None while all live.
        connected: whether the connection to the broker stands.
        sessions_lost: how often the broker had forgotten our session.
        last_message_ms: when the last message came, ms since the epoch, or None before the first of this process.
        backpressure: whether messages are no longer acknowledged because the spool takes no more.
        pending_batches: batches in the spool.
        pending_messages: messages in the spool.
        pending_bytes: their size in bytes.
        oldest_pending_s: for how long the oldest of them has waited, in seconds; 0 where none waits.
        writer: what the writer does.
        counts: the ledger's counters (`ingest.ledger`).
        missing: by kind, how many readings are missing; empty where another worker follows them (`ingest.gather`).
    """

    failure: str | None
    connected: bool
    sessions_lost: int
    last_message_ms: int | None
    backpressure: bool
    pending_batches: int
    pending_messages: int
    pending_bytes: int
    oldest_pending_s: float
    writer: WriterState
    counts: Mapping[Account, int]
    missing: Mapping[str, int]

    @property
    def alive(self) -> bool:
        """Whether every thread lives; False calls for a restart."""
        return self.failure is None

    @property
    def ready(self) -> bool:
        """Whether messages flow from the broker to the store."""
        flowing = self.writer in {WriterState.IDLE, WriterState.WRITING}
        return self.alive and self.connected and flowing and not self.backpressure
