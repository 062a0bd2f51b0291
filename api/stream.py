"""The live stream: what devices say this moment, as server-sent events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from api.auth import Guard
from api.context import Context
from api.errors import StreamAwayError
from api.questions import StreamParams
from live.frames import Wanted
from live.hub import Hub

MEDIA_TYPE = "text/event-stream"
_BEAT_S = 15
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


def stream_router(context: Context, guard: Guard, hub: Hub | None) -> APIRouter:
    """The route of the live stream; None for the hub where no broker is followed."""
    router = APIRouter(tags=["live"], dependencies=[Depends(guard)])

    @router.get("/v1/stream", responses=_RESPONSES, response_class=Response)  # type: ignore[arg-type]
    async def read_stream(
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
        compounds = frozenset(context.compound(each).id for each in params.compound)
        kinds = frozenset(context.kind(each).name for each in params.kind)
        pieces = hub.stream(Wanted(compounds or None, kinds or None), last_event_id)
        return EventSourceResponse(pieces, ping=_BEAT_S, sep="\n", send_timeout=_PATIENCE_S)

    return router
