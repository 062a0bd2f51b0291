"""Puts the pages into the application of the API: NiceGUI's own files, our pages, and the way in."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from fastapi import APIRouter, FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from access.doors import Doors
from api.service import Service
from devices.inventory import Inventory
from devices.kind import Kind
from pages.access_page import AccessPage
from pages.account_page import AccountPage
from pages.assembly import COOKIE, Assembly
from pages.origin import is_foreign
from pages.rendering import STATIC, Renderer
from pages.screens import Screens
from pages.way_in import beside, way_in

_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""NiceGUI writes its start into the page, and Vue compiles templates; all comes from here."""

_SOCKET = "/_nicegui_ws/"
_RECONNECT_S = 30.0
_YEAR_S = 365 * 86_400


def install(
    app: FastAPI, doors: Doors, inventory: Inventory, kinds: Mapping[str, Kind], *, look_s: float = 5.0
) -> None:
    """Add the pages to an application. Of several in one process the last has them: NiceGUI is one for all.

    Args:
        app: the application, as `api.app.create_app` made it.
        doors: who may come in.
        inventory: which compounds and devices there are.
        kinds: how each kind is declared.
        look_s: how often a page looks again, in seconds.
    """
    service: Service = app.state.service
    renderer = Renderer(inventory, kinds)
    assembly = Assembly(renderer, doors, look_s=look_s)
    screens = Screens(service, inventory, kinds, assembly, renderer)
    app.include_router(way_in(doors, renderer))
    app.include_router(beside(service, doors))
    app.mount("/_courtyard", StaticFiles(directory=STATIC))
    pages: dict[str, Callable[..., Any]] = {
        "/": screens.fleet,
        "/compounds/{compound}": screens.compound,
        "/devices/{device}": screens.device,
        "/alarms": screens.alarms,
        "/alarms/{alarm}": screens.alarm,
        "/reports": screens.reports,
        "/pipeline": screens.pipeline,
        "/account": AccountPage(service, doors, assembly).page,
        "/access": AccessPage(service, doors, assembly).page,
        "/wall": screens.wall,
        "/wall/{compound}": screens.wall_compound,
    }
    for path, page in pages.items():
        ui.page(path, response_timeout=30.0)(page)
    ui.run_with(
        app,
        title="Courtyard",
        favicon="🏘️",
        reconnect_timeout=_RECONNECT_S,
        message_history_length=100,
        gzip_middleware_factory=None,  # the application does it
        tailwind=False,
        show_welcome_message=False,
    )
    mounted = app.router.routes[-1]
    mounted.app = _Pages(nicegui_app, tuple(pages), doors)  # type: ignore[attr-defined]  # the mount that run_with made


def _not_here(scope: Scope) -> HTTPException:
    """Why a route of the API did not take a request: there is none, or it takes other methods."""
    taken: set[str] = set()
    app: FastAPI = scope["app"]
    for route in chain.from_iterable(_inside(each) for each in app.router.routes):
        if route.matches(scope)[0] is Match.PARTIAL:
            taken |= getattr(route, "methods", None) or set()
    return HTTPException(405, headers={"Allow": ", ".join(sorted(taken))}) if taken else HTTPException(404)


def _inside(route: BaseRoute) -> list[BaseRoute]:
    """The routes of a router that was included, or the route itself."""
    router: APIRouter | None = getattr(route, "original_router", None)
    return [route] if router is None else list(router.routes)


class _Pages:
    """ASGI: NiceGUI for its own addresses and our pages; whatever else is asked for is not there."""

    def __init__(self, app: ASGIApp, paths: tuple[str, ...], doors: Doors) -> None:
        self._app = app
        self._doors = doors
        self._whole = {path for path in paths if "{" not in path}
        self._folders = {path.partition("{")[0] for path in paths if "{" in path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(_SOCKET):
            await self._check(HTTPConnection(scope))
        own = path.startswith(("/_nicegui/", "/_nicegui_ws/")) or path == "/favicon.ico"
        if not own and not self._is_page(path):
            raise _not_here(scope)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Content-Security-Policy", _POLICY)
            await send(message)

        await self._app(scope, receive, add)

    async def _check(self, connection: HTTPConnection) -> None:
        """Let nobody open a socket who is not signed in, or whom another site made try."""
        cookie = connection.cookies.get(COOKIE)
        if is_foreign(connection.headers) or await run_in_threadpool(self._doors.by_cookie, cookie) is None:
            raise HTTPException(403)

    def _is_page(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return path in self._whole or (f"{folder}/" in self._folders and bool(name))
