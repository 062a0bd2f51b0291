"""Who may ask: an API key, recognised in constant time, and what it lets see."""

from collections.abc import Callable
from types import MappingProxyType

from starlette.requests import Request

from access.callers import Caller, Scope
from access.doors import Doors
from access.errors import AccessError, ThrottledError
from api.headers import RATE
from api.service import Service

HEADER = "X-API-Key"
CHALLENGE = MappingProxyType({"WWW-Authenticate": 'Bearer realm="courtyard"'})
"""What an answer of 401 carries."""

_BEARER = "bearer "


class Guard:
    """Lets a request pass if it carries a key that is accepted and may do what is asked."""

    def __init__(self, doors: Doors, service: Service) -> None:
        """Ask `doors` who it is, and give them their view of `service`."""
        self._doors = doors
        self._service = service
        self._needing = {scope: self._dependency(scope) for scope in Scope}

    def __call__(self, scope: Scope) -> Callable[[Request], Service]:
        """The dependency of a route that needs a scope: it gives the service as the caller sees it.

        It raises `AccessError` (`key_missing`, `key_wrong`), `ForbiddenError` and `ThrottledError`.
        """
        return self._needing[scope]

    def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            AccessError: the request carries no key (`key_missing`) or none that is accepted (`key_wrong`).
            ThrottledError: the key asks too often.
            RecordsError: the records cannot be read.
        """
        shown = _keys(request)
        found = [caller for key in shown or [""] if (caller := self._doors.by_key(key)) is not None]
        if not found:
            message = (
                "the key is not accepted: it is wrong, expired or revoked; send a valid one"
                if shown
                else f"send a key: {HEADER}: … or Authorization: Bearer …"
            )
            raise AccessError(message, code="key_wrong" if shown else "key_missing")
        standing = self._doors.requests.hit(found[0].id)
        if standing is not None:
            setattr(request.state, RATE, standing.headers)
            if not standing.allowed:
                raise ThrottledError(
                    f"{standing.limit} requests a minute are served for one key; ask again in {standing.reset_s} s",
                    retry_after_s=standing.reset_s,
                )
        return found[0]

    def is_still_good(self, request: Request, caller: Caller) -> bool:
        """Whether the key that a request carried would still be accepted; for answers that do not end."""
        return any(self._doors.by_key(key) == caller for key in _keys(request) or [""])

    def _dependency(self, scope: Scope) -> Callable[[Request], Service]:
        def let_in(request: Request) -> Service:
            caller = self.caller(request)
            caller.require(scope)
            return self._service.seen_by(caller)

        return let_in


def _keys(request: Request) -> list[str]:
    """The keys a request carries; either header may hold one, since proxies use `Authorization` for their own ends."""
    found = request.headers.getlist(HEADER)
    found += [
        value[len(_BEARER) :].strip()
        for value in request.headers.getlist("Authorization")
        if value[: len(_BEARER)].lower() == _BEARER
    ]
    # Headers are decoded as Latin-1; encoding gives back the bytes that were sent. A handful is enough for anyone.
    return [value.encode("latin-1").decode("utf-8", "replace") for value in found[:4] if value]
