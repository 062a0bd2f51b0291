"""The feed: follows the broker while somebody listens, and makes frames of what devices say.

It asks for QoS 0 and keeps no session: what it misses nobody waits for. What the schemas refuse is not streamed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson
import structlog

from devices.errors import BrokerError, ReadingError, Reason
from devices.inventory import Device, Inventory
from devices.kind import Kind
from devices.payloads import Row, Schema, Schemas
from devices.topics import ALL, Topic
from live.frames import Group, written
from live.hub import Hub
from mqtt.connection import Connection, wait
from mqtt.options import Backoff, BrokerOptions
from mqtt.packets import Message

_FRAME_S = 0.1
_IDLE_S = 1.0
_MOST = 4000
"""So many messages are looked at for one frame; more than ten times as many a second than devices here send."""
_MOST_BYTES = 2 * 1024 * 1024

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Sender:
    """What a topic means."""

    group: Group
    channel: str
    schema: Schema
    device: Device
    part: str | None
    head: bytes

    def rows(self, payload: bytes) -> list[Row]:
        """What it says; raises ReadingError."""
        rows = self.schema.validate(payload)
        part = self.part
        if part is not None and any(str(row[part]) not in self.device.parts for row in rows if part in row):
            raise ReadingError(Reason.UNKNOWN_PART, f"the device has no such {part}")
        return rows


class Reader:
    """Makes events of messages. Pure.

    Attributes:
        refused: how many messages were left out because they are none of this installation's, or wrong.
    """

    def __init__(self, inventory: Inventory, kinds: Mapping[str, Kind]) -> None:
        """Read what the devices of `inventory` may send."""
        self.refused = 0
        self._inventory = inventory
        self._kinds = kinds
        self._schemas = Schemas(kinds)
        self._topics: dict[str, _Sender] = {}

    def events(self, messages: Sequence[Message], received_ms: int) -> dict[Group, bytes]:
        """The events of some messages, by whose they are.

        Args:
            messages: as received.
            received_ms: when, ms since the epoch.
        """
        found: dict[Group, list[bytes]] = {}
        for message in messages:
            try:
                sender = self._topics.get(message.topic) or self._known(message.topic)
                rows = sender.rows(message.payload)
            except ReadingError:
                self.refused += 1  # why, ingest tells; it got the same
                continue
            head = b'%b"received":%d,"reading":' % (sender.head, received_ms)
            texts = found.setdefault(sender.group, [])
            texts += [written(sender.channel, head + orjson.dumps(row) + b"}") for row in rows]
        return {group: b"".join(texts) for group, texts in found.items()}

    def _known(self, text: str) -> _Sender:
        """What a topic means; kept, for there are as many as devices have channels."""
        topic = Topic.parse(text)
        device = self._inventory.devices.get(topic.device)
        schema = self._schemas.get((topic.kind, str(topic.channel)))
        if device is None or schema is None or (device.compound, device.kind) != (topic.compound, topic.kind):
            raise ReadingError(Reason.UNKNOWN_DEVICE, "there is no such device")
        part = self._kinds[device.kind].part
        head = orjson.dumps({"compound": device.compound, "kind": device.kind, "device": device.id})[:-1] + b","
        tables = self._kinds[device.kind].tables.values()
        personal = any(each.about_people for each in tables if each.channel is topic.channel)
        group = Group(device.compound, device.kind, personal)
        found = _Sender(group, str(topic.channel), schema, device, None if part is None else part.name, head)
        self._topics[text] = found
        return found


class Feed:
    """Follows the broker, in a thread of its own."""

    def __init__(self, options: BrokerOptions, reader: Reader, hub: Hub, *, client_id: str) -> None:
        """Prepare to follow.

        Args:
            options: how to reach the broker.
            reader: makes events of messages.
            hub: gets them.
            client_id: the client id; of several processes each needs its own.

        Raises:
            BrokerError: the CA file cannot be read.
        """
        self._connection = Connection(options, client_id=client_id)
        self._reader = reader
        self._hub = hub

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Follow until the end is asked for.

        Args:
            stopped: waits up to the given seconds, and says whether to end.
        """
        backoff = Backoff()
        while not stopped(0):
            if not self._hub.await_wanted(_IDLE_S):
                continue
            try:
                self._connection.open()
                self._connection.subscribe(ALL, qos=0, retained=False)
            except BrokerError as exc:
                self._hub.tell(connected=False)
                _LOG.warning("the live stream has no broker", code=exc.code, error=exc.message)
                if stopped(backoff.pause_s()):
                    break
                continue
            backoff.reset()
            self._hub.tell(connected=True)
            self._follow(stopped)
            self._connection.close()
            self._hub.tell(connected=False)

    def _follow(self, stopped: Callable[[float], bool]) -> None:
        connection, hub = self._connection, self._hub
        while connection.is_open and hub.is_wanted and not stopped(0):
            end = time.monotonic() + _FRAME_S
            messages: list[Message] = []
            while connection.is_open and (left := end - time.monotonic()) > 0:
                wait([connection], left)
                connection.step(most=_MOST, most_bytes=_MOST_BYTES)
                messages += connection.take_messages()
            fresh = [each for each in messages[:_MOST] if not each.retained]
            if messages:
                # A broker that is asked for QoS 0 sends nothing that is to be acknowledged.
                events = self._reader.events(fresh, time.time_ns() // 1_000_000)
                hub.publish(events, left_out=max(len(messages) - _MOST, 0))
