"""Everything the API can answer, without HTTP. The endpoints, the pages and the demo's table all ask this."""

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import structlog

from access.audit import Audit
from access.callers import Caller
from alarms.book import Book
from alarms.calendar import Calendar
from api import (
    catalogue,
    export_readings,
    export_statistics,
    inventory,
    readings,
    report,
    report_file,
    rollups,
    statistics,
)
from api.alarms import Alarms
from api.answers import FleetAnswer, ReadingsAnswer, StatisticsAnswer
from api.context import Context
from api.errors import BusyError, LedgerAwayError, NotReadyError
from api.export import File
from api.export_readings import ReadingsExport
from api.export_statistics import StatisticsExport
from api.files import Format
from api.held import Held
from api.inventory import DevicesQuestion
from api.ledger import Ledger, LedgerAnswer
from api.maintenance import Maintenance
from api.models import (
    CompoundDetail,
    CompoundList,
    DeviceDetail,
    DeviceList,
    KindList,
    Overview,
    StatisticList,
    Title,
)
from api.options import ApiOptions
from api.present import Present
from api.readings import ReadingsQuestion
from api.report import Report, ReportQuestion
from api.rollups import RollupList
from api.statistics import StatisticsQuestion
from api.times import Clock
from devices.errors import StoreError
from devices.inventory import RESERVED, Inventory
from devices.kind import Kind
from devices.statistics import Group
from rollups.reader import Reader
from store.protocol import Store

IngestHealth = Callable[[], Sequence[str]]
"""Says why ingest cannot do its work, one sentence a reason; empty while it can. It must not block."""

_THREADS = 4
"""So many questions about the present are asked of the store at once."""

_VIEWS = 1000
"""So many callers' views of the service are kept."""

_log = structlog.get_logger("api")


class Service:
    """Answers questions about one installation. Any number of threads may ask at once.

    Attributes:
        context: the world that they are about.
        alarms: answers those about alarms.
        maintenance: answers those about maintenance.
    """

    def __init__(  # noqa: PLR0913  (it is given all it works on)
        self,
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
        audit: Audit | None = None,
        clock: Clock = time.time_ns,
    ) -> None:
        """Answer from `store` and the declarations.

        Args:
            options: limits.
            inventory: which compounds and devices there are.
            kinds: how each kind is declared.
            store: where the rows are.
            ingest_health: asked by `ready`; None where ingest runs elsewhere.
            ledger: reads the ledger; None where it is out of reach.
            rolled: where the rollups are; None where there are none.
            alarms: the book of alarms; None where it is out of reach.
            calendar: the calendar of maintenance; None where it is out of reach.
            audit: where it is written who did what; None where nothing is kept.
            clock: the present.
        """
        self.context = Context(
            options=options,
            inventory=inventory,
            kinds=kinds,
            store=store,
            reader=Reader(store, rolled, inventory),
            clock=clock,
            threads=ThreadPoolExecutor(_THREADS, thread_name_prefix="present"),
            audit=audit,
        )
        self._book, self._calendar = alarms, calendar
        self._views: OrderedDict[Caller, Service] = OrderedDict()
        self.alarms = Alarms(self.context, alarms)
        self.maintenance = Maintenance(self.context, calendar)
        self._ingest_health = ingest_health
        self._ledger = ledger
        self._heavy = threading.BoundedSemaphore(options.heavy_at_once)
        self._kinds = catalogue.kind_list(kinds)
        self._present = Present(self.context)
        # /ready is open to anyone: a crowd must not reach the store.
        self._reasons = Held(lambda: tuple(self._away()), options.hold_s)

    def seen_by(self, caller: Caller) -> "Service":
        """The service as somebody sees it: their compounds alone, and what they do written down in their name."""
        made = self._views.get(caller)
        if made is None:
            made = copy.copy(self)
            chosen = caller.grant.compounds
            inventory = self.context.inventory if chosen is None else self.context.inventory.within(chosen)
            made.context = replace(self.context, inventory=inventory, caller=caller)
            made.alarms, made.maintenance = Alarms(made.context, self._book), Maintenance(made.context, self._calendar)
            self._views[caller] = made
            while len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return made

    def compounds(self) -> CompoundList:
        """All compounds."""
        found = self.context.inventory
        return CompoundList(
            name=Title.of(found.name),
            total=len(found.compounds),
            compounds=[catalogue.compound_summary(each) for each in found.compounds.values()],
        )

    def compound(self, name: str) -> CompoundDetail:
        """One compound, and how it is now; raises NotFoundError, StoreError."""
        compound = self.context.compound(name)
        now = self._present.compound(compound.id)
        return CompoundDetail(**dict(catalogue.compound_summary(compound)), now=now)

    def overview(self) -> Overview:
        """All compounds at this moment: people inside, devices by state, last readings; raises StoreError."""
        mine = self.context.inventory.compounds
        return Overview(compounds=[each for each in self._present.compounds() if each.id in mine])

    def kinds(self) -> KindList:
        """All kinds."""
        return self._kinds

    def catalogue(self, group: Group | None = None, kinds: tuple[str, ...] = ()) -> StatisticList:
        """Every declared statistic, or those of one group or some kinds; raises QueryError."""
        known = tuple(self.context.kind(name).name for name in kinds)
        return catalogue.statistic_list(self.context.kinds, group, known)

    def devices(self, question: DevicesQuestion) -> DeviceList:
        """A page of devices; raises QueryError, NotFoundError, StoreError."""
        return inventory.find(self.context, question, self._present)

    def device(self, name: str) -> DeviceDetail:
        """One device; raises NotFoundError, StoreError."""
        return inventory.detail(self.context, self.context.device(name), self._present)

    def readings(self, name: str, question: ReadingsQuestion) -> ReadingsAnswer:
        """A page of a device's readings; raises QueryError, NotFoundError, StoreError, BusyError."""
        device = self.context.device(name)
        with self._one_of_few():
            return readings.read(self.context, device, question)

    def statistics(self, name: str, group: Group, question: StatisticsQuestion) -> StatisticsAnswer:
        """Statistics of a compound; raises QueryError, NotFoundError, StoreError, BusyError."""
        compound = self.context.compound(name)
        with self._one_of_few():
            return statistics.answer(self.context, compound, group, question)

    def fleet(self, group: Group, question: StatisticsQuestion) -> FleetAnswer:
        """Statistics of all compounds together; raises QueryError, StoreError, BusyError."""
        with self._one_of_few():
            return statistics.fleet(self.context, group, question)

    def export_readings(self, question: ReadingsExport) -> File:
        """Raw readings as a file; raises QueryError, NotFoundError, StoreError, BusyError."""
        return export_readings.readings(self.context, question, self._one_of_few)

    def export_statistics(self, question: StatisticsExport) -> File:
        """Statistics as a file; raises QueryError, NotFoundError, StoreError, BusyError."""
        return export_statistics.figures(self.context, question, self._one_of_few)

    def report(self, question: ReportQuestion) -> Report:
        """A day or a month for people; raises QueryError, NotFoundError, StoreError, RecordsError, BusyError."""
        return report.report(self.context, self.alarms, question, self._one_of_few)

    def report_file(self, question: ReportQuestion, format_: Format) -> File:
        """The figures of a report as a file; raises as `report` does."""
        self.context.record("export.report", question.compound or RESERVED, date=question.date)
        return report_file.report_file(self.report(question), format_)

    def rollups(self) -> RollupList:
        """How far the rollups have come; raises StoreError."""
        self.context.caller.require_everywhere()
        return rollups.how_far(self.context)

    def ledger(self, device: str | None, limit: int) -> LedgerAnswer:
        """What became of everything received; raises NotFoundError, LedgerAwayError, BusyError."""
        self.context.caller.require_everywhere()
        if device is not None:
            self.context.device(device)
        if self._ledger is None:
            raise LedgerAwayError(
                "this API does not know where ingest keeps its ledger; ask where ingest runs: "
                "`python -m courtyard ledger`"
            )
        with self._one_of_few():
            return self._ledger(device, limit)

    def check_ready(self) -> None:
        """Check that the store answers and ingest works; raises NotReadyError with the reasons where not."""
        if reasons := self._reasons():
            raise NotReadyError(reasons)

    def _away(self) -> Iterator[str]:
        try:
            self.context.store.ping()
        except StoreError as exc:
            _log.warning("the store does not answer", code=exc.code, error=exc.message)
            # The message of a store names its address, and /ready is open to anyone.
            yield f"the store does not answer ({exc.code})"
        if self._ingest_health is not None:
            yield from self._ingest_health()

    @contextmanager
    def _one_of_few(self) -> Iterator[None]:
        """Wait for a place among the questions that read history: each may hold a month of rows in memory."""
        options = self.context.options
        if not self._heavy.acquire(timeout=options.heavy_wait_s):
            raise BusyError("too many questions about history are being answered; try again in a few seconds")
        try:
            yield
        finally:
            self._heavy.release()
