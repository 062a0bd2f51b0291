"""Payload schemas: round trips, closedness, arbitrary bytes. Reasons have golden cases of their own."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import ReadingError, Reason
from devices.fields import Field, Signal
from devices.kind import Channel, Table
from devices.payloads import MAX_PAYLOAD_BYTES, Schemas
from devices.privacy import FORBIDDEN_NAMES, is_personal
from devices.registry import discover

KINDS = discover()
SCHEMAS = Schemas(KINDS)
TABLES = list(KINDS.tables())
IDS = [table.measurement for table in TABLES]


def _values(field: Field) -> st.SearchStrategy[Any]:
    if field.boolean:
        return st.booleans()
    if field.is_label:
        return st.sampled_from(field.labels)
    if field.signal is Signal.IDENTITY:
        return st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True)
    if field.integer:
        return st.integers(int(field.low or 0), int(field.high or 0))
    return st.floats(field.low, field.high, allow_nan=False)


def _objects(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    keys: dict[str, st.SearchStrategy[Any]] = {"ts": st.integers(0, 4 * 10**12), "seq": st.integers(0, 2**40)}
    if table.channel is Channel.EVENT:
        keys["event"] = st.just(table.name)
    if table.part is not None:
        keys[table.part.name] = st.sampled_from(table.part.values) if table.part.values else st.integers(1, 99)
    required = {field.name: _values(field) for field in table.fields if field.required}
    optional = {field.name: _values(field) for field in table.fields if not field.required}
    optional["boot"] = st.integers(0, 2**40)
    return st.fixed_dictionaries({**keys, **required}, optional=optional)


@pytest.mark.parametrize("table", TABLES, ids=IDS)
@given(data=st.data())
def test_what_a_kind_declares_passes_unchanged(table: Table, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(_objects(table), min_size=1, max_size=4))
    schema = SCHEMAS[table.kind, table.channel]
    assert schema.validate(json.dumps(wanted).encode()) == wanted
    assert schema.validate(json.dumps(wanted[0]).encode()) == wanted[:1]


@pytest.mark.parametrize("table", TABLES, ids=IDS)
@given(data=st.data())
def test_a_key_more_or_a_key_less_is_refused(table: Table, data: st.DataObject) -> None:
    good = data.draw(_objects(table))
    schema = SCHEMAS[table.kind, table.channel]
    with pytest.raises(ReadingError) as caught:
        schema.validate(json.dumps({**good, "surplus": 1}).encode())
    assert caught.value.reason is Reason.UNKNOWN_FIELD
    needed = [field.name for field in table.fields if field.required]
    if needed:
        del good[data.draw(st.sampled_from(needed))]
        with pytest.raises(ReadingError) as caught:
            schema.validate(json.dumps(good).encode())
        assert caught.value.reason is Reason.MISSING_FIELD


@pytest.mark.parametrize("key", sorted(SCHEMAS), ids="/".join)
@given(payload=st.binary(max_size=300) | st.text().map(str.encode))
def test_arbitrary_bytes_raise_only_our_error(key: tuple[str, str], payload: bytes) -> None:
    with contextlib.suppress(ReadingError):
        assert SCHEMAS[key].validate(payload)


@pytest.mark.parametrize("table", TABLES, ids=IDS)
@given(data=st.data(), name=st.sampled_from(sorted(FORBIDDEN_NAMES)))
def test_a_personal_key_is_privacy_however_it_is_spelt(table: Table, data: st.DataObject, name: str) -> None:
    good = json.dumps(data.draw(_objects(table)))[:-1]
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    for spelt in (name, name.upper(), name.replace("_", "-"), escaped):
        payload = f'{good}, "{spelt}": 1}}'.encode()
        with pytest.raises(ReadingError) as caught:
            SCHEMAS[table.kind, table.channel].validate(payload)
        assert caught.value.reason is Reason.PRIVACY


@pytest.mark.parametrize(
    "text",
    [
        "11010519491231002X",
        "110105194912310021",
        "1\\u0031010519491231002X",
        "data:image/png;base64,iVBORw0KGgo=",
        "A" * 70,
        "/9j/" + "4AAQSkZJRgABAQ" * 6 + "==",
        "\\/9j\\/" + "4AAQ\\/kZJRgABAQ" * 6,
    ],
)
def test_what_is_personal(text: str) -> None:
    assert is_personal(f'{{"ts": 1, "note": "{text}"}}'.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"ts": 1764000000000, "seq": 9007199254740991}',
        '{"power_w": 0.12345678901234567, "energy_wh": 1234567890.1234567}',
        '{"note": "jingyuan-charger-01-20261124-0001"}',
        '{"power_w": 0.123456789012345678}',
    ],
)
def test_what_is_not(text: str) -> None:
    assert not is_personal(text.encode())


def test_large_payloads_are_refused_unread_and_hostile_ones_quickly() -> None:
    schema = SCHEMAS["gate", "telemetry"]
    for payload in (b" " * (MAX_PAYLOAD_BYTES + 1), b"[" * MAX_PAYLOAD_BYTES, b"[" + b"{}," * 80_000 + b"{}]"):
        with pytest.raises(ReadingError):
            schema.validate(payload)


def test_schemas_are_published_for_device_makers() -> None:
    for schema in SCHEMAS.values():
        json.dumps(schema.json_schema())
