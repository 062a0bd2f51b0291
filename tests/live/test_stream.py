"""The live stream, from a real broker to real HTTP clients."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from access.callers import Grant, Scope
from access.doors import Doors
from api.app import create_app
from api.options import ApiOptions
from courtyard.live import LivePart
from courtyard.server import ApiServer
from courtyard.settings import load
from devices.inventory import Inventory
from devices.registry import Registry
from mqtt.connection import Connection, wait
from mqtt.options import BrokerOptions
from records.database import Database
from tests.api.memory_store import MemoryStore
from tests.services import Mosquitto, free_port

pytestmark = pytest.mark.services

KEY = "a-key-for-tests-only-0001"
BIN = "compounds/jingyuan/bin/jingyuan-bin-01/telemetry"


class Live:
    """A running API that follows a broker."""

    def __init__(self, url: str, part: LivePart, doors: Doors, inventory: Inventory) -> None:
        """Keep them."""
        self.url = url
        self.part = part
        self.doors = doors
        self.inventory = inventory

    def bins(self) -> list[str]:
        """The bins there are."""
        return [each.id for each in self.inventory.of_kind("bin")]

    @contextmanager
    def stream(self, query: str = "", last: str | None = None, key: str = KEY) -> Iterator["Lines"]:
        headers = {"X-API-Key": key, **({"Last-Event-ID": last} if last else {})}
        with (
            httpx.Client(timeout=httpx.Timeout(10.0)) as client,
            client.stream("GET", f"{self.url}/v1/stream{query}", headers=headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            yield Lines(answer)


class Lines:
    """The events of one stream."""

    def __init__(self, answer: httpx.Response) -> None:
        """Begin to read."""
        self.answer = answer
        self.last = ""
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, dict[str, object]]:
        name = ""
        for line in self._lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                self.last = line[4:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        raise AssertionError("the stream ended")

    def until(self, wanted: str) -> dict[str, object]:
        while True:
            name, data = self.next()
            if name == wanted:
                return data

    def connected(self) -> None:
        while not self.until("feed")["connected"]:
            pass


@pytest.fixture
def live(broker: Mosquitto, inventory: Inventory, registry: Registry, tmp_path: Path) -> Iterator[Live]:
    settings = load(None, mqtt_port=broker.port)
    part = LivePart(settings, inventory, registry)
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    doors = Doors(database, keys=(KEY,))
    app = create_app(ApiOptions(keys=(KEY,)), inventory, registry, MemoryStore(), hub=part.hub, doors=doors)
    server = ApiServer(app, "127.0.0.1", free_port())
    part.start()
    server.start()
    try:
        yield Live(server.url, part, doors, inventory)
    finally:
        part.stop()
        begun = time.monotonic()
        server.stop()
        database.close()
        assert time.monotonic() - begun < 5, "open streams must not hold the end up"


@contextmanager
def device(broker: Mosquitto) -> Iterator[Connection]:
    with Connection(BrokerOptions(port=broker.port), client_id="a-device") as connection:
        yield connection


def send(connection: Connection, topic: str, *payloads: object) -> None:
    for each in payloads:
        connection.publish(topic, each if isinstance(each, bytes) else json.dumps(each).encode())
    for _ in payloads:
        wait([connection], 0.2)
        connection.step()


def reading(seq: int, **more: object) -> dict[str, object]:
    now = int(time.time() * 1000)
    return {
        "ts": now, "seq": seq, "stream": "kitchen", "fill": 0.5, "weight_kg": 2.0, "temp_c": 20.0, "lid": "closed",
        "battery": 0.9, "smoke": False, "tilt": False, **more,
    }  # fmt: skip


def test_readings_come_within_a_second_with_whose_they_are(live: Live, broker: Mosquitto) -> None:
    with live.stream() as stream, device(broker) as sender:
        stream.connected()
        begun = time.monotonic()
        send(sender, BIN, [reading(0), reading(1)])
        said = [stream.until("telemetry") for _ in range(2)]
    assert time.monotonic() - begun < 5
    assert [each["device"] for each in said] == ["jingyuan-bin-01"] * 2
    assert {each["compound"] for each in said} == {"jingyuan"}
    assert [each["reading"]["seq"] for each in said] == [0, 1]  # type: ignore[index]


PASS = {"event": "pass", "direction": "in", "method": "card", "result": "granted"}


def test_a_key_gets_its_compounds_and_nothing_about_single_persons(live: Live, broker: Mosquitto) -> None:
    assert live.doors.keys is not None
    assert live.doors.audit is not None
    grant = Grant(scopes=frozenset({Scope.READ}), compounds=frozenset({"jingyuan"}))
    key = live.doors.keys.create("wall", grant, by="test", now_ns=time.time_ns()).text
    other = next(each for each in live.bins() if not each.startswith("jingyuan"))
    compound = other.rpartition("-bin-")[0]
    with live.stream(key=key) as stream, live.stream() as everything, device(broker) as sender:
        stream.connected()
        everything.connected()
        send(sender, f"compounds/{compound}/bin/{other}/telemetry", reading(0))
        now = int(time.time() * 1000)
        send(sender, "compounds/jingyuan/gate/jingyuan-gate-01/event", {"ts": now, "seq": 0, **PASS})
        send(sender, BIN, reading(7))
        said = [stream.next() for _ in range(1)]
        while said[-1][0] == "feed":
            said = [stream.next()]
        assert [(name, data["device"]) for name, data in said] == [("telemetry", "jingyuan-bin-01")]
        assert everything.until("event")["device"] == "jingyuan-gate-01"
    assert [each.what for each in live.doors.audit.newest(5)] == ["people.read"]


def test_a_stream_ends_within_a_second_when_its_key_is_revoked(live: Live, broker: Mosquitto) -> None:
    assert live.doors.keys is not None
    made = live.doors.keys.create("wall", Grant(), by="test", now_ns=time.time_ns())
    with live.stream(key=made.text) as stream, device(broker) as sender:
        stream.connected()
        send(sender, BIN, reading(0))
        stream.until("telemetry")
        live.doors.keys.revoke(made.key.id, now_ns=time.time_ns())
        begun = time.monotonic()

        def go_on() -> None:
            for seq in range(1, 40):
                send(sender, BIN, reading(seq))
                stream.until("telemetry")

        with pytest.raises((AssertionError, httpx.HTTPError)):
            go_on()
        assert time.monotonic() - begun < 2


def test_nothing_comes_of_others_or_of_what_is_refused(live: Live, broker: Mosquitto) -> None:
    with live.stream("?compound=jingyuan&kind=bin") as stream, device(broker) as sender:
        stream.connected()
        send(sender, BIN, reading(0, face="x" * 40), b"{", b"\xff", reading(1, stream="glass"), reading(2, fill=7.0))
        send(sender, BIN.replace("bin-01", "bin-99"), reading(3))
        send(sender, "compounds/nowhere/bin/jingyuan-bin-01/telemetry", reading(4))
        send(sender, BIN, reading(5))
        assert stream.until("telemetry")["reading"]["seq"] == 5  # type: ignore[index]


def test_retained_messages_are_no_news(live: Live, broker: Mosquitto) -> None:
    status = BIN.replace("telemetry", "status")
    with device(broker) as sender:
        sender.publish(status, b'{"state":"offline"}', retain=True)
        wait([sender], 0.2)
        sender.step()
        with live.stream() as stream:
            stream.connected()
            send(sender, status, {"state": "online", "firmware": "1.0"})
            assert stream.until("status")["reading"]["state"] == "online"  # type: ignore[index]


def test_who_comes_back_misses_nothing(live: Live, broker: Mosquitto) -> None:
    with device(broker) as sender:
        with live.stream() as stream:
            stream.connected()
            send(sender, BIN, reading(0))
            stream.until("telemetry")
            send(sender, BIN, reading(1))
            stream.until("telemetry")
            last = stream.last  # of the frame before the one just read
        send(sender, BIN, reading(2))
        time.sleep(0.5)
        with live.stream(last=last) as stream:
            seqs = [stream.until("telemetry")["reading"]["seq"] for _ in range(2)]  # type: ignore[index]
    assert seqs == [1, 2]


def test_it_says_that_the_broker_is_away_and_back(live: Live, broker: Mosquitto) -> None:
    with live.stream() as stream:
        stream.connected()
        broker.stop()
        assert stream.until("feed") == {"connected": False}
        broker.start()
        assert stream.until("feed") == {"connected": True}


def test_a_client_that_never_reads_holds_nobody_up(live: Live, broker: Mosquitto) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as dead, live.stream() as stream, device(broker) as sender:
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        dead.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        stream.connected()
        hub = live.part.hub
        assert hub is not None
        big = [reading(number) for number in range(500)]
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                stream.until("telemetry")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        end = time.monotonic() + 60
        while hub.streams > 1 and time.monotonic() < end:
            send(sender, BIN, big)
        assert hub.streams == 1, "it is let go"
        done.set()
        send(sender, BIN, reading(0))
        reader.join(10)
        assert not reader.is_alive(), "the other went on"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?compound=nowhere", 404, "unknown_compound"),
        ("?kind=lift", 400, "unknown_kind"),
        ("?device=x", 422, "validation"),
    ],
)
def test_what_cannot_be_streamed_is_told(live: Live, query: str, status: int, code: str) -> None:
    answer = httpx.get(f"{live.url}/v1/stream{query}", headers={"X-API-Key": KEY})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_without_a_key_there_is_no_stream(live: Live) -> None:
    assert httpx.get(f"{live.url}/v1/stream").status_code == 401


def test_without_a_feed_it_says_so(inventory: Inventory, registry: Registry) -> None:
    app = create_app(ApiOptions(keys=(KEY,)), inventory, registry, MemoryStore())
    server = ApiServer(app, "127.0.0.1", free_port())
    server.start()
    try:
        answer = httpx.get(f"{server.url}/v1/stream", headers={"X-API-Key": KEY})
    finally:
        server.stop()
    assert (answer.status_code, answer.json()["code"]) == (503, "stream_away")
