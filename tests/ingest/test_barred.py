"""What was deleted for good does not come back by way of ingest, and nothing beside it is lost."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import NS_PER_MS
from devices.errors import Reason
from devices.inventory import Inventory
from devices.registry import Registry
from ingest import inspection
from ingest.decode import Decoder
from ingest.frame import Messages, Spooled
from ingest.ledger import Account, Entry, per_kind, per_reason, unbalanced
from ingest.spool import Spool
from store.duck import DuckStore
from store.protocol import Query
from tests.ingest.conftest import LIMITS, Start, settled, until
from tests.ingest.fleet import Sent
from tests.ingest.publisher import Publisher
from tests.ingest.stores import FailingStore
from tests.services import Mosquitto

NOW_MS = 1_700_000_000_000
BEFORE_MS = NOW_MS - 60_000
MINE = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"
THEIRS = "compounds/xinyuan/gate/xinyuan-gate-01/telemetry"


def reading(ts: int, seq: int) -> dict[str, object]:
    return {"ts": ts, "seq": seq, "door": "open", "tamper": False, "uptime_s": 1.5}


def decoder(small: Inventory, registry: Registry, before_ms: int = BEFORE_MS) -> Decoder:
    return Decoder(
        small, registry, max_future_s=3600, max_age_days=90, barred=lambda: {"jingyuan": before_ms, "elsewhere": 2**60}
    )


def test_of_an_array_across_the_time_only_what_lies_before_it_is_left_out(small: Inventory, registry: Registry) -> None:
    items = [reading(BEFORE_MS + at, seq) for seq, at in enumerate((-2, -1, 0, 1))]
    messages = Messages([MINE, THEIRS, MINE], [json.dumps(items).encode()] * 3)
    decoded = decoder(small, registry).decode([Spooled(1, NOW_MS, 3, messages)])
    (rows,) = decoded.tables
    found = [(rows.batch.keys[series].compound, at // NS_PER_MS) for series, at in
             zip(rows.batch.series.tolist(), rows.batch.time.tolist(), strict=True)]  # fmt: skip
    assert sorted(found) == [("jingyuan", BEFORE_MS), ("jingyuan", BEFORE_MS + 1)] + [
        ("xinyuan", BEFORE_MS + at) for at in (-2, -1, 0, 1)
    ]
    (letter,) = decoded.letters
    assert (letter.reason, letter.kind, letter.compound, letter.messages) == (Reason.DELETED, "gate", "jingyuan", 2)
    assert (letter.topic, letter.payload, letter.size) == ("", None, 0)
    counts = decoded.counts
    assert counts[Account(Entry.RECEIVED, "gate")] == 12
    assert counts[Account(Entry.DUPLICATE, "gate")] == 4
    assert counts[Account(Entry.DEAD_LETTERED, "gate", Reason.DELETED)] == 2
    # Their numbers came: nothing is reported missing. And they are in no store, so that none is a repetition.
    seen = decoded.sightings(NOW_MS)
    assert sorted(set(seen.seq.tolist())) == [0, 1, 2, 3]
    assert seen.counts is not None
    assert int(seen.counts.sum()) == len(rows) == 6


@given(st.lists(st.tuples(st.sampled_from((MINE, THEIRS)), st.integers(-3, 3), st.integers(0, 3)), max_size=400))
def test_the_ledger_balances_and_the_rows_are_those_of_other_times(
    small: Inventory, registry: Registry, sent: list[tuple[str, int, int]]
) -> None:
    topics = [topic for topic, _, _ in sent]
    payloads = [json.dumps(reading(BEFORE_MS + at, seq)).encode() for _, at, seq in sent]
    batch = Spooled(1, NOW_MS, len(sent), Messages(topics, payloads))
    decoded = decoder(small, registry).decode([batch])
    written = sum(map(len, decoded.tables))
    expected = {each for each in sent if each[0] == THEIRS or each[1] >= 0}
    assert written == len(expected)
    counts = decoded.counts
    counts[Account(Entry.WRITTEN, "gate")] += written
    assert unbalanced(counts) == {}
    assert counts[Account(Entry.RECEIVED, "gate")] == len(sent)
    assert per_reason(counts).get(Reason.DELETED, 0) == len(set(sent) - expected)
    for rows in decoded.tables:
        mine = np.array([key.compound == "jingyuan" for key in rows.batch.keys], np.bool_)
        assert (rows.batch.time[mine[rows.batch.series]] >= BEFORE_MS * NS_PER_MS).all()


def test_a_later_bar_stays_and_an_earlier_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = Spool(path, LIMITS)
    assert inspection.bar(path, "jingyuan", 1000) == 0
    assert inspection.bar(path, "jingyuan", 500) == 0
    spool.append(Messages(["t"], [b"x"]), 1)
    assert inspection.bar(path, "xinyuan", 7) == 1
    assert spool.read(messages=1, size=1)
    assert spool.barred == {"jingyuan": 1000, "xinyuan": 7}
    assert not inspection.has_passed(path, 1)
    spool.close()
    assert inspection.has_passed(path, 1)  # nobody has anything in hand
    again = Spool(path, LIMITS)
    assert again.barred == {"jingyuan": 1000, "xinyuan": 7}
    again.close()


@pytest.mark.services
def test_what_waits_and_what_comes_is_barred_while_ingest_runs(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    now_ms = time.time_ns() // 1_000_000
    path, before_ms = tmp_path / "spool.sqlite", now_ms - 50_000
    table = registry["gate"].tables["telemetry"]

    def sent(number: int) -> list[Sent]:
        items = [reading(now_ms - 100_000 + 10_000 * seq, 10 * number + seq) for seq in range(10)]
        return [Sent(topic, json.dumps(items).encode()) for topic in (MINE, THEIRS)]

    def stored(compound: str, stop_ms: int) -> int:
        query = Query(table=table, start_ns=0, stop_ns=stop_ms * NS_PER_MS, compounds=(compound,), fields=())
        return len(duck.read(query))

    away = FailingStore(duck)
    away.gate.clear()
    ingest = start(broker.port, away)
    with Publisher(broker.port) as publisher:
        publisher.publish([each for number in range(20) for each in sent(number)])
        until(lambda: away.attempts)  # some of it is in hand, read before anything was barred
        batch = inspection.bar(path, "jingyuan", before_ms)
        assert not inspection.has_passed(path, batch)
        away.gate.set()
        until(lambda: inspection.has_passed(path, batch))
        duck.delete(table, stop_ns=before_ms * NS_PER_MS, compound="jingyuan")
        publisher.publish([each for number in range(20, 40) for each in sent(number)])
        health = settled(ingest, 80)
    assert stored("jingyuan", before_ms) == 0
    assert stored("jingyuan", now_ms) == 40 * 5
    assert stored("xinyuan", now_ms) == 40 * 10
    assert per_reason(health.counts)[Reason.DELETED] >= 20 * 5
    assert per_kind(health.counts, Entry.RECEIVED)["gate"] == 80 * 10
    assert health.missing.get("gate", 0) == 0
