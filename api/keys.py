"""Keys over the API: made, listed and revoked by a caller who may; nobody gives away more than they have."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from starlette.responses import Response

from access.callers import Caller, Scope
from access.doors import Doors
from access.keys import Key
from access.office import Office
from api.auth import Guard
from api.errors import KeysAwayError
from api.models import WHOLE, Body, Model, Time
from api.questions import AuditParams, NoParams
from api.service import Service
from api.times import rfc3339

_UTC = ZoneInfo("UTC")
_Id = Annotated[str, Path(max_length=64, description="Its public part, between the underscores")]


class KeyModel(Model):
    """What is known of a key; not the key."""

    id: Annotated[str, Field(description="Its public part, between the underscores")]
    name: str
    scopes: list[Scope]
    compounds: Annotated[list[str] | None, Field(description="Null for all")]
    created: Time
    created_by: str
    expires: Annotated[Time | None, Field(description="Null for never")]
    revoked: Annotated[Time | None, Field(description="Null where it is accepted")]


class KeyList(Model):
    """Keys, the newest first."""

    keys: list[KeyModel]


class NewKeyModel(KeyModel):
    """A key as it is made."""

    key: Annotated[str, Field(description="The key itself; it is told this once, and kept nowhere")]


class WantedKey(Body):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="What it is for")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)] = (Scope.READ,)
    compounds: Annotated[
        list[str] | None, Field(max_length=1000, description="Ids of compounds. Default: those of the caller")
    ] = None
    days: Annotated[int, Field(ge=1, le=3650, description="How long it is good. Default: for ever"), WHOLE] | None = (
        None
    )


class Me(Model):
    """Who asks, and what they may."""

    id: str
    name: str
    scopes: list[Scope]
    compounds: Annotated[list[str] | None, Field(description="Null for all")]


class AuditLine(Model):
    """One line of the audit log."""

    id: int
    at: Time
    who: str
    what: str
    about: str
    detail: dict[str, object]
    hash: Annotated[str, Field(description="SHA-256 over the line and the hash of the one before")]


class AuditPage(Model):
    """A page of the audit log, the newest first."""

    lines: list[AuditLine]
    next_before: Annotated[int | None, Field(description="`before` of the next page; null on the last")]


def keys_router(doors: Doors, guard: Guard) -> APIRouter:
    """The routes about keys, and the audit log."""
    router = APIRouter(tags=["access"])
    administrator = Depends(guard(Scope.ADMIN))

    @router.get("/v1/me", response_model=Me)
    def who_am_i(_: Annotated[NoParams, Query()], caller: Annotated[Caller, Depends(guard.caller)]) -> Response:
        """Who asks, and what they may. For a key without any scope of use to you, ask whoever gave it."""
        grant = caller.grant
        compounds = None if grant.compounds is None else sorted(grant.compounds)
        return _json(Me(id=caller.id, name=caller.name, scopes=sorted(grant.scopes), compounds=compounds))

    @router.get("/v1/keys", response_model=KeyList)
    def list_keys(_: Annotated[NoParams, Query()], mine: Annotated[Service, administrator]) -> Response:
        """The keys that you could have made: what they may, and whether they are accepted."""
        return _json(KeyList(keys=[_model(each) for each in _office(doors, mine).list_keys()]))

    @router.post("/v1/keys", response_model=NewKeyModel, status_code=201)
    def make_key(wanted: WantedKey, mine: Annotated[Service, administrator]) -> Response:
        """Make a key. It is told in the answer, once. Nobody gives away more than they have."""
        asked = wanted.compounds
        compounds = None if asked is None else [mine.context.compound(each).id for each in asked]
        made = _office(doors, mine).make_key(wanted.name, wanted.scopes, compounds, wanted.days)
        return _json(NewKeyModel(**dict(_model(made.key)), key=made.text), 201)

    @router.delete("/v1/keys/{key}", response_model=KeyModel)
    def revoke_key(key: _Id, mine: Annotated[Service, administrator]) -> Response:
        """Refuse a key from now on."""
        return _json(_model(_office(doors, mine).revoke_key(key)))

    @router.get("/v1/audit", response_model=AuditPage)
    def read_audit(params: Annotated[AuditParams, Query()], mine: Annotated[Service, administrator]) -> Response:
        """The audit log: who did what, the newest first. `courtyard audit verify` checks its chain."""
        mine.context.caller.require_everywhere()
        if doors.audit is None:
            raise KeysAwayError("no records are kept here: set COURTYARD_RECORDS_URL")
        found = doors.audit.newest(params.limit, before=params.before)
        lines = [
            AuditLine(
                id=each.id, at=_time(each.at_ns), who=each.who, what=each.what, about=each.about,
                detail=dict(each.detail), hash=each.hash,
            )
            for each in found
        ]  # fmt: skip
        more = len(found) == params.limit and found[-1].id > 1
        return _json(AuditPage(lines=lines, next_before=found[-1].id if more else None))

    return router


def _office(doors: Doors, mine: Service) -> Office:
    if doors.keys is None:
        raise KeysAwayError("no records are kept here: set COURTYARD_RECORDS_URL")
    return Office(doors, mine.context.caller)


def _model(key: Key) -> KeyModel:
    grant = key.grant
    return KeyModel(
        id=key.id,
        name=key.name,
        scopes=sorted(grant.scopes),
        compounds=None if grant.compounds is None else sorted(grant.compounds),
        created=_time(key.created_ns),
        created_by=key.created_by,
        expires=None if key.expires_ns is None else _time(key.expires_ns),
        revoked=None if key.revoked_ns is None else _time(key.revoked_ns),
    )


def _time(time_ns: int) -> str:
    return rfc3339(time_ns, _UTC)


def _json(answer: Model, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")
