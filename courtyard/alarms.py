"""The alarm worker and the senders in their place: in a process of their own, or as threads beside ingest and API."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

import structlog
from prometheus_client import CollectorRegistry

from access.audit import Audit
from alarms.book import Book
from alarms.calendar import Calendar
from alarms.messages import Composer
from alarms.metrics import AlarmMetrics
from alarms.outbox import Outbox
from alarms.post import post_to
from alarms.sender import Sender
from alarms.worker import READER, AlarmWorker
from courtyard import wiring
from courtyard.settings import Settings
from courtyard.threads import Threads
from devices.errors import CourtyardError
from devices.inventory import Inventory
from devices.kind import Kind
from records.database import Database
from store.protocol import Store

_WATCH_S = 1.0
_LOG = structlog.get_logger(__name__)


class AlarmsDiedError(CourtyardError):
    """A thread of the alarms has died; the log says how."""

    code = "alarms_died"


class AlarmPart:
    """The worker on the settings' logs, and a sender for each target.

    Attributes:
        worker: the worker.
    """

    def __init__(  # noqa: PLR0913  (what it is wired to)
        self,
        settings: Settings,
        inventory: Inventory,
        known: Mapping[str, Kind],
        raw: Store,
        database: Database,
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Open the logs.

        Args:
            settings: as loaded.
            inventory: which compounds and devices there are.
            known: the kinds.
            raw: holds readings; it stays the caller's.
            database: keeps the book; it stays the caller's.
            registry: where its metrics are registered; nowhere where None.

        Raises:
            SettingsError: the file of alarm rules or that of targets is wrong.
            WriteLogError: the logs cannot be opened, or another worker runs.
        """
        self._threads = Threads()
        self._settings, self._audit = settings, Audit(database)
        rules = wiring.alarm_rules(settings, known, inventory)
        targets = wiring.alarm_targets(settings, inventory)
        outbox, composer = Outbox(database), Composer(known, inventory)
        self._senders = [(each.name, Sender(each, outbox, composer, post_to(each))) for each in targets]
        self._logs = wiring.open_logs(settings, reader=READER)
        self.worker = AlarmWorker(
            known,
            inventory,
            raw,
            Book(database),
            self._logs,
            rules=rules,
            calendar=Calendar(database),
            targets=targets,
            metrics=AlarmMetrics(registry),
        )

    @property
    def failure(self) -> str | None:
        """Which thread died, and why; None while none has."""
        return self._threads.failure

    def start(self) -> None:
        """Work in threads: one follows what is written, and one sends to each target.

        Raises:
            RecordsError: the records cannot be written.
        """
        self._note_files()
        self._threads.begin("alarms", self.worker.run)
        for name, sender in self._senders:
            self._threads.begin(f"alarms-{name}", sender.run)

    def stop(self) -> None:
        """End the threads, and let go of the logs."""
        self._threads.stop()
        self._logs.close()

    def _note_files(self) -> None:
        """Write down that the rules, or who is told, are others than at the last start."""
        for what, path in (
            ("rules.change", self._settings.alarm_rules),
            ("targets.change", self._settings.alarm_targets),
        ):
            digest = "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
            before = self._audit.last(what)
            if digest != ("" if before is None else before.detail["sha256"]):
                self._audit.write("process", what, "" if path is None else path.name, sha256=digest)


def run(settings: Settings, stopped: Callable[[float], bool]) -> None:
    """Keep the alarms until the end is asked for.

    Args:
        settings: as loaded.
        stopped: waits up to the given seconds, and says whether to end.

    Raises:
        CourtyardError: a setting is wrong, a store fails, or another worker runs.
    """
    from ingest.metrics import serve_metrics  # noqa: PLC0415  (whoever runs all in one process serves its own)

    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        raw = stack.enter_context(closing(wiring.open_store(settings, known)))
        database = stack.enter_context(closing(wiring.open_records(settings)))
        part = AlarmPart(settings, inventory, known, raw, database, registry=registry)
        stack.callback(part.stop)
        metrics = serve_metrics(settings.alarms_metrics_port, registry, host=settings.metrics_host)
        stack.callback(metrics.close)
        _LOG.info("up", store=settings.store)
        part.start()
        while not stopped(_WATCH_S):
            if part.failure is not None:
                raise AlarmsDiedError(part.failure)
