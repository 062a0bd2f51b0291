"""Who is signed in to the pages: a random cookie whose digest is kept, until it expires or its owner signs out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, insert, select

from access import tokens
from access.callers import Caller
from access.kept import Kept
from access.keys import Keys
from access.people import People
from records.database import Database
from records.schema import SESSIONS

DAYS = 90
"""So long a browser stays signed in. A wall is signed in anew four times a year."""

_NS_PER_DAY = 86_400 * 1_000_000_000


class _Session(NamedTuple):
    caller: str
    name: str
    expires_ns: int


class Sessions:
    """The sessions of one installation. Any number of threads may ask."""

    def __init__(self, database: Database, keys: Keys, people: People) -> None:
        """Keep them in a database; whom they are of say `keys` and `people`."""
        self._database = database
        self._keys, self._people = keys, people
        self._kept: Kept[Mapping[str, _Session]] = Kept(self._read)

    def begin(self, caller: Caller, *, now_ns: int) -> str:
        """Sign somebody in, under the name that they have or say; the cookie. Raises `RecordsError`."""
        text = tokens.secret()
        with self._database.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_ns <= now_ns))
            connection.execute(
                insert(SESSIONS).values(
                    digest=tokens.digest(text),
                    caller=caller.id,
                    name=caller.name,
                    created_ns=now_ns,
                    expires_ns=now_ns + DAYS * _NS_PER_DAY,
                )
            )
        self._kept.forget()
        return text

    def whose(self, cookie: str | None, *, now_ns: int, also: Caller | None = None) -> Caller | None:
        """Who shows a cookie; None where it is none, over, or its owner is not let in any more.

        Args:
            cookie: what the browser sends.
            now_ns: the present.
            also: somebody who is let in, and whom neither the keys nor the people know.

        Raises:
            RecordsError: the records cannot be read.
        """
        found = self._kept().get(tokens.digest(cookie)) if cookie else None
        if found is None or found.expires_ns <= now_ns:
            return None
        what, _, name = found.caller.partition(":")
        if also is not None and found.caller == also.id:
            owner: Caller | None = also
        else:
            owner = self._keys.good(name, now_ns=now_ns) if what == "key" else self._people.good(name)
        return None if owner is None else replace(owner, name=found.name)

    def end(self, cookie: str) -> None:
        """Sign somebody out; raises `RecordsError`."""
        self._delete(SESSIONS.c.digest == tokens.digest(cookie))

    def end_all(self, caller: str) -> None:
        """Sign somebody out everywhere; raises `RecordsError`."""
        self._delete(SESSIONS.c.caller == caller)

    def _delete(self, which: ColumnElement[bool]) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(SESSIONS).where(which))
        self._kept.forget()

    def _read(self) -> dict[str, _Session]:
        with self._database.begin() as connection:
            rows = connection.execute(select(SESSIONS)).all()
        return {row.digest: _Session(row.caller, row.name, row.expires_ns) for row in rows}
