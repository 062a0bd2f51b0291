"""A client that calls an application in this process and never raises what the application raised."""

from typing import Any, Self

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

KEY = "a-key-for-tests-only-0001"


class Client:
    """Calls `app` from plain functions; use it as a context manager."""

    def __init__(self, app: FastAPI, *, key: str | None = KEY) -> None:
        """Send `key` with every call, or none."""
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {} if key is None else {"X-API-Key": key}
        self._client = httpx.AsyncClient(transport=transport, base_url="http://courtyard.test", headers=headers)
        self._context = start_blocking_portal()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        """Start the loop."""
        self._portal = self._context.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._portal is not None
        self._portal.call(self._client.aclose)
        self._context.__exit__(None, None, None)

    def request(self, method: str, url: str, **more: Any) -> httpx.Response:  # noqa: ANN401  (as httpx takes it)
        """One call."""
        assert self._portal is not None

        async def call() -> httpx.Response:
            return await self._client.request(method, url, **more)

        return self._portal.call(call)

    def get(self, url: str, **more: Any) -> httpx.Response:  # noqa: ANN401  (as httpx takes it)
        """One GET."""
        return self.request("GET", url, **more)
