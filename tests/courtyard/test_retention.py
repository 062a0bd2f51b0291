"""Tables that are kept for less time than all."""

import time
from pathlib import Path

import pytest

from courtyard import wiring
from courtyard.retention import Retention
from courtyard.settings import load
from devices.errors import Reason, SettingsError
from devices.registry import Registry
from ingest.decode import Decoder
from ingest.frame import Messages, Spooled
from store.duck import DuckStore
from tests.api.world import NOW_NS, batches, inventory_of

DAY_NS = 86_400 * 10**9


def test_old_rows_of_one_table_go_and_all_others_stay(tmp_path: Path, registry: Registry) -> None:
    settings = load(None, data_dir=tmp_path, retention_days_of={"gate_pass": 1})
    store = DuckStore(tmp_path / "rows.duckdb", registry.tables())
    store.write(list(batches(inventory_of(registry), registry)))
    passes, bins = registry["gate"].tables["pass"], registry["bin"].tables["telemetry"]
    before = {table: store.count(table, start_ns=0, stop_ns=2**62) for table in (passes, bins)}
    half = NOW_NS - DAY_NS // 2
    kept = store.count(passes, start_ns=half, stop_ns=2**62)
    assert 0 < kept < before[passes]
    Retention(settings, registry, store).once(half + 3 * DAY_NS)  # a day, and two for what is rolled up anew
    assert store.count(passes, start_ns=0, stop_ns=2**62) == kept
    assert store.count(bins, start_ns=0, stop_ns=2**62) == before[bins]
    store.close()


def test_what_is_older_is_refused(registry: Registry) -> None:
    decoder = Decoder(
        inventory_of(registry), registry, max_future_s=1, max_age_days=90, max_age_days_of={"gate_pass": 1}
    )
    now = NOW_NS // 10**6
    said = '{"ts": %d, "seq": 1, "event": "pass", "direction": "in", "method": "card", "result": "granted"}'
    for times in (1, 200):  # one by one, and in bulk
        payloads = [(said % (now - age)).encode() for age in (3_600_000, 2 * 86_400_000) for _ in range(times)]
        topics = ["compounds/jingyuan/gate/jingyuan-gate-01/event"] * len(payloads)
        decoded = decoder.decode([Spooled(1, now, len(payloads), Messages(topics, payloads, {}))])
        assert {each.reason for each in decoded.letters} == {Reason.EXPIRED}
        assert len(decoded.letters) == times
    body = b'{"ts": %d, "seq": 1, "door": "open", "tamper": false, "uptime_s": 1}' % (now - 2 * 86_400_000)
    topic = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"
    # Of the same kind nothing so old is taken, for it would have the passes of that time rolled up anew.
    (letter,) = decoder.decode([Spooled(1, now, 1, Messages([topic], [body], {}))]).letters
    assert letter.reason is Reason.EXPIRED
    topic = "compounds/jingyuan/bin/jingyuan-bin-01/telemetry"
    body = (
        b'{"ts": %d, "seq": 1, "stream": "kitchen", "fill": 0.5, "weight_kg": 1, "temp_c": 20, "battery": 1, '
        b'"smoke": false, "tilt": false, "lid": "closed"}' % (now - 2 * 86_400_000)
    )
    assert not decoder.decode([Spooled(1, now, 1, Messages([topic], [body], {}))]).letters


def test_settings_that_make_no_sense(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(SettingsError, match="longer than"):
        load(None, retention_days=30, retention_days_of={"gate_pass": 31})
    settings = load(None, data_dir=tmp_path, retention_days_of={"lift_ride": 3})
    store = DuckStore(tmp_path / "rows.duckdb", registry.tables())
    with pytest.raises(SettingsError, match="there is no table 'lift_ride'"):
        Retention(settings, registry, store)
    store.close()


def test_it_runs_beside_ingest_and_ends(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURTYARD_RETENTION_DAYS_OF", '{"gate_pass": 1}')
    settings = load(None, data_dir=tmp_path)
    assert wiring.ingest_options(settings).max_age_days_of == {"gate_pass": 1}
    store = DuckStore(tmp_path / "rows.duckdb", registry.tables())
    store.write(list(batches(inventory_of(registry), registry)))
    retention = Retention(settings, registry, store)
    retention.start()
    end = time.monotonic() + 10
    while store.count(registry["gate"].tables["pass"], start_ns=0, stop_ns=2**62):  # the test's rows are years old
        assert time.monotonic() < end
        time.sleep(0.05)
    retention.stop()
    assert retention.failure is None
    store.close()
