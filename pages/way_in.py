"""The way in: signing in and out, the language, and files of reports, which a browser asks for by itself."""

from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from access.doors import Doors
from access.errors import IdentityError, ThrottledError
from access.provider import Provider
from access.sessions import DAYS
from api.files import Format
from api.questions import ReportParams
from api.report import Length
from api.service import Service
from pages.assembly import COOKIE, LANGUAGE_COOKIE, Assembly, address_of
from pages.origin import is_foreign
from pages.rendering import Renderer
from pages.tongue import Language

_PLAIN = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_FLOW_COOKIE = "courtyard_flow"
_FLOW_S = 600
_YEAR_S = 365 * 86_400

_LOG = structlog.get_logger("pages")


class _SavedReport(BaseModel):
    """Which report is saved; what is left empty is left to the report."""

    length: Length
    format: Format
    date: Annotated[str, Field(max_length=10)] = ""
    compound: Annotated[str, Field(max_length=64)] = ""


def way_in(doors: Doors, renderer: Renderer) -> APIRouter:
    """Signing in and out."""
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
        if is_foreign(request.headers):
            raise HTTPException(403)
        try:
            found = doors.sign_in(name, key, address_of(request))
        except ThrottledError as exc:
            return _form(request, after, wrong="too_many_tries", status=429, wait_s=exc.retry_after_s)
        if found is None:
            return _form(request, after, wrong="wrong_key", status=401)
        answer = RedirectResponse(_local(after), 303)
        _set(answer, request, COOKIE, found[1], DAYS * 86_400)
        return answer

    @router.post("/sign-out")
    def leave(request: Request) -> Response:
        if is_foreign(request.headers):
            raise HTTPException(403)
        doors.sign_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def _form(
        request: Request, after: str, *, wrong: str | None = None, status: int = 200, wait_s: int | None = None
    ) -> Response:
        tongue = Assembly.tongue(request)
        text = renderer.render(
            "sign_in",
            tongue,
            title=tongue.word("sign_in"),
            next=_local(after),
            wrong=wrong,
            provider=doors.provider is not None,
        )
        headers = {"Content-Security-Policy": _PLAIN, **({} if wait_s is None else {"Retry-After": str(wait_s)})}
        return HTMLResponse(text, status, headers)

    if doors.provider is not None:
        _by_provider(router, doors, doors.provider, _form)

    return router


_Shown = Callable[..., Response]


def _by_provider(router: APIRouter, doors: Doors, provider: Provider, form: _Shown) -> None:
    """The way by the identity provider, and back."""

    @router.get("/sign-in/provider")
    def go(request: Request, after: Annotated[str, Query(alias="next", max_length=500)] = "/") -> Response:
        try:
            address, state = provider.begin(_local(after))
        except IdentityError as exc:
            return form(request, after, wrong=_told(exc), status=503)
        answer = RedirectResponse(address, 303)
        _set(answer, request, _FLOW_COOKIE, state, _FLOW_S)
        return answer

    @router.get("/sign-in/provider/back")
    def back(
        request: Request,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
    ) -> Response:
        try:
            subject, after = provider.finish(state, code, request.cookies.get(_FLOW_COOKIE, ""))
        except IdentityError as exc:
            return form(request, "/", wrong=_told(exc), status=401)
        cookie = doors.by_provider(subject, address=address_of(request))
        if cookie is None:
            return form(request, "/", wrong="not_known_here", status=403)
        answer = RedirectResponse(_local(after), 303)
        answer.delete_cookie(_FLOW_COOKIE)
        _set(answer, request, COOKIE, cookie, DAYS * 86_400)
        return answer


def beside(service: Service, doors: Doors) -> APIRouter:
    """The language, and files of reports."""
    router = APIRouter(include_in_schema=False)

    @router.get("/language/{language}")
    def speak(
        request: Request, language: Language, after: Annotated[str, Query(alias="next", max_length=500)] = "/"
    ) -> Response:
        answer = RedirectResponse(_local(after), 303)
        _set(answer, request, LANGUAGE_COOKIE, str(language), _YEAR_S)
        return answer

    @router.get("/reports/file")
    def save(request: Request, asked: Annotated[_SavedReport, Query()]) -> Response:
        caller = doors.by_cookie(request.cookies.get(COOKIE))
        if caller is None:
            return RedirectResponse("/sign-in", 303)
        params = ReportParams(date=asked.date or None, compound=asked.compound or None)
        file = service.seen_by(caller).report_file(params.question(asked.length), asked.format)
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return StreamingResponse(file.pieces, media_type=file.media_type, headers=headers)

    return router


def _told(exc: IdentityError) -> str:
    """The word for what is shown; the log says more."""
    _LOG.warning("somebody could not sign in by the identity provider", code=exc.code, error=exc.message)
    return "provider_failed"


def _set(answer: Response, request: Request, name: str, value: str, seconds: int) -> None:
    secure = request.url.scheme == "https" or request.headers.get("X-Forwarded-Proto") == "https"
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def _local(address: str) -> str:
    """An address of ours; the overview for any other, so that nobody is sent elsewhere."""
    return (
        address if address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable() else "/"
    )
