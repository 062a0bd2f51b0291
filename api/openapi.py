"""The API's description: what FastAPI gathers, with our errors and keys written in."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.auth import HEADER
from api.errors import CODES
from api.problems import MEDIA_TYPE

_OPEN = frozenset({"/health", "/ready"})
_ALWAYS = ("500",)
_GUARDED = ("400", "401", "403", "404", "422", "429", "503")
_MEANINGS = {
    "400": "The question cannot be answered as it was put; `detail` says what to send",
    "401": "No key, or one that is not accepted",
    "403": "The key may not do this; `detail` says which scope it needs",
    "404": "It names something that does not exist",
    "409": "Somebody has taken the alarm on already; `detail` says who",
    "422": "A parameter has the wrong form or is unknown; `errors` says which and what to send",
    "429": "The key asks too often; ask again after `Retry-After` seconds",
    "500": "The service failed",
    "503": "The store is away, or too much is asked at once; try again after `Retry-After` seconds",
}
_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Leads to the meaning of the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": [code for code, _ in CODES], "description": "Stable, for programs"},
        "detail": {"type": "string", "description": "What went wrong and what to send instead, for people"},
        "errors": {
            "type": "array",
            "description": "With code `validation`: one for each parameter",
            "items": {
                "type": "object",
                "required": ["in", "parameter", "message"],
                "properties": {name: {"type": "string"} for name in ("in", "parameter", "message", "sent")},
            },
        },
        "reasons": {
            "type": "array",
            "description": "With code `not_ready`: one for each part that is away",
            "items": {"type": "string"},
        },
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = _PROBLEM
        components["securitySchemes"] = {
            "header": {"type": "apiKey", "in": "header", "name": HEADER},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        for path, operations in made["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        app.openapi_schema = made
    return app.openapi_schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if path.endswith("/acknowledge"):
        responses["409"] = _problem_of("409")
    statuses = (*_ALWAYS, *(("503",) if path == "/ready" else ())) if path in _OPEN else (*_ALWAYS, *_GUARDED)
    for status in sorted(statuses):
        responses[status] = _problem_of(status)
    if path not in _OPEN:
        operation["security"] = [{"header": []}, {"bearer": []}]


def _problem_of(status: str) -> dict[str, Any]:
    return {
        "description": _MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
