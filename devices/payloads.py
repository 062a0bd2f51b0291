"""Payloads: what a device may send on a channel, validated by schemas made from the kind's declaration.

A schema is a closed pydantic TypedDict: unknown keys, wrong types, numbers that are not finite or out of range are
refused. Nothing is coerced. A payload is one object or an array of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NotRequired

import pydantic
from pydantic import ConfigDict, FailFast, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from devices.errors import ReadingError, Reason
from devices.fields import Field, Signal
from devices.kind import Channel, Kind, Part, Table
from devices.names import ID_PATTERN
from devices.privacy import is_personal, is_personal_text

MAX_PAYLOAD_BYTES = 256 * 1024
"""A payload above this is refused unread: some 1,500 readings in one message."""

MAX_SEQ = 2**53
MAX_TS_MS = 9_000_000_000_000  # the year 2255: the last that nanoseconds in 64 bits hold

Row = Mapping[str, Any]
"""One validated object. Optional keys may be absent."""

_FIRST_OBJECT = b"{"
_SPACE = b" \t\r\n"
_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_HEADER: dict[str, Any] = {
    "ts": Annotated[int, pydantic.Field(ge=0, lt=MAX_TS_MS, description="device clock, ms since the epoch, UTC")],
    "seq": Annotated[int, pydantic.Field(ge=0, lt=MAX_SEQ, description="+1 per object of this device and channel")],
    "boot": NotRequired[Annotated[int, pydantic.Field(ge=0, lt=MAX_SEQ, description="changes when seq restarts")]],
}
_OPTIONAL_HEADER = {**_HEADER, "ts": NotRequired[_HEADER["ts"]], "seq": NotRequired[_HEADER["seq"]]}

# pydantic's error types, as https://docs.pydantic.dev/latest/errors/validation_errors/ names them.
_REASONS = {
    "json_invalid": Reason.JSON,
    "finite_number": Reason.NOT_FINITE,
    "greater_than": Reason.RANGE,
    "greater_than_equal": Reason.RANGE,
    "less_than": Reason.RANGE,
    "less_than_equal": Reason.RANGE,
    "too_long": Reason.RANGE,
    "string_too_long": Reason.RANGE,
    "int_parsing_size": Reason.RANGE,
    "extra_forbidden": Reason.UNKNOWN_FIELD,
    "missing": Reason.MISSING_FIELD,
    "literal_error": Reason.UNKNOWN_LABEL,
    "union_tag_invalid": Reason.UNKNOWN_LABEL,
    "union_tag_not_found": Reason.MISSING_FIELD,
    "too_short": Reason.EMPTY,
}


def _not_personal(text: str) -> str:
    if is_personal_text(text):
        msg = "an identity number is personal data"
        raise ValueError(msg)
    return text


_Identity = Annotated[str, StringConstraints(pattern=ID_PATTERN), pydantic.AfterValidator(_not_personal)]
_Firmware = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._+-]{1,64}$"), pydantic.AfterValidator(_not_personal)
]


class Schema:
    """What one channel of one kind accepts.

    Attributes:
        one: adapter for one object.
        many: adapter for an array of them.
    """

    def __init__(self, kind: Kind, channel: Channel) -> None:
        """Build the schema of `channel` from the declaration of `kind`."""
        tables = [table for table in kind.tables.values() if table.channel is channel]
        shapes = [_typed_dict(table) for table in tables]
        item: Any = shapes[0]
        if channel is Channel.EVENT:
            item = Annotated[_union(shapes), pydantic.Field(discriminator="event")]
        self.one: TypeAdapter[Any] = TypeAdapter(item)
        # Fail at the first bad item: 256 KiB of `{}` make 900,000 errors otherwise, and 900 MB of them.
        many: Any = Annotated[list[item], FailFast(), pydantic.Field(min_length=1)]
        self.many: TypeAdapter[list[Any]] = TypeAdapter(many)

    def validate(self, payload: bytes) -> list[Row]:
        """Read one payload.

        Args:
            payload: the bytes as received.

        Returns:
            Its objects, at least one.

        Raises:
            ReadingError: the payload is refused whole, with the reason of its first fault, or `privacy` where it
                carries personal data anywhere.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ReadingError(
                Reason.TOO_LARGE, f"{len(payload):,} bytes; at most {MAX_PAYLOAD_BYTES:,} are read. Send smaller arrays"
            )
        try:
            if payload[:1] == _FIRST_OBJECT:
                return [self.one.validate_json(payload)]
            text = payload.lstrip(_SPACE)
            if not text:
                raise ReadingError(Reason.EMPTY, "the payload is empty; send one JSON object or an array of them")
            if text[:1] == _FIRST_OBJECT:
                return [self.one.validate_json(text)]
            return self.many.validate_json(text)
        except ValidationError as exc:
            raise _translated(exc, payload) from exc

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of one object, for device makers."""
        return self.one.json_schema()


class Schemas(Mapping[tuple[str, str], Schema]):
    """The schemas of all kinds and channels, by (kind, channel)."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """Build the schemas of `kinds`; a kind without events accepts nothing on its event channel."""
        self._schemas = {
            (kind.name, str(channel)): Schema(kind, channel)
            for kind in kinds.values()
            for channel in Channel
            if any(table.channel is channel for table in kind.tables.values())
        }

    def __getitem__(self, key: tuple[str, str]) -> Schema:
        """The schema of (kind, channel)."""
        return self._schemas[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Every (kind, channel)."""
        return iter(self._schemas)

    def __len__(self) -> int:
        """The number of schemas."""
        return len(self._schemas)


def value_adapter(field: Field) -> TypeAdapter[Any]:
    """The adapter for one value of a field, as the schemas have it."""
    return TypeAdapter(_type(field))


def _typed_dict(table: Table) -> Any:  # noqa: ANN401  (a type form has no type of its own in 3.11)
    keys: dict[str, Any] = dict(_OPTIONAL_HEADER if table.channel is Channel.STATUS else _HEADER)
    if table.channel is Channel.EVENT:
        keys["event"] = Literal[table.name]
    if table.part is not None:
        keys[table.part.name] = _part_type(table.part)
    for field in table.fields:
        keys[field.name] = _type(field) if field.required else NotRequired[_type(field)]
    # The functional form, called as a plain function: the type checker knows it only with literal keys.
    make: Any = TypedDict
    made = make(table.measurement, keys)
    made.__pydantic_config__ = _CONFIG
    return made


def _part_type(part: Part) -> Any:  # noqa: ANN401  (a type form has no type of its own in 3.11)
    return Literal[part.values] if part.values else Annotated[int, pydantic.Field(ge=1, le=999)]


def _type(field: Field) -> Any:  # noqa: ANN401  (a type form has no type of its own in 3.11)
    if field.boolean:
        return bool
    if field.is_label:
        return Literal[field.labels]
    if field.signal is Signal.IDENTITY:
        return _Firmware if field.name == "firmware" else _Identity
    number = int if field.integer else float
    return Annotated[
        number, pydantic.Field(ge=field.low, le=field.high, description=f"{field.title.en} [{field.unit}]")
    ]


def _union(shapes: list[Any]) -> Any:  # noqa: ANN401  (a type form has no type of its own in 3.11)
    made: Any = shapes[0]
    for shape in shapes[1:]:
        made = made | shape
    return made


def _translated(exc: ValidationError, payload: bytes) -> ReadingError:
    if is_personal(payload):
        return ReadingError(Reason.PRIVACY, "the payload carries personal data; its content is not kept")
    try:
        payload.decode()
    except UnicodeDecodeError:
        return ReadingError(Reason.ENCODING, "the payload is not UTF-8")
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "value_error":
        return ReadingError(Reason.PRIVACY, "the payload carries personal data; its content is not kept")
    reason = _REASONS.get(first["type"], Reason.TYPE)
    place = ".".join(str(step) for step in first["loc"])
    return ReadingError(reason, re.sub(r"^: ", "", f"{place}: {first['msg']}")[:300])
