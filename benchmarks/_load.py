"""The load of the ingest benchmark: an inventory of chargers, what they send, and a publisher that is fast enough."""

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from devices.columns import NS_PER_MS, Batch, Coded, Floats, SeriesKey
from devices.inventory import Inventory
from devices.kind import Table
from devices.registry import Registry
from devices.topics import ALL
from mqtt.connection import Connection
from mqtt.options import BrokerOptions
from simulators.encode import Encoder, Message
from tests.services.wire import string, varint

SENTINEL = "last-charger-01"
"""The device that sends the last reading of a run."""

PARTS = 2
"""How many connectors a charger has."""

_PER_COMPOUND = 100
_MINUTE_MS = 60_000
_CHUNK = 1000
_IN_FLIGHT = 4000
_PUBACK_BYTES = 4


class Load(NamedTuple):
    """What is sent in one run.

    Attributes:
        messages: the messages, the last one from the sentinel.
        batches: the same readings as rows.
        readings: how many readings they hold.
        soc: how many of them have the optional field.
        power_w: sum of the readings' power, by which stores are compared.
        since_ns: all readings are of this time or later.
    """

    messages: list[Message]
    batches: tuple[Batch, ...]
    readings: int
    soc: int
    power_w: float
    since_ns: int


def inventory_text(devices: int) -> str:
    """An inventory file of so many chargers, each with `PARTS` connectors, and the sentinel."""
    lines = ["name: {en: Benchmark, zh: 基准}", "compounds:"]
    for number in range(0, devices, _PER_COMPOUND):
        lines += _compound(f"court-{number // _PER_COMPOUND:04d}", min(_PER_COMPOUND, devices - number), PARTS)
    return "\n".join([*lines, *_compound("last", 1, 1), ""])


def _compound(name: str, chargers: int, connectors: int) -> list[str]:
    return [
        f"  - id: {name}",
        f"    name: {{en: {name}, zh: {name}}}",
        "    buildings: 4",
        "    residents: 400",
        "    parking_spaces: 40",
        f"    devices: {{charger: {{count: {chargers}, parts: {connectors}}}}}",
    ]


def load(kinds: Registry, inventory: Inventory, *, readings: int, per_message: int) -> Load:
    """Make a load: every connector reports once a minute, the last time just now."""
    table = kinds["charger"].tables["telemetry"]
    keys = [key for device in inventory.devices.values() for key in device.keys(table) if device.id != SENTINEL]
    minutes = -(-readings // len(keys))
    end_ms = time.time_ns() // NS_PER_MS
    start_ms = end_ms - (minutes + 1) * _MINUTE_MS
    batch = _rows(table, keys, readings, start_ms)
    numbers = {device: number for number, device in enumerate(inventory.devices)}
    # Held until they are full: an array then holds per_message readings, but for each device's last one.
    messages = Encoder(numbers, boot=1, batch=per_message).encode([batch])
    last = _sentinel(table, end_ms)
    messages += Encoder(numbers, boot=1, batch=per_message).encode([last])
    soc = sum(int(np.isfinite(each.floats("soc")).sum()) for each in (batch, last))
    return Load(messages, (batch, last), readings + 1, soc, float(batch.floats("power_w").sum()), start_ms * NS_PER_MS)


def _rows(table: Table, keys: Sequence[SeriesKey], rows: int, start_ms: int) -> Batch:
    rng = np.random.default_rng([rows, len(keys)])
    number = np.arange(rows)
    time_ms = start_ms + number // len(keys) * _MINUTE_MS + rng.integers(0, _MINUTE_MS, len(keys))[number % len(keys)]
    soc = np.round(rng.random(rows), 3)
    columns: dict[str, Floats | Coded] = {
        "status": Coded(rng.integers(0, 9, rows, np.int32), table.by_name["status"].labels),
        "error": Coded(np.where(rng.random(rows) < 0.99, 0, 3).astype(np.int32), table.by_name["error"].labels),
        "energy_wh": np.round(1e6 + number * 7.25, 2),
        "power_w": np.round(rng.random(rows) * 7000, 1),
        "current_a": np.round(rng.random(rows) * 32, 2),
        "voltage_v": np.round(220 + rng.random(rows) * 20, 1),
        "temp_c": np.round(10 + rng.random(rows) * 40, 1),
        "soc": np.where(rng.random(rows) < 0.5, np.nan, soc),
    }
    return Batch(table, tuple(keys), (number % len(keys)).astype(np.int32), time_ms * NS_PER_MS, columns)


def _sentinel(table: Table, end_ms: int) -> Batch:
    one = _rows(table, [SeriesKey("last", SENTINEL, "1")], 1, end_ms)
    time_ns = np.array([end_ms * NS_PER_MS])
    return Batch(table, one.keys, one.series, time_ns, {**one.columns, "power_w": np.zeros(1)})


def make_session(port: int, client_id: str) -> None:
    """Make a contender's session at the broker, so that messages wait for it; it takes it up by its client id."""
    connection = Connection(BrokerOptions(port=port), client_id=client_id, clean_start=True, session_expiry_s=24 * 3600)
    with connection:
        connection.subscribe(ALL)


def publish(port: int, messages: Sequence[Message]) -> None:
    """Publish with QoS 1 as fast as the broker takes it, and wait for all PUBACKs."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as broker:
        broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # MQTT 3.1.1: each PUBACK is four bytes, so that counting bytes counts them.
        body = b"\x00\x04MQTT\x04\x02" + struct.pack(">H", 0) + string(b"bench-load")
        broker.sendall(b"\x10" + bytes([len(body)]) + body)
        _receive(broker, 4)
        in_flight = 0
        for packets in _packets(messages):
            broker.sendall(b"".join(packets))
            in_flight += len(packets)
            while in_flight > _IN_FLIGHT:
                _receive(broker, _CHUNK * _PUBACK_BYTES)
                in_flight -= _CHUNK
        _receive(broker, in_flight * _PUBACK_BYTES)


def _packets(messages: Sequence[Message]) -> Iterator[list[bytes]]:
    mid = 0
    for begin in range(0, len(messages), _CHUNK):
        packets = []
        for message in messages[begin : begin + _CHUNK]:
            mid = mid % 65535 + 1
            body = b"".join((string(message.topic.encode()), struct.pack(">H", mid), message.payload))
            packets.append(b"\x32" + varint(len(body)) + body)
        yield packets


def _receive(broker: socket.socket, size: int) -> None:
    while size:
        heard = broker.recv(min(size, 65536))
        if not heard:
            raise ConnectionError("the broker has hung up")
        size -= len(heard)
