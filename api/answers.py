"""Answers about what was: statistics over buckets, and raw readings."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from api.models import FieldModel, Model, Time, Title, Value
from devices.statistics import Group


class LineModel(Model):
    """One figure per bucket."""

    label: Annotated[
        str | None, Field(description="The part or category that this line is about; null for the only one")
    ]
    values: Annotated[list[float | None], Field(description="One per bucket; null where unobserved, never zero for it")]
    coverage: Annotated[list[float], Field(description="One per bucket: the fraction of it that was observed, 0 to 1")]
    unit: str
    withheld: Annotated[
        tuple[int, ...],
        Field(
            description="Which buckets, from 0, are null because fewer than five persons would be told of; a key with "
            "the scope `manage` is told"
        ),
    ] = ()


class StatisticAnswer(Model):
    """One statistic over the span."""

    title: Title
    unit: str
    definition: str
    by: str | None
    lines: list[LineModel]


class KindAnswer(Model):
    """What is known about the devices of one kind."""

    title: Title
    devices: Annotated[int, Field(description="Devices of the kind that the figures are about")]
    statistics: Annotated[dict[str, StatisticAnswer], Field(description="By name")]


class Period(Model):
    """Statistics over one span."""

    start: Time
    stop: Annotated[Time, Field(description="End of the span, not in it")]
    buckets: Annotated[
        list[str], Field(description="Start of each bucket; it ends where the next starts, or at `stop`")
    ]
    kinds: Annotated[dict[str, KindAnswer], Field(description="By kind")]


class _Statistics(Period):
    name: Title
    group: Group
    timezone: str
    every: str
    previous: Annotated[
        Period | None, Field(description="With `compare=previous`: the same over the period before, else null")
    ] = None


class StatisticsAnswer(_Statistics):
    """Statistics of one compound, or of some of its devices, over one span."""

    compound: str
    building: Annotated[str | None, Field(description="The building that was asked for")] = None
    device: Annotated[str | None, Field(description="The device that was asked for")] = None


class FleetAnswer(_Statistics):
    """Statistics of all compounds together over one span."""

    compounds: Annotated[int, Field(description="How many compounds there are")]


class ReadingModel(Model):
    """One raw reading or event."""

    time: Time
    part: Annotated[str | None, Field(description="Null where the table has no parts")]
    values: Annotated[Mapping[str, Value], Field(description="By field; null where the reading had none")]


class ReadingsAnswer(Model):
    """A page of one device's readings."""

    device: str
    kind: str
    compound: str
    table: str
    timezone: str
    start: Time
    stop: Annotated[Time, Field(description="End of the span, not in it")]
    order: Literal["newest", "oldest"]
    fields: list[FieldModel]
    readings: list[ReadingModel]
    next: Annotated[
        str | None,
        Field(
            description="`cursor` of the next page, to be sent with the same start, stop and order; null on the last"
        ),
    ]
