"""Who may ask: API keys, compared in constant time."""

import hashlib
import hmac
from types import MappingProxyType

from starlette.requests import Request

from api.errors import AccessError
from api.options import ApiOptions

HEADER = "X-API-Key"
CHALLENGE = MappingProxyType({"WWW-Authenticate": 'Bearer realm="courtyard"'})
"""What an answer of 401 carries."""

_BEARER = "bearer "


class Guard:
    """Lets a request pass if it carries a key that is accepted; a dependency of every protected route."""

    def __init__(self, options: ApiOptions) -> None:
        """Keep the digests of the keys, not the keys."""
        self._open = options.open_access
        self._digests = tuple(_digest(key.encode()) for key in options.keys)

    def __call__(self, request: Request) -> None:
        """Check one request.

        Raises:
            AccessError: it carries no key (`key_missing`) or none that is accepted (`key_wrong`).
        """
        if not self.admits(request):
            sent = bool(_keys(request))
            message = (
                "the key is not accepted; send a valid one"
                if sent
                else f"send a key: {HEADER}: … or Authorization: Bearer …"
            )
            raise AccessError(message, code="key_wrong" if sent else "key_missing")

    def admits(self, request: Request) -> bool:
        """Whether a request may pass."""
        if self._open:
            return True
        # Every pair is compared, so that the time taken tells nothing about which key was close.
        matches = [hmac.compare_digest(_digest(key), digest) for key in _keys(request) for digest in self._digests]
        return any(matches)


def _keys(request: Request) -> list[bytes]:
    """The keys a request carries; either header may hold one, since proxies use `Authorization` for their own ends."""
    found = request.headers.getlist(HEADER)
    found += [
        value[len(_BEARER) :].strip()
        for value in request.headers.getlist("Authorization")
        if value[: len(_BEARER)].lower() == _BEARER
    ]
    # Headers are decoded as Latin-1; encoding gives back the bytes that were sent. A handful is enough for anyone.
    return [value.encode("latin-1") for value in found[:4] if value]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
