"""The endpoints: each asks the service and answers with what it says."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from access.callers import Scope
from api import pages
from api.alarms import Acknowledgement, AlarmList, AlarmModel, AlarmSummary, Snooze
from api.answers import FleetAnswer, ReadingsAnswer, StatisticsAnswer
from api.auth import Guard
from api.export import File
from api.files import Format
from api.ledger import LedgerAnswer
from api.maintenance import NewWindow, WindowList, WindowModel
from api.metrics import CONTENT_TYPE, Metrics
from api.models import (
    CompoundDetail,
    CompoundList,
    DeviceDetail,
    DeviceList,
    Health,
    KindList,
    Overview,
    StatisticList,
)
from api.questions import (
    AlarmsParams,
    CatalogueParams,
    DevicesParams,
    FleetParams,
    LedgerParams,
    NoParams,
    ReadingsExportParams,
    ReadingsParams,
    ReportParams,
    StatisticsExportParams,
    StatisticsParams,
)
from api.report import Length, Report
from api.rollups import RollupList
from api.service import Service
from devices.statistics import Group

JSON = "application/json"
_Number = Annotated[int, Path(ge=1, le=2**62, description="Its number")]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {each.media_type.partition(";")[0]: {"schema": {"type": "string"}} for each in Format},
    }
}


def data_router(guard: Guard) -> APIRouter:  # noqa: C901  (one small function per route)
    """The routes under /v1. They are plain functions, so each runs in a thread: a store blocks."""
    router = APIRouter()
    seen = Depends(guard(Scope.READ))

    @router.get("/v1/compounds", tags=["compounds"], response_model=CompoundList)
    def list_compounds(mine: Annotated[Service, seen], _: Annotated[NoParams, Query()]) -> Response:
        """All compounds of the inventory."""
        return _json(mine.compounds())

    @router.get("/v1/compounds/{compound}", tags=["compounds"], response_model=CompoundDetail)
    def get_compound(mine: Annotated[Service, seen], compound: str, _: Annotated[NoParams, Query()]) -> Response:
        """One compound, with its devices by kind and state, and its occupancy now."""
        return _json(mine.compound(compound))

    @router.get("/v1/overview", tags=["compounds"], response_model=Overview)
    def get_overview(mine: Annotated[Service, seen], _: Annotated[NoParams, Query()]) -> Response:
        """All compounds at this moment: people inside, devices by state, occupancy, age of the data."""
        return _json(mine.overview())

    @router.get("/v1/compounds/{compound}/occupancy", tags=["statistics"], response_model=StatisticsAnswer)
    def get_occupancy(
        mine: Annotated[Service, seen], compound: str, params: Annotated[StatisticsParams, Query()]
    ) -> Response:
        """How full things are: people inside, connectors and cells occupied, fill levels."""
        return _json(mine.statistics(compound, Group.OCCUPANCY, params.question()))

    @router.get("/v1/compounds/{compound}/usage", tags=["statistics"], response_model=StatisticsAnswer)
    def get_usage(
        mine: Annotated[Service, seen], compound: str, params: Annotated[StatisticsParams, Query()]
    ) -> Response:
        """How much things are used: passes, energy, sessions, parcels, deposits, incidents."""
        return _json(mine.statistics(compound, Group.USAGE, params.question()))

    @router.get("/v1/compounds/{compound}/availability", tags=["statistics"], response_model=StatisticsAnswer)
    def get_availability(
        mine: Annotated[Service, seen], compound: str, params: Annotated[StatisticsParams, Query()]
    ) -> Response:
        """Whether things work: online, offline, outages, faults."""
        return _json(mine.statistics(compound, Group.AVAILABILITY, params.question()))

    @router.get("/v1/fleet/occupancy", tags=["statistics"], response_model=FleetAnswer)
    def get_fleet_occupancy(mine: Annotated[Service, seen], params: Annotated[FleetParams, Query()]) -> Response:
        """Occupancy of all compounds together."""
        return _json(mine.fleet(Group.OCCUPANCY, params.question()))

    @router.get("/v1/fleet/usage", tags=["statistics"], response_model=FleetAnswer)
    def get_fleet_usage(mine: Annotated[Service, seen], params: Annotated[FleetParams, Query()]) -> Response:
        """Usage of all compounds together."""
        return _json(mine.fleet(Group.USAGE, params.question()))

    @router.get("/v1/fleet/availability", tags=["statistics"], response_model=FleetAnswer)
    def get_fleet_availability(mine: Annotated[Service, seen], params: Annotated[FleetParams, Query()]) -> Response:
        """Availability of all compounds together."""
        return _json(mine.fleet(Group.AVAILABILITY, params.question()))

    @router.get("/v1/devices", tags=["devices"], response_model=DeviceList)
    def list_devices(mine: Annotated[Service, seen], params: Annotated[DevicesParams, Query()]) -> Response:
        """Devices with their connection, filtered and a page at a time."""
        return _json(mine.devices(params.question()))

    @router.get("/v1/devices/{device}", tags=["devices"], response_model=DeviceDetail)
    def get_device(mine: Annotated[Service, seen], device: str, _: Annotated[NoParams, Query()]) -> Response:
        """One device: its connection and the latest telemetry of each part, by the device's own time."""
        return _json(mine.device(device))

    @router.get("/v1/devices/{device}/readings", tags=["devices"], response_model=ReadingsAnswer)
    def get_readings(
        mine: Annotated[Service, seen], device: str, params: Annotated[ReadingsParams, Query()]
    ) -> Response:
        """Raw readings or events of one device, a page at a time."""
        return _json(mine.readings(device, params.question()))

    @router.get("/v1/export/readings", tags=["export"], responses=_FILES, response_class=Response)
    def export_readings(mine: Annotated[Service, seen], params: Annotated[ReadingsExportParams, Query()]) -> Response:
        """Raw readings or events of any devices of a kind as a file, by time, however many."""
        return _sent(mine.export_readings(params.question()))

    @router.get("/v1/export/statistics", tags=["export"], responses=_FILES, response_class=Response)
    def export_statistics(
        mine: Annotated[Service, seen], params: Annotated[StatisticsExportParams, Query()]
    ) -> Response:
        """Statistics of a compound, of some of its devices, or of all compounds together as a file."""
        return _sent(mine.export_statistics(params.question()))

    @router.get("/v1/reports/{length}", tags=["reports"], response_model=Report, responses=_FILES)
    def get_report(
        mine: Annotated[Service, seen], length: Length, params: Annotated[ReportParams, Query()]
    ) -> Response:
        """A day or a month, of a compound or of all: what was down, what was used, what may fail or be full next."""
        question = params.question(length)
        return (
            _json(mine.report(question))
            if params.format == "json"
            else _sent(mine.report_file(question, Format(params.format)))
        )

    @router.get("/v1/kinds", tags=["catalogue"], response_model=KindList)
    def list_kinds(mine: Annotated[Service, seen], _: Annotated[NoParams, Query()]) -> Response:
        """Kinds of devices: fields, units, events, statistics, topics and the JSON schema of payloads."""
        return _json(mine.kinds())

    @router.get("/v1/statistics", tags=["catalogue"], response_model=StatisticList)
    def list_statistics(mine: Annotated[Service, seen], params: Annotated[CatalogueParams, Query()]) -> Response:
        """Every statistic with its unit, titles and definition."""
        return _json(mine.catalogue(params.group, tuple(params.kind)))

    return router


def alarms_router(guard: Guard) -> APIRouter:
    """What needs hands."""
    router = APIRouter(tags=["alarms"])
    seen = Depends(guard(Scope.READ))
    taking = Depends(guard(Scope.ACKNOWLEDGE))
    managing = Depends(guard(Scope.MANAGE))

    @router.get("/v1/alarms", response_model=AlarmList)
    def list_alarms(mine: Annotated[Service, seen], params: Annotated[AlarmsParams, Query()]) -> Response:
        """Alarms: what needs hands now, the worst first; or what did."""
        return _json(mine.alarms.find(params.question()))

    @router.get("/v1/alarms/summary", response_model=AlarmSummary)
    def summarise_alarms(mine: Annotated[Service, seen], params: Annotated[AlarmsParams, Query()]) -> Response:
        """How many were raised, and how long it took to acknowledge and to clear them."""
        return _json(mine.alarms.summary(params.question()))

    @router.get("/v1/alarms/{alarm}", response_model=AlarmModel)
    def get_alarm(mine: Annotated[Service, seen], alarm: _Number, _: Annotated[NoParams, Query()]) -> Response:
        """One alarm."""
        return _json(mine.alarms.get(alarm))

    @router.post("/v1/alarms/{alarm}/acknowledge", response_model=AlarmModel)
    def acknowledge_alarm(mine: Annotated[Service, taking], alarm: _Number, said: Acknowledgement) -> Response:
        """Take an alarm on. Of two at once one does; the other is told who did (409)."""
        return _json(mine.alarms.acknowledge(alarm, said))

    @router.post("/v1/alarms/{alarm}/snooze", response_model=AlarmModel)
    def snooze_alarm(mine: Annotated[Service, taking], alarm: _Number, said: Snooze) -> Response:
        """Have nobody told of an alarm for a while. It stays open, and on every list."""
        return _json(mine.alarms.snooze(alarm, said))

    @router.get("/v1/maintenance", response_model=WindowList)
    def list_maintenance(mine: Annotated[Service, seen], _: Annotated[NoParams, Query()]) -> Response:
        """The maintenance windows that are not over."""
        return _json(mine.maintenance.list())

    @router.post("/v1/maintenance", response_model=WindowModel)
    def add_maintenance(mine: Annotated[Service, managing], wanted: NewWindow) -> Response:
        """Make a maintenance window: meanwhile nothing is raised about the compound, or the device."""
        return _json(mine.maintenance.add(wanted))

    @router.delete("/v1/maintenance/{window}", status_code=204, response_class=Response)
    def end_maintenance(mine: Annotated[Service, managing], window: _Number) -> Response:
        """End a maintenance window. What holds by then is raised."""
        mine.maintenance.remove(window)
        return Response(status_code=204)

    return router


def operations_router(service: Service, guard: Guard, metrics: Metrics) -> APIRouter:
    """Health, which anyone may ask, and metrics, which need a key like all data."""
    router = APIRouter(tags=["operations"])
    seen = Depends(guard(Scope.READ))

    @router.get("/v1/ledger", response_model=LedgerAnswer)
    def get_ledger(mine: Annotated[Service, seen], params: Annotated[LedgerParams, Query()]) -> Response:
        """What became of everything received, whether it balances, and which readings never came."""
        return _json(mine.ledger(params.device, params.limit))

    @router.get("/v1/rollups", response_model=RollupList)
    def get_rollups(mine: Annotated[Service, seen], _: Annotated[NoParams, Query()]) -> Response:
        """How far the rollups have come, by kind."""
        return _json(mine.rollups())

    @router.get("/health")
    async def health() -> Health:
        """The process is alive. Open to anyone; touches nothing."""
        return Health()

    @router.get("/ready")
    def ready() -> Health:
        """The store answers and ingest works; 503 with reasons where not. Open to anyone."""
        service.check_ready()
        return Health(status="ready")

    @router.get("/metrics", response_class=Response)
    def read_metrics(mine: Annotated[Service, seen]) -> Response:
        """Counts and times of requests in the Prometheus text format. Needs a key, as `Authorization: Bearer`, say."""
        mine.context.caller.require_everywhere()
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router


def docs_router() -> APIRouter:
    """A page about the API. It works offline: nothing is loaded from elsewhere, and nothing is scripted."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs_page(request: Request) -> HTMLResponse:
        """What the API answers, in plain HTML."""
        return pages.docs(request.app.openapi())

    return router


def _json(answer: BaseModel) -> Response:
    """An answer as JSON, written here in the worker's thread: a large one would hold up the event loop."""
    return Response(answer.model_dump_json(), media_type=JSON)


def _sent(file: File) -> Response:
    """A file, sent while it is made. Where its making fails, the connection ends before the file does."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return StreamingResponse(file.pieces, media_type=file.media_type, headers=headers)
