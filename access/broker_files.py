"""What mosquitto reads of who is enrolled: a password file and an access list. Pure text.

Each user gets lines of its own, with the compound, kind and device of its topics written out. A `pattern` would not do:
its parts are alternatives, and `compounds/+/+/%u/+` would let a device name itself in a foreign compound.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_ROUNDS = 101
"""As many as mosquitto_passwd makes: the secrets are random, so more would only slow down a restart."""
_SALT_BYTES, _HASH_BYTES = 12, 64


class Role(StrEnum):
    """What somebody at the broker is."""

    DEVICE = "device"
    GATEWAY = "gateway"


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Somebody who may publish.

    Attributes:
        name: user name, client id, and common name of the certificate: the id of a device, or of a gateway's compound.
        role: what it is.
        compound: id of its compound.
        kind: name of its kind; "" for a gateway.
        verifier: what its password is checked against; None where it has a certificate.
    """

    name: str
    role: Role
    compound: str
    kind: str
    verifier: str | None

    @property
    def topic(self) -> str:
        """What it may publish."""
        if self.role is Role.GATEWAY:
            return f"compounds/{self.compound}/#"
        return f"compounds/{self.compound}/{self.kind}/{self.name}/+"


def verifier(secret: str) -> str:
    """What a password is checked against: PBKDF2 with SHA-512, as mosquitto 2 writes it (`$7$rounds$salt$hash`)."""
    salt = secrets.token_bytes(_SALT_BYTES)
    made = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _ROUNDS, _HASH_BYTES)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def passwords(users: Iterable[User]) -> str:
    """The password file of those who have a password."""
    return "".join(f"{each.name}:{each.verifier}\n" for each in users if each.verifier is not None)


def access_list(users: Iterable[User]) -> str:
    """The access list. Whoever is not in it, or names another topic, may do nothing; nobody may read."""
    head = "# Written by `courtyard devices`; what is not named is refused.\n"
    return head + "".join(f"\nuser {each.name}\ntopic write {each.topic}\n" for each in users)
