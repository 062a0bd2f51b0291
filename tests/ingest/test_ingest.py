"""Ingest as a whole, over the real mosquitto and the real DuckDB store."""

import json
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from courtyard.embedded import embedded_broker
from devices.errors import Reason, SettingsError, StoreUnavailableError
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.deliver import WriterState
from ingest.errors import SpoolError
from ingest.inspection import inspect, read_dead_letters
from ingest.ledger import Entry, per_kind, per_reason, unbalanced
from ingest.metrics import serve_metrics
from ingest.options import IngestOptions
from ingest.service import Ingest
from mqtt.connection import Connection
from mqtt.options import BrokerOptions
from store.duck import DuckStore
from tests.ingest.conftest import Start, settled, until
from tests.ingest.fleet import Fleet, Sent, identities, stored
from tests.ingest.publisher import Publisher, packet
from tests.ingest.stores import FailingStore, always
from tests.services import Mosquitto, free_port

pytestmark = pytest.mark.services

GATE = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"
DAY_MS = 86_400_000


def poison(now_ms: int) -> dict[Reason, list[Sent]]:
    """Every kind of bad input, by the reason it is refused for."""

    def telemetry(**more: object) -> bytes:
        return json.dumps({"ts": now_ms, "seq": 1, "door": "open", "tamper": False, "uptime_s": 1.5, **more}).encode()

    good = telemetry()
    return {
        Reason.JSON: [Sent(GATE, b'{"ts":'), Sent(GATE, b"not json"), Sent(GATE, b"[" * 1000)],
        Reason.TYPE: [Sent(GATE, telemetry(uptime_s="1")), Sent(GATE, b"17"), Sent(GATE, telemetry(tamper=1))],
        Reason.NOT_FINITE: [Sent(GATE, good.replace(b"1.5", each)) for each in (b"NaN", b"-Infinity", b"1e999")],
        Reason.RANGE: [Sent(GATE, telemetry(uptime_s=-1)), Sent(GATE, telemetry(ts=-5))],
        Reason.MISSING_FIELD: [Sent(GATE, b"{}"), Sent(GATE, b"[" + b"{}," * 50_000 + b"{}]")],
        Reason.UNKNOWN_FIELD: [Sent(GATE, telemetry(colour="red"))],
        Reason.UNKNOWN_LABEL: [Sent(GATE, telemetry(door="ajar"))],
        Reason.UNKNOWN_KIND: [Sent("compounds/jingyuan/lift/jingyuan-lift-01/telemetry", good)],
        Reason.UNKNOWN_COMPOUND: [Sent("compounds/nowhere/gate/nowhere-gate-01/telemetry", good)],
        Reason.UNKNOWN_DEVICE: [Sent("compounds/jingyuan/gate/jingyuan-gate-77/telemetry", good)],
        Reason.UNKNOWN_PART: [
            Sent(
                "compounds/jingyuan/charger/jingyuan-charger-01/event",
                json.dumps(
                    {"ts": now_ms, "seq": 0, "event": "session", "connector": 9, "phase": "end", "id": "s-1"}
                ).encode(),
            )
        ],
        Reason.TOPIC: [Sent("compounds/jingyuan/gate/jingyuan-gate-01/video", good), Sent("compounds/a/b/c/d", good)],
        Reason.ENCODING: [Sent(GATE, b'{"door": "\xff\xfe"}'), Sent(GATE, b"\xff" * 300)],
        Reason.EMPTY: [Sent(GATE, b""), Sent(GATE, b" \n"), Sent(GATE, b"[]")],
        Reason.TOO_LARGE: [Sent(GATE, b" " * 10_000_000), Sent(GATE, b'{"' + b"\\" * 400_000)],
        Reason.FUTURE: [Sent(GATE, telemetry(ts=now_ms + 365 * DAY_MS))],
        Reason.EXPIRED: [Sent(GATE, telemetry(ts=now_ms - 365 * DAY_MS)), Sent(GATE, telemetry(ts=0))],
        Reason.PRIVACY: [
            Sent(GATE, telemetry(face_image="AAAA")),
            Sent(GATE, telemetry(name="Wang Xiaoming")),
            Sent(GATE, b'{"id": "110101199003078888"}'),
            Sent("compounds/jingyuan/gate/110101199003078888/telemetry", good),
            Sent("compounds/jingyuan/gate/nobody/telemetry", b'{"photo": "Wang Xiaoming"}'),
            Sent(GATE, b'{"img": "' + b"QUJD" * 500_000 + b'"}'),
        ],
    }


def test_bad_input_harms_nothing_beside_it(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    bad = poison(time.time_ns() // 1_000_000)
    assert set(bad) == set(Reason) - {Reason.STORE_REJECTED, Reason.SPOOL_CORRUPT, Reason.RATE, Reason.DELETED}
    good = list(fleet.messages(4000))
    mixed = list(good)
    poisons = [each for group in bad.values() for each in group]
    for place, each in enumerate(poisons):
        mixed.insert(place * len(good) // len(poisons), each)
    ingest = start(broker.port, duck)
    with capture_logs() as logs, Publisher(broker.port) as publisher:
        publisher.publish(mixed)
        health = settled(ingest, len(mixed))
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    expected = {reason: len(group) for reason, group in bad.items()}
    assert per_reason(health.counts) == expected
    letters = ingest.dead_letters()
    assert Counter(each.reason for each in letters) == expected
    assert sum(per_kind(health.counts, Entry.WRITTEN).values()) == len(good)
    for letter in letters:
        assert (letter.payload is None) == (letter.reason in {Reason.PRIVACY, Reason.ENCODING})
        assert letter.message
    assert {each.size for each in letters if each.reason is Reason.TOO_LARGE} == {10_000_000, 400_002}
    # What devices send stands in no log, and what is personal nowhere at all.
    told = repr(logs)
    assert not any(word in told for word in ("Xiaoming", "110101", "ajar", "colour"))
    kept = repr(letters)
    assert "Xiaoming" not in kept
    assert "110101199003078888" not in kept


def test_a_hundred_thousand_unknown_devices_do_not_fill_the_memory(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    strangers = [Sent(f"compounds/jingyuan/gate/stranger-{number}/telemetry", b"{}") for number in range(100_000)]
    good = list(fleet.messages(500))
    mixed = [*strangers[:50_000], *good, *strangers[50_000:]]
    ingest = start(broker.port, duck, dead_letters_max=2000)
    before = resident()
    with Publisher(broker.port) as publisher:
        publisher.publish(mixed)
        health = settled(ingest, len(mixed))
    assert resident() - before < 100 * 1024 * 1024
    assert per_reason(health.counts) == {Reason.UNKNOWN_DEVICE: 100_000}
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    assert len(ingest.dead_letters(limit=10**6)) == 2000


def resident() -> int:
    """Resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  (no file, but the kernel)
        return int(file.read().split()[1]) * 4096


def test_a_reading_is_acknowledged_after_it_is_durable(broker: Mosquitto, start: Start, duck: DuckStore) -> None:
    """At the moment of each acknowledgement the spool has committed all that is acknowledged."""
    ingest = start(broker.port, duck)
    receiver, spool = ingest._receiver, ingest._spool
    promised = 0
    broken = []

    def committed() -> int:
        gone = sum(value for account, value in spool.counts.items() if account.entry is Entry.MESSAGES)
        return gone + spool.pending.messages

    def acknowledge_all(mids: Sequence[int]) -> None:
        nonlocal promised
        promised += len(mids)
        if committed() < promised:
            broken.append((committed(), promised))
        original(mids)

    original = receiver._connection.acknowledge_all
    receiver._connection.acknowledge_all = acknowledge_all  # type: ignore[method-assign]  # watched
    with Publisher(broker.port) as publisher:
        publisher.publish([Sent(GATE, b"{}")] * 3000)
        settled(ingest, 3000)
    assert (promised, broken) == (3000, [])


def test_a_publisher_with_qos_0_does_no_harm(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    ingest = start(broker.port, duck)
    (careless,) = fleet.messages(1)
    good = list(fleet.messages(50))
    with Publisher(broker.port) as publisher:
        publisher.publish(good[:25])
        assert publisher._socket is not None
        publisher._socket.sendall(packet(careless, 0))
        publisher.publish(good[25:])
        settled(ingest, 51)
    assert sorted(stored(duck, registry)) == sorted(identities([*good, careless]))
    assert ingest._receiver._connection.epoch == 1


def test_a_will_is_stored_at_the_time_it_came(
    broker: Mosquitto, start: Start, duck: DuckStore, registry: Registry
) -> None:
    ingest = start(broker.port, duck)
    before = time.time_ns()
    with Publisher(broker.port) as publisher:
        publisher.publish([Sent(GATE.replace("telemetry", "status"), b'{"state":"offline"}')])
        settled(ingest, 1)
    (row,) = stored(duck, registry)
    assert row.measurement == "gate_status"
    assert before - 1_000_000 <= row.time_ns <= time.time_ns()


def test_a_broker_that_is_away_at_start_is_waited_for(
    start: Start, duck: DuckStore, fleet: Fleet, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    with capture_logs() as logs:
        ingest = start(port, duck, wait=False, notice_s=0.3)
        time.sleep(1.5)
        health = ingest.health()
        assert (health.connected, health.alive, health.ready) == (False, True, False)
        with Mosquitto(folder=tmp_path_factory.mktemp("late"), port=port):
            until(lambda: ingest.health().connected)
            good = list(fleet.messages(100))
            with Publisher(port) as publisher:
                publisher.publish(good)
                settled(ingest, 100)
    told = [each for each in logs if each["event"] == "waiting for the MQTT broker"]
    assert 1 <= len(told) <= 6  # a line now and then, not one for each attempt
    assert told[0]["port"] == port
    assert sorted(stored(duck, registry)) == sorted(identities(good))


def test_a_store_that_is_away_loses_nothing(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away"))
    ingest = start(broker.port, store)
    good = list(fleet.messages(2000))
    with Publisher(broker.port) as publisher:
        publisher.publish(good[:1000])
        until(lambda: ingest.health().writer is WriterState.STORE_UNAVAILABLE)
        until(lambda: ingest.health().pending_messages == 1000)
        health = ingest.health()
        assert (health.ready, health.alive) == (False, True)
        assert health.oldest_pending_s > 0
        assert health.pending_bytes > 10_000
        store.refuse = lambda _: None
        publisher.publish(good[1000:])
        health = settled(ingest, 2000)
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    assert (health.pending_messages, health.pending_bytes, health.oldest_pending_s) == (0, 0, 0.0)
    until(lambda: ingest.health().ready)


def test_backpressure_and_its_end(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    """With the spool full nothing is acknowledged any more; when there is space again all goes on, and all arrives."""
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away"))
    good = list(fleet.messages(4000))
    with capture_logs() as logs:
        ingest = start(broker.port, store, spool_max_bytes=100_000, receive_maximum=50, notice_s=0.2)
        with Publisher(broker.port) as publisher:
            publisher.publish(good)
            until(lambda: ingest.health().backpressure)
            time.sleep(0.5)
            health = ingest.health()
            assert health.pending_bytes <= 100_000
            assert (health.backpressure, health.ready, health.alive, health.connected) == (True, False, True, True)
            store.refuse = lambda _: None
            health = settled(ingest, 4000)
    assert not health.backpressure
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    assert any("no longer acknowledged" in each["event"] for each in logs)
    assert any("takes messages again" in each["event"] for each in logs)


def test_backpressure_outlasts_the_connection(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    """What was received and not spooled when the broker went is not acknowledged on the next connection."""
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away"))
    ingest = start(broker.port, store, spool_max_bytes=30_000)
    good = list(fleet.messages(1500))
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        until(lambda: ingest.health().backpressure)
    for _ in range(2):
        broker.restart()
        until(lambda: ingest.health().connected)
        time.sleep(0.3)
        assert ingest.health().backpressure
    store.refuse = lambda _: None
    until(lambda: len(stored(duck, registry)) == len(good))
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    until(lambda: ingest.health().pending_messages == 0)
    assert unbalanced(ingest.health().counts) == {}
    assert ingest.health().sessions_lost == 0


def test_a_stop_under_backpressure_loses_nothing(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away"))
    good = list(fleet.messages(1000))
    first = start(broker.port, store, spool_max_bytes=30_000, drain_timeout_s=0.2)
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        until(lambda: first.health().backpressure)
    first.stop()
    assert 0 < first.health().pending_messages < 1000
    store.refuse = lambda _: None
    second = start(broker.port, store)
    until(lambda: len(stored(duck, registry)) == 1000)
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    assert second.health().alive


def test_stopping_drains(broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry) -> None:
    good = list(fleet.messages(3000))
    ingest = start(broker.port, duck, write_age_s=60.0)
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        until(lambda: ingest.health().pending_messages == 3000)
    began = time.monotonic()
    ingest.stop()
    assert time.monotonic() - began < 10
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    health = ingest.health()
    assert (health.connected, health.writer, health.pending_messages) == (False, WriterState.STOPPED, 0)
    ingest.stop()


def test_what_is_sent_while_ingest_is_away_arrives(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    start(broker.port, duck).stop()
    good = list(fleet.messages(3000))
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
    settled(start(broker.port, duck), 3000)
    assert sorted(stored(duck, registry)) == sorted(identities(good))


def test_a_foreign_clean_start_is_noticed(broker: Mosquitto, start: Start, duck: DuckStore) -> None:
    ingest = start(broker.port, duck)
    with capture_logs() as logs:
        Connection(BrokerOptions(port=broker.port), client_id="courtyard-ingest").__enter__().close()
        until(lambda: ingest.health().sessions_lost == 1)
    assert ingest.health().connected
    assert any("lost our session" in each["event"] for each in logs)


def test_a_dead_thread_is_noticed(broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet) -> None:
    store = FailingStore(duck)
    store.refuse = lambda _: ZeroDivisionError("secret content")
    ingest = start(broker.port, store)
    with capture_logs() as logs, Publisher(broker.port) as publisher:
        publisher.publish(fleet.messages(10))
        assert ingest.ended.wait(10)
    health = ingest.health()
    assert (health.alive, health.ready) == (False, False)
    assert "the writer died: ZeroDivisionError" in (health.failure or "")
    (line,) = [each for each in logs if each["log_level"] == "critical"]
    assert "secret content" not in repr(line)
    assert health.pending_messages == 10


def test_one_process_alone_may_use_a_spool(broker: Mosquitto, start: Start, duck: DuckStore) -> None:
    start(broker.port, duck)
    with pytest.raises(SpoolError, match="another process"):
        start(broker.port, duck)


def test_a_shared_subscription_receives_too(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    ingest = start(broker.port, duck, share="ingest", client_id="courtyard-ingest-1")
    good = list(fleet.messages(200))
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        settled(ingest, 200)
    assert sorted(stored(duck, registry)) == sorted(identities(good))


def test_metrics_tell_what_health_tells(broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet) -> None:
    metrics = CollectorRegistry()
    ingest = start(broker.port, duck, metrics=metrics)
    good = list(fleet.messages(300))
    with Publisher(broker.port) as publisher:
        publisher.publish([*good, Sent(GATE, b"{"), Sent(GATE, b"")])
        health = settled(ingest, 302)
    server = serve_metrics(0, metrics)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.close()
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(samples["courtyard_ingest_connected"]) == 1
    assert float(samples["courtyard_ingest_backpressure"]) == 0
    assert float(samples["courtyard_ingest_up"]) == 1
    assert float(samples["courtyard_ingest_spool_messages"]) == 0
    assert float(samples['courtyard_ingest_refused_total{reason="json"}']) == 1
    assert float(samples['courtyard_ingest_refused_total{reason="empty"}']) == 1
    assert float(samples["courtyard_ingest_write_seconds_count"]) >= 1
    assert float(samples["courtyard_ingest_last_message_timestamp_seconds"]) > 1e9
    for kind, value in per_kind(health.counts, Entry.WRITTEN).items():
        assert float(samples[f'courtyard_ingest_readings_written_total{{kind="{kind}"}}']) == value
    assert float(samples['courtyard_ingest_writer_state{state="idle"}']) == 1


def test_a_port_for_metrics_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="METRICS_PORT"):
        serve_metrics(taken.getsockname()[1], CollectorRegistry())


def test_stopping_before_the_start_is_allowed(
    tmp_path: Path, small: Inventory, registry: Registry, duck: DuckStore
) -> None:
    options = IngestOptions(spool=tmp_path / "spool.sqlite")
    ingest = Ingest(options, BrokerOptions(port=1), small, registry, duck)
    ingest.stop()
    Ingest(options, BrokerOptions(port=1), small, registry, duck).stop()  # the spool was let go


@pytest.mark.parametrize(
    "wrong",
    [
        {"receive_maximum": 0},
        {"receive_maximum": 70_000},
        {"write_rows": 0},
        {"max_age_days": -1},
        {"drain_timeout_s": float("nan")},
        {"client_id": ""},
        {"share": "a/b"},
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        IngestOptions(spool=tmp_path / "spool.sqlite", **wrong)


def test_another_process_can_look_inside(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, tmp_path: Path
) -> None:
    store = FailingStore(duck)
    ingest = start(broker.port, store, drain_timeout_s=0.2)
    with Publisher(broker.port) as publisher:
        publisher.publish([*fleet.messages(100), Sent(GATE, b"{")])
        settled(ingest, 101)
        store.refuse = always(StoreUnavailableError("away"))
        publisher.publish(fleet.messages(50))
        until(lambda: ingest.health().pending_messages == 50)
    found = inspect(tmp_path / "spool.sqlite")
    assert found.counts == ingest.health().counts
    assert found.pending.messages == 50
    assert read_dead_letters(tmp_path / "spool.sqlite") == ingest.dead_letters()
    assert read_dead_letters(tmp_path / "spool.sqlite", reason=Reason.PRIVACY) == []
    assert [each.reason for each in ingest.dead_letters()] == [Reason.JSON]
    with pytest.raises(SpoolError, match="no spool"):
        inspect(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_the_embedded_broker_does_as_well(
    start: Start, duck: DuckStore, fleet: Fleet, registry: Registry, tmp_path: Path
) -> None:
    """`make demo` runs on it: it delivers 100 messages at most before they are acknowledged."""
    good = list(fleet.messages(3000))
    with embedded_broker(free_port(), tmp_path / "broker") as port:
        ingest = start(port, duck)
        with Publisher(port, window=80) as publisher:
            publisher.publish(good[:2000])
            settled(ingest, 2000)
            ingest.stop()
            publisher.publish(good[2000:])
        ingest = start(port, duck)
        until(lambda: len(stored(duck, registry)) == len(good))
        ingest.stop()
    assert sorted(stored(duck, registry)) == sorted(identities(good))
