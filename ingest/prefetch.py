"""Prefetch: the next run is read from the spool, decoded and prepared while the present one is written."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from ingest.decode import Decoded
from ingest.deliver import Delivery, Write
from ingest.errors import SpoolError
from ingest.frame import Spooled
from ingest.spool import Spool

READ_BYTES = 4 * 1024 * 1024
ENOUGH_BYTES = 1024 * 1024
"""So much is worth a write of its own."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A run of messages, ready to be written.

    Attributes:
        last: its last batch, without the messages.
        decoded: what the messages hold.
        writes: what `Delivery.prepare` made of it.
        messages: how many messages there are.
        size: how many bytes they have in the spool.
    """

    last: Spooled
    decoded: Decoded
    writes: list[Write]
    messages: int
    size: int


class Prefetch:
    """Gives one run after the other."""

    def __init__(
        self, spool: Spool, decode: Callable[[Sequence[Spooled]], Decoded], delivery: Delivery, *, messages: int
    ) -> None:
        """Begin with the oldest batch in the spool.

        Args:
            spool: where from.
            decode: makes readings of messages.
            delivery: prepares them.
            messages: about how many messages make a run.
        """
        self._spool = spool
        self._decode = decode
        self._delivery = delivery
        self._messages = messages
        self._after_id = 0
        self._next: Future[Fetched | None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest-prefetch")

    def take(self) -> Fetched:
        """The next run; at least one batch must wait. Where enough others wait, the run after it is begun.

        Raises:
            SpoolError: the spool cannot be read; the same run comes with the next call.
        """
        future, self._next = self._next, None
        run = None if future is None else future.result()
        run = run or self._fetch()
        if run is None:
            raise SpoolError("nothing can be read from the spool although messages wait in it")
        self._after_id = run.last.id
        pending = self._spool.pending  # with the run itself
        if pending.messages - run.messages >= self._messages or pending.size - run.size >= ENOUGH_BYTES:
            self._next = self._thread.submit(self._fetch)
        return run

    def close(self) -> None:
        """Wait for what is under way, and let it go: it is in the spool."""
        self._thread.shutdown()

    def _fetch(self) -> Fetched | None:
        """The next run; None where no batch waits."""
        batches = self._spool.read(after_id=self._after_id, messages=self._messages, size=READ_BYTES)
        if not batches:
            return None
        decoded = self._decode(batches)
        last = batches[-1]
        return Fetched(
            replace(last, messages=None),
            decoded,
            self._delivery.prepare(decoded),
            sum(batch.count for batch in batches),
            sum(batch.size for batch in batches),
        )
