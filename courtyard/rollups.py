"""The rollup worker in its place: in a process of its own, or as a thread beside ingest and API."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import structlog
from prometheus_client import CollectorRegistry

from courtyard import wiring
from courtyard.retention import days_of_kinds
from courtyard.settings import Settings
from courtyard.threads import Threads
from devices.inventory import Inventory
from devices.kind import Kind
from rollups.metrics import RollupMetrics
from rollups.worker import Told, Worker, WorkerOptions
from store.protocol import Store

_LOG = structlog.get_logger(__name__)


class RollupPart:
    """The worker on the settings' stores and logs.

    Attributes:
        worker: the worker.
    """

    def __init__(  # noqa: PLR0913  (what it is wired to)
        self,
        settings: Settings,
        inventory: Inventory,
        known: Mapping[str, Kind],
        raw: Store,
        rolled: Store,
        *,
        registry: CollectorRegistry | None = None,
        told: Told | None = None,
    ) -> None:
        """Open the logs.

        Args:
            settings: as loaded.
            inventory: which compounds and devices there are.
            known: the kinds.
            raw: holds readings; it stays the caller's.
            rolled: holds rollups; it stays the caller's.
            registry: where its metrics are registered; nowhere where None.
            told: is told how long work goes on.

        Raises:
            WriteLogError: the logs cannot be opened, or another worker runs.
        """
        self._threads = Threads()
        self._logs = wiring.open_logs(settings)
        options = WorkerOptions(
            raw_days=settings.retention_days, raw_days_of=days_of_kinds(settings.retention_days_of, known)
        )
        metrics = RollupMetrics(registry)
        self.worker = Worker(options, known, inventory, raw, rolled, self._logs, metrics=metrics, told=told)

    @property
    def failure(self) -> str | None:
        """Why its thread died; None while it has not."""
        return self._threads.failure

    def start(self) -> None:
        """Work in a thread."""
        self._threads.begin("rollups", self.worker.run)

    def stop(self) -> None:
        """End the thread, and let go of the logs."""
        self._threads.stop()
        self._logs.close()


def run(settings: Settings, work: Callable[[Worker], None], *, told: Told | None = None, serve: bool = False) -> None:
    """Open stores and logs, and let a worker work.

    Args:
        settings: as loaded.
        work: is given the worker.
        told: is told how long work goes on.
        serve: whether its metrics are served meanwhile.

    Raises:
        CourtyardError: a setting is wrong, a store fails, or another worker runs.
    """
    from ingest.metrics import serve_metrics  # noqa: PLC0415  (a single run serves none)

    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        raw, rolled = wiring.open_store(settings, known), wiring.open_rollups(settings, known)
        stack.callback(raw.close)
        stack.callback(rolled.close)
        part = RollupPart(settings, inventory, known, raw, rolled, registry=registry, told=told)
        stack.callback(part.stop)
        if serve:
            metrics = serve_metrics(settings.rollups_metrics_port, registry, host=settings.metrics_host)
            stack.callback(metrics.close)
            _LOG.info("up", store=settings.store)
        work(part.worker)
