"""Messages carry exactly the rows of the batches, numbered without a gap."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from devices.columns import NS_PER_MS, Batch, SeriesKey, column_of
from devices.inventory import Inventory
from devices.kind import Channel
from devices.registry import Registry
from devices.topics import Topic
from simulators.behaviour import Behaviour
from simulators.encode import Encoder, Message
from simulators.source import Source
from tests.simulators.conftest import HOUR_MS, at
from tests.simulators.rows import rows_of

START = at("2025-11-05T17:00")
BOOT = 1_762_333_200


@pytest.fixture(scope="module")
def batches(street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> list[Batch]:
    return Source(street, registry, behaviours, 1).span(START, START + 3 * HOUR_MS)


@pytest.fixture
def numbers(street: Inventory) -> dict[str, int]:
    return {id_: number for number, id_ in enumerate(street.devices)}


def objects(messages: list[Message]) -> dict[tuple[str, int], dict[str, Any]]:
    """All objects by topic and sequence number."""
    made: dict[tuple[str, int], dict[str, Any]] = {}
    for message in messages:
        body = json.loads(message.payload)
        for each in body if isinstance(body, list) else [body]:
            key = message.topic, each["seq"]
            assert key not in made
            made[key] = each
    return made


def expected(batch: Batch, row: dict[str, Any]) -> str:
    """The object of one row but for its number, made the slow way; as sorted JSON."""
    table = batch.table
    made: dict[str, Any] = {"ts": row["ms"], "boot": BOOT}
    if table.channel is Channel.EVENT:
        made["event"] = table.name
    if table.part is not None:
        made[table.part.name] = row["part"] if table.part.values else int(row["part"])
    for field in table.fields:
        value = row[field.name]
        if value is not None:
            made[field.name] = value == "true" if field.boolean else value
    device = row["device"]
    return f"{device} {table.channel} {json.dumps({key: _plain(value) for key, value in made.items()}, sort_keys=True)}"


def _plain(value: object) -> object:
    # 7.0 and 7 are the same number in JSON.
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_messages_carry_the_rows(batches: list[Batch], numbers: dict[str, int], batch: int) -> None:
    messages = Encoder(numbers, boot=BOOT, batch=batch).encode(batches)
    got = []
    for (topic, _), body in objects(messages).items():
        parsed = Topic.parse(topic)
        body.pop("seq")
        plain = {key: _plain(value) for key, value in body.items()}
        got.append(f"{parsed.device} {parsed.channel} {json.dumps(plain, sort_keys=True)}")
    assert sorted(got) == sorted(expected(each, row) for each in batches for row in rows_of(each))


def test_numbers_rise_by_one_in_order_of_time(batches: list[Batch], numbers: dict[str, int]) -> None:
    encoder = Encoder(numbers, boot=BOOT)
    middle = (START + HOUR_MS) * NS_PER_MS
    messages = encoder.encode([batch.take(batch.time < middle) for batch in batches])
    messages += encoder.encode([batch.take(batch.time >= middle) for batch in batches])
    times: dict[str, list[int]] = defaultdict(list)
    for (topic, seq), body in objects(messages).items():
        assert seq == len(times[topic])
        times[topic].append(body["ts"])
    assert all(each == sorted(each) for each in times.values())
    assert [message.due_ms for message in messages] == sorted(message.due_ms for message in messages)


def test_arrays_are_as_long_as_asked(batches: list[Batch], numbers: dict[str, int]) -> None:
    messages = Encoder(numbers, boot=BOOT, batch=10).encode(batches)
    lengths = defaultdict(list)
    for message in messages:
        body = json.loads(message.payload)
        rows = body if isinstance(body, list) else [body]
        assert len(rows) == sum(count for _, count in message.counts) <= 10
        assert message.due_ms == rows[-1]["ts"]
        assert not message.retain
        lengths[message.topic].append(len(rows))
    for each in lengths.values():
        assert set(each[:-1]) <= {10}
    assert any(10 in each for each in lengths.values())


def test_counts_name_the_measurements(batches: list[Batch], numbers: dict[str, int]) -> None:
    for message in Encoder(numbers, boot=BOOT, batch=50).encode(batches):
        body = json.loads(message.payload)
        kind = Topic.parse(message.topic).kind
        counted: dict[str, int] = defaultdict(int)
        for row in body if isinstance(body, list) else [body]:
            counted[f"{kind}_{row.get('event', 'telemetry')}"] += 1
        assert dict(message.counts) == dict(counted)


def test_lingering_is_bounded(batches: list[Batch], numbers: dict[str, int]) -> None:
    linger_ms = 5 * 60_000
    messages = Encoder(numbers, boot=BOOT, batch=1000, linger_ms=linger_ms).encode(batches)
    most = 0
    for message in messages:
        body = json.loads(message.payload)
        rows = body if isinstance(body, list) else [body]
        assert rows[0]["ts"] // linger_ms == rows[-1]["ts"] // linger_ms
        most = max(most, len(rows))
    assert most > 4


def test_no_batches_no_messages(numbers: dict[str, int], registry: Registry) -> None:
    encoder = Encoder(numbers, boot=BOOT)
    assert encoder.encode([]) == []
    assert encoder.encode([Batch.empty(registry["gate"].tables["pass"])]) == []


@pytest.mark.parametrize("value", [0.1, 1e-7, 5e-324, 1e6, 999_999.999_999, 123_456.789_012_345, -0.0])
def test_numbers_survive_exactly(registry: Registry, value: float) -> None:
    table = registry["charger"].tables["telemetry"]
    columns = {field.name: column_of(field, [None]) for field in table.fields}
    columns |= {"power_w": column_of(table.by_name["power_w"], [value])}
    batch = Batch(table, (SeriesKey("a", "a-charger-01", "1"),), np.zeros(1, np.int32), np.zeros(1, np.int64), columns)
    (message,) = Encoder({"a-charger-01": 0}, boot=1).encode([batch])
    body = json.loads(message.payload)
    assert body == {"ts": 0, "seq": 0, "boot": 1, "connector": 1, "power_w": value}


def test_sequences_of_channels_are_their_own(numbers: dict[str, int]) -> None:
    encoder = Encoder(numbers, boot=BOOT)
    assert [encoder.take_seq(3, Channel.STATUS) for _ in range(3)] == [0, 1, 2]
    assert encoder.take_seq(2, Channel.STATUS) == 0
    assert encoder.take_seq(3, Channel.EVENT) == 0
