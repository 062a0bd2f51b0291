"""Decode: the golden cases, and what holds for whatever is sent."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.columns import NS_PER_MS, Coded
from devices.errors import Reason
from devices.inventory import Inventory
from devices.kind import Channel
from devices.payloads import MAX_PAYLOAD_BYTES
from devices.registry import Registry
from ingest.deadletters import LOOKED_AT_BYTES
from ingest.decode import Decoded, Decoder
from ingest.frame import Messages, Spooled
from ingest.ledger import Account, Entry, per_kind, per_reason, unbalanced
from ingest.rows import Rows
from tests.ingest.fleet import Fleet, Identity, Sent, identities

GOLDEN = Path(__file__).parent.parent / "golden" / "decode"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/messages.json"))
NOW_MS = 1_700_000_000_000
GATE = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"


def spooled(messages: list[tuple[str, bytes]], received_ms: int = NOW_MS) -> Spooled:
    """A batch as the receiver makes it: oversize payloads are cut."""
    cut = {place: len(payload) for place, (_, payload) in enumerate(messages) if len(payload) > MAX_PAYLOAD_BYTES}
    payloads = [payload[:LOOKED_AT_BYTES] if place in cut else payload for place, (_, payload) in enumerate(messages)]
    return Spooled(1, received_ms, len(messages), Messages([topic for topic, _ in messages], payloads, cut))


def payload_of(entry: Mapping[str, Any]) -> bytes:
    """A payload as a case writes it: text, hexadecimal digits, or something repeated."""
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    if "repeat" in entry:
        return str(entry.get("before", "") + entry["repeat"] * entry["times"] + entry.get("after", "")).encode()
    return str(entry["text"]).encode()


def shown(rows: Rows) -> list[dict[str, object]]:
    """Rows as a case writes them."""
    batch = rows.batch
    columns: dict[str, list[Any]] = {
        name: column.decoded() if isinstance(column, Coded) else column.tolist()
        for name, column in batch.columns.items()
    }
    found = []
    for row, (series, at) in enumerate(zip(batch.series.tolist(), batch.time.tolist(), strict=True)):
        values = {name: column[row] for name, column in columns.items()}
        present = {name: value for name, value in values.items() if value is not None and value == value}  # noqa: PLR0124  (NaN is absent)
        found.append({"table": batch.table.measurement, **batch.keys[series]._asdict(), "time": at, **present})
    return found


def outcome(decoded: Decoded) -> dict[str, object]:
    """What was decoded, as a case writes it."""
    return {
        "rows": [row for rows in decoded.tables for row in shown(rows)],
        "refused": [
            {
                "reason": each.reason.value,
                "message": each.message,
                "topic": each.topic,
                "kind": each.kind,
                "compound": each.compound,
                "size": each.size,
                "kept": None if each.payload is None else len(each.payload),
            }
            for each in decoded.letters
        ],
        "counts": {
            " ".join(filter(None, account)): value for account, value in sorted(decoded.counts.items()) if value
        },
    }


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, decoder: Decoder) -> None:
    given = json.loads((GOLDEN / case / "messages.json").read_text(encoding="utf-8"))
    messages = [(each["topic"], payload_of(each)) for each in given["messages"]]
    decoded = decoder.decode([spooled(messages, given["received_ms"])])
    expected = json.loads((GOLDEN / case / "expected.json").read_text(encoding="utf-8"))
    assert outcome(decoded) == expected
    assert_balanced(decoded)


def test_the_golden_cases_are_found() -> None:
    assert len(CASES) >= 20


def test_every_reason_has_a_golden_case() -> None:
    told = {
        each["reason"]
        for case in CASES
        for each in json.loads((GOLDEN / case / "expected.json").read_text(encoding="utf-8"))["refused"]
    }
    elsewhere = {Reason.STORE_REJECTED, Reason.SPOOL_CORRUPT, Reason.RATE, Reason.DELETED}
    assert told == set(Reason) - elsewhere


@pytest.mark.parametrize("objects", [1, 7])
def test_every_table_of_every_kind_is_decoded(
    decoder: Decoder, small: Inventory, registry: Registry, fleet: Fleet, objects: int
) -> None:
    sent = [
        fleet.message(device, table, objects=objects, ts=NOW_MS)
        for device in small.devices.values()
        for table in registry[device.kind].tables.values()
    ]
    decoded = decoder.decode([spooled([(each.topic, each.payload) for each in sent])])
    assert decoded.letters == []
    assert {rows.batch.table for rows in decoded.tables} == set(registry.tables())
    assert sorted(found(decoded)) == sorted(identities(sent))
    for rows in decoded.tables:
        assert rows.batch.sorted() is rows.batch
        assert set(rows.batch.columns) == set(rows.batch.table.by_name)
        for number, row in enumerate(shown(rows)):
            sent_as = rows.object(number)
            assert {name: sent_as[name] for name in rows.batch.table.by_name if name in sent_as} == {
                name: boolean(value) for name, value in row.items() if name in rows.batch.table.by_name
            }


def boolean(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def found(decoded: Decoded) -> list[Identity]:
    return [
        Identity(rows.batch.table.measurement, rows.batch.keys[series], at)
        for rows in decoded.tables
        for series, at in zip(rows.batch.series.tolist(), rows.batch.time.tolist(), strict=True)
    ]


def test_the_cache_holds_known_topics_alone(decoder: Decoder, small: Inventory, fleet: Fleet) -> None:
    strangers = [(f"compounds/jingyuan/gate/stranger-{number}/telemetry", b"{}") for number in range(20_000)]
    decoded = decoder.decode([spooled(strangers)])
    assert per_reason(decoded.counts) == {Reason.UNKNOWN_DEVICE: 20_000}
    assert decoder.known_topics == 0
    sent = list(fleet.messages(2000))
    decoder.decode([spooled([(each.topic, each.payload) for each in sent])])
    assert 0 < decoder.known_topics <= len(small.devices) * len(Channel)


def test_batches_are_decoded_each_at_its_own_time(decoder: Decoder) -> None:
    will = ("compounds/jingyuan/gate/jingyuan-gate-01/status", b'{"state":"offline"}')
    decoded = decoder.decode([spooled([will], NOW_MS), spooled([will], NOW_MS + 5)])
    assert [rows.batch.time.tolist() for rows in decoded.tables] == [[NOW_MS * NS_PER_MS, (NOW_MS + 5) * NS_PER_MS]]


def test_an_unreadable_batch_is_accounted_for(decoder: Decoder, fleet: Fleet) -> None:
    (good,) = fleet.messages(1)
    decoded = decoder.decode([Spooled(1, NOW_MS, 17, None), spooled([(good.topic, good.payload)], good_ms(good))])
    assert [each.reason for each in decoded.letters] == [Reason.SPOOL_CORRUPT]
    assert decoded.counts[Account(Entry.DEAD_LETTERED, "unknown", Reason.SPOOL_CORRUPT)] == 17
    assert per_kind(decoded.counts, Entry.RECEIVED)["unknown"] == 17
    assert found(decoded) == list(good.identities)


def assert_balanced(decoded: Decoded) -> None:
    """What was received and neither refused nor a duplicate is there to be written."""
    rows: Counter[str] = Counter()
    for each in decoded.tables:
        rows[each.batch.table.kind] += len(each)
    assert unbalanced(decoded.counts) == rows


def good_ms(sent: Sent) -> int:
    return sent.identities[0].time_ns // NS_PER_MS


def test_nothing_is_decoded_of_nothing(decoder: Decoder) -> None:
    decoded = decoder.decode([])
    assert (decoded.tables, decoded.letters, dict(decoded.counts)) == ([], [], {})


TOPICS = st.one_of(
    st.just(GATE),
    st.sampled_from(["compounds/jingyuan/charger/jingyuan-charger-01/telemetry", GATE.replace("telemetry", "event")]),
    st.text(max_size=80),
    st.lists(st.sampled_from(["compounds", "jingyuan", "gate", "x", "", "telemetry", "+", "#"]), max_size=7).map(
        "/".join
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["ts", "seq", "event", "door", "connector", "tamper", "uptime_s", "boot"])
            | st.text(max_size=9),
            inner,
            max_size=8,
        )
    ),
    max_leaves=12,
)
TELEMETRY = st.fixed_dictionaries(
    {
        "ts": st.integers(NOW_MS - 10**10, NOW_MS + 10**7),
        "seq": st.integers(0, 2**54),
        "door": st.sampled_from(["closed", "open", "nonsense"]),
        "tamper": st.booleans(),
        "uptime_s": st.floats(),
    }
)
PAYLOADS = st.one_of(
    st.binary(max_size=200),
    (JSON | TELEMETRY | st.lists(TELEMETRY, max_size=4)).map(lambda made: json.dumps(made).encode()),
)


@settings(deadline=None, max_examples=300)
@given(messages=st.lists(st.tuples(TOPICS, PAYLOADS), max_size=12))
def test_every_message_is_accounted_for_once(messages: list[tuple[str, bytes]], shared_decoder: Decoder) -> None:
    decoded = shared_decoder.decode([spooled(messages)])
    assert_balanced(decoded)
    one_by_one = [shared_decoder.decode([spooled([message])]) for message in messages]
    for each in one_by_one:
        objects = sum(per_kind(each.counts, Entry.RECEIVED).values())
        assert len(each.letters) + (objects > len(each.letters)) == 1
    assert [each for one in one_by_one for each in one.letters] == decoded.letters
    assert {each for one in one_by_one for each in found(one)} == set(found(decoded))
    assert len(found(decoded)) == len(set(found(decoded)))
    for rows in decoded.tables:
        assert all(np.isfinite(c).all() for c in rows.batch.columns.values() if not isinstance(c, Coded))


@pytest.fixture(scope="module")
def shared_decoder(small: Inventory, registry: Registry) -> Decoder:
    return Decoder(small, registry, max_future_s=3600, max_age_days=90)
