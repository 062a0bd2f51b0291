"""Messages for tests, made from the declarations: they know no kind by name."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from devices.columns import NS_PER_MS, SeriesKey
from devices.fields import Field, Signal
from devices.inventory import Device, Inventory
from devices.kind import Channel, Kind, Table
from devices.topics import Topic
from store.protocol import Query, Store


class Identity(NamedTuple):
    """By what a store tells one reading from another."""

    measurement: str
    key: SeriesKey
    time_ns: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and the readings it holds."""

    topic: str
    payload: bytes
    identities: tuple[Identity, ...] = ()


class Fleet:
    """Makes good messages for every table of every device, each reading with an identity of its own."""

    def __init__(self, inventory: Inventory, kinds: Mapping[str, Kind], *, seed: int = 1) -> None:
        """Speak for the devices of `inventory`."""
        self._kinds = kinds
        self._devices = list(inventory.devices.values())
        self._random = Random(seed)  # noqa: S311  (the same messages each time)
        self._seq: Counter[tuple[str, Channel]] = Counter()

    def messages(self, count: int, *, objects: int = 1, since_ms: int | None = None) -> Iterator[Sent]:
        """`count` messages of `objects` readings each, of now, or one each millisecond from `since_ms` on."""
        for number in range(count):
            device = self._random.choice(self._devices)
            table = self._random.choice(list(self._kinds[device.kind].tables.values()))
            yield self.message(device, table, objects=objects, ts=None if since_ms is None else since_ms + number)

    def message(self, device: Device, table: Table, *, objects: int = 1, ts: int | None = None) -> Sent:
        """One message of `objects` readings, of now or of `ts`."""
        made, identities = [], []
        for _ in range(objects):
            key = self._random.choice(list(device.keys(table)))
            body = self.body(device, table, key, time.time_ns() // NS_PER_MS if ts is None else ts)
            made.append(body)
            at = int(str(body["ts"])) * NS_PER_MS + int(str(body["seq"])) % NS_PER_MS
            identities.append(Identity(table.measurement, key, at))
        topic = str(Topic(device.compound, device.kind, device.id, table.channel))
        return Sent(topic, json.dumps(made[0] if objects == 1 else made).encode(), tuple(identities))

    def body(self, device: Device, table: Table, key: SeriesKey, ts: int) -> dict[str, object]:
        """One object."""
        seq = self._seq[device.id, table.channel]
        self._seq[device.id, table.channel] += 1
        made: dict[str, object] = {"ts": ts, "seq": seq, "boot": 7}
        if table.channel is Channel.EVENT:
            made["event"] = table.name
        if table.part is not None:
            made[table.part.name] = key.part if table.part.values else int(key.part)
        for field in table.fields:
            if field.required or self._random.random() < 0.5:
                made[field.name] = self._value(field)
        return made

    def _value(self, field: Field) -> object:
        random = self._random
        if field.boolean:
            return random.random() < 0.5
        if field.is_label:
            return random.choice(field.labels)
        if field.signal is Signal.IDENTITY:
            return f"id-{random.randrange(1000)}"
        low, high = field.low or 0.0, field.high or 1.0
        return random.randint(int(low), int(high)) if field.integer else round(random.uniform(low, high), 3)


def identities(messages: Iterable[Sent]) -> set[Identity]:
    """All readings of messages."""
    return {each for message in messages for each in message.identities}


def stored(store: Store, kinds: Mapping[str, Kind], *, but: str | None = None) -> list[Identity]:
    """All readings in a store but those of one measurement, each as often as it is there."""
    found = []
    for kind in kinds.values():
        for table in kind.tables.values():
            if table.measurement == but:
                continue
            batch = store.read(Query(table=table, start_ns=0, stop_ns=2**62))
            found += [
                Identity(table.measurement, batch.keys[series], at)
                for series, at in zip(batch.series.tolist(), batch.time.tolist(), strict=True)
            ]
    return found
