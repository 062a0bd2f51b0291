"""Gaps, repetitions and replays in a running ingest, over the real mosquitto: what is told, and that it balances."""

import time
import urllib.request
from collections.abc import Collection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from devices.errors import Reason, StoreRejectedError, StoreUnavailableError
from devices.inventory import Inventory
from devices.registry import Registry
from ingest import inspection
from ingest.deadletters import Wanted
from ingest.errors import SpoolError
from ingest.ledger import Entry, per_kind, per_reason
from ingest.metrics import serve_metrics
from ingest.service import Ingest
from ingest.statement import Statement, state
from store.duck import DuckStore
from tests.ingest.conftest import Start, settled, until
from tests.ingest.fleet import Fleet, Sent, identities, stored
from tests.ingest.line import GATE, now
from tests.ingest.publisher import Publisher
from tests.ingest.stores import FailingStore, always
from tests.services import Mosquitto

pytestmark = pytest.mark.services

STRANGER = "compounds/jingyuan/gate/jingyuan-gate-09/telemetry"


def read(tmp_path: Path, kinds: Collection[str], **more: object) -> Statement:
    return state(tmp_path, kinds, **{"grace_s": 0.0, **more})  # type: ignore[arg-type]  # passed on


def total(ingest: Ingest, entry: Entry) -> int:
    return per_kind(ingest.health().counts, entry).total()


def test_what_is_missing_is_told_after_the_grace(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    metrics = CollectorRegistry()
    ingest = start(broker.port, duck, gap_grace_s=1.5, metrics=metrics)
    with capture_logs() as logs, Publisher(broker.port) as publisher:
        publisher.publish([now(0, 1), now(4), Sent(GATE, b"{"), now(9)])
        settled(ingest, 4)
        assert ingest.health().missing == {}
        assert read(tmp_path, registry, grace_s=1.5).gaps == ()
        publisher.publish([now(3)])
        until(lambda: ingest.health().missing)
        until(lambda: any("missing" in each["event"] for each in logs))
    assert ingest.health().missing == {"gate": 5}
    (line,) = [each for each in logs if "missing" in each["event"]]
    assert (line["device"], line["missing"], line["seq"]) == ("jingyuan-gate-01", 5, ["2-2", "5-8"])
    assert line["messages_refused"] == 1
    server = serve_metrics(0, metrics)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            assert b'courtyard_ingest_missing_readings{kind="gate"} 5.0' in answer.read()
    finally:
        server.close()
    found = read(tmp_path, registry)
    assert found.balanced
    (kind,) = found.kinds
    assert (kind.kind, kind.received, kind.written, kind.missing, kind.pending) == ("gate", 6, 5, 5, 0)
    assert kind.dead_lettered == {"json": 1}
    (gap,) = found.gaps
    assert (gap.missing, gap.high) == (5, 9)
    (spool,) = found.spools
    assert (spool.running, spool.taken, spool.settled) == (True, 5, 5)


def test_what_is_missing_is_told_while_the_store_is_away(
    broker: Mosquitto, start: Start, duck: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing leaves the spool then, but what is missing in it is known in time; and afterwards all is counted once."""
    monkeypatch.setattr("ingest.lookahead._BEHIND_MS", 300)
    store = FailingStore(duck)
    ingest = start(broker.port, store, gap_grace_s=0.2)
    with Publisher(broker.port) as publisher, capture_logs() as logs:
        publisher.publish([now(0, 1)])
        settled(ingest, 1)
        store.refuse = always(StoreUnavailableError("away"))
        publisher.publish([now(4)])
        until(lambda: ingest.health().missing == {"gate": 2})
        publisher.publish([now(2), now(9), Sent(STRANGER.replace("09", "02"), b"{}")])
        until(lambda: ingest.health().missing == {"gate": 5})
        until(lambda: any("missing" in each["event"] for each in logs))
        assert ingest.health().pending_messages == 4
        publisher.publish([now(7, 4, topic=STRANGER.replace("09", "02"))])  # a stream that comes only now
        until(lambda: ingest.health().missing == {"gate": 7})
        store.refuse = lambda _: None
        settled(ingest, 6)
        until(lambda: ingest.health().missing == {"gate": 7})
    assert ingest._follower.tracker is not None
    assert sum(gap.missing for gap in ingest._follower.tracker.worst(2**62, 9)) == 7
    assert (total(ingest, Entry.WRITTEN), total(ingest, Entry.DUPLICATE)) == (7, 0)
    ingest.stop()
    again = start(broker.port, duck, gap_grace_s=0.2)
    assert again.health().missing == {"gate": 7}


def test_the_ledger_is_exact_over_restarts(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, *, registry: Registry, tmp_path: Path
) -> None:
    good = list(fleet.messages(3000, objects=3))
    missing = {each for number, each in enumerate(good) if number % 50 == 0}
    sent = [each for each in good if each not in missing]
    with Publisher(broker.port) as publisher:
        published = 0
        for begin in range(0, len(sent), 1000):
            ingest = start(broker.port, duck)
            part = [*sent[begin : begin + 1000], *sent[max(0, begin - 50) : begin]]
            publisher.publish(part)
            published += len(part)
            settled(ingest, published)
            ingest.stop()
    found = read(tmp_path, registry)
    assert found.balanced
    assert sum(each.written for each in found.kinds) == 3 * len(sent)
    assert sum(each.duplicate for each in found.kinds) == 3 * 100
    assert sorted(stored(duck, registry)) == sorted(identities(sent))
    # What is missing at the end of a stream cannot be known; all else that was left out is.
    assert 0.9 * 3 * len(missing) < sum(each.missing for each in found.kinds) <= 3 * len(missing)
    (spool,) = found.spools
    assert (spool.running, spool.pending.messages) == (False, 0)


def test_what_waits_is_told_by_kind(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, *, registry: Registry, tmp_path: Path
) -> None:
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away"))
    ingest = start(broker.port, store, drain_timeout_s=0.1)
    with Publisher(broker.port) as publisher:
        publisher.publish([*fleet.messages(50), now(0), Sent(GATE.replace("gate", "lift"), b"{}")])
        until(lambda: ingest.health().pending_messages == 52)
    found = read(tmp_path, registry)
    assert found.balanced
    assert sum(each.pending or 0 for each in found.kinds) == 52
    assert {each.kind for each in found.kinds} <= {*registry, "unknown"}
    assert [each.pending for each in found.kinds if each.kind == "unknown"] == [1]
    (spool,) = found.spools
    assert (spool.taken, spool.settled, spool.pending.messages) == (52, 0, 52)


def test_a_ledger_that_does_not_balance_says_so(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    ingest = start(broker.port, duck, drain_timeout_s=0.1)
    with Publisher(broker.port) as publisher:
        publisher.publish([now(0)])
        settled(ingest, 1)
    ingest._spool._db.execute("UPDATE counters SET value = value + 1 WHERE entry = 'received'")
    ingest._spool._db.execute("UPDATE counters SET value = value - 1 WHERE entry = 'messages'")
    store = FailingStore(duck)
    ingest._delivery._store = store
    store.refuse = always(StoreUnavailableError("away"))
    with Publisher(broker.port) as publisher:
        publisher.publish([now(1)])
        until(lambda: ingest.health().pending_messages)
    found = read(tmp_path, registry)
    assert not found.balanced
    assert [each.split(":")[0] for each in found.faults] == ["gate", "spool.sqlite"]
    store.refuse = lambda _: None


def test_a_dead_letter_is_replayed_when_its_device_is_known(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    """The inventory lacks a device: what it sends waits among the dead letters, and is not lost."""
    spool = tmp_path / "spool.sqlite"
    ingest = start(broker.port, duck)
    sent = [now(0, 1, topic=STRANGER), now(2, topic=STRANGER), Sent(STRANGER, b'{"face": 1}')]
    with Publisher(broker.port) as publisher:
        publisher.publish(sent)
        settled(ingest, 3)
    assert per_reason(ingest.health().counts) == {Reason.UNKNOWN_DEVICE: 2, Reason.PRIVACY: 1}
    ids = [each.id for each in inspection.read_dead_letters(spool)]
    inspection.ask_for_replay(spool, ids[:1])
    until(lambda: per_reason(ingest.health().counts)[Reason.UNKNOWN_DEVICE] == 3)  # still unknown: a new dead letter
    ingest.stop()
    assert read(tmp_path, registry).balanced
    text = Path(__file__).parent.parent / "golden" / "decode" / "inventory.yaml"
    known = Inventory.parse(text.read_text(encoding="utf-8").replace("gate: {count: 2}", "gate: {count: 9}"), registry)
    assert "jingyuan-gate-09" in known.devices
    ingest = start(broker.port, duck, inventory=known)
    everything = [each.id for each in inspection.read_dead_letters(spool)]
    inspection.ask_for_replay(spool, [*everything, 999])
    until(lambda: total(ingest, Entry.WRITTEN) == 3)
    until(lambda: ingest.health().pending_messages == 0)
    assert inspection.left_to_replay(spool) == 0
    assert len(stored(duck, registry)) == 3
    counts = ingest.health().counts
    assert per_kind(counts, Entry.REPLAYED) == {"gate": 3}
    assert (total(ingest, Entry.RECEIVED), total(ingest, Entry.DUPLICATE)) == (3 + 1 + 3, 0)
    replayed = [each.replayed_ms is not None for each in inspection.read_dead_letters(spool)]
    assert replayed == [True, True, False, True]
    inspection.ask_for_replay(spool, everything)
    until(lambda: inspection.left_to_replay(spool) == 0)
    found = read(tmp_path, registry, device="jingyuan-gate-09")
    assert found.balanced
    assert per_kind(ingest.health().counts, Entry.REPLAYED) == {"gate": 3}
    (gap,) = found.gaps
    assert (gap.missing, gap.high, gap.stream.device) == (0, 2, "jingyuan-gate-09")


def test_what_the_store_refused_is_written_by_a_replay(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    """It was seen before, but it is in no store: when it is written it is no repetition."""
    store = FailingStore(duck)
    ingest = start(broker.port, store)
    store.refuse = lambda _: _rejected()
    with Publisher(broker.port) as publisher:
        publisher.publish([now(0)])
        settled(ingest, 1)
    store.refuse = lambda _: None
    inspection.ask_for_replay(tmp_path / "spool.sqlite", [1])
    settled(ingest, 2)
    assert (total(ingest, Entry.WRITTEN), total(ingest, Entry.DUPLICATE), total(ingest, Entry.DEAD_LETTERED)) == (
        1,
        0,
        1,
    )
    assert len(stored(duck, registry)) == 1


def test_a_replayed_will_keeps_the_time_it_came(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry, tmp_path: Path
) -> None:
    """It has no time of its own: replayed as of now it would say that a device is offline that is not."""
    topic = GATE.replace("telemetry", "status")
    store = FailingStore(duck)
    ingest = start(broker.port, store)
    store.refuse = lambda _: _rejected()
    before = time.time_ns()
    with Publisher(broker.port) as publisher:
        publisher.publish([Sent(topic, b'{"state":"offline"}')])
        settled(ingest, 1)
    after = time.time_ns()
    store.refuse = lambda _: None
    time.sleep(1.5)
    inspection.ask_for_replay(tmp_path / "spool.sqlite", [1])
    settled(ingest, 2)
    (row,) = stored(duck, registry)
    assert before - 1_000_000 <= row.time_ns <= after


def test_dead_letters_go_when_they_are_old(broker: Mosquitto, start: Start, duck: DuckStore, tmp_path: Path) -> None:
    ingest = start(broker.port, duck)
    with Publisher(broker.port) as publisher:
        publisher.publish([Sent(GATE, b"{")] * 3)
        settled(ingest, 3)
    ingest._spool._db.execute("UPDATE dead_letters SET time_ms = time_ms - 2 * 86400000 WHERE id < 3")
    ingest.stop()
    again = start(broker.port, duck, dead_letters_days=1.0)
    until(lambda: len(again.dead_letters()) == 1)
    assert per_reason(again.health().counts) == {Reason.JSON: 3}
    assert inspection.count_dead_letters(tmp_path / "spool.sqlite", Wanted()) == 1


def test_a_full_spool_takes_replays_later(
    broker: Mosquitto, start: Start, duck: DuckStore, tmp_path: Path, registry: Registry
) -> None:
    store = FailingStore(duck)
    ingest = start(broker.port, store, spool_max_bytes=20_000, notice_s=0.2)
    with Publisher(broker.port) as publisher, capture_logs() as logs:
        publisher.publish([Sent(GATE, b"{")])
        settled(ingest, 1)
        store.refuse = always(StoreUnavailableError("away"))
        publisher.publish([now(0)])
        until(lambda: ingest.health().pending_messages == 1)
        inspection.ask_for_replay(tmp_path / "spool.sqlite", [1])
        until(lambda: any("trying again" in each["event"] for each in logs))
        assert inspection.left_to_replay(tmp_path / "spool.sqlite") == 1
        store.refuse = lambda _: None
        until(lambda: inspection.left_to_replay(tmp_path / "spool.sqlite") == 0)
        settled(ingest, 3)
    assert read(tmp_path, registry).balanced


def test_there_is_no_ledger_without_a_spool(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(SpoolError, match="no spool"):
        read(tmp_path, registry)
    with pytest.raises(SpoolError, match="no spool"):
        inspection.ask_for_replay(tmp_path / "spool.sqlite", [1])
    assert list(tmp_path.iterdir()) == []


def _rejected() -> Exception:
    return StoreRejectedError("field type conflict")
