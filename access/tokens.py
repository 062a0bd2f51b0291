"""Secrets that are shown once: random, recognisable by what scans for leaked ones, kept as digests alone.

They have 192 random bits, so a plain SHA-256 keeps them as well as a slow hash would: there is nothing to guess.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

_SECRET_BYTES = 24  # 192 bits
_ID_BYTES = 6
_FORM = re.compile(r"cyk_([0-9a-f]{12})_([A-Za-z0-9_-]{32})")


class Token(NamedTuple):
    """A token by its parts.

    Attributes:
        id: names it in lists and logs.
        text: all of it, to be shown once.
        digest: what is kept.
    """

    id: str
    text: str
    digest: str


def make() -> Token:
    """A new token."""
    number, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    text = f"cyk_{number}_{secret}"
    return Token(number, text, digest(text))


def read(text: str) -> Token | None:
    """The parts of a token that somebody shows; None where it is none."""
    found = _FORM.fullmatch(text)
    return None if found is None else Token(found[1], text, digest(text))


def digest(text: str) -> str:
    """What is kept of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def secret() -> str:
    """192 random bits as text that a URL, a shell and a password file take."""
    return secrets.token_urlsafe(_SECRET_BYTES)
