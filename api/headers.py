"""Headers that every answer carries."""

from types import MappingProxyType

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
)
"""Nothing may be framed, sniffed, cached or loaded from elsewhere; a page of ours widens the policy for itself."""


RATE = "courtyard_rate"
"""Under this name a request's state holds the headers that tell how its caller stands with the limit."""


class SecurityHeaders:
    """ASGI middleware that adds `SECURITY_HEADERS` where an answer does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                said = scope.get("state", {}).get(RATE, {})
                for name, value in (*SECURITY_HEADERS.items(), *said.items()):
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, add)
