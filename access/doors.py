"""The doors of one installation: who is let in by a key, by a password, by a cookie, and how often they may ask."""

import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from access import tokens
from access.audit import Audit
from access.callers import ANYBODY, NOBODY, Caller, Scope
from access.errors import GrantError
from access.keys import Keys
from access.limits import Limiter, SignIns
from access.people import People, Person, is_name
from access.provider import Provider
from access.sessions import Sessions
from records.database import Database

INSTALLATION = Caller(id="key:installation", name="installation")
"""Who shows the key of the settings: it may do everything, and makes the first of the others."""


class Doors:
    """The doors. Any number of threads may ask.

    Attributes:
        open: whether nobody need say who they are: a demo on loopback.
        keys: the keys; None where no records are kept.
        people: the people; None where no records are kept.
        sessions: who is signed in; None where no records are kept.
        audit: the audit log; None where no records are kept.
        sign_ins: how often somebody may try a password.
        requests: how often a key may ask.
        provider: signs people in by an identity provider; None where there is none.
        clock: the present, ns since the epoch.
    """

    def __init__(  # noqa: PLR0913  (who is let in, and how)
        self,
        database: Database | None = None,
        *,
        keys: Sequence[str] = (),
        open_access: bool = False,
        per_minute: int = 0,
        provider: Provider | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open and close by what the records say.

        Args:
            database: the records; None where there are none, and so no keys but those of the settings.
            keys: the keys of the settings.
            open_access: let everybody do everything.
            per_minute: so many requests a minute are served for one key; 0 serves all.
            provider: signs people in; None where passwords and keys alone do.
            clock: the present.
        """
        self.open = open_access
        self.provider = provider
        self.clock = clock
        self.requests, self.sign_ins = Limiter(per_minute), SignIns()
        self._digests = tuple(tokens.digest(key) for key in keys)
        self.keys = self.people = self.sessions = self.audit = None
        if database is not None:
            self.keys, self.people = Keys(database), People(database)
            self.sessions = Sessions(database, self.keys, self.people)
            self.audit = Audit(database)

    def by_key(self, text: str) -> Caller | None:
        """Who shows a key; None where it is not accepted. Raises `RecordsError`."""
        if self.open:
            return ANYBODY
        shown = tokens.digest(text)
        # Each is compared, so that the time taken tells nothing about which was close.
        if sum(hmac.compare_digest(shown, each) for each in self._digests):
            return INSTALLATION
        return None if self.keys is None else self.keys.recognise(text, now_ns=self.clock())

    def by_cookie(self, cookie: str | None) -> Caller | None:
        """Who shows a cookie; None where nobody is signed in. Raises `RecordsError`."""
        if self.open:
            return ANYBODY
        if self.sessions is None:
            return None
        also = INSTALLATION if self._digests else None
        found = self.sessions.whose(cookie, now_ns=self.clock(), also=also)
        # Pages show figures: who may not read has nothing to do there.
        return found if found is not None and Scope.READ in found.grant.scopes else None

    def sign_in(self, login: str, secret: str, address: str) -> tuple[Caller, str] | None:
        """Let somebody in with their password, or with a key.

        Args:
            login: their login; what a screen with a key is called, else.
            secret: the password, or the key.
            address: where they come from, for counting tries.

        Returns:
            Who it is, and their cookie; None where the two do not fit.

        Raises:
            ThrottledError: too many tries.
            RecordsError: the records cannot be read or written.
        """
        self.sign_ins.check(login, address)
        caller = self.by_key(secret)
        if caller is not None:
            # A key is for many; who says their name is called so on pages and in notes.
            caller = replace(caller, name=login.strip()) if is_name(login.strip()) else None
        elif self.people is not None:
            person = self.people.check(login, secret)
            caller = None if person is None else person.caller
        if caller is None or self.sessions is None:
            # Only a name that is known: in its place somebody may have typed a password.
            known = self.people is not None and self.people.good(login) is not None
            self.record(NOBODY, "sign_in.refused", login if known else "unknown", address=address)
            return None
        return caller, self.begin(caller, address=address)

    def has_password(self, caller: Caller) -> bool:
        """Whether somebody has a password of their own, which they may change; raises `RecordsError`."""
        person = self._person(caller)
        return person is not None and person.subject is None

    def change_password(self, caller: Caller, current: str, new: str, address: str) -> bool:
        """Give somebody another password at their own wish, and sign them out everywhere.

        Args:
            caller: who they are.
            current: what they say that it is now.
            new: what it is to be.
            address: where they come from, for counting tries.

        Returns:
            False where the current one is wrong; then nothing is changed.

        Raises:
            GrantError: the new one is too short or too long, or they have none.
            ThrottledError: too many tries.
            RecordsError: the records cannot be read or written.
        """
        person = self._person(caller)
        if self.people is None or self.sessions is None or person is None:
            raise GrantError("you come with a key, and have no password here")
        self.sign_ins.check(person.login, address)
        if self.people.check(person.login, current) is None:
            self.record(caller, "person.password.refused", person.login, address=address)
            return False
        self.people.set_password(
            person.login, new, first=lambda: self.record(caller, "person.password", person.login, address=address)
        )
        self.sessions.end_all(caller.id)
        return True

    def _person(self, caller: Caller) -> Person | None:
        what, _, login = caller.id.partition(":")
        return self.people.get(login) if self.people is not None and what == "person" else None

    def by_provider(self, subject: str, *, address: str) -> str | None:
        """The cookie of somebody whom the identity provider vouches for; None where nobody knows them here.

        Raises:
            RecordsError: the records cannot be read or written.
        """
        person = None if self.people is None else self.people.of_subject(subject)
        if person is None:
            self.record(NOBODY, "sign_in.refused", subject, address=address, by="provider")
            return None
        return self.begin(person.caller, address=address)

    def begin(self, caller: Caller, *, address: str) -> str:
        """Begin the session of somebody who was let in; the cookie. Raises `RecordsError`."""
        if self.sessions is None:
            raise RuntimeError("no records are kept here, so nobody can sign in")
        cookie = self.sessions.begin(caller, now_ns=self.clock())
        self.record(caller, "sign_in", caller.name, address=address)
        return cookie

    def sign_out(self, cookie: str) -> None:
        """End a session; raises `RecordsError`."""
        caller = self.by_cookie(cookie)
        if self.sessions is not None and caller is not None and not self.open:
            self.sessions.end(cookie)
            self.record(caller, "sign_out", caller.name)

    def record(self, caller: Caller, what: str, about: str = "", **detail: object) -> None:
        """Write a line into the audit log, where there is one; raises `RecordsError`."""
        if self.audit is not None:
            self.audit.write(caller.id, what, about, **detail)
