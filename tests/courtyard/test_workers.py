"""Several ingest processes over the real broker and store: one is killed, its share waits for it, nothing is lost."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from courtyard.ledger import read_ledger
from courtyard.settings import load
from courtyard.wiring import kinds
from devices.inventory import Inventory
from devices.registry import Registry
from store.influx import InfluxOptions, InfluxStore
from tests.ingest.fleet import Fleet, Sent, identities, stored
from tests.ingest.publisher import Publisher
from tests.pipeline.programs import ROOT, environment, eventually, finish
from tests.services import Bucket, Mosquitto, free_port

pytestmark = pytest.mark.services

SMALL = Path(__file__).parent.parent / "golden" / "decode" / "inventory.yaml"
WITHIN_S = 60.0


class Workers:
    """Starts ingest processes that share one folder, broker and bucket."""

    def __init__(self, folder: Path, broker: Mosquitto, bucket: Bucket, stack: ExitStack) -> None:
        """Start none yet."""
        self._folder = folder
        self._stack = stack
        self._port = two_ports()
        self.environment = environment(
            inventory=SMALL,
            data_dir=folder / "data",
            mqtt_port=broker.port,
            metrics_port=self._port,
            store="influx",
            influx_url=bucket.url,
            influx_org=bucket.org,
            influx_bucket=bucket.bucket,
            influx_token=bucket.token,
            gap_grace_s=1,
            log_format="json",
        )

    def start(self, number: int) -> "subprocess.Popen[bytes]":
        """Start one of two, and wait until it is connected."""
        log = self.log(number)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "courtyard", "ingest", "--worker", f"{number}/2"],
                env=self.environment,
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        self._stack.callback(ended, process)
        eventually(
            lambda: self.metrics(number).get("courtyard_ingest_connected") == "1.0" or None, process, log, WITHIN_S
        )
        return process

    def log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def metrics(self, number: int) -> Mapping[str, str]:
        """The metrics of one, by name and labels; none while it does not answer."""
        text = get_text(f"http://127.0.0.1:{self._port + number - 1}/metrics")
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    def missing(self, number: int) -> float:
        """How many readings one says are missing."""
        return sum(float(value) for key, value in self.metrics(number).items() if "missing_readings{" in key)

    def ledger(self) -> dict[str, Any]:
        """What the ledger says; it must balance."""
        settings = load(None, data_dir=self._folder / "data", inventory=SMALL, gap_grace_s=1)
        found = read_ledger(settings, kinds()).model_dump()
        assert found["balanced"]
        return found

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The ledger, once something holds of it."""
        deadline = time.monotonic() + WITHIN_S
        while not holds(found := self.ledger()):
            assert time.monotonic() < deadline, found
            time.sleep(0.3)
        return found


@pytest.fixture
def workers(tmp_path: Path, broker: Mosquitto, influx_bucket: Bucket) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(tmp_path, broker, influx_bucket, stack)


def test_a_killed_worker_loses_nothing(
    workers: Workers, broker: Mosquitto, registry: Registry, influx_bucket: Bucket
) -> None:
    fleet = Fleet(Inventory.parse(SMALL.read_text(encoding="utf-8"), registry), registry)
    first = workers.start(1)
    second = workers.start(2)
    sent: list[Sent] = []

    def publish(messages: int) -> None:
        more = list(fleet.messages(messages, objects=2))
        publisher.publish(more)
        sent.extend(more)

    with Publisher(broker.port) as publisher:
        publish(2000)
        found = workers.until(lambda ledger: settled(ledger) == 2000)
        assert [0 < each["settled"] < 2000 for each in found["spools"]] == [True, True]
        workers.until(lambda ledger: ledger["missing"] == 0)

        second.kill()
        second.wait()
        publish(2000)
        # Its share waits at the broker. Until it comes it is told as missing, within the minute.
        found = workers.until(lambda ledger: ledger["missing"] > 1000)
        assert [each["running"] for each in found["spools"]] == [True, False]
        # The worker that is left looks each second, and may first have to take the merging over.
        eventually(
            lambda: (
                (workers.missing(1) > 1000 and "readings of a device are missing" in workers.log(1).read_text()) or None
            ),
            first,
            workers.log(1),
            WITHIN_S,
        )

        second = workers.start(2)
        found = workers.until(lambda ledger: settled(ledger) >= 4000 and ledger["missing"] == 0)
        assert found["pending"] == 0

        # The one that merges is killed, and what never came, and what came twice, is still told right.
        first.kill()
        first.wait()
        publish(500)
        first = workers.start(1)
        lost = [fleet.message(*each) for each in parts(fleet, registry)]
        publisher.publish([*sent[-300:], *sent[-300:]])
        publish(500)
        found = workers.until(
            lambda ledger: sum(each["received"] for each in ledger["kinds"]) >= 2 * 5600 and not ledger["pending"]
        )
        workers.until(lambda ledger: ledger["missing"] == len(lost))
    found = json.loads(finish(["courtyard", "ledger", "--json"], workers.environment))
    assert found["missing"] == len(lost)
    assert sum(each["written"] for each in found["kinds"]) == 2 * len(sent)
    assert sum(each["duplicate"] for each in found["kinds"]) >= 2 * 600
    assert [each["dead_lettered"] for each in found["kinds"]] == [{}] * len(found["kinds"])
    options = InfluxOptions(
        url=influx_bucket.url, org=influx_bucket.org, bucket=influx_bucket.bucket, token=influx_bucket.token
    )
    with closing(InfluxStore(options)) as store:
        assert sorted(stored(store, registry)) == sorted(identities(sent))


def ended(process: "subprocess.Popen[bytes]") -> None:
    """End a process in order; one that was killed is left alone."""
    process.terminate()
    assert process.wait(WITHIN_S) in {0, -9}


def settled(ledger: dict[str, Any]) -> int:
    return sum(each["settled"] for each in ledger["spools"])


def parts(fleet: Fleet, registry: Registry) -> Iterator[tuple[Any, Any]]:
    """Devices and tables of which one reading each will never be sent."""
    for device in fleet._devices[:6]:
        yield device, registry[device.kind].tables["telemetry"]


def two_ports() -> int:
    """The first of two free ports, one after the other."""
    while True:
        port = free_port()
        try:
            free_port_at(port + 1)
        except OSError:
            continue
        return port


def free_port_at(port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def get_text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (loopback)
            return str(answer.read().decode())
    except OSError:
        return ""
