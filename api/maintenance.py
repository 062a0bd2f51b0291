"""Maintenance windows: when nothing is raised about a compound or a device."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from access.callers import Scope
from alarms.calendar import Calendar
from alarms.errors import UnknownWindowError
from alarms.windows import Window
from api.context import Context
from api.errors import AlarmsAwayError
from api.models import WHOLE, Body, Model, Note, Person, Time
from api.times import HOW, NS_PER_DAY, NS_PER_S, parse_instant, rfc3339, shown
from devices.errors import NotFoundError, QueryError

_MOST_DAYS = 366


class WindowModel(Model):
    """One window."""

    id: int
    compound: str
    device: Annotated[str | None, Field(description="Null where it is about all of the compound")]
    start: Time
    stop: Annotated[Time, Field(description="End of the window, not in it")]
    by: str
    note: str


class WindowList(Model):
    """The windows that are not over."""

    windows: list[WindowModel]


class NewWindow(Body):
    """A window to be made; `stop` or `minutes` says how long it is."""

    compound: Annotated[str, Field(max_length=64, description="Id of a compound")]
    device: Annotated[str | None, Field(max_length=64, description="Id of a device of it. Default: all")] = None
    start: Annotated[str | None, Field(max_length=64, description=f"First instant: {HOW}. Default: now")] = None
    stop: Annotated[str | None, Field(max_length=64, description="End, not in it; written like `start`")] = None
    minutes: Annotated[int, Field(ge=1, le=_MOST_DAYS * 1440, description="How long"), WHOLE] | None = None
    by: Annotated[Person, Field(description="Who makes it")]
    note: Annotated[Note, Field(description="What for")] = ""


class Maintenance:
    """Answers about maintenance. Any number of threads may ask at once."""

    def __init__(self, context: Context, calendar: Calendar | None) -> None:
        """Answer from a calendar; None where it is out of reach."""
        self._context = context
        self._kept = calendar

    def list(self) -> WindowList:
        """The windows that are not over; raises AlarmsAwayError, RecordsError."""
        found = [each for each in self._calendar.since(self._context.clock()) if self._sees(each)]
        return WindowList(windows=[self._model(each) for each in found])

    def add(self, wanted: NewWindow) -> WindowModel:
        """Make a window; raises QueryError, NotFoundError, AlarmsAwayError, RecordsError."""
        self._context.caller.require(Scope.MANAGE)
        compound, now_ns = self._context.compound(wanted.compound), self._context.clock()
        if wanted.device is not None and self._context.device(wanted.device).compound != compound.id:
            raise NotFoundError(f"device={shown(wanted.device)} does not stand in {compound.id}", code="unknown_device")
        if (wanted.stop is None) == (wanted.minutes is None):
            raise QueryError("send stop or minutes, one of them", code="time")
        zone = compound.timezone
        start_ns = now_ns if wanted.start is None else parse_instant("start", wanted.start, now_ns=now_ns, tz=zone)
        stop_ns = start_ns + (wanted.minutes or 0) * 60 * NS_PER_S
        if wanted.stop is not None:
            stop_ns = parse_instant("stop", wanted.stop, now_ns=now_ns, tz=zone)
        if not start_ns < stop_ns or stop_ns <= now_ns:
            raise QueryError("the window is over before it begins; send a later stop", code="span_reversed")
        if stop_ns - start_ns > _MOST_DAYS * NS_PER_DAY:
            raise QueryError(f"a window lasts at most {_MOST_DAYS} days", code="span_too_long")
        window = Window(
            id=0, compound=compound.id, device=wanted.device or "", start_ns=start_ns, stop_ns=stop_ns,
            by=wanted.by, note=wanted.note,
        )  # fmt: skip
        self._context.record("maintenance.add", window.device or window.compound, by=window.by)
        return self._model(self._calendar.add(window))

    def remove(self, number: int) -> None:
        """End a window; raises ForbiddenError, UnknownWindowError, AlarmsAwayError, RecordsError."""
        self._context.caller.require(Scope.MANAGE)
        if not self._sees(self._calendar.get(number)):
            raise UnknownWindowError(f"there is no maintenance window {number}; /v1/maintenance lists them")
        self._context.record("maintenance.end", str(number))
        self._calendar.remove(number)

    def _sees(self, window: Window) -> bool:
        inventory = self._context.inventory
        return inventory.is_whole or window.compound in inventory.compounds

    @property
    def _calendar(self) -> Calendar:
        if self._kept is None:
            raise AlarmsAwayError("this API does not know where alarms are kept: set COURTYARD_RECORDS_URL")
        return self._kept

    def _model(self, window: Window) -> WindowModel:
        compound = self._context.inventory.compounds.get(window.compound)
        zone = ZoneInfo("UTC") if compound is None else compound.timezone
        return WindowModel(
            id=window.id,
            compound=window.compound,
            device=window.device or None,
            start=rfc3339(window.start_ns, zone),
            stop=rfc3339(window.stop_ns, zone),
            by=window.by,
            note=window.note,
        )
