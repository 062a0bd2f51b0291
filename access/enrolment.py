"""Who may publish: devices and gateways, each with a secret or a certificate of its own. Secrets are shown once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from access import tokens
from access.authority import Authority, Issued
from access.broker_files import Role, User, verifier
from access.errors import GrantError
from devices.inventory import Inventory
from records.database import Database
from records.schema import CREDENTIALS, WITHDRAWN

RESERVED = re.compile(r"(courtyard-.*|ingest|api|health|simulators)")
"""Names that programs of ours have at the broker: whoever took one as its client id would throw them off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """What is known of somebody who is enrolled.

    Attributes:
        user: who.
        serial: number of its certificate; None where it has a password.
        created_ns: since when.
        expires_ns: when its certificate ends; None for a password.
        revoked_ns: since when it is refused; None where it is not.
    """

    user: User
    serial: str | None
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What somebody who is enrolled is given, this once.

    Attributes:
        name: user name and client id.
        topic: what it may publish.
        secret: its password, or None.
        issued: its certificate, or None.
    """

    name: str
    topic: str
    secret: str | None
    issued: Issued | None


class Enrolment:
    """The enrolled of one installation."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def enroll(self, users: Sequence[User], *, now_ns: int, authority: Authority | None = None) -> list[Enrolled]:
        """Give each a secret, in place of what it had.

        Args:
            users: who, as `user_of` makes them.
            now_ns: the present.
            authority: signs certificates in place of passwords.

        Returns:
            What each is to be given.

        Raises:
            RecordsError: nothing was kept, and what was returned before still counts.
        """
        given, rows = [], []
        for each in users:
            secret = tokens.secret() if authority is None else None
            issued = None if authority is None else authority.client(each.name)
            given.append(Enrolled(each.name, each.topic, secret, issued))
            rows.append(
                {
                    "name": each.name, "role": str(each.role), "compound": each.compound, "kind": each.kind,
                    "verifier": None if secret is None else verifier(secret),
                    "serial": None if issued is None else issued.serial, "created_ns": now_ns,
                    "expires_ns": None if issued is None else round(issued.expires.timestamp()) * 10**9,
                    "revoked_ns": None,
                }
            )  # fmt: skip
        with self._database.begin() as connection:
            for row in rows:
                _withdraw(connection, str(row["name"]), now_ns)
                connection.execute(delete(CREDENTIALS).where(CREDENTIALS.c.name == row["name"]))
            if rows:
                connection.execute(insert(CREDENTIALS), rows)
        return given

    def revoke(self, names: Sequence[str], *, now_ns: int) -> list[str]:
        """Refuse some from now on; those of them that were not refused before. Raises `RecordsError`."""
        done = []
        with self._database.begin() as connection:
            for name in names:
                _withdraw(connection, name, now_ns)
                wanted = and_(CREDENTIALS.c.name == name, CREDENTIALS.c.revoked_ns.is_(None))
                changed = connection.execute(update(CREDENTIALS).where(wanted).values(revoked_ns=now_ns, verifier=None))
                done += [name] if changed.rowcount else []
        return done

    def all(self) -> list[Credential]:
        """Everybody who is or was enrolled, by name; raises `RecordsError`."""
        with self._database.begin() as connection:
            rows = connection.execute(select(CREDENTIALS).order_by(CREDENTIALS.c.name)).mappings().all()
        return [_credential(row) for row in rows]

    def users(self) -> list[User]:
        """Those who are not refused, as the broker is told; raises `RecordsError`."""
        return [each.user for each in self.all() if each.revoked_ns is None]

    def withdrawn(self, *, now_ns: int) -> list[int]:
        """The serial numbers of certificates that are refused and have not ended yet; raises `RecordsError`."""
        wanted = select(WITHDRAWN.c.serial).where(WITHDRAWN.c.expires_ns > now_ns)
        with self._database.begin() as connection:
            return [int(serial, 16) for serial in connection.execute(wanted).scalars()]


def _withdraw(connection: Connection, name: str, now_ns: int) -> None:
    """Refuse the certificate that somebody has, where they have one that is not refused yet."""
    c = CREDENTIALS.c
    held = select(c.serial, c.expires_ns).where(c.name == name, c.serial.is_not(None), c.revoked_ns.is_(None))
    for row in connection.execute(held).all():
        connection.execute(insert(WITHDRAWN).values(serial=row.serial, withdrawn_ns=now_ns, expires_ns=row.expires_ns))


def user_of(inventory: Inventory, name: str, role: Role) -> User:
    """Somebody who may be enrolled.

    Args:
        inventory: which compounds and devices there are.
        name: id of a device, or of the compound of a gateway.
        role: which of the two.

    Raises:
        GrantError: there is no such device or compound, or its name would be taken for another's.
    """
    if RESERVED.fullmatch(name):
        raise GrantError(f"{name} is a name of the programs at the broker; call it otherwise in the inventory")
    if name in inventory.devices and name in inventory.compounds:
        raise GrantError(f"{name} is a device and a compound; call one of them otherwise in the inventory")
    if role is Role.GATEWAY:
        if name not in inventory.compounds:
            raise GrantError(f"there is no compound {name!r} in the inventory")
        return User(name=name, role=role, compound=name, kind="", verifier=None)
    device = inventory.devices.get(name)
    if device is None:
        raise GrantError(f"there is no device {name!r} in the inventory")
    return User(name=name, role=role, compound=device.compound, kind=device.kind, verifier=None)


def _credential(row: Mapping[Any, Any]) -> Credential:
    user = User(
        name=row["name"], role=Role(row["role"]), compound=row["compound"], kind=row["kind"],
        verifier=row["verifier"],
    )  # fmt: skip
    return Credential(
        user=user, serial=row["serial"], created_ns=row["created_ns"], expires_ns=row["expires_ns"],
        revoked_ns=row["revoked_ns"],
    )  # fmt: skip
