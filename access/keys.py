"""API keys: made, listed, revoked and recognised. Only their digests are kept."""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, insert, select, update

from access import tokens
from access.callers import Caller, Grant
from access.errors import GrantError, UnknownKeyError
from access.kept import Kept
from records.database import Database
from records.schema import KEYS

_NAME_CHARS = 64
_MOST = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What is known of a key; not the key.

    Attributes:
        id: its public part.
        name: what it is for.
        grant: what it may.
        created_ns: when it was made.
        created_by: by whom.
        expires_ns: from when on it is refused; None for never.
        revoked_ns: since when it is refused; None where it is not.
    """

    id: str
    name: str
    grant: Grant
    created_ns: int
    created_by: str
    expires_ns: int | None
    revoked_ns: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key as it is given out.

    Attributes:
        key: what is known of it.
        text: the key itself; nobody can see it again.
    """

    key: Key
    text: str


class Keys:
    """The keys of one installation. Any number of threads may ask."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database
        self._kept: Kept[Mapping[str, tuple[str, Key]]] = Kept(self._read)

    def create(  # noqa: PLR0913  (what is known of a key)
        self, name: str, grant: Grant, *, by: str, now_ns: int, expires_ns: int | None = None,
        first: Callable[[Key], None] = lambda _: None,
    ) -> NewKey:  # fmt: skip
        """Make a key.

        Args:
            name: what it is for.
            grant: what it may.
            by: who makes it.
            now_ns: the present.
            expires_ns: when it expires; None for never.
            first: is called when it is sure that it can be made, and before it is; what it raises prevents it.

        Returns:
            The key, to be shown once.

        Raises:
            GrantError: it has no name, or would be expired at once.
            RecordsError: it cannot be kept.
        """
        name = name.strip()
        if not name or len(name) > _NAME_CHARS or not name.isprintable():
            raise GrantError(f"give the key a name of 1 to {_NAME_CHARS} characters that says what it is for")
        if expires_ns is not None and expires_ns <= now_ns:
            raise GrantError("the key would be expired already; give a later time")
        made = tokens.make()
        key = Key(
            id=made.id, name=name, grant=grant, created_ns=now_ns, created_by=by, expires_ns=expires_ns,
            revoked_ns=None,
        )  # fmt: skip
        first(key)
        with self._database.begin() as connection:
            connection.execute(
                insert(KEYS).values(
                    id=made.id, name=name, digest=made.digest, created_ns=now_ns, created_by=by,
                    expires_ns=expires_ns, **grant_columns(grant),
                )
            )  # fmt: skip
        self._kept.forget()
        return NewKey(key=key, text=made.text)

    def list(self) -> list[Key]:
        """All keys, those revoked and expired too, the newest first; raises `RecordsError`."""
        return sorted((key for _, key in self._read().values()), key=lambda each: -each.created_ns)

    def get(self, number: str) -> Key:
        """One key; raises `UnknownKeyError` and `RecordsError`."""
        found = self._read().get(number)
        if found is None:
            raise UnknownKeyError(f"there is no key {number[:20]!r}; /v1/keys and `courtyard keys list` list them")
        return found[1]

    def revoke(self, number: str, *, now_ns: int) -> Key:
        """Refuse a key from now on; raises `UnknownKeyError` and `RecordsError`."""
        self.get(number)
        with self._database.begin() as connection:
            connection.execute(
                update(KEYS).where(and_(KEYS.c.id == number, KEYS.c.revoked_ns.is_(None))).values(revoked_ns=now_ns)
            )
        self._kept.forget()
        return self.get(number)

    def recognise(self, text: str, *, now_ns: int) -> Caller | None:
        """Who shows a key; None where it is none of ours, expired or revoked. Raises `RecordsError`."""
        shown = tokens.read(text)
        if shown is None:
            return None
        kept, key = self._kept().get(shown.id, ("", None))
        if not hmac.compare_digest(kept, shown.digest) or key is None:
            return None
        return caller(key) if is_good(key, now_ns) else None

    def good(self, number: str, *, now_ns: int) -> Caller | None:
        """Who has a key, by its public part; None where it is refused. Raises `RecordsError`."""
        found = self._kept().get(number)
        return caller(found[1]) if found is not None and is_good(found[1], now_ns) else None

    def _read(self) -> dict[str, tuple[str, Key]]:
        with self._database.begin() as connection:
            rows = connection.execute(select(KEYS).limit(_MOST)).mappings().all()
        return {row["id"]: (row["digest"], _key(row)) for row in rows}


def caller(key: Key) -> Caller:
    """Who has a key."""
    return Caller(id=f"key:{key.id}", name=key.name, grant=key.grant)


def is_good(key: Key, now_ns: int) -> bool:
    """Whether a key is accepted."""
    return key.revoked_ns is None and (key.expires_ns is None or now_ns < key.expires_ns)


def grant_columns(grant: Grant) -> dict[str, str | None]:
    """A grant as the records have it."""
    compounds = None if grant.compounds is None else json.dumps(sorted(grant.compounds))
    return {"scopes": " ".join(sorted(grant.scopes)), "compounds": compounds}


def grant_of(row: Mapping[Any, Any]) -> Grant:
    """The grant of a row of the records."""
    compounds = None if row["compounds"] is None else json.loads(row["compounds"])
    return Grant.of(row["scopes"].split(), compounds)


def _key(row: Mapping[Any, Any]) -> Key:
    return Key(
        id=row["id"], name=row["name"], grant=grant_of(row), created_ns=row["created_ns"],
        created_by=row["created_by"], expires_ns=row["expires_ns"], revoked_ns=row["revoked_ns"],
    )  # fmt: skip
