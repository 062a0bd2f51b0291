"""The audit log: who did what, each line chained to the one before by its hash.

A line that is edited, added or taken out between others breaks the chain where it stands. Lines taken from the end do
not: so the newest number and hash are written to the program's log with each line, where another machine can keep them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import insert, select

from records.database import Database
from records.schema import AUDIT

FIRST = "0" * 64
"""Stands for the hash of the line before the first."""

_log = structlog.get_logger("courtyard.audit")
_PAGE = 5000
_TEXT_CHARS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line.

    Attributes:
        id: its number, from 1.
        at_ns: when, ns since the epoch.
        who: who did it: `key:…`, `person:…`, `command`, `device`.
        what: what they did, for example `key.create`.
        about: what it was done to.
        detail: more, by name.
        previous: hash of the line before.
        hash: its own.
    """

    id: int
    at_ns: int
    who: str
    what: str
    about: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What verifying found.

    Attributes:
        lines: how many lines hold, from the first on.
        head: hash of the last that holds.
        broken: number of the first line that does not, or None.
        why: what is wrong with it; "" where nothing is.
    """

    lines: int
    head: str
    broken: int | None = None
    why: str = ""


class Audit:
    """The log of one installation. Any number of threads and processes may write."""

    def __init__(self, database: Database, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Keep it in a database."""
        self._database = database
        self._clock = clock

    def write(self, who: str, what: str, about: str = "", **detail: object) -> None:
        """Add a line.

        Args:
            who: who did it.
            what: what they did.
            about: what it was done to.
            detail: more; no secret, and nothing about a person but who acts.

        Raises:
            RecordsError: it cannot be written; then what it is about is not to be done either.
        """
        values = {"at_ns": self._clock(), "who": who, "what": what, "about": about[:_TEXT_CHARS]}
        text = json.dumps(detail, ensure_ascii=False, sort_keys=True, default=str)
        # Alone: two at once must not be chained to the same line.
        with self._database.begin(alone=True) as connection:
            last = connection.execute(select(AUDIT.c.id, AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)).first()
            number, previous = (1, FIRST) if last is None else (last.id + 1, last.hash)
            line = {"id": number, **values, "detail": text, "previous": previous}
            head = hashed(line)
            connection.execute(insert(AUDIT).values(**line, hash=head))
        _log.info("audit", line=number, hash=head, who=who, what=what)

    def newest(self, limit: int, *, before: int | None = None) -> list[Line]:
        """The newest lines, the latest first.

        Args:
            limit: at most so many.
            before: only those with a lower number.

        Raises:
            RecordsError: the records cannot be read.
        """
        wanted = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(AUDIT.c.id < before)
        with self._database.begin() as connection:
            return [_line(row) for row in connection.execute(wanted).mappings()]

    def last(self, what: str) -> Line | None:
        """The newest line about something that was done; None where there is none. Raises `RecordsError`."""
        wanted = select(AUDIT).where(AUDIT.c.what == what).order_by(AUDIT.c.id.desc()).limit(1)
        with self._database.begin() as connection:
            row = connection.execute(wanted).mappings().first()
        return None if row is None else _line(row)

    def has(self, head: str) -> bool:
        """Whether a hash is that of a line; raises `RecordsError`."""
        with self._database.begin() as connection:
            return connection.execute(select(AUDIT.c.id).where(AUDIT.c.hash == head)).first() is not None

    def verify(self, progress: Callable[[int], None] = lambda _: None) -> Verdict:
        """Check every line from the first on; raises `RecordsError`.

        Args:
            progress: told how many lines were checked.
        """
        lines, head = 0, FIRST
        for row in self._rows():
            why = _fault(row, lines + 1, head)
            if why:
                return Verdict(lines=lines, head=head, broken=int(row["id"]), why=why)
            lines, head = lines + 1, row["hash"]
            progress(lines)
        return Verdict(lines=lines, head=head)

    def _rows(self) -> Iterator[Mapping[Any, Any]]:
        after = 0
        while True:
            wanted = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(_PAGE)
            with self._database.begin() as connection:
                rows = connection.execute(wanted).mappings().all()
            if not rows:
                return
            yield from rows
            after = rows[-1]["id"]


def hashed(line: Mapping[str, Any]) -> str:
    """The hash of a line: SHA-256 of its columns but the hash, as JSON with sorted names."""
    content = {name: line[name] for name in ("id", "at_ns", "who", "what", "about", "detail", "previous")}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _fault(row: Mapping[Any, Any], number: int, head: str) -> str:
    if row["id"] != number:
        return f"line {number} is missing"
    if row["previous"] != head:
        return "it does not follow the line before"
    if row["hash"] != hashed(dict(row)):
        return "its content is not what was written"
    return ""


def _line(row: Mapping[Any, Any]) -> Line:
    return Line(
        id=row["id"], at_ns=row["at_ns"], who=row["who"], what=row["what"], about=row["about"],
        detail=json.loads(row["detail"]), previous=row["previous"], hash=row["hash"],
    )  # fmt: skip
