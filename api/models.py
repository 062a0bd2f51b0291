"""Answers about what there is: compounds, devices, kinds, the catalogue of statistics."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.connection import State
from devices import fields, kind, names, statistics

Time = Annotated[str, Field(description="RFC 3339 in the compound's time zone", examples=["2025-06-01T08:00:00+08:00"])]
Person = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", examples=["Li"])]
"""Who says something; without what would steer a terminal."""

Note = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")]
"""What they say; tabs and new lines are allowed."""

Age = Annotated[float, Field(description="Age in seconds, by the device's own time", ge=0)]
Value = bool | int | float | str | None
Counts = Annotated[dict[State, int], Field(description="Number of devices in each state; every state is there")]


class Model(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class Body(Model):
    """Base of what callers send. What is not known is refused, so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid")


def _whole(value: object) -> object:
    """JSON knows no integers: 5 and 5.0 are one number, but neither `true` nor a text is."""
    if isinstance(value, bool | str):
        raise ValueError("send a whole number")  # noqa: TRY004  (pydantic wants this one)
    return value


WHOLE = BeforeValidator(_whole)
"""Stands behind the bounds of a whole number in a body."""


class Title(Model):
    """A name for people, in both languages."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: names.Text) -> Self:
        """From a declared text."""
        return cls(en=text.en, zh=text.zh)


class Health(Model):
    """The process is alive."""

    status: str = "ok"


class CompoundSummary(Model):
    """One residential compound as the inventory has it."""

    id: str
    name: Title
    timezone: str
    buildings: int
    residents: int
    parking_spaces: int
    households_heated: int
    devices: Annotated[dict[str, int], Field(description="Number of devices by kind")]


class CompoundList(Model):
    """All compounds."""

    name: Title
    total: int
    compounds: list[CompoundSummary]


class Figure(Model):
    """What one occupancy statistic says about this moment."""

    kind: str
    statistic: str
    title: Title
    unit: str
    label: Annotated[str | None, Field(description="The part or category it is broken down by, or null")]
    value: Annotated[float | None, Field(description="Null where unobserved")]
    coverage: Annotated[float, Field(ge=0, le=1, description="Fraction of it that is observed")]


class CompoundNow(Model):
    """A compound at this moment."""

    id: str
    name: Title
    time: Time
    people_inside: Annotated[float | None, Field(description="Null where unobserved")]
    states: Counts
    states_by_kind: dict[str, Counts]
    last_reading: Time | None
    last_reading_age_s: Age | None
    ages_by_kind: Annotated[dict[str, Age | None], Field(description="Of the last reading of each kind, in seconds")]
    figures: list[Figure]


class CompoundDetail(CompoundSummary):
    """A compound, and how it is now."""

    now: CompoundNow


class Overview(Model):
    """All compounds at this moment."""

    compounds: list[CompoundNow]


class DeviceSummary(Model):
    """One device and its connection."""

    id: str
    kind: str
    compound: str
    building: str
    parts: Annotated[list[str], Field(description="Names of its parts; empty where its kind has none")]
    state: State
    since: Annotated[
        Time | None,
        Field(
            description="Since when it is in this state: the time of the status that says so; of `unknown`, when the "
            "last reading ceased to hold; null where nothing tells"
        ),
    ]
    last_reading: Annotated[Time | None, Field(description="Its own time of its last telemetry")]


class DeviceList(Model):
    """A page of devices."""

    total: Annotated[int, Field(description="How many devices match, on all pages")]
    limit: int
    offset: int
    next_offset: Annotated[int | None, Field(description="`offset` of the next page; null on the last")]
    devices: list[DeviceSummary]


class FieldModel(Model):
    """One field as its kind declares it."""

    name: str
    title: Title
    signal: str
    unit: str
    low: float | None
    high: float | None
    integer: bool
    boolean: bool
    labels: list[str]
    required: bool

    @classmethod
    def of(cls, field: fields.Field) -> Self:
        """From the declaration."""
        return cls(
            name=field.name,
            title=Title.of(field.title),
            signal=field.signal,
            unit=field.unit,
            low=field.low,
            high=field.high,
            integer=field.integer,
            boolean=field.boolean,
            labels=list(field.labels),
            required=field.required,
        )


class PartModel(Model):
    """What a device of the kind consists of."""

    name: str
    title: Title
    values: Annotated[list[str], Field(description='Empty where the inventory numbers them: "1", "2", …')]

    @classmethod
    def of(cls, part: kind.Part) -> Self:
        """From the declaration."""
        return cls(name=part.name, title=Title.of(part.title), values=list(part.values))


class TableModel(Model):
    """Telemetry, status or one event: a table of readings."""

    name: str
    title: Title
    channel: Annotated[str, Field(description="Last level of the topic that carries it")]
    has_part: bool
    fields: list[FieldModel]


class StatisticModel(Model):
    """One declared statistic."""

    kind: str
    name: str
    group: Annotated[statistics.Group, Field(description="Under which address of a compound it is served")]
    title: Title
    unit: str
    definition: str
    by: Annotated[str | None, Field(description="What its lines are broken down by; null for one line")]

    @classmethod
    def of(cls, owner: str, row: statistics.Statistic) -> Self:
        """From the declaration of kind `owner`."""
        return cls(
            kind=owner,
            name=row.name,
            group=row.group,
            title=Title.of(row.title),
            unit=row.unit,
            definition=row.definition,
            by=row.by,
        )


class StatisticList(Model):
    """The catalogue."""

    total: int
    statistics: list[StatisticModel]


class KindModel(Model):
    """One kind of device: everything a device maker or a client needs to know."""

    name: str
    title: Title
    interval_s: Annotated[float, Field(description="Nominal seconds between two telemetry reports")]
    max_hold_s: Annotated[float, Field(description="How long a sample holds; beyond that the time is unobserved")]
    part: PartModel | None
    topics: Annotated[dict[str, str], Field(description="Topic by channel")]
    tables: list[TableModel]
    statistics: list[StatisticModel]
    schemas: Annotated[dict[str, Any], Field(description="JSON schema of one payload object, by channel")]


class KindList(Model):
    """All kinds."""

    total: int
    kinds: list[KindModel]


class LatestReading(Model):
    """The newest telemetry of one part."""

    part: Annotated[str | None, Field(description="Null where the kind has no parts")]
    time: Annotated[Time, Field(description="The device's own time, not that of arrival")]
    age_s: Age
    values: Annotated[Mapping[str, Value], Field(description="By field; null where the reading had none")]


class DeviceDetail(DeviceSummary):
    """One device, its connection, and the latest of each of its parts."""

    title: Title
    part: PartModel | None
    attributes: dict[str, float | int | str]
    firmware: str | None
    interval_s: float
    fields: Annotated[list[FieldModel], Field(description="Fields of its telemetry, with units")]
    latest: list[LatestReading]
