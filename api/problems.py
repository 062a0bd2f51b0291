"""Errors become problem+json (RFC 9457), all of them in one place and none with internals."""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from access.errors import ThrottledError
from api.auth import CHALLENGE
from api.errors import NotReadyError, status_of
from api.headers import SECURITY_HEADERS
from api.times import shown
from devices.errors import CourtyardError, StoreDeniedError, StoreError, StoreUnavailableError
from records.errors import RecordsError

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 5
_DENIED_RETRY_AFTER_S = 60
_FOREIGN_CODES = {404: "not_found", 405: "method_not_allowed"}

_log = structlog.get_logger("api")


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem."""
    # Starlette types handlers by Exception; each is only ever called with the class it is registered for.
    handlers: dict[Any, Any] = {
        CourtyardError: _courtyard,
        RequestValidationError: _validation,
        HTTPException: _http,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """One problem.

    Args:
        status: the HTTP status.
        code: our stable code; also the end of `type`, which leads to its meaning on /docs.
        detail: what went wrong here and what to send instead.
        headers: further headers.
        more: further members.

    Returns:
        The response.
    """
    body = {
        "type": f"/docs#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    # Escaped to ASCII: what a caller sent may hold half a surrogate pair, which UTF-8 cannot carry.
    content = json.dumps(body, ensure_ascii=True, allow_nan=False)
    return Response(content, status, {**SECURITY_HEADERS, **(headers or {})}, MEDIA_TYPE)


async def _courtyard(request: Request, exc: CourtyardError) -> Response:
    status = status_of(exc)
    if status is HTTPStatus.UNAUTHORIZED:
        return problem(status, exc.code, exc.message, headers=CHALLENGE)
    if isinstance(exc, ThrottledError):
        headers = {"Retry-After": str(exc.retry_after_s)}
        return problem(status, exc.code, exc.message, headers=headers)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, exc.code, exc.message)
    if isinstance(exc, StoreError | RecordsError) or status is HTTPStatus.INTERNAL_SERVER_ERROR:
        # The message of a store names its address; it stays in the log.
        _log.error("request failed", path=request.url.path, code=exc.code, error=exc.message)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _internal()
    more = {"reasons": list(exc.reasons)} if isinstance(exc, NotReadyError) else {}
    detail, wait_s = _advice(exc)
    return problem(status, exc.code, detail, headers={"Retry-After": str(wait_s)}, **more)


def _advice(exc: CourtyardError) -> tuple[str, int]:
    """What to tell the caller of an error that may pass, and after how many seconds to come again."""
    if isinstance(exc, StoreDeniedError):
        return "the store does not let the API in; its operator has to act", _DENIED_RETRY_AFTER_S
    if isinstance(exc, StoreUnavailableError):
        wait_s = _RETRY_AFTER_S if exc.retry_after_s is None else min(max(1, math.ceil(exc.retry_after_s)), 3600)
        return f"the store is away; try again in {wait_s} s", wait_s
    if isinstance(exc, RecordsError):
        return f"the database of alarms is away; try again in {_RETRY_AFTER_S} s", _RETRY_AFTER_S
    return exc.message, _RETRY_AFTER_S


async def _validation(_request: Request, exc: RequestValidationError) -> Response:
    errors = [_fault(each) for each in exc.errors()]
    detail = "; ".join(f"{each['parameter']}: {each['message']}" for each in errors[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "validation", detail, errors=errors[:20])


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with one parameter, what to send, and what was sent."""
    place: Sequence[object] = error.get("loc", ())
    message = str(error.get("msg", "is wrong"))
    if error.get("type") == "extra_forbidden":
        message = "there is no such parameter here; leave it out or mend its name (/docs lists them)"
    sent = error.get("input")
    parameter = ".".join(ascii(step)[1:-1] if isinstance(step, str) else str(step) for step in place[1:])[:60]
    fault = {"in": str(place[0]) if place else "", "parameter": parameter, "message": message}
    return {**fault, "sent": shown(sent)} if isinstance(sent, str) else fault


async def _http(request: Request, exc: HTTPException) -> Response:
    code = _FOREIGN_CODES.get(exc.status_code, "http")
    detail = exc.detail
    if exc.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {shown(request.url.path)}; /docs lists the addresses"
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{shown(request.method)} is not taken here; /docs lists what is"
    return problem(exc.status_code, code, detail, headers=exc.headers)


async def _unexpected(request: Request, exc: Exception) -> Response:
    _log.error("request failed unexpectedly", path=request.url.path, error=type(exc).__name__, exc_info=exc)
    return _internal()


def _internal() -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the service failed; its log says how")
