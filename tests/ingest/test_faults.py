"""Nothing is lost and nothing stands twice, whatever is killed in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Self

import pytest

from devices.errors import Reason
from devices.registry import Registry
from ingest.deliver import WriterState
from ingest.inspection import Inspection, inspect
from ingest.ledger import Entry, per_kind, per_reason, unbalanced
from ingest.statement import state
from store.duck import DuckStore
from store.influx import InfluxOptions, InfluxStore
from tests.ingest.conftest import SMALL, Start, settled, until
from tests.ingest.fleet import Fleet, Identity, Sent, identities, stored
from tests.ingest.publisher import Background, Publisher
from tests.services import Bucket, Influxd, Mosquitto

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parent.parent.parent
RUNNER = Path(__file__).parent / "runner.py"
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(tmp_path: Path, empty_duck: Path) -> Iterator[Launch]:
    """Starts ingest as a process on a broker's port, and waits until it is connected."""
    shutil.copy(empty_duck, tmp_path / "readings.duckdb")
    with ExitStack() as stack:

        def launched(port: int, **settings: object) -> "subprocess.Popen[str]":
            command = [sys.executable, str(RUNNER), str(port), str(tmp_path), str(SMALL), json.dumps(settings)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            for line in process.stdout:
                if "connected to the MQTT broker" in line:
                    return process
            raise AssertionError(f"ingest ended with {process.wait()}")

        yield launched


def influx_options(bucket: Bucket) -> InfluxOptions:
    return InfluxOptions(url=bucket.url, org=bucket.org, bucket=bucket.bucket, token=bucket.token, timeout_s=5.0)


def look(tmp_path: Path) -> Inspection:
    return inspect(tmp_path / "spool.sqlite")


def read_duck(tmp_path: Path, registry: Registry) -> list[Identity]:
    with closing(DuckStore(tmp_path / "readings.duckdb", registry.tables())) as store:
        return stored(store, registry)


class Load:
    """Publishes messages of a fleet at a steady rate until it is told to end.

    Attributes:
        sent: all messages that were published.
        publisher: publishes them.
    """

    def __init__(self, port: int, fleet: Fleet, *, per_second: float) -> None:
        """Publish to a broker on loopback, `per_second` messages a second."""
        self.sent: list[Sent] = []
        self.publisher = Publisher(port, per_second=per_second)
        self._fleet = fleet
        self._end = threading.Event()
        self._thread = Background(self._publish)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        """End, and wait for the last PUBACK."""
        self._end.set()
        self._thread.__exit__(*exc)
        self.publisher.close()

    def goes_on(self, messages: int) -> None:
        """Wait until so many more are published."""
        wanted = self.publisher.done + messages
        until(lambda: self.publisher.done >= wanted)

    def _publish(self) -> None:
        while not self._end.is_set():
            some = list(self._fleet.messages(500))
            self.sent += some
            self.publisher.publish(some)


def test_killing_ingest_again_and_again_loses_nothing(
    broker: Mosquitto, launch: Launch, fleet: Fleet, registry: Registry, tmp_path: Path
) -> None:
    random = Random(4)  # noqa: S311  (the same moments each time)
    process = launch(broker.port)
    with Load(broker.port, fleet, per_second=3000) as load:
        for _ in range(5):
            load.goes_on(500)
            time.sleep(random.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = launch(broker.port)
        load.goes_on(500)
    good = load.sent
    until(lambda: look(tmp_path).pending.messages == 0 and len(good) <= left(tmp_path))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    found = read_duck(tmp_path, registry)
    assert len(found) == len(set(found))
    assert set(found) == identities(good)
    counts = look(tmp_path).counts
    assert unbalanced(counts) == {}
    redelivered = sum(per_kind(counts, Entry.RECEIVED).values()) - len(good)
    statement = state(tmp_path, registry, grace_s=0.0)
    assert (statement.balanced, sum(each.missing for each in statement.kinds)) == (True, 0)
    assert sum(each.written for each in statement.kinds) == len(good)
    assert 0 <= redelivered <= 5 * 2000  # a kill has the broker deliver again what was not acknowledged


def left(tmp_path: Path) -> int:
    """How many messages have left the spool."""
    return sum(value for account, value in look(tmp_path).counts.items() if account.entry is Entry.MESSAGES)


def test_sigterm_drains_and_ends_in_order(
    broker: Mosquitto, launch: Launch, fleet: Fleet, registry: Registry, tmp_path: Path
) -> None:
    good = list(fleet.messages(3000))
    process = launch(broker.port, write_rows=100_000)
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        until(lambda: look(tmp_path).pending.messages + left(tmp_path) == len(good))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert look(tmp_path).pending.messages == 0
    assert sorted(read_duck(tmp_path, registry)) == sorted(identities(good))


def test_a_restart_of_the_broker_loses_nothing(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    ingest = start(broker.port, duck)
    with Load(broker.port, fleet, per_second=3000) as load:
        for _ in range(3):
            load.goes_on(1000)
            broker.restart(signal.SIGTERM)
        load.goes_on(1000)
    good = load.sent
    until(lambda: set(stored(duck, registry)) == identities(good))
    assert sorted(stored(duck, registry)) == sorted(identities(good))
    health = ingest.health()
    assert health.sessions_lost == 0
    assert unbalanced(health.counts) == {}
    assert health.alive


def test_a_kill_between_store_and_trim_writes_nothing_twice(
    broker: Mosquitto, start: Start, duck: DuckStore, fleet: Fleet, registry: Registry
) -> None:
    """The store has accepted, and the spool knows nothing of it: all is written again, and stands there once."""
    good = list(fleet.messages(500))
    first = start(broker.port, duck, drain_timeout_s=0.1)

    def killed(*_: object) -> None:
        raise KeyError("killed")

    first._spool.trim = killed  # type: ignore[assignment,method-assign]  # the moment of the kill
    with Publisher(broker.port) as publisher:
        publisher.publish(good)
        assert first.ended.wait(10)
    first.stop()
    assert len(stored(duck, registry)) > 0
    second = start(broker.port, duck)
    settled(second, 500)
    assert sorted(stored(duck, registry)) == sorted(identities(good))


def test_influxd_may_stop_and_start(
    broker: Mosquitto, start: Start, fleet: Fleet, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = list(fleet.messages(3000))
    with Influxd(folder=tmp_path_factory.mktemp("influxd")) as influxd:
        bucket = influxd.create_bucket()
        store = InfluxStore(influx_options(bucket))
        ingest = start(broker.port, store)
        with Publisher(broker.port) as publisher:
            publisher.publish(good[:1000])
            settled(ingest, 1000)
            influxd.stop()
            publisher.publish(good[1000:2000])
            until(lambda: ingest.health().writer is WriterState.STORE_UNAVAILABLE)
            assert ingest.health().pending_messages == 1000
            influxd.start()
            publisher.publish(good[2000:])
            settled(ingest, 3000)
        assert sorted(stored(store, registry)) == sorted(identities(good))
        ingest.stop()
        store.close()


def test_readings_that_influxd_refuses_harm_none_beside_them(
    broker: Mosquitto, start: Start, fleet: Fleet, registry: Registry, influx_bucket: Bucket
) -> None:
    """A point with another type of field is in the bucket already: influxd answers 422 and names no row."""
    now_ms = time.time_ns() // 1_000_000
    good = list(fleet.messages(600, since_ms=now_ms - 600))
    influx_bucket.write(f'charger_telemetry,compound=a,device=b,part=1 power_w="text" {now_ms * 1_000_000 - 10**9}')
    refused = {each for each in identities(good) if each.measurement == "charger_telemetry"}
    with closing(InfluxStore(influx_options(influx_bucket))) as store:
        ingest = start(broker.port, store)
        with Publisher(broker.port) as publisher:
            publisher.publish(good)
            health = settled(ingest, len(good))
        letters = ingest.dead_letters()
        found = stored(store, registry, but="charger_telemetry")
        ingest.stop()
    rows = influx_bucket.query(
        f'from(bucket: "{influx_bucket.bucket}") |> range(start: 0) '
        '|> filter(fn: (r) => r._measurement == "charger_telemetry")'
    )
    assert rows.count("charger_telemetry") == 1  # ours alone
    assert len(refused) > 10
    assert sorted(found) == sorted(identities(good) - refused)
    assert per_reason(health.counts) == {Reason.STORE_REJECTED: len(refused)}
    assert len(letters) == len(refused)
    assert all("power_w" in each.message for each in letters)
