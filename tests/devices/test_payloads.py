"""Payload schemas: round trips, closedness, arbitrary bytes. Reasons have golden cases of their own."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devices.errors import ReadingError, Reason
from devices.fields import Field, Signal
from devices.kind import Channel, Table
from devices.payloads import MAX_PAYLOAD_BYTES, Schemas
from devices.privacy import FORBIDDEN_NAMES, is_personal, is_personal_text
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
    assume(not is_personal(json.dumps(good).encode()))  # an id may look so, once it is refused for something else
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
        "aGVsbG8gd29ybGQgaGVsbG8gd29y",
        "13812345678",
        "+86 138-1234-5678",
        "\\u0031\\u00338 1234 5678",
        "0571-88887777",
        "0.1,0.2,0.3,-0.4,1e-5,6,7,8",
        "0.1; 0.2; 0.3; 0.4; 0.5; 0.6; 0.7; 0.8",
        "王小明",
        "\\u4eacA12345",
        "浙A·D12345",
        "１３８１２３４５６７８",
        "GIF89a",
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
        '[{"ts": 1, "seq": 2}, {"ts": 3, "seq": 4}, {"ts": 5, "seq": 6}, {"ts": 7, "seq": 8}]',
        '{"firmware": "v2.3.1-20240101-abcdefabcdef0123456789abcdefabcdef"}',
        '{"firmware": "GateOS-2024-06-01-Release+build.7"}',
        '{"id": "550e8400-e29b-41d4-a716-446655440000"}',
        '{"temp_c": "25 °C"}',
    ],
)
def test_what_is_not(text: str) -> None:
    assert not is_personal(text.encode())


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("11010519491231002x", True), ("110105194912310020", False),  # the check digit is X
        ("440524188001010014", True), ("440524188013010016", False),  # there is no month 13
        ("13812345678", True), ("12812345678", False), ("1381234567890", False), ("138-1234-5678", True),
        ("jingyuan-charger-01-1-2511301", False), ("202511300123456789", False),
    ],
)  # fmt: skip
def test_of_an_accepted_text_only_what_is_certain(text: str, *, personal: bool) -> None:
    assert is_personal_text(text) is personal


@pytest.mark.parametrize(
    "unit",
    ['"', "1,", "aA", "-1.", "\\u0041", "138 ", "a+A/", "1 ,", '{"', "0", "1.1e1,;", '"\\"', "京", "a" * 27 + "."],
)
def test_the_search_takes_no_longer_for_hostile_text(unit: str) -> None:
    payload = (unit * MAX_PAYLOAD_BYTES).encode()[:MAX_PAYLOAD_BYTES]
    short = payload[: MAX_PAYLOAD_BYTES // 16]
    begun = time.process_time()
    for _ in range(16):
        is_personal(short)
    between = time.process_time()
    is_personal(payload)
    # As many bytes in one piece cost about as much as in sixteen: it is linear.
    assert time.process_time() - between < 20 * (between - begun) + 0.1


def test_large_payloads_are_refused_unread_and_hostile_ones_quickly() -> None:
    schema = SCHEMAS["gate", "telemetry"]
    for payload in (b" " * (MAX_PAYLOAD_BYTES + 1), b"[" * MAX_PAYLOAD_BYTES, b"[" + b"{}," * 80_000 + b"{}]"):
        with pytest.raises(ReadingError):
            schema.validate(payload)


def test_schemas_are_published_for_device_makers() -> None:
    for schema in SCHEMAS.values():
        json.dumps(schema.json_schema())
