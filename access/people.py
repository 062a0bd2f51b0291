"""People who sign in to the pages: with a password of their own (argon2id), or by an identity provider."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import insert, select, update

from access.callers import Caller, Grant
from access.errors import GrantError, UnknownPersonError
from access.kept import Kept
from access.keys import grant_columns, grant_of
from records.database import Database
from records.schema import PEOPLE

SHORTEST = 12
"""A password has at least so many characters (NIST SP 800-63B asks for 8; here it is the only factor)."""
LONGEST = 256

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")
# The library's defaults: RFC 9106's second recommended option (argon2id, 64 MiB, 3 passes, 4 lanes).
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("nobody has this password")


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who may sign in.

    Attributes:
        login: what they sign in with.
        name: what they are called on pages and in notes.
        grant: what they may.
        created_ns: since when.
        disabled_ns: since when they may not any more; None where they may.
        subject: who they are to the identity provider; None where they have a password.
    """

    login: str
    name: str
    grant: Grant
    created_ns: int
    disabled_ns: int | None
    subject: str | None

    @property
    def caller(self) -> Caller:
        """They as those who ask."""
        return Caller(id=f"person:{self.login}", name=self.name, grant=self.grant)


class People:
    """The people of one installation. Any number of threads may ask."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database
        self._kept: Kept[Mapping[str, tuple[str | None, Person]]] = Kept(self._read)

    def add(  # noqa: PLR0913  (what is known of a person)
        self, login: str, name: str, grant: Grant, *, now_ns: int, password: str | None = None,
        subject: str | None = None, first: Callable[[], None] = lambda: None,
    ) -> Person:  # fmt: skip
        """Add somebody.

        Args:
            login: what they sign in with: lower case letters, digits, `.`, `_`, `@`, `-`.
            name: what they are called.
            grant: what they may.
            now_ns: the present.
            password: theirs; None where they come by the identity provider.
            subject: who they are to the identity provider.
            first: is called when it is sure that they can be added, and before they are; what it raises prevents it.

        Raises:
            GrantError: the login is taken or none, the name is none, or the password too short.
            RecordsError: they cannot be kept.
        """
        if _LOGIN.fullmatch(login) is None or _NAME.fullmatch(name) is None:
            raise GrantError("a login has lower case letters, digits and . _ @ -, a name 1 to 64 characters")
        if (password is None) == (subject is None):
            raise GrantError("somebody has a password, or comes by the identity provider")
        if login in self._read():
            raise GrantError(f"{login} is there already; choose another login, or set a new password")
        values = {
            "login": login, "name": name, "subject": subject, "created_ns": now_ns,
            "password": None if password is None else hashed(password), **grant_columns(grant),
        }  # fmt: skip
        first()
        with self._database.begin() as connection:
            connection.execute(insert(PEOPLE).values(**values))
        self._kept.forget()
        return self.get(login)

    def list(self) -> list[Person]:
        """Everybody, by login; raises `RecordsError`."""
        return [person for _, (_, person) in sorted(self._read().items())]

    def get(self, login: str) -> Person:
        """Somebody; raises `UnknownPersonError` and `RecordsError`."""
        found = self._read().get(login)
        if found is None:
            raise UnknownPersonError(f"there is nobody called {login[:64]!r}; `courtyard people list` names them")
        return found[1]

    def set_password(self, login: str, password: str, *, first: Callable[[], None] = lambda: None) -> None:
        """Give somebody another password; raises `UnknownPersonError`, `GrantError` and `RecordsError`.

        Args:
            login: whose.
            password: the new one.
            first: as for `add`.
        """
        if self.get(login).subject is not None:
            raise GrantError(f"{login} comes by the identity provider, and has no password")
        new = hashed(password)
        first()
        self._update(login, password=new)

    def disable(self, login: str, *, now_ns: int) -> None:
        """Let somebody in no more; raises `UnknownPersonError` and `RecordsError`."""
        self.get(login)
        self._update(login, disabled_ns=now_ns)

    def check(self, login: str, password: str) -> Person | None:
        """Somebody with a password; None where it is wrong, or there is nobody. It takes as long either way.

        Raises:
            RecordsError: the records cannot be read.
        """
        kept, person = self._read().get(login, (None, None))
        right = _matches(kept or _NOBODY, password[:LONGEST])
        if person is None or kept is None or not right or person.disabled_ns is not None:
            return None
        self._kept.forget()  # another process may have added them this moment
        if _HASHER.check_needs_rehash(kept):
            self._update(login, password=hashed(password))
        return person

    def of_subject(self, subject: str) -> Person | None:
        """Who somebody of the identity provider is; None where nobody. Raises `RecordsError`."""
        found = [person for _, person in self._read().values() if person.subject == subject]
        return found[0] if found and found[0].disabled_ns is None else None

    def good(self, login: str) -> Caller | None:
        """Somebody who is still let in; None where not. Raises `RecordsError`."""
        found = self._kept().get(login)
        return found[1].caller if found is not None and found[1].disabled_ns is None else None

    def _update(self, login: str, **values: object) -> None:
        with self._database.begin() as connection:
            connection.execute(update(PEOPLE).where(PEOPLE.c.login == login).values(**values))
        self._kept.forget()

    def _read(self) -> dict[str, tuple[str | None, Person]]:
        with self._database.begin() as connection:
            rows = connection.execute(select(PEOPLE)).mappings().all()
        return {row["login"]: (row["password"], _person(row)) for row in rows}


def is_login(text: str) -> bool:
    """Whether somebody may sign in with this."""
    return _LOGIN.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether somebody can be called so."""
    return _NAME.fullmatch(text) is not None


def hashed(password: str) -> str:
    """A password as it is kept; raises `GrantError` where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise GrantError(f"a password has {SHORTEST} to {LONGEST} characters")
    return _HASHER.hash(password)


def _matches(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def _person(row: Mapping[Any, Any]) -> Person:
    return Person(
        login=row["login"], name=row["name"], grant=grant_of(row), created_ns=row["created_ns"],
        disabled_ns=row["disabled_ns"], subject=row["subject"],
    )  # fmt: skip
