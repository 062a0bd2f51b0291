"""A fleet in front of the real mosquitto: everything arrives, whatever happens in between."""

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from devices.columns import NS_PER_MS
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.payloads import Schemas
from devices.registry import Registry
from devices.topics import Topic
from mqtt.options import BrokerOptions
from scoring.truth import Truth
from simulators.behaviour import Behaviour
from simulators.faults.options import FaultRates
from simulators.fleet import Fleet
from simulators.options import Connections, FleetOptions, selected
from simulators.source import Source
from simulators.tally import Summary
from simulators.truth import TruthFolder
from tests.services import Mosquitto, free_port
from tests.simulators.conftest import HOUR_MS, at
from tests.simulators.listener import Listener

pytestmark = pytest.mark.services

START = at("2025-11-05T18:00")
OPTIONS = FleetOptions(start_ms=START, stop_ms=START + 2 * HOUR_MS)
COMPOUNDS = "jingyuan,shuichang"


class Lines:
    """What a fleet says."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lines: list[str] = []
        self.steps = 0

    def say(self, line: str) -> None:
        """Keep it."""
        self.lines.append(line)

    def progress(self, *, now_ms: int, readings: int, waiting: int) -> None:
        """Count."""
        assert min(now_ms, readings + 1, waiting + 1) > 0
        self.steps += 1

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)


class Running:
    """A fleet that runs on a thread of its own."""

    def __init__(self, fleet: Fleet) -> None:
        """Take a fleet that has not run."""
        self.fleet = fleet
        self.summary: Summary | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.fleet.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Summary:
        """Its summary, once it has ended."""
        self._thread.join(30)
        assert self.summary is not None
        return self.summary

    def _run(self) -> None:
        self.summary = self.fleet.run()


class Maker:
    """Makes fleets of two compounds."""

    def __init__(self, inventory: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> None:
        """Take the parts."""
        self.inventory = selected(inventory, COMPOUNDS, "")
        self.parts = registry, behaviours
        self.lines = Lines()

    def fleet(self, broker: Mosquitto, options: FleetOptions = OPTIONS, truth: TruthFolder | None = None) -> Running:
        address = BrokerOptions(host=broker.host, port=broker.port, timeout_s=5)
        return Running(Fleet(options, address, self.inventory, *self.parts, self.lines, truth))

    def expected(self, options: FleetOptions = OPTIONS) -> set[tuple[str, str, str, int]]:
        """Table, device, part and time of all telemetry and events of a run."""
        assert options.stop_ms is not None
        batches = Source(self.inventory, *self.parts, options.seed).span(options.start_ms, options.stop_ms)
        return {
            (batch.table.measurement, key.device, key.part, ms)
            for batch in batches
            for key, ms in zip(
                [batch.keys[code] for code in batch.series.tolist()], (batch.time // NS_PER_MS).tolist(), strict=True
            )
        }


@pytest.fixture
def maker(inventory: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> Maker:
    return Maker(inventory, registry, behaviours)


def received(listener: Listener, maker: Maker) -> set[tuple[str, str, str, int]]:
    """The same of what has arrived, but for the status."""
    registry, _ = maker.parts
    made = set()
    for reading in listener.readings:
        topic = Topic.parse(reading.topic)
        if topic.channel != "status":
            part = registry[topic.kind].part
            name = "" if part is None else str(reading.body.get(part.name, ""))
            made.add((reading.measurement, topic.device, name, reading.body["ts"]))
    return made


@pytest.mark.parametrize(("connections", "batch"), [("device", 1), ("compound", 1), ("compound", 40), ("device", 40)])
def test_every_reading_arrives(broker: Mosquitto, maker: Maker, connections: str, batch: int) -> None:
    options = replace(OPTIONS, connections=Connections(connections), batch=batch)
    with Listener(broker) as listener, maker.fleet(broker, options) as running:
        listener.until(lambda: running.ended)
        listener.settle()
        summary = running.result()
        counts = listener.counts()
        assert counts == summary.published == summary.acknowledged
        devices = len(maker.inventory.devices)
        assert sum(count for name, count in counts.items() if name.endswith("_status")) == 2 * devices
        assert received(listener, maker) == maker.expected()
        assert summary.last_ms == OPTIONS.stop_ms
        if batch == 1:
            assert len(listener.payloads) == sum(counts.values()) == summary.messages
        else:
            assert len(listener.payloads) < 0.3 * sum(counts.values())
        schemas = Schemas(maker.parts[0])
        for reading, payload in zip(listener.readings, listener.payloads, strict=False):
            if batch == 1:
                topic = Topic.parse(reading.topic)
                schemas[topic.kind, topic.channel].validate(payload)


def test_devices_are_online_while_it_runs_and_offline_after(broker: Mosquitto, maker: Maker) -> None:
    options = FleetOptions(start_ms=int(time.time() * 1000), connections=Connections.DEVICE)
    devices = len(maker.inventory.devices)
    with Listener(broker) as first, maker.fleet(broker, options) as running:
        first.until(lambda: len(first.readings) >= devices)
        assert {reading.body["state"] for reading in first.readings[:devices]} == {"online"}
        assert {reading.body["firmware"] for reading in first.readings[:devices]} == {"sim-1.0.0"}
        running.fleet.stop()
        first.until(lambda: running.ended)
        first.settle()
        summary = running.result()
        assert first.counts() == summary.acknowledged
    with Listener(broker, "second") as second:
        second.until(lambda: len(second.readings) >= devices)
        statuses = [reading for reading in second.readings if reading.retained]
        assert len({reading.topic for reading in statuses}) == devices
        assert {reading.body["state"] for reading in statuses} == {"offline"}
        assert all({"ts", "seq", "boot"} <= set(reading.body) for reading in statuses)  # said by themselves, no will


def test_readings_are_kept_over_a_broker_restart(broker: Mosquitto, maker: Maker) -> None:
    options = replace(OPTIONS, window=5)
    with Listener(broker) as listener, maker.fleet(broker, options) as running:
        for wanted in (300, 900, 1500):
            listener.until(lambda wanted=wanted: len(listener.readings) >= wanted)  # type: ignore[misc]  # bound now
            assert not running.ended
            broker.restart(signal.SIGTERM)
        listener.until(lambda: running.ended, 40)
        listener.settle()
        summary = running.result()
        assert received(listener, maker) == maker.expected()
        # Wills have no number; all else is what was published.
        own = {name: count for name, count in summary.published.items() if not name.endswith("_status")}
        assert {name: count for name, count in listener.counts().items() if not name.endswith("_status")} == own
        assert summary.acknowledged == summary.published


def test_a_fleet_waits_for_the_broker_and_for_a_subscriber(
    maker: Maker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    absent = Mosquitto(folder=tmp_path_factory.mktemp("late"), port=free_port())
    with maker.fleet(absent) as running:
        wait_for(lambda: maker.lines.said(f"no MQTT broker at 127.0.0.1:{absent.port}"))
        assert maker.lines.said("trying again")
        with absent:
            wait_for(lambda: maker.lines.said("publishes refused with code 0x10 (nobody has subscribed; start ingest)"))
            assert not running.ended
            with Listener(absent) as listener:
                listener.until(lambda: running.ended, 40)
                listener.settle()
                assert received(listener, maker) == maker.expected()
                assert running.result().acknowledged == running.result().published


def test_what_the_broker_does_not_allow_is_kept_until_it_does(
    maker: Maker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("acl")
    acl = folder / "acl"
    acl.write_text(
        "topic read compounds/#\npattern write compounds/+/+/%c/#\npattern deny compounds/+/+/jingyuan-gate-01/event\n"
    )
    with Mosquitto(folder=folder, settings={"acl_file": str(acl)}) as broker, Listener(broker) as listener:
        options = replace(OPTIONS, connections=Connections.DEVICE)
        with maker.fleet(broker, options) as running:
            listener.until(lambda: maker.lines.said("code 0x87 (not authorised"))
            expected = maker.expected()
            others = {row for row in expected if row[1] != "jingyuan-gate-01"}
            listener.until(lambda: received(listener, maker) >= others)
            assert not {row for row in received(listener, maker) - others if row[0] == "gate_pass"}
            assert not running.ended
            acl.write_text("topic read compounds/#\npattern write compounds/+/+/%c/#\n")
            assert broker.process is not None
            broker.process.send_signal(signal.SIGHUP)
            listener.until(lambda: running.ended, 40)
            listener.settle()
            assert received(listener, maker) == expected
            counts = listener.counts()
            # mosquitto closes a connection on which it refuses something: there is a will among the statuses.
            counts["gate_status"] -= any(reading.body == {"state": "offline"} for reading in listener.readings)
            assert counts == running.result().published


def test_stop_ends_a_fleet_that_never_reached_a_broker(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> None:
    absent = Mosquitto(folder=tmp_path_factory.mktemp("none"), port=free_port())
    with maker.fleet(absent) as running:
        wait_for(lambda: bool(maker.lines.lines))
        began = time.monotonic()
        running.fleet.stop()
        assert running.result().published == {}
        assert time.monotonic() - began < 3


def test_stop_does_not_wait_for_ever(broker: Mosquitto, maker: Maker) -> None:
    with maker.fleet(broker, replace(OPTIONS, flush_s=1.0)) as running:
        wait_for(lambda: maker.lines.said("0x10"))  # nobody subscribes
        began = time.monotonic()
        running.fleet.stop()
        summary = running.result()
        assert 0.9 < time.monotonic() - began < 5
    assert sum(summary.published.values()) > 0
    assert summary.acknowledged == {}
    assert summary.last_ms is None
    assert maker.lines.said("left without acknowledgement")


def test_with_all_faults_the_truth_holds_what_was_published(broker: Mosquitto, maker: Maker, tmp_path: Path) -> None:
    # The listener reads all as JSON: nothing malformed.
    options = replace(OPTIONS, faults=replace(FaultRates.parse("all"), malformed=0.0))
    with Listener(broker) as listener, TruthFolder(tmp_path / "truth") as truth:
        with maker.fleet(broker, options, truth) as running:
            listener.until(lambda: running.ended)
            published = running.result().published
        assert running.result().acknowledged == published
    found = Truth(tmp_path / "truth")
    registry, _ = maker.parts
    rows = {
        kind.tables[name].measurement: sum(len(each.times) for each in series.values())
        for kind in registry.values()
        for name, series in found.tables(kind).items()
    }
    assert {name: count for name, count in rows.items() if count} == published
    assert not maker.lines.said("not whole")


def test_the_truth_of_a_run_that_was_stopped_is_not_whole(broker: Mosquitto, maker: Maker, tmp_path: Path) -> None:
    with TruthFolder(tmp_path / "truth") as truth, maker.fleet(broker, replace(OPTIONS, flush_s=0.5), truth) as running:
        wait_for(lambda: maker.lines.said("0x10"))  # nobody subscribes
        running.fleet.stop()
        running.result()
    assert maker.lines.said("not whole")
    with pytest.raises(SettingsError, match="holds no truth"):
        Truth(tmp_path / "truth")


def test_a_clock_that_runs_ahead_is_said(broker: Mosquitto, maker: Maker) -> None:
    options = FleetOptions(start_ms=int(time.time() * 1000), speed=60.0)
    with Listener(broker) as listener, maker.fleet(broker, options) as running:
        listener.until(lambda: maker.lines.said("runs ahead of the real one"))
        running.fleet.stop()
        listener.until(lambda: running.ended)
        listener.settle()
        assert listener.counts() == running.result().acknowledged
        assert maker.lines.steps > 0


def wait_for(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
