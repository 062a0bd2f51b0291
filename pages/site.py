"""Puts the pages into the application of the API: NiceGUI's own files, our pages, and the way in."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, Query
from nicegui import app as nicegui_app
from nicegui import ui
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.files import Format
from api.options import ApiOptions
from api.questions import ReportParams
from api.report import Length
from api.report_file import report_file
from api.service import Service
from devices.inventory import Inventory
from devices.kind import Kind
from pages.assembly import LANGUAGE_COOKIE, Assembly
from pages.rendering import STATIC, Renderer
from pages.screens import Screens
from pages.session import COOKIE, DAYS, Sessions
from pages.tongue import Language

_PLAIN = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""NiceGUI writes its start into the page, and Vue compiles templates; all comes from here."""

_RECONNECT_S = 30.0
_YEAR_S = 365 * 86_400


def install(
    app: FastAPI, options: ApiOptions, inventory: Inventory, kinds: Mapping[str, Kind], *, look_s: float = 5.0
) -> None:
    """Add the pages to an application. Of several in one process the last has them: NiceGUI is one for all.

    Args:
        app: the application, as `api.app.create_app` made it.
        options: who may come in.
        inventory: which compounds and devices there are.
        kinds: how each kind is declared.
        look_s: how often a page looks again, in seconds.
    """
    service: Service = app.state.service
    sessions, renderer = Sessions(options), Renderer(inventory, kinds)
    assembly = Assembly(renderer, sessions, look_s=look_s)
    screens = Screens(service, inventory, kinds, assembly, renderer)
    app.include_router(_way_in(service, sessions, renderer))
    app.mount("/_courtyard", StaticFiles(directory=STATIC))
    pages: dict[str, Callable[..., Any]] = {
        "/": screens.fleet,
        "/compounds/{compound}": screens.compound,
        "/devices/{device}": screens.device,
        "/alarms": screens.alarms,
        "/alarms/{alarm}": screens.alarm,
        "/reports": screens.reports,
        "/pipeline": screens.pipeline,
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
    mounted.app = _Pages(nicegui_app, tuple(pages))  # type: ignore[attr-defined]  # the mount that run_with made


class _Pages:
    """ASGI: NiceGUI for its own addresses and our pages; whatever else is asked for is not there."""

    def __init__(self, app: ASGIApp, paths: tuple[str, ...]) -> None:
        self._app = app
        self._whole = {path for path in paths if "{" not in path}
        self._folders = {path.partition("{")[0] for path in paths if "{" in path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        own = path.startswith(("/_nicegui/", "/_nicegui_ws/")) or path == "/favicon.ico"
        if not own and not self._is_page(path):
            raise HTTPException(404)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Content-Security-Policy", _POLICY)
            await send(message)

        await self._app(scope, receive, add)

    def _is_page(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return path in self._whole or (f"{folder}/" in self._folders and bool(name))


class _SavedReport(BaseModel):
    """Which report is saved; what is left empty is left to the report."""

    length: Length
    format: Format
    date: Annotated[str, Field(max_length=10)] = ""
    compound: Annotated[str, Field(max_length=64)] = ""


def _way_in(service: Service, sessions: Sessions, renderer: Renderer) -> APIRouter:
    """Signing in and out, the language, and files of reports."""
    router = APIRouter(include_in_schema=False)

    @router.get("/sign-in")
    def ask(request: Request, after: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
        return _form(request, after)

    @router.post("/sign-in")
    def enter(
        request: Request,
        key: Annotated[str, Form(max_length=256)] = "",
        name: Annotated[str, Form(max_length=64)] = "",
        after: Annotated[str, Form(alias="next", max_length=500)] = "/",
    ) -> Response:
        cookie = sessions.issue(key, name)
        if cookie is None:
            return _form(request, after, wrong=True)
        answer = RedirectResponse(_local(after), 303)
        _set(answer, request, COOKIE, cookie, DAYS * 86_400)
        return answer

    @router.get("/sign-out")
    def leave() -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer

    @router.get("/language/{language}")
    def speak(
        request: Request, language: Language, after: Annotated[str, Query(alias="next", max_length=500)] = "/"
    ) -> Response:
        answer = RedirectResponse(_local(after), 303)
        _set(answer, request, LANGUAGE_COOKIE, str(language), _YEAR_S)
        return answer

    @router.get("/reports/file")
    def save(request: Request, asked: Annotated[_SavedReport, Query()]) -> Response:
        if sessions.person(request.cookies.get(COOKIE)) is None:
            return RedirectResponse("/sign-in", 303)
        params = ReportParams(date=asked.date or None, compound=asked.compound or None)
        file = report_file(service.report(params.question(asked.length)), asked.format)
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return StreamingResponse(file.pieces, media_type=file.media_type, headers=headers)

    def _form(request: Request, after: str, *, wrong: bool = False) -> Response:
        tongue = Assembly.tongue(request)
        text = renderer.render("sign_in", tongue, title=tongue.word("sign_in"), next=_local(after), wrong=wrong)
        return HTMLResponse(text, 401 if wrong else 200, {"Content-Security-Policy": _PLAIN})

    return router


def _set(answer: Response, request: Request, name: str, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https" or request.headers.get("X-Forwarded-Proto") == "https"
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def _local(address: str) -> str:
    """An address of ours; the overview for any other, so that nobody is sent elsewhere."""
    return (
        address if address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable() else "/"
    )
