"""What a caller may send: the parameters of each route. Unknown ones are refused, so that a typo is not ignored."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from alarms.alarm import Open, Wanted
from api.alarms import AlarmsQuestion
from api.connection import State
from api.export_readings import ReadingsExport
from api.export_statistics import StatisticsExport
from api.files import Format
from api.inventory import DevicesQuestion
from api.readings import Order, ReadingsQuestion
from api.report import Length, ReportQuestion
from api.statistics import StatisticsQuestion
from api.times import HOW
from devices.alarms import Severity
from devices.statistics import Group

_MAX_OFFSET = 1_000_000

_Start = Annotated[
    str | None,
    Field(max_length=64, description=f"First instant: {HOW}. Default: 24 h before `stop`", examples=["-24h"]),
]
_Stop = Annotated[
    str | None, Field(max_length=64, description="End of the span, not in it; written like `start`. Default: now")
]
_Kinds = Annotated[
    list[str], Field(max_length=100, description="Name of a kind; may be given several times. Default: all")
]

_Every = Annotated[
    str,
    Field(
        max_length=16,
        description="Length of a bucket: minutes or hours that divide a day (15m, 1h, 6h), 1d, 1w or 1mo; cut on "
        "the compound's wall clock",
    ),
]
_Statistics = Annotated[
    list[str], Field(max_length=200, description="Name of a statistic; may be given several times. Default: all")
]
_Fields = Annotated[
    list[str],
    Field(max_length=100, description="Name of a field; several by repeating it or with commas. Default: all"),
]
_Format = Annotated[
    Format, Field(description="`csv`, `parquet`, or `arrow` for an Arrow IPC stream; each is sent while it is made")
]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoParams(_Params):
    """A route without parameters."""


class CatalogueParams(_Params):
    """Parameters of /v1/statistics."""

    group: Annotated[Group | None, Field(description="Only statistics served under this address")] = None
    kind: _Kinds = []


class DevicesParams(_Params):
    """Parameters of /v1/devices."""

    compound: Annotated[str | None, Field(max_length=64, description="Id of a compound")] = None
    building: Annotated[str | None, Field(max_length=16, description="A building of that compound")] = None
    kind: _Kinds = []
    state: Annotated[State | None, Field(description="Only devices that are in this state now")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Most devices on a page")] = 100
    offset: Annotated[int, Field(ge=0, le=_MAX_OFFSET, description="How many to leave out in front")] = 0

    def question(self) -> DevicesQuestion:
        """As the service asks it."""
        return DevicesQuestion(
            compound=self.compound,
            building=self.building,
            kinds=tuple(self.kind),
            state=self.state,
            limit=self.limit,
            offset=self.offset,
        )


class AlarmsParams(_Params):
    """Parameters of /v1/alarms and /v1/alarms/summary."""

    state: Annotated[Open, Field(description="`open`, `cleared` or `all`; a summary is of all")] = Open.OPEN
    compound: Annotated[str | None, Field(max_length=64, description="Id of a compound")] = None
    device: Annotated[str | None, Field(max_length=64, description="Id of a device")] = None
    kind: _Kinds = []
    rule: Annotated[
        list[str],
        Field(
            max_length=100,
            description="Name of a rule; may be given several times. `offline` and `uplink_down` are the outages",
        ),
    ] = []
    severity: Annotated[
        list[Severity], Field(max_length=10, description="May be given several times. Default: all")
    ] = []
    acknowledged: Annotated[bool | None, Field(description="Whether somebody has taken it on. Default: both")] = None
    start: Annotated[
        str | None,
        Field(max_length=64, description=f"Raised at or after this: {HOW}", examples=["-24h"]),
    ] = None
    stop: Annotated[str | None, Field(max_length=64, description="Raised before this; written like `start`")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Most alarms on a page")] = 100
    offset: Annotated[int, Field(ge=0, le=_MAX_OFFSET, description="How many to leave out in front")] = 0

    def question(self) -> AlarmsQuestion:
        """As the service asks it."""
        wanted = Wanted(
            state=self.state,
            compound=self.compound,
            device=self.device,
            kinds=tuple(self.kind),
            rules=tuple(self.rule),
            severities=tuple(self.severity),
            acknowledged=self.acknowledged,
        )
        return AlarmsQuestion(wanted=wanted, start=self.start, stop=self.stop, limit=self.limit, offset=self.offset)


class StreamParams(_Params):
    """Parameters of /v1/stream."""

    compound: Annotated[
        list[str], Field(max_length=1000, description="Id of a compound; may be given several times. Default: all")
    ] = []
    kind: _Kinds = []


class LedgerParams(_Params):
    """Parameters of /v1/ledger."""

    device: Annotated[str | None, Field(max_length=64, description="Id of a device: show all of its channels")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Most channels shown")] = 20


class ReadingsParams(_Params):
    """Parameters of /v1/devices/{id}/readings."""

    table: Annotated[
        str, Field(max_length=64, description="`telemetry`, `status` or the name of an event (see /v1/kinds)")
    ] = "telemetry"
    start: _Start = None
    stop: _Stop = None
    fields: _Fields = []
    limit: Annotated[int, Field(ge=1, le=10_000, description="Most readings on a page")] = 100
    order: Annotated[Order, Field(description="Which come first")] = "newest"
    cursor: Annotated[str | None, Field(max_length=64, description="`next` of the page before")] = None

    def question(self) -> ReadingsQuestion:
        """As the service asks it."""
        return ReadingsQuestion(
            table=self.table,
            start=self.start,
            stop=self.stop,
            fields=_names(self.fields),
            limit=self.limit,
            order=self.order,
            cursor=self.cursor,
        )


class FleetParams(_Params):
    """Parameters of statistics."""

    start: _Start = None
    stop: _Stop = None
    every: _Every = "1h"
    kind: _Kinds = []
    statistic: _Statistics = []
    compare: Annotated[
        Literal["previous"] | None,
        Field(description="`previous`: the same over the period before, as long; of whole months, as many months"),
    ] = None

    def question(self) -> StatisticsQuestion:
        """As the service asks it."""
        return StatisticsQuestion(
            start=self.start,
            stop=self.stop,
            every=self.every,
            kinds=tuple(self.kind),
            statistics=tuple(self.statistic),
            compare=self.compare is not None,
        )


class StatisticsParams(FleetParams):
    """Parameters of the statistics of a compound."""

    building: Annotated[str | None, Field(max_length=16, description="Only devices of this building")] = None
    device: Annotated[str | None, Field(max_length=64, description="Only this device, by its id")] = None

    def question(self) -> StatisticsQuestion:
        """As the service asks it."""
        return replace(super().question(), building=self.building, device=self.device)


class ReadingsExportParams(_Params):
    """Parameters of /v1/export/readings."""

    kind: Annotated[str, Field(max_length=64, description="Name of a kind")]
    table: Annotated[
        str, Field(max_length=64, description="`telemetry`, `status` or the name of an event (see /v1/kinds)")
    ] = "telemetry"
    compound: Annotated[
        list[str], Field(max_length=1000, description="Id of a compound; may be given several times. Default: all")
    ] = []
    device: Annotated[str | None, Field(max_length=64, description="Only this device, by its id")] = None
    start: _Start = None
    stop: _Stop = None
    fields: _Fields = []
    format: _Format = Format.CSV

    def question(self) -> ReadingsExport:
        """As the service asks it."""
        return ReadingsExport(
            kind=self.kind,
            table=self.table,
            compounds=tuple(self.compound),
            device=self.device,
            start=self.start,
            stop=self.stop,
            fields=_names(self.fields),
            format=self.format,
        )


class StatisticsExportParams(_Params):
    """Parameters of /v1/export/statistics."""

    compound: Annotated[
        str | None, Field(max_length=64, description="Id of a compound. Default: all compounds together")
    ] = None
    building: Annotated[str | None, Field(max_length=16, description="Only devices of this building")] = None
    device: Annotated[str | None, Field(max_length=64, description="Only this device, by its id")] = None
    group: Annotated[Group | None, Field(description="Only statistics of this group")] = None
    kind: _Kinds = []
    statistic: _Statistics = []
    start: _Start = None
    stop: _Stop = None
    every: _Every = "1d"
    format: _Format = Format.CSV

    def question(self) -> StatisticsExport:
        """As the service asks it."""
        question = StatisticsQuestion(
            start=self.start,
            stop=self.stop,
            every=self.every,
            kinds=tuple(self.kind),
            statistics=tuple(self.statistic),
            building=self.building,
            device=self.device,
        )
        return StatisticsExport(compound=self.compound, group=self.group, question=question, format=self.format)


class AuditParams(_Params):
    """Parameters of /v1/audit."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Most lines on a page")] = 100
    before: Annotated[int | None, Field(ge=1, le=2**53, description="Only lines with a lower number")] = None


class ReportParams(_Params):
    """Parameters of /v1/reports/{length}."""

    date: Annotated[
        str | None,
        Field(max_length=10, description="A day like 2026-11-30 or a month like 2026-11. Default: the present one"),
    ] = None
    compound: Annotated[
        str | None, Field(max_length=64, description="Id of a compound. Default: all compounds together")
    ] = None
    format: Annotated[
        Literal["json", "csv", "parquet", "arrow"], Field(description="`json`, or its figures as a file")
    ] = "json"

    def question(self, length: Length) -> ReportQuestion:
        """As the service asks it."""
        return ReportQuestion(length=length, date=self.date, compound=self.compound)


def _names(fields: list[str]) -> tuple[str, ...]:
    names = (name.strip() for each in fields for name in each.split(","))
    return tuple(name for name in names if name)
