"""Bring readings into the store: patiently while it is away, and around the rows that it refuses."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import orjson
import structlog

from devices.columns import Batch
from devices.errors import Reason, StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError
from devices.topics import Topic
from ingest.closing import Closing
from ingest.deadletters import DeadLetter
from ingest.decode import Decoded
from ingest.ledger import Account, Counts, Entry
from ingest.notices import Pace
from ingest.rows import Rows
from ingest.spool import Outcome
from mqtt.options import Backoff
from store.protocol import PreparingStore, Store

log = structlog.get_logger("courtyard.ingest")


class WriterState(StrEnum):
    """What the writer is doing."""

    IDLE = "idle"
    WRITING = "writing"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_DENIED = "store_denied"
    SPOOL_UNAVAILABLE = "spool_unavailable"
    STOPPED = "stopped"


class GaveUpError(Exception):
    """The time to drain is over; what was not written stays in the spool."""


Write = tuple[list["_Piece"], Callable[[], None]]
"""Rows that are written in one call, and the call."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows `start` to `stop` of one table."""

    rows: Rows
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def batch(self) -> Batch:
        whole = self.rows.batch
        return whole if len(self) == len(whole) else whole.take(slice(self.start, self.stop))


class Delivery:
    """Writes readings to the store; in the end each is stored or a dead letter.

    Attributes:
        state: what it is doing.
    """

    def __init__(
        self, store: Store, closing: Closing, *, most_rows: int, notice_s: float, observe: Callable[[float], None]
    ) -> None:
        """Prepare to write.

        Args:
            store: where to.
            closing: says when to stop trying.
            most_rows: at most so many rows go into one write.
            notice_s: a trouble that lasts is logged once in so many seconds.
            observe: is told how long each accepted write took, in seconds.
        """
        self.state = WriterState.IDLE
        self._store = store
        self._closing = closing
        self._most_rows = most_rows
        self._observe = observe
        self._pace = Pace(notice_s)

    def prepare(self, decoded: Decoded) -> list[Write]:
        """Do what can be done before it is the readings' turn; may be called while others are delivered."""
        return [self._prepared(group) for group in _grouped(decoded.tables, self._most_rows)]

    def deliver(self, decoded: Decoded, writes: Sequence[Write] | None = None) -> Outcome:
        """Write readings, however long it takes.

        Args:
            decoded: readings, and the dead letters among their messages.
            writes: what `prepare` made of the readings; None where it was not called.

        Returns:
            What became of each reading and message.

        Raises:
            GaveUpError: the time to drain ran out first. What was stored may be written again: rows replace themselves.
        """
        letters = list(decoded.letters)
        counts: Counts = Counter(decoded.counts)
        for rows in decoded.tables:
            counts[Account(Entry.WRITTEN, rows.batch.table.kind)] += len(rows)
        for write in self.prepare(decoded) if writes is None else writes:
            for piece, message in self._write(write):
                kind = piece.rows.batch.table.kind
                counts[Account(Entry.WRITTEN, kind)] -= 1
                counts[Account(Entry.DEAD_LETTERED, kind, Reason.STORE_REJECTED)] += 1
                piece.rows.refuse(piece.start)
                letters.append(_letter(piece, message))
        return Outcome(counts, letters)

    def _prepared(self, pieces: list[_Piece]) -> Write:
        batches = [piece.batch for piece in pieces]
        if isinstance(self._store, PreparingStore):
            try:
                return pieces, self._store.prepare(batches)
            except StoreRejectedError:
                pass  # which the write will say again, when it can be halved
        return pieces, partial(self._store.write, batches)

    def _write(self, write: Write) -> Iterator[tuple[_Piece, str]]:
        """Write some rows and yield the single ones that the store refuses: what is refused is halved down to one."""
        waiting = [write]
        while waiting:
            pieces, call = waiting.pop()
            try:
                self._patiently(call)
            except StoreRejectedError as exc:
                halves = _halved(pieces)
                if not halves:
                    yield pieces[0], exc.message
                waiting += [(half, partial(self._store.write, [piece.batch for piece in half])) for half in halves]

    def _patiently(self, call: Callable[[], None]) -> None:
        backoff = Backoff()
        while True:
            began = time.monotonic()
            try:
                call()
            except StoreRejectedError:
                self._reached()
                raise
            except StoreError as exc:
                self._complain(exc)
                asked_s = exc.retry_after_s if isinstance(exc, StoreUnavailableError) else None
                if self._closing.over:
                    raise GaveUpError(exc.message) from exc
                self._closing.pause(max(backoff.pause_s(), asked_s or 0.0))
            else:
                self._observe(time.monotonic() - began)
                self._reached()
                return

    def _complain(self, exc: StoreError) -> None:
        denied = isinstance(exc, StoreDeniedError)
        self.state = WriterState.STORE_DENIED if denied else WriterState.STORE_UNAVAILABLE
        if not self._pace.due():
            return
        if denied:
            log.error(
                "the store refuses our credentials; readings wait in the spool",
                code=exc.code,
                error=exc.message,
                do="check COURTYARD_INFLUX_TOKEN or its file, or make a new one: python -m courtyard init",
            )
        else:
            log.warning("the store is away; readings wait in the spool", code=exc.code, error=exc.message)

    def _reached(self) -> None:
        if self.state is not WriterState.WRITING:
            if self.state is not WriterState.IDLE:
                log.info("the store answers again")
            self.state = WriterState.WRITING
            self._pace.reset()


def _grouped(tables: Sequence[Rows], most: int) -> Iterator[list[_Piece]]:
    """All rows in order, in groups of at most `most` rows."""
    group: list[_Piece] = []
    room = most
    for rows in tables:
        start, total = 0, len(rows)
        while start < total:
            stop = min(total, start + room)
            group.append(_Piece(rows, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield group
                group, room = [], most
    if group:
        yield group


def _halved(pieces: list[_Piece]) -> list[list[_Piece]]:
    """The two halves of a group, or nothing where it is one row."""
    if len(pieces) > 1:
        middle = len(pieces) // 2
        return [pieces[:middle], pieces[middle:]]
    (piece,) = pieces
    if len(piece) == 1:
        return []
    middle = (piece.start + piece.stop) // 2
    return [[_Piece(piece.rows, piece.start, middle)], [_Piece(piece.rows, middle, piece.stop)]]


def _letter(piece: _Piece, message: str) -> DeadLetter:
    batch = piece.rows.batch
    table = batch.table
    key = batch.keys[batch.series[piece.start]]
    payload = orjson.dumps(piece.rows.object(piece.start))
    return DeadLetter(
        time_ms=piece.rows.received_ms(piece.start),
        reason=Reason.STORE_REJECTED,
        message=message[:300],
        topic=str(Topic(key.compound, table.kind, key.device, table.channel)),
        kind=table.kind,
        compound=key.compound,
        size=len(payload),
        payload=payload,
    )
