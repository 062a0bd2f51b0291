"""The office: who may let others in lists, makes and ends keys and people; nobody gives away more than they have."""

from collections.abc import Sequence

from access.callers import Caller, Grant, Scope
from access.doors import Doors
from access.errors import ForbiddenError, UnknownKeyError, UnknownPersonError
from access.keys import Key, Keys, NewKey
from access.people import People, Person
from access.sessions import Sessions

_NS_PER_DAY = 86_400 * 1_000_000_000


class Office:
    """What one caller may do about others. What is done stands in the audit log before it is done."""

    def __init__(self, doors: Doors, caller: Caller) -> None:
        """Act for somebody.

        Args:
            doors: of an installation that keeps records.
            caller: who acts.

        Raises:
            ForbiddenError: they may let nobody in.
            RuntimeError: no records are kept; see `Doors.keys`.
        """
        caller.require(Scope.ADMIN)
        if doors.keys is None or doors.people is None or doors.sessions is None:
            raise RuntimeError("no records are kept here, so nobody can be let in")
        self._doors, self._caller = doors, caller
        self._keys: Keys = doors.keys
        self._people: People = doors.people
        self._sessions: Sessions = doors.sessions

    def list_keys(self) -> list[Key]:
        """The keys that they could have made, the newest first; raises `RecordsError`."""
        return [each for each in self._keys.list() if self._covers(each.grant)]

    def make_key(self, name: str, scopes: Sequence[str], compounds: Sequence[str] | None, days: int | None) -> NewKey:
        """Make a key.

        Args:
            name: what it is for.
            scopes: what it may.
            compounds: ids of compounds; None for all that they have themselves.
            days: how long it is good; None for ever.

        Returns:
            The key, to be shown once.

        Raises:
            GrantError: there is no such scope, or the name is none.
            ForbiddenError: they have less than this themselves.
            RecordsError: it cannot be kept, or not be written down.
        """
        grant, now_ns = self._grant(scopes, compounds), self._doors.clock()

        def record(key: Key) -> None:
            self._record("key.create", key.id, name=key.name, scopes=sorted(grant.scopes))

        return self._keys.create(
            name, grant, by=self._caller.id, now_ns=now_ns, first=record,
            expires_ns=None if days is None else now_ns + days * _NS_PER_DAY,
        )  # fmt: skip

    def revoke_key(self, number: str) -> Key:
        """Refuse a key from now on.

        Raises:
            UnknownKeyError: there is no such key among those that they may see.
            RecordsError: it cannot be kept, or not be written down.
        """
        found = self._keys.get(number)
        if not self._covers(found.grant):
            raise UnknownKeyError(f"there is no key {found.id!r}; /v1/keys and `courtyard keys list` list them")
        self._record("key.revoke", found.id, name=found.name)
        return self._keys.revoke(found.id, now_ns=self._doors.clock())

    def list_people(self) -> list[Person]:
        """The people that they could have let in, by login; raises `RecordsError`."""
        return [each for each in self._people.list() if self._covers(each.grant)]

    def add_person(  # noqa: PLR0913  (what is known of a person)
        self, login: str, name: str, scopes: Sequence[str], compounds: Sequence[str] | None, *,
        password: str | None = None, subject: str | None = None,
    ) -> Person:  # fmt: skip
        """Let somebody sign in.

        Args:
            login: what they sign in with.
            name: what they are called.
            scopes: what they may.
            compounds: ids of compounds; None for all that whoever acts has themselves.
            password: theirs; None where they come by the identity provider.
            subject: who they are to the identity provider.

        Raises:
            GrantError: there is no such scope, the login is taken or none, or the password too short.
            ForbiddenError: whoever acts has less than this themselves.
            RecordsError: they cannot be kept, or it cannot be written down.
        """
        grant = self._grant(scopes, compounds)

        def record() -> None:
            self._record("person.add", login, scopes=sorted(grant.scopes))

        now_ns = self._doors.clock()
        return self._people.add(login, name, grant, now_ns=now_ns, password=password, subject=subject, first=record)

    def set_password(self, login: str, password: str) -> None:
        """Give somebody another password, and sign them out everywhere.

        Raises:
            UnknownPersonError: there is nobody of that login whom they may see.
            GrantError: the password is too short, or they come by the identity provider.
            RecordsError: it cannot be kept, or not be written down.
        """
        person = self._known(login)
        self._people.set_password(login, password, first=lambda: self._record("person.password", login))
        self._sessions.end_all(person.caller.id)

    def disable(self, login: str) -> None:
        """Let somebody in no more, and sign them out everywhere.

        Raises:
            UnknownPersonError: there is nobody of that login whom they may see.
            ForbiddenError: it is themselves.
            RecordsError: it cannot be kept, or not be written down.
        """
        person = self._known(login)
        if person.caller.id == self._caller.id:
            raise ForbiddenError("you cannot shut yourself out; ask somebody else to", code="yourself")
        self._record("person.disable", login)
        self._people.disable(login, now_ns=self._doors.clock())
        self._sessions.end_all(person.caller.id)

    def _known(self, login: str) -> Person:
        person = self._people.get(login)
        if not self._covers(person.grant):
            raise UnknownPersonError(f"there is nobody called {login[:64]!r}; `courtyard people list` names them")
        return person

    def _grant(self, scopes: Sequence[str], compounds: Sequence[str] | None) -> Grant:
        own = self._caller.grant.compounds
        grant = Grant.of(scopes, own if compounds is None else compounds)
        if not self._covers(grant):
            raise ForbiddenError(
                "you cannot give away more than you have; ask for fewer scopes or compounds", code="grant"
            )
        return grant

    def _covers(self, grant: Grant) -> bool:
        return self._caller.grant.covers(grant)

    def _record(self, what: str, about: str, **detail: object) -> None:
        self._doors.record(self._caller, what, about, **detail)
