"""How pages are put together: a head, parts that look again every few seconds, charts; and who may see them."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import structlog
from nicegui import run, ui
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from access.callers import Caller, Scope
from access.doors import Doors
from api.held import Held
from devices.errors import CourtyardError
from pages.charts import Chart
from pages.rendering import Renderer
from pages.tongue import Language, Tongue

COOKIE = "courtyard_session"
LANGUAGE_COOKIE = "courtyard_language"

_CHARTS_S = 60.0
_HELD_OF_LOOK = 0.4
"""What is made serves all who look within this share of the time between two looks."""
_MOST_HELD = 2000
_WALL_OLD_S = 30
"""A wall that has not been drawn anew for so long says that it is old."""

_LOG = structlog.get_logger("pages")


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at a page.

    Attributes:
        tongue: their language.
        still: whether they are still let in; it may block, and raise `RecordsError`.
    """

    tongue: Tongue
    still: Callable[[], bool]


Part = Callable[[Visit], Awaitable[None]]
"""Puts one part of a page where it is called."""

T = TypeVar("T")


class Assembly:
    """Puts pages together."""

    def __init__(self, renderer: Renderer, doors: Doors, *, look_s: float = 5.0) -> None:
        """Draw with `renderer`, for whom `doors` let in; look again every `look_s` seconds."""
        self._renderer = renderer
        self._doors = doors
        self._look_s = look_s
        self._held: OrderedDict[tuple[object, ...], Held[str]] = OrderedDict()

    async def page(
        self, request: Request, title: Callable[[Tongue], str], active: str, *parts: Part
    ) -> Response | None:
        """A page with a head.

        Args:
            request: who asks.
            title: of the window.
            active: the place in the head that it belongs to.
            parts: what stands on it, in order.

        Returns:
            The way to sign in, for whoever has not; None where the page is made.
        """
        caller = self.caller(request)
        if caller is None:
            return to_sign_in(request)
        tongue = self.tongue(request)
        _head(tongue, title(tongue))
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        ui.html(
            self._renderer.render("top", tongue, active=active, here=here, person=caller.name, shown=_places(caller)),
            sanitize=False,
        )
        with ui.element("main").classes("body").props("id=body"):
            for part in parts:
                await part(self._visit(request, tongue))
        return None

    async def wall(self, request: Request, title: Callable[[Tongue], str], part: Part) -> Response | None:
        """A page for a screen: one part, dark, and old when it has not been drawn for a while; see `page`."""
        if self.caller(request) is None:
            return to_sign_in(request)
        tongue = self.tongue(request)
        _head(tongue, title(tongue))
        ui.add_head_html(f"<style>body {{ background: #0b1a1b; }} :root {{ --old: {_WALL_OLD_S}s; }}</style>")
        await part(self._visit(request, tongue))
        return None

    def gone(self, request: Request) -> Response:
        """What is asked for is not there."""
        if self.caller(request) is None:
            return to_sign_in(request)
        tongue = self.tongue(request)
        return HTMLResponse(self._renderer.render("gone", tongue, title=tongue.word("gone")), 404)

    def caller(self, request: Request) -> Caller | None:
        """Who asks; None where they have not signed in. Raises `RecordsError`."""
        return self._doors.by_cookie(request.cookies.get(COOKIE))

    def _visit(self, request: Request, tongue: Tongue) -> Visit:
        return Visit(tongue, lambda: self.caller(request) is not None)

    @staticmethod
    def tongue(request: Request) -> Tongue:
        """The language of somebody: of `lang` in the address, of the cookie, or as the browser asks."""
        for said in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
            if said in set(Language):
                return Tongue(Language(said))
        return Tongue(Language.of(request.headers.get("Accept-Language", "")))

    def live(self, make: Callable[[Tongue], str], *key: object, look: str = "body", every_s: float = 0.0) -> Part:
        """A part that looks again every few seconds.

        Args:
            make: its HTML; it may raise `CourtyardError`, and then the part stays as it is, and says so.
            key: what it shows; for all who look at the same it is made once. Nothing: for each anew.
            look: its class.
            every_s: how often it looks; as pages do where it is 0.
        """

        async def part(visit: Visit) -> None:
            tongue = visit.tongue
            notice = ui.html("", sanitize=False)
            body = ui.html("", sanitize=False).classes(look)

            def made() -> str:
                return make(tongue)

            async def show() -> None:
                try:
                    if not await in_thread(visit.still):
                        ui.navigate.to("/sign-in")
                        return
                    text = await in_thread(self._once((*key, tongue.language), made) if key else made)
                except CourtyardError as exc:
                    _LOG.warning("a page cannot be drawn", page=key, code=exc.code, error=exc.message)
                    notice.set_content(f'<p class="notice" role="alert">{tongue.word("store_away")}</p>')
                    return
                notice.set_content("")
                body.set_content(text)

            await show()
            ui.timer(every_s or self._look_s, show, immediate=False)

        return part

    @staticmethod
    def still(make: Callable[[Tongue], str]) -> Part:
        """A part that stays as it is made."""

        async def part(visit: Visit) -> None:
            ui.html(await in_thread(lambda: make(visit.tongue)), sanitize=False).classes("body")

        return part

    def charts(self, make: Callable[[Tongue], list[Chart]]) -> Part:
        """Charts that look again every minute; see `live`."""

        async def part(visit: Visit) -> None:
            tongue = visit.tongue
            shown: dict[str, ui.echart] = {}
            grid = ui.element("div").classes("grid")

            async def show() -> None:
                try:
                    if not await in_thread(visit.still):
                        return
                    found = await in_thread(lambda: make(tongue))
                except CourtyardError as exc:
                    _LOG.warning("charts cannot be drawn", code=exc.code, error=exc.message)
                    return
                for chart in found:
                    if chart.title in shown:
                        drawn = shown[chart.title]
                        drawn.options.clear()
                        drawn.options.update(chart.options)
                        drawn.update()
                        continue
                    with grid, ui.element("section").classes("card"):
                        ui.html(self._renderer.render("chart", tongue, title=chart.title), sanitize=False)
                        shown[chart.title] = ui.echart(chart.options).style("height: 220px")

            await show()
            ui.timer(_CHARTS_S, show, immediate=False)

        return part

    def _once(self, key: tuple[object, ...], made: Callable[[], str]) -> Held[str]:
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = Held(made, self._look_s * _HELD_OF_LOOK)
            while len(self._held) > _MOST_HELD:
                self._held.popitem(last=False)
        return held


async def in_thread(call: Callable[[], T]) -> T:
    """What a call gives, made beside the event loop."""
    # NiceGUI gives None only while it shuts down, and then nobody is left to see it.
    return await run.io_bound(call)  # type: ignore[return-value]


def _places(caller: Caller) -> set[str]:
    """The places of the head that somebody may go to."""
    found = {"overview", "alarms", "reports", "wall"}
    if caller.grant.compounds is None:
        found.add("pipeline")
    if Scope.ADMIN in caller.grant.scopes:
        found.add("access")
    return found


def _head(tongue: Tongue, title: str) -> None:
    ui.page_title(f"{title} · Courtyard")
    ui.colors(primary="#0b6363")
    language = "zh-CN" if tongue.language is Language.ZH else "en"
    ui.add_head_html(f'<script>document.documentElement.lang = "{language}"</script>')
    ui.add_head_html('<link rel="stylesheet" href="/_courtyard/courtyard.css">')


def address_of(request: Request) -> str:
    """Where somebody comes from, for counting tries."""
    return request.client.host if request.client is not None else ""


def to_sign_in(request: Request) -> Response:
    """The way to sign in, and back."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': here})}", 303)
