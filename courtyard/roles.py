"""What one process can be: everything, ingest alone, or the API alone.

Each role loads what it uses: without the API ingest needs some 20 MB less.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing

import structlog
from prometheus_client import CollectorRegistry

from courtyard import collector, wiring
from courtyard.retention import Retention
from courtyard.settings import Settings
from devices.errors import SettingsError
from ingest.metrics import serve_metrics
from ingest.service import Ingest
from ingest.workers import Worker

_LOG = structlog.get_logger(__name__)
_WATCH_S = 1.0

Stopped = Callable[[float], bool]
"""Waits up to the given seconds, and says whether to end."""


def up(settings: Settings, stopped: Stopped) -> int:
    """Run ingest, rollups, alarms and API in one process; the exit status."""
    from courtyard.runner import Runner  # noqa: PLC0415  (ingest alone does without)

    _require_key(settings)
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    with (
        closing(wiring.open_store(settings, known)) as store,
        closing(wiring.open_rollups(settings, known)) as rolled,
        closing(wiring.open_records(settings)) as database,
        Runner(settings, inventory, known, store, rolled, database=database) as runner,
    ):
        collector.settle()
        _LOG.info("up", api=runner.api.url, store=settings.store, broker=f"{settings.mqtt_host}:{settings.mqtt_port}")
        return _watch(lambda: runner.failed, stopped)


def ingest(settings: Settings, stopped: Stopped, worker: Worker | None = None) -> int:
    """Run ingest alone, or as one of several workers that share the messages; the exit status."""
    options = wiring.ingest_options(settings, worker)
    port = settings.metrics_port + (0 if worker is None else worker.number - 1)
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        store = stack.enter_context(closing(wiring.open_store(settings, known)))
        part = Ingest(options, wiring.broker_options(settings), inventory, known, store, registry=registry)
        stack.callback(part.stop)
        retention = Retention(settings, known, store)
        stack.callback(retention.stop)
        collector.settle()
        part.start()
        if worker is None or worker.number == 1:
            retention.start()
        metrics = serve_metrics(port, registry, host=settings.metrics_host)
        stack.callback(metrics.close)
        which = {} if worker is None else {"worker": str(worker)}
        _LOG.info("up", store=settings.store, broker=f"{settings.mqtt_host}:{settings.mqtt_port}", **which)
        return _watch(lambda: part.health().failure or retention.failure, stopped)


def api(settings: Settings, stopped: Stopped) -> int:
    """Run the API alone; the exit status."""
    from alarms.book import Book  # noqa: PLC0415  (ingest alone does without)
    from alarms.calendar import Calendar  # noqa: PLC0415  (ingest alone does without)
    from api.app import create_app  # noqa: PLC0415  (ingest alone does without)
    from courtyard.ledger import ledger_reader  # noqa: PLC0415  (ingest alone does without)
    from courtyard.live import LivePart  # noqa: PLC0415  (ingest alone does without)
    from courtyard.server import ApiServer  # noqa: PLC0415  (ingest alone does without)
    from pages.site import install as install_pages  # noqa: PLC0415  (ingest alone does without)

    _require_key(settings)
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    with (
        closing(wiring.open_store(settings, known)) as store,
        closing(wiring.open_rollups(settings, known)) as rolled,
        closing(wiring.open_records(settings)) as database,
    ):
        live = LivePart(settings, inventory, known)
        options, entry = wiring.api_options(settings), wiring.doors(settings, database)
        app = create_app(
            options,
            inventory,
            known,
            store,
            ledger=ledger_reader(settings, known),
            rolled=rolled,
            alarms=Book(database),
            calendar=Calendar(database),
            hub=live.hub,
            doors=entry,
        )
        install_pages(app, entry, inventory, known)
        server = ApiServer(app, settings.api_host, settings.api_port, wiring.api_tls(settings))
        live.start()
        try:
            server.start()
            _LOG.info("up", api=server.url, store=settings.store)
            return _watch(lambda: live.failure if server.is_alive else "the API has ended", stopped)
        finally:
            live.stop()
            server.stop()


def _watch(failed: Callable[[], str | None], stopped: Stopped) -> int:
    while not stopped(_WATCH_S):
        failure = failed()
        if failure is not None:
            _LOG.critical("a part has died; ending so that a supervisor starts anew", failure=failure)
            return 1
    return 0


def _require_key(settings: Settings) -> None:
    if settings.api_key is None:
        raise SettingsError(
            "COURTYARD_API_KEY is not set: callers of the API must show a key. "
            "`python -m courtyard secrets` makes a .env with one"
        )
