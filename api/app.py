"""Puts the API together."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from access.doors import Doors
from alarms.book import Book
from alarms.calendar import Calendar
from api import problems
from api.auth import Guard
from api.headers import SecurityHeaders
from api.keys import keys_router
from api.ledger import Ledger
from api.metrics import Measured, Metrics
from api.openapi import describe
from api.options import ApiOptions
from api.routes import alarms_router, data_router, docs_router, operations_router
from api.service import IngestHealth, Service
from api.stream import stream_router
from api.times import HOW, Clock
from devices.inventory import Inventory
from devices.kind import Kind
from live.hub import Hub
from store.protocol import Store

VERSION = "1"
_DESCRIPTION = (
    "Telemetry of the smart facilities of residential compounds. Spans are half-open, buckets lie on the compound's "
    "wall clock, and every figure comes with its coverage: null is unobserved, which is neither zero nor offline. "
    f"Times: {HOW}."
)
_GZIP_FROM_BYTES = 1024
_GZIP_LEVEL = 5


def create_app(  # noqa: PLR0913  (it is given all it works on)
    options: ApiOptions,
    inventory: Inventory,
    kinds: Mapping[str, Kind],
    store: Store,
    *,
    ingest_health: IngestHealth | None = None,
    ledger: Ledger | None = None,
    rolled: Store | None = None,
    alarms: Book | None = None,
    calendar: Calendar | None = None,
    hub: Hub | None = None,
    doors: Doors | None = None,
    clock: Clock = time.time_ns,
) -> FastAPI:
    """Build the application.

    Args:
        options: keys and limits.
        inventory: which compounds and devices there are.
        kinds: how each kind is declared.
        store: where the rows are; it stays the caller's to close.
        ingest_health: reasons why ingest cannot work, none while it can; None where it runs elsewhere.
        ledger: reads the ledger; None where it is out of reach.
        rolled: where the rollups are; None where there are none. It stays the caller's to close.
        alarms: the book of alarms; None where it is out of reach.
        calendar: the calendar of maintenance; None where it is out of reach.
        hub: what devices say this moment; None where no broker is followed.
        doors: who is let in; those with a key of `options` where None.
        clock: the present, in nanoseconds since the epoch.

    Returns:
        An ASGI application. Its service is `app.state.service`, for callers of the same process.
    """
    service = Service(
        options, inventory, kinds, store, ingest_health=ingest_health, ledger=ledger, rolled=rolled, alarms=alarms,
        calendar=calendar, audit=None if doors is None else doors.audit, clock=clock,
    )  # fmt: skip
    app = FastAPI(
        title="Courtyard",
        version=VERSION,
        description=_DESCRIPTION,
        docs_url=None,  # Swagger UI loads from elsewhere; ours works offline
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    doors = Doors(keys=options.keys, open_access=options.open_access) if doors is None else doors
    guard, metrics = Guard(doors, service), Metrics(hub)
    app.state.service = service
    app.include_router(operations_router(service, guard, metrics))
    app.include_router(data_router(guard))
    app.include_router(alarms_router(guard))
    app.include_router(stream_router(guard, hub))
    app.include_router(keys_router(doors, guard))
    app.include_router(docs_router())
    problems.install(app)
    # Last added is outermost: what is measured is what a caller waits for.
    app.add_middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES, compresslevel=_GZIP_LEVEL)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Measured, metrics=metrics)

    def openapi() -> dict[str, Any]:
        return describe(app)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to complete the description
    return app
