"""What the API counts about itself, as Prometheus reads it."""

import time
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from live.hub import Hub

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ENDLESS = "text/event-stream"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts requests by route, method and status. Labels come from our routes only, never from what was sent."""

    def __init__(self, hub: Hub | None = None) -> None:
        """Start at zero, in a registry of its own: two apps of one process do not share counts.

        Args:
            hub: whose streams are counted, too.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "courtyard_api_requests_total", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "courtyard_api_request_seconds",
            "Time from request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        if hub is not None:
            streams = Gauge("courtyard_api_streams", "Live streams that are open.", registry=self._registry)
            streams.set_function(lambda: hub.streams)
            dropped = Gauge(
                "courtyard_api_streams_dropped", "Live streams ended as too slow, since the start.",
                registry=self._registry,
            )  # fmt: skip
            dropped.set_function(lambda: hub.dropped)

    def observe(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All counts in the Prometheus text format."""
        return generate_latest(self._registry)


class Measured:
    """ASGI middleware that counts what passes through it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap `app`, counting into `metrics`."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        taken: float | None = None

        async def watch(message: Message) -> None:
            nonlocal status, taken
            if message["type"] == "http.response.start":
                status = message["status"]
                if Headers(raw=message["headers"]).get("content-type", "").startswith(_ENDLESS):
                    taken = time.perf_counter() - begun  # how long somebody listens is not how long an answer takes
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            # The router leaves the matched route in the scope; an address that matches none has no name of its own.
            route = getattr(scope.get("route"), "path", "unmatched")
            seconds = time.perf_counter() - begun if taken is None else taken
            self._metrics.observe(route=route, method=scope["method"], status=status, seconds=seconds)
