"""How far the rollups have come."""

from typing import Annotated

from pydantic import Field

from api.context import Context
from api.export import zone_of
from api.models import Model, Title
from api.times import NS_PER_S, rfc3339


class RollupModel(Model):
    """The rollups of one kind."""

    kind: str
    title: Title
    begin: Annotated[str | None, Field(description="From when on there are some; null where there are none")]
    closed: Annotated[str | None, Field(description="Until when they are whole")]
    lag_s: Annotated[
        float | None, Field(description="How long ago that was; up to three quarters of an hour go without saying")
    ]
    current: Annotated[bool, Field(description="Whether they are of today's declarations; if not, raw readings serve")]


class RollupList(Model):
    """How far the rollups of each kind have come."""

    kinds: list[RollupModel]


def how_far(context: Context) -> RollupList:
    """How far the rollups of each kind have come.

    Args:
        context: the world.

    Raises:
        StoreError: the store failed.
    """
    now_ns, zone = context.clock(), zone_of(context, ())
    found = []
    for kind in context.kinds.values():
        state = context.reader.state(kind)
        found.append(
            RollupModel(
                kind=kind.name,
                title=Title.of(kind.title),
                begin=None if state is None else rfc3339(state.begin_ns, zone),
                closed=None if state is None else rfc3339(state.closed_ns, zone),
                lag_s=None if state is None else (now_ns - state.closed_ns) / NS_PER_S,
                current=state is not None and state.has_partials(kind),
            )
        )
    return RollupList(kinds=found)
