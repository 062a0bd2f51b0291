"""The all-in-one runner: ingest, rollups, alarms and API in one process, on the same stores, each in its turn."""

from contextlib import ExitStack
from typing import Self

import structlog
from prometheus_client import CollectorRegistry

from alarms.book import Book
from alarms.calendar import Calendar
from api.app import create_app
from api.service import Service
from courtyard.alarms import AlarmPart
from courtyard.ledger import ledger_reader
from courtyard.live import LivePart
from courtyard.retention import Retention
from courtyard.rollups import RollupPart
from courtyard.server import ApiServer
from courtyard.settings import Settings
from courtyard.wiring import api_options, api_tls, broker_options, doors, ingest_options
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.deliver import WriterState
from ingest.health import Health
from ingest.metrics import serve_metrics
from ingest.service import Ingest
from pages.site import install as install_pages
from records.database import Database
from store.protocol import Store

_STUCK = {
    WriterState.STORE_UNAVAILABLE: "the store is away; readings wait in the spool",
    WriterState.STORE_DENIED: "the store refuses our token; readings wait in the spool",
    WriterState.SPOOL_UNAVAILABLE: "the spool cannot be read or written",
}
_LOG = structlog.get_logger(__name__)


class Runner:
    """Runs ingest, rollups, alarms and API until the block ends.

    Attributes:
        ingest: takes the readings.
        service: answers the API's questions, for callers of this process.
        api: serves the answers.
    """

    def __init__(  # noqa: PLR0913  (what it wires together)
        self,
        settings: Settings,
        inventory: Inventory,
        known: Registry,
        store: Store,
        rolled: Store,
        *,
        database: Database,
        open_access: bool = False,
    ) -> None:
        """Wire the parts together; `with` starts them.

        Args:
            settings: as loaded.
            inventory: which compounds and devices there are.
            known: the kinds.
            store: holds readings; it stays the caller's.
            rolled: holds rollups; it stays the caller's.
            database: keeps records; it stays the caller's.
            open_access: whether the API asks for no key.
        """
        self._settings = settings
        self._registry = CollectorRegistry()
        self._live = LivePart(settings, inventory, known)
        options = api_options(settings, open_access=open_access)
        entry = doors(settings, database, open_access=open_access)
        app = create_app(
            options,
            inventory,
            known,
            store,
            ingest_health=self._complaints,
            ledger=ledger_reader(settings, known),
            rolled=rolled,
            alarms=Book(database),
            calendar=Calendar(database),
            hub=self._live.hub,
            doors=entry,
        )
        install_pages(app, entry, inventory, known)
        self.service: Service = app.state.service
        self.api = ApiServer(app, settings.api_host, settings.api_port, api_tls(settings))
        self.ingest = Ingest(
            ingest_options(settings), broker_options(settings), inventory, known, store, registry=self._registry
        )
        self._retention = Retention(settings, known, store)
        self._rollups = RollupPart(settings, inventory, known, store, rolled, registry=self._registry)
        self._alarms = AlarmPart(settings, inventory, known, store, database, registry=self._registry)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start ingest first, so that its session exists before any device publishes, then the API."""
        settings = self._settings
        with ExitStack() as stack:
            stack.callback(self.ingest.stop)
            self.ingest.start()
            metrics = serve_metrics(settings.metrics_port, self._registry, host=settings.metrics_host)
            stack.callback(metrics.close)
            stack.callback(self._retention.stop)
            self._retention.start()
            stack.callback(self._rollups.stop)
            self._rollups.start()
            stack.callback(self._alarms.stop)
            self._alarms.start()
            stack.callback(self.api.stop)
            # The streams end first: the server waits for what is under way.
            stack.callback(self._live.stop)
            self._live.start()
            self.api.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop answering, stop receiving, drain the spool."""
        self._stack.close()

    @property
    def failed(self) -> str | None:
        """Which part died, or None."""
        if not self.api.is_alive:
            return "the API has ended"
        others = (self._retention, self._rollups, self._alarms, self._live)
        return self.ingest.health().failure or next((each.failure for each in others if each.failure), None)

    def _complaints(self) -> list[str]:
        return complaints(self.ingest.health())


def complaints(health: Health) -> list[str]:
    """Why messages do not flow from the broker to the store; empty while they do."""
    reasons = []
    if health.failure is not None:
        reasons.append(health.failure)
    if not health.connected:
        reasons.append("the MQTT broker is away")
    if health.backpressure:
        reasons.append("the spool takes no more: nothing is acknowledged until the store has caught up")
    if health.writer in _STUCK:
        reasons.append(_STUCK[health.writer])
    return reasons
