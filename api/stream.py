"""The live stream: what devices say this moment, as server-sent events."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from access.callers import Scope
from api.auth import Guard
from api.errors import StreamAwayError
from api.questions import StreamParams
from api.service import Service
from live.frames import Wanted
from live.hub import Hub

MEDIA_TYPE = "text/event-stream"
_BEAT_S = 15
_CHECK_S = 0.4
_PATIENCE_S = 10.0
"""Who takes nothing for so long is let go."""

_RESPONSES = {
    200: {
        "description": "Events `telemetry`, `event` and `status`: one reading each, `data` being `{compound, kind, "
        "device, received, reading}`, where `received` is ms since the epoch and `reading` is the object that the "
        "device sent. `feed` says whether the broker is connected, `gap` that something is missing before it "
        "(`reason`: `too_old`, `restarted`, `unknown_id`, or `overload`). Lines that begin with a colon come when "
        "nothing else does.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


def stream_router(guard: Guard, hub: Hub | None) -> APIRouter:
    """The route of the live stream; None for the hub where no broker is followed."""
    router = APIRouter(tags=["live"])

    @router.get("/v1/stream", responses=_RESPONSES, response_class=Response)  # type: ignore[arg-type]
    async def read_stream(
        request: Request,
        mine: Annotated[Service, Depends(guard(Scope.READ))],
        params: Annotated[StreamParams, Query()],
        last_event_id: Annotated[
            str | None, Header(max_length=64, description="The last `id` that came: what came since is sent first")
        ] = None,
    ) -> Response:
        """Readings as devices send them, until you end it. After an interruption some may come twice: see `seq`.

        A client that is too slow is let go; it may come again with `Last-Event-ID`.
        """
        if hub is None:
            raise StreamAwayError("this API does not follow the broker: set COURTYARD_LIVE=true and COURTYARD_MQTT_…")
        context = mine.context
        everything = not params.compound and context.inventory.is_whole
        chosen = params.compound or tuple(context.inventory.compounds)
        compounds = frozenset(context.compound(each).id for each in chosen)
        kinds = frozenset(context.kind(each).name for each in params.kind)
        # What single persons do is for those who may manage, and that they look on is written down.
        people = Scope.MANAGE in context.caller.grant.scopes
        wanted = Wanted(None if everything else compounds, kinds or None, people)
        if people:
            await run_in_threadpool(context.record, "people.read", " ".join(sorted(compounds)) or "all", table="stream")
        pieces = _while(hub.stream(wanted, last_event_id), lambda: guard.is_still_good(request, context.caller))
        return EventSourceResponse(pieces, ping=_BEAT_S, sep="\n", send_timeout=_PATIENCE_S)

    return router


async def _while(pieces: AsyncGenerator[bytes], is_good: Callable[[], bool]) -> AsyncGenerator[bytes]:
    """What a stream sends, while the key that opened it is accepted: each piece waits for the answer."""
    checked = float("-inf")
    async with aclosing(pieces):
        async for piece in pieces:
            # Not for each of some ten a second of each of many streams; together with what is held a second at most.
            if time.monotonic() - checked > _CHECK_S:
                if not await run_in_threadpool(is_good):
                    return
                checked = time.monotonic()
            yield piece
