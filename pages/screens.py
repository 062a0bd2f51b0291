"""The pages: what stands on each, made of the service's answers."""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from access.callers import Scope
from alarms.alarm import Open
from api.answers import ReadingsAnswer
from api.questions import AlarmsParams, ReadingsParams, ReportParams
from api.report import Length
from api.service import Service
from api.times import rfc3339
from devices.errors import CourtyardError, NotFoundError, QueryError
from devices.inventory import Inventory
from devices.kind import TELEMETRY, Kind
from pages import charts, strips, views
from pages.assembly import Assembly, Visit, in_thread, to_sign_in
from pages.charts import Chart
from pages.rendering import Renderer
from pages.taking_on import alarm_form
from pages.tongue import Tongue

_PAGE = 50
_HISTORY = 10
_STRIPS_S = 60.0
_DIGITS = 18

_LOG = structlog.get_logger("pages")

Title = Callable[[Tongue], str]


class Screens:
    """The pages of one installation."""

    def __init__(
        self, service: Service, inventory: Inventory, kinds: Mapping[str, Kind], assembly: Assembly, renderer: Renderer
    ) -> None:
        """Show what `service` says."""
        self._service = service
        self._inventory = inventory
        self._kinds = kinds
        self._assembly = assembly
        self._renderer = renderer

    async def fleet(self, request: Request) -> Response | None:
        """All compounds, and what needs hands."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)

        def made(tongue: Tongue) -> str:
            fleet = views.fleet(mine, self._kinds)
            return self._renderer.render("fleet", tongue, fleet=fleet, name=self._inventory.name)

        return await self._assembly.page(
            request, _word("overview"), "overview", self._assembly.live(made, self._key(mine), "fleet")
        )

    async def compound(self, request: Request, compound: str) -> Response | None:
        """One compound."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        found = mine.context.inventory.compounds.get(compound)
        if found is None:
            return self._assembly.gone(request)
        kinds = [kind for kind in self._kinds.values() if found.of_kind(kind.name)]

        def now(tongue: Tongue) -> str:
            detail, alarms = mine.compound(compound), views.open_alarms(mine, compound)
            tiles = views.tiles(detail, self._kinds)
            return self._renderer.render("compound", tongue, compound=detail, tiles=tiles, alarms=alarms)

        def devices(tongue: Tongue) -> str:
            return self._renderer.render("devices", tongue, devices=views.devices_of(mine, compound))

        return await self._assembly.page(
            request,
            lambda tongue: tongue.text(found.name),
            "overview",
            self._assembly.live(now, self._key(mine), "compound", compound),
            self._assembly.charts(partial(charts.of_compound, mine, compound, kinds)),
            self._assembly.live(devices, self._key(mine), "devices", compound),
        )

    async def device(self, request: Request, device: str) -> Response | None:
        """One device, with its readings and its outages."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        if device not in mine.context.inventory.devices:
            return self._assembly.gone(request)
        kind = self._kinds[self._inventory.devices[device].kind]

        def now(tongue: Tongue) -> str:
            alarms = views.latest_alarms(mine, device, _HISTORY)
            return self._renderer.render("device", tongue, device=mine.device(device), alarms=alarms)

        def states(tongue: Tongue) -> str:
            labelled = [each for each in kind.telemetry if each.is_label]
            found = strips.of_readings(self._readings(mine, device), kind, labelled, tongue)
            return self._renderer.render("strips", tongue, strips=found)

        def numbers(tongue: Tongue) -> list[Chart]:
            numbered = [each for each in kind.telemetry if each.is_number]
            return charts.of_readings(self._readings(mine, device), kind, numbered, tongue)

        return await self._assembly.page(
            request,
            lambda _: device,
            "overview",
            self._assembly.live(now, self._key(mine), "device", device),
            self._assembly.live(states, self._key(mine), "states", device, every_s=_STRIPS_S),
            self._assembly.charts(numbers),
        )

    async def alarms(self, request: Request) -> Response | None:
        """Alarms, filtered and a page at a time."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        query = request.query_params
        asked = {name: query.get(name, "")[:64] for name in ("compound", "device", "severity", "kind")}
        asked["state"] = query.get("state", Open.OPEN)
        try:
            params = _alarms_params(asked, query.get("offset", "0"))
            if mine.alarms.there:
                await in_thread(lambda: mine.alarms.find(params.question()))
        except (ValidationError, NotFoundError, QueryError):
            return self._assembly.gone(request)

        def made(tongue: Tongue) -> str:
            if not mine.alarms.there:
                return self._renderer.render("no_alarms", tongue)
            return self._alarms(mine, params, asked, tongue)

        def form(tongue: Tongue) -> str:
            return self._renderer.render(
                "ask_alarms", tongue, asked=asked, compounds=list(mine.context.inventory.compounds)
            )

        return await self._assembly.page(
            request,
            _word("alarms"),
            "alarms",
            self._assembly.still(form),
            self._assembly.live(made, self._key(mine), "alarms", *asked.values(), params.offset),
        )

    async def alarm(self, request: Request, alarm: str) -> Response | None:
        """One alarm, to be taken on."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        number = int(alarm) if alarm.isascii() and alarm.isdigit() and len(alarm) <= _DIGITS else 0
        try:
            found = await in_thread(lambda: mine.alarms.get(number))
        except CourtyardError as exc:
            _LOG.debug("no such alarm", alarm=alarm, code=exc.code)
            return self._assembly.gone(request)

        def made(tongue: Tongue) -> str:
            return self._renderer.render("alarm", tongue, alarm=mine.alarms.get(number))

        async def form(visit: Visit) -> None:
            if found.cleared is None and Scope.ACKNOWLEDGE in mine.context.caller.grant.scopes:
                alarm_form(mine, number, visit, taken=found.acknowledged is not None)

        return await self._assembly.page(
            request, lambda tongue: tongue.text(found.title), "alarms", self._assembly.live(made), form
        )

    async def reports(self, request: Request) -> Response | None:
        """A day or a month, to be read, printed and saved."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        query = request.query_params
        compound = query.get("compound", "")
        day = query.get("date", "") or self._now(mine, compound)[:10]
        asked = {"length": query.get("length", Length.MONTH), "day": day, "compound": compound}
        try:
            length = Length(asked["length"])
            params = ReportParams(date=day if length is Length.DAY else day[:7], compound=compound or None)
            report = await in_thread(lambda: mine.report(params.question(length)))
        except (ValueError, NotFoundError, QueryError):
            return self._assembly.gone(request)
        address = f"/reports/file?{urlencode({'length': length, 'compound': compound, 'date': params.date or ''})}"

        def actions(tongue: Tongue) -> str:
            return self._renderer.render("report_actions", tongue, address=address)

        return await self._assembly.page(
            request,
            _word("reports"),
            "reports",
            self._assembly.still(
                lambda tongue: self._renderer.render(
                    "ask_report", tongue, asked=asked, compounds=list(mine.context.inventory.compounds)
                )
            ),
            self._assembly.still(actions),
            self._assembly.still(lambda tongue: self._renderer.render("report", tongue, report=report)),
        )

    async def pipeline(self, request: Request) -> Response | None:
        """Whether readings flow, and what became of them."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        if mine.context.caller.grant.compounds is not None:  # it is about all of them
            return self._assembly.gone(request)
        live = self._assembly.live(partial(self._pipeline, mine), self._key(mine), "pipeline")
        return await self._assembly.page(request, _word("pipeline"), "pipeline", live)

    async def wall(self, request: Request) -> Response | None:
        """All compounds, for a screen."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        name = self._inventory.name

        def made(tongue: Tongue) -> str:
            fleet = views.fleet(mine, self._kinds)
            return self._renderer.render("wall_fleet", tongue, fleet=fleet, name=name, time=self._now(mine, ""))

        live = self._assembly.live(made, self._key(mine), "wall", look="wall")
        return await self._assembly.wall(request, lambda tongue: tongue.text(name), live)

    async def wall_compound(self, request: Request, compound: str) -> Response | None:
        """One compound, for a screen."""
        mine = self._seen(request)
        if mine is None:
            return to_sign_in(request)
        found = mine.context.inventory.compounds.get(compound)
        if found is None:
            return self._assembly.gone(request)

        def made(tongue: Tongue) -> str:
            detail, alarms = mine.compound(compound), views.open_alarms(mine, compound)
            return self._renderer.render(
                "wall_compound", tongue, compound=detail, tiles=views.tiles(detail, self._kinds), alarms=alarms,
                devices=sum(detail.now.states.values()), time=self._now(mine, compound),
            )  # fmt: skip

        live = self._assembly.live(made, self._key(mine), "wall", compound, look="wall")
        return await self._assembly.wall(request, lambda tongue: tongue.text(found.name), live)

    def _alarms(self, mine: Service, params: AlarmsParams, asked: Mapping[str, str], tongue: Tongue) -> str:
        found = mine.alarms.find(params.question())
        month = params.model_copy(update={"start": "-30d", "state": Open.ALL, "offset": 0})
        query = {name: value for name, value in asked.items() if value}
        after = {**query, "offset": found.next_offset or 0}
        return self._renderer.render(
            "alarms", tongue, found=found, asked=asked, summary=mine.alarms.summary(month.question()),
            first=f"/alarms?{urlencode(query)}", next=f"/alarms?{urlencode(after)}",
        )  # fmt: skip

    def _pipeline(self, mine: Service, tongue: Tongue) -> str:
        reasons = []
        try:
            mine.check_ready()
        except CourtyardError as exc:
            reasons.append(exc.message)
        try:
            ledger = mine.ledger(None, 20)
        except CourtyardError as exc:
            _LOG.debug("the ledger is out of reach", code=exc.code)
            ledger = None
        kinds = ledger.kinds if ledger is not None else []
        sums = {name: sum(getattr(each, name) for each in kinds) for name in ("received", "written", "duplicate")}
        sums["refused"] = sum(sum(each.dead_lettered.values()) for each in kinds)
        rollups = mine.rollups()
        return self._renderer.render("pipeline", tongue, reasons=reasons, ledger=ledger, sums=sums, rollups=rollups)

    def _readings(self, mine: Service, device: str) -> ReadingsAnswer:
        question = ReadingsParams(table=TELEMETRY, start="-24h", limit=10_000, order="oldest").question()
        return mine.readings(device, question)

    def _seen(self, request: Request) -> Service | None:
        """The service as whoever asks sees it; None where they have not signed in."""
        caller = self._assembly.caller(request)
        return None if caller is None else self._service.seen_by(caller)

    @staticmethod
    def _key(mine: Service) -> object:
        """What those share who see the same."""
        return mine.context.caller.grant

    def _zone(self, mine: Service, compound: str) -> ZoneInfo:
        compounds = mine.context.inventory.compounds
        found = compounds.get(compound) or next(iter(compounds.values()), None)
        return ZoneInfo("UTC") if found is None else found.timezone

    def _now(self, mine: Service, compound: str) -> str:
        return rfc3339(mine.context.clock(), self._zone(mine, compound))


def _word(name: str) -> Title:
    return lambda tongue: tongue.word(name)


def _alarms_params(asked: Mapping[str, str], offset: str) -> AlarmsParams:
    """The parameters of /v1/alarms; raises ValidationError."""
    return AlarmsParams.model_validate(
        {
            "limit": _PAGE,
            "offset": offset,
            "state": asked["state"],
            **{name: asked[name] or None for name in ("compound", "device")},
            **{name: [asked[name]] if asked[name] else [] for name in ("severity", "kind")},
        }
    )
