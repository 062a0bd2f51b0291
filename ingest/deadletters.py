"""Dead letters: what was refused, why, and (but for personal data) its content."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from devices.errors import Reason
from devices.privacy import is_personal, is_personal_topic, is_text
from ingest.ledger import UNKNOWN_KIND

KEPT_PAYLOAD_BYTES = 64 * 1024
"""A dead letter keeps this much of its payload."""
LOOKED_AT_BYTES = KEPT_PAYLOAD_BYTES + 1024
"""This much of an oversize payload is searched for personal data: a little more than is kept, so that an identity
number across the cut is seen whole."""
WITHHELD = "(withheld)"
"""Stands for a topic that holds personal text."""

_UNREAD = frozenset({
    Reason.TOPIC, Reason.UNKNOWN_KIND, Reason.UNKNOWN_COMPOUND, Reason.UNKNOWN_DEVICE, Reason.TOO_LARGE
})  # fmt: skip
"""For these a message is refused before its payload is read; the schema has searched the payload in all other cases."""

_KEPT_TOPIC = 512
_KEPT_MESSAGE = 300

TABLES = (
    """
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    topic TEXT NOT NULL,
    kind TEXT NOT NULL,
    compound TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT,
    payload BLOB,
    replayed_ms INTEGER
)
""",
    "CREATE TABLE IF NOT EXISTS replays (letter INTEGER PRIMARY KEY)",
)
_COLUMNS = "time_ms, reason, message, topic, kind, compound, size, sha256, payload"
_INSERT = f"INSERT INTO dead_letters ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # nosec B608
_SELECT = f"SELECT id, {_COLUMNS}, replayed_ms FROM dead_letters"  # noqa: S608  # nosec B608


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """One refused message, or one reading that the store refused.

    Attributes:
        time_ms: when it was received, ms since the epoch.
        reason: why it was refused.
        message: the same in words.
        topic: its topic; `WITHHELD` where that holds personal text.
        kind: the kind it belongs to, or "unknown".
        compound: the compound its topic names, or "" where the topic is none of ours.
        size: size of the payload as sent, in bytes.
        payload: the payload, cut to `KEPT_PAYLOAD_BYTES`; None for personal data and what is no text.
        sha256: of what is not kept, the hash of what was received; else None.
        id: its number, from 1, or 0 before it is kept.
        replayed_ms: when it was replayed, ms since the epoch, or None.
        messages: how many it stands for; as it is made, and not kept.
    """

    time_ms: int
    reason: Reason
    message: str
    topic: str
    kind: str = UNKNOWN_KIND
    compound: str = ""
    size: int = 0
    payload: bytes | None = None
    sha256: str | None = None
    id: int = 0
    replayed_ms: int | None = None
    messages: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether all of its payload is kept, so that it can be replayed."""
        return self.payload is not None and len(self.payload) == self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which dead letters are wanted: those to which all of these apply.

    Attributes:
        after_id: with a higher number.
        ids: with one of these numbers, or None.
        reason: with this reason, or None.
        kind: of this kind, or None.
        device: of this device, or None.
        since_ms: received then or later, ms since the epoch.
        replayable: not replayed yet, and kept whole.
    """

    after_id: int = 0
    ids: tuple[int, ...] | None = None
    reason: Reason | None = None
    kind: str | None = None
    device: str | None = None
    since_ms: int = 0
    replayable: bool = False

    def clause(self) -> tuple[str, list[object]]:
        """The same as SQL, and its values."""
        parts = ["id > ?", "time_ms >= ?"]
        values: list[object] = [self.after_id, self.since_ms]
        for column, value in (("reason = ?", self.reason), ("kind = ?", self.kind)):
            if value is not None:
                parts.append(column)
                values.append(str(value))
        if self.device is not None:
            parts.append("topic GLOB ?")
            values.append(f"compounds/*/*/{_literal(self.device)}/*")
        if self.ids is not None:
            parts.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self.ids))
        if self.replayable:
            parts.append("replayed_ms IS NULL AND length(payload) = size")
        return " AND ".join(parts), values


def refused(  # noqa: PLR0913  (a dead letter is one row)
    *, time_ms: int, reason: Reason, message: str, topic: str, payload: bytes, kind: str, compound: str, size: int
) -> DeadLetter:
    """Make the dead letter of a message as received; it keeps nothing where the topic or the payload is personal.

    Of a payload that is no text, which may be an image, it keeps a hash alone.

    Args:
        time_ms: when the message was received, ms since the epoch.
        reason: why it is refused.
        message: the same in words.
        topic: its topic as received.
        payload: its payload as received, or the beginning of an oversize one.
        kind: the kind it belongs to, or `UNKNOWN_KIND`.
        compound: the compound its topic names, or "".
        size: size of the payload as sent, in bytes.
    """
    hidden = is_personal_topic(topic)
    if hidden or reason is Reason.PRIVACY or (reason in _UNREAD and is_personal(payload)):
        return DeadLetter(
            time_ms=time_ms,
            reason=Reason.PRIVACY,
            message="the message carries personal data; its content is not kept",
            topic=WITHHELD if hidden else topic[:_KEPT_TOPIC],
            kind=kind,
            compound="" if hidden else compound,
            size=size,
            sha256=hashlib.sha256(payload).hexdigest(),
        )
    text = is_text(payload)
    return DeadLetter(
        time_ms=time_ms,
        reason=reason,
        message=message[:_KEPT_MESSAGE],
        topic=topic[:_KEPT_TOPIC],
        kind=kind,
        compound=compound,
        size=size,
        sha256=None if text else hashlib.sha256(payload).hexdigest(),
        payload=payload[:KEPT_PAYLOAD_BYTES] if text and reason is not Reason.RATE else None,
    )


def payload_bytes(db: sqlite3.Connection) -> int:
    """How many bytes of payload the kept dead letters hold."""
    (total,) = db.execute("SELECT coalesce(sum(length(payload)), 0) FROM dead_letters").fetchone()
    return int(total)


def insert(db: sqlite3.Connection, letters: Sequence[DeadLetter], *, most: int, most_bytes: int, held: int) -> int:
    """Keep dead letters within the caller's transaction, and drop the oldest beyond the limits.

    Args:
        db: the spool's connection, in a transaction.
        letters: what to keep.
        most: how many are kept.
        most_bytes: how many bytes of payload are kept.
        held: how many bytes of payload were held before; too high a figure does no harm.

    Returns:
        How many are held now, or somewhat more.
    """
    kept = letters[-most:] if most else ()
    db.executemany(
        _INSERT,
        ((x.time_ms, x.reason, x.message, x.topic, x.kind, x.compound, x.size, x.sha256, x.payload) for x in kept),
    )
    db.execute("DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?", (most,))
    held += sum(len(each.payload or b"") for each in kept)
    return held if held <= most_bytes else _trimmed(db, most_bytes)


def _trimmed(db: sqlite3.Connection, most_bytes: int) -> int:
    total = 0
    for number, size in db.execute("SELECT id, coalesce(length(payload), 0) FROM dead_letters ORDER BY id DESC"):
        if total + size > most_bytes:
            db.execute("DELETE FROM dead_letters WHERE id <= ?", (number,))
            break
        total += size
    return total


def select(db: sqlite3.Connection, wanted: Wanted, *, limit: int, newest: bool = False) -> Iterator[DeadLetter]:
    """Read dead letters, in the order of their numbers.

    Args:
        db: a connection to the spool's file.
        wanted: which.
        limit: at most so many.
        newest: where there are more, give the newest of them, which then come first.
    """
    where, values = wanted.clause()
    order = "DESC" if newest else "ASC"
    for row in db.execute(f"{_SELECT} WHERE {where} ORDER BY id {order} LIMIT ?", (*values, limit)):
        number, time_ms, code, message, topic, kind, compound, size, sha256, payload, replayed_ms = row
        yield DeadLetter(
            id=number,
            time_ms=time_ms,
            reason=Reason(code),
            message=message,
            topic=topic,
            kind=kind,
            compound=compound,
            size=size,
            sha256=sha256,
            payload=payload,
            replayed_ms=replayed_ms,
        )


class Fate(NamedTuple):
    """Whether a dead letter can be replayed: where it is whole and was not replayed yet."""

    id: int
    reason: Reason
    replayed: bool
    whole: bool


def fates(db: sqlite3.Connection, wanted: Wanted, *, limit: int) -> Iterator[Fate]:
    """At most so many of those wanted: first what can be replayed, oldest first; without reading their payloads."""
    where, values = wanted.clause()
    columns = "id, reason, replayed_ms IS NOT NULL AS replayed, coalesce(length(payload) = size, 0) AS whole"
    statement = f"SELECT {columns} FROM dead_letters WHERE {where} ORDER BY replayed OR NOT whole, id LIMIT ?"  # noqa: S608  # nosec B608
    for number, reason, replayed, whole in db.execute(statement, (*values, limit)):
        yield Fate(number, Reason(reason), bool(replayed), bool(whole))


def counted(db: sqlite3.Connection, wanted: Wanted) -> int:
    """How many dead letters there are of those wanted."""
    where, values = wanted.clause()
    (count,) = db.execute(f"SELECT count(*) FROM dead_letters WHERE {where}", values).fetchone()  # noqa: S608  # nosec B608
    return int(count)


def purge(db: sqlite3.Connection, before_ms: int) -> int:
    """Drop those received before a time, within the caller's transaction; how many that were."""
    return db.execute("DELETE FROM dead_letters WHERE time_ms < ?", (before_ms,)).rowcount


def _literal(text: str) -> str:
    """Text as a pattern of GLOB that just it matches."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in text)
