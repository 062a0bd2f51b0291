"""The fleet: generates what the devices report, publishes it when it is due, and keeps it until it is acknowledged.

One thread drives all connections. With a connection for each device the client id is the device's id, and its
will says on its own status topic that it is offline. With one for each compound, a gateway, there is one will for all
its devices, and a will has one topic: the gateway is taken to be built into the compound's first device (in the
inventory's order), which the will reports as offline. The others fall silent, and unknown is what they are.
"""

import threading
import time
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import orjson

from devices.columns import NS_PER_MS, Batch, SeriesKey, column_of
from devices.errors import BrokerError
from devices.inventory import Device, Inventory
from devices.kind import STATUS, Channel, Kind
from devices.topics import Topic
from mqtt.connection import Connection, Will, wait
from mqtt.options import Backoff, BrokerOptions
from simulators.behaviour import Behaviour
from simulators.encode import Encoder, Message
from simulators.faults.devices import DeviceFaults
from simulators.faults.transport import Transport
from simulators.feed import Feed
from simulators.link import Link
from simulators.options import Connections, FleetOptions
from simulators.source import Source
from simulators.tally import Summary, Tally
from simulators.truth import TruthFolder

FIRMWARE = "sim-1.0.0"
_WILL = b'{"state":"offline"}'
_WAIT_S = 0.05
_TICK_S = 1.0
_COMPLAIN_S = 5.0
_AHEAD_S = 60.0
_CODES = {
    0x10: "nobody has subscribed; start ingest",
    0x87: "not authorised; check the user and the broker's ACL",
    0x97: "quota exceeded; the broker's queue is full",
}


class Report(Protocol):
    """Where a fleet tells people how it goes."""

    def say(self, line: str) -> None:
        """Tell something once."""

    def progress(self, *, now_ms: int, readings: int, waiting: int) -> None:
        """Tell how far it is: simulated time, readings acknowledged, messages that wait for acknowledgement."""


class Silent:
    """Tells nobody."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def progress(self, *, now_ms: int, readings: int, waiting: int) -> None:
        """Say nothing."""


class Fleet:
    """Simulated devices, publishing over MQTT."""

    def __init__(  # noqa: PLR0913, PLR0917  (it is wired from all its parts here)
        self,
        options: FleetOptions,
        broker: BrokerOptions,
        inventory: Inventory,
        kinds: Mapping[str, Kind],
        behaviours: Mapping[str, Behaviour],
        report: Report | None = None,
        truth: TruthFolder | None = None,
    ) -> None:
        """Prepare the devices of `inventory`; nothing is sent before `run`.

        Args:
            options: what to do.
            broker: how to reach the broker.
            inventory: the devices that take part.
            kinds: the kinds.
            behaviours: their behaviours.
            report: where to tell people how it goes; nowhere by default.
            truth: where to write what really happened; nowhere by default.
        """
        self._options = options
        self._report = report or Silent()
        self._boot = int(time.time())
        self._devices = tuple(inventory.devices.values())
        numbers = {device.id: number for number, device in enumerate(self._devices)}
        self._truth = truth
        self._device_faults: DeviceFaults | None = None
        self._transport: Transport | None = None
        if options.faults.any:
            self._device_faults = DeviceFaults(
                options.faults, self._devices, kinds, behaviours, options.seed, options.start_ms, FIRMWARE
            )
            self._transport = Transport(options.faults, self._devices, options.seed)
        self._encoder = Encoder(
            numbers,
            boot=self._boot,
            batch=options.batch,
            boots=None if self._device_faults is None else self._device_faults.boots,
            record=None if truth is None else truth.record,
        )
        self._statuses = {name: kind.tables[STATUS] for name, kind in kinds.items()}
        self._source = Source(inventory, kinds, behaviours, options.seed)
        self._tally = Tally()
        self._links = self._made_links(broker, inventory, numbers)
        self._link_of = {number: link for link in self._links for number in link.devices}
        self._stopping = threading.Event()
        self._backoff = Backoff(0.2, _COMPLAIN_S)
        self._open_at = 0.0
        self._complain_at = 0.0
        self._tick_at = 0.0
        self._warned = False
        self._finishing = False

    def stop(self) -> None:
        """Ask `run` to end soon; safe in a signal handler and from any thread."""
        self._stopping.set()

    def run(self) -> Summary:
        """Publish until the end of simulated time, or until `stop`.

        At the end of simulated time everything published has been acknowledged. After `stop` what has not been sent is
        dropped, and PUBACKs of the rest are awaited for `flush_s` at most. In the end the devices say that they are
        offline, and disconnect.

        Returns:
            What was published and acknowledged, exactly.
        """
        began = time.monotonic()
        options = self._options
        feed = Feed(
            self._source,
            self._encoder,
            start_ms=options.start_ms,
            stop_ms=options.stop_ms,
            speed=options.speed,
            devices=self._device_faults,
            transport=self._transport,
        )
        try:
            while not (self._stopping.is_set() or (feed.done and not self._tally.waiting)):
                self._turn(feed)
                for message in feed.take(self._tally.waiting):
                    self._link_of[message.device].add(message)
            self._finish(feed)
        finally:
            for link in self._links:
                link.connection.close()
        if self._truth is not None and not self._stopping.is_set():
            self._truth.finish(start_ms=options.start_ms, stop_ms=self._now_ms(feed), seed=options.seed)
        elif self._truth is not None:
            # What was made and not sent has happened to nobody.
            self._report.say("the run was stopped before its end: the truth is not whole, and cannot be scored")
        return self._tally.summary(boot=self._boot, seed=options.seed, seconds=time.monotonic() - began)

    def _turn(self, feed: Feed) -> None:
        """Open what is closed, send and receive, and say how it goes; waits for `_WAIT_S` at most."""
        now = time.monotonic()
        self._open(feed, now)
        sending = [link for link in self._links if link.can_send(now)]
        ready = {id(connection) for connection in wait(self._connections(), 0.0 if sending else _WAIT_S)}
        now = time.monotonic()
        for link in sending:
            link.pump(now)
            ready.discard(id(link.connection))
        if ready:
            for link in self._links:
                if id(link.connection) in ready:
                    link.pump(now)
        if now >= self._tick_at:
            self._tick_at = now + _TICK_S
            self._tick(feed, now)

    def _connections(self) -> list[Connection]:
        return [link.connection for link in self._links]

    def _tick(self, feed: Feed, now: float) -> None:
        for link in self._links:
            link.keep_alive(now)
        self._report.progress(now_ms=self._now_ms(feed), readings=self._tally.readings, waiting=self._tally.waiting)
        if feed.speed is not None and feed.ahead_s > _AHEAD_S and not self._warned:
            self._warned = True
            self._report.say(
                "the simulated clock runs ahead of the real one; ingest refuses readings more than an hour ahead"
            )
        if now >= self._complain_at:
            self._complain(now)

    def _complain(self, now: float) -> None:
        """Say what went wrong since the last time."""
        tally = self._tally
        lines = [f"{count:,} connections lost ({why}); opening them again" for why, count in sorted(tally.lost.items())]
        for code, count in sorted(tally.refused.items()):
            why = _CODES.get(code, "see the reason codes of MQTT 5")
            lines.append(f"{count:,} publishes refused with code 0x{code:02X} ({why}); they are sent again")
        for line in lines:
            self._complain_at = now + _COMPLAIN_S
            self._report.say(line)
        tally.lost.clear()
        tally.refused.clear()

    def _open(self, feed: Feed, now: float) -> None:
        """Open closed connections, as long as it works."""
        if now < self._open_at:
            return
        for link in self._links:
            if not link.may_open(now) or (self._finishing and link.is_idle):
                continue
            try:
                link.connection.open()
            except BrokerError as exc:
                pause = self._backoff.pause_s()
                self._open_at = time.monotonic() + pause
                if now >= self._complain_at:
                    self._complain_at = now + _COMPLAIN_S
                    self._report.say(f"{exc.message}; trying again, {self._tally.waiting:,} messages wait")
                return
            self._backoff.reset()
            greeting = [self._status(number, "online", self._now_ms(feed)) for number in link.devices]
            link.opened(greeting, time.monotonic())

    def _finish(self, feed: Feed) -> None:
        """Wait for outstanding PUBACKs, and let the devices say that they go."""
        deadline: float | None = None
        self._finishing = True
        for link in self._links:
            link.forget_unsent()
            # One that was never open has said nothing; one that was lost has left its will.
            if link.greeted and (link.connection.is_open or link.has_unacknowledged):
                for number in link.devices:
                    link.add(self._status(number, "offline", self._now_ms(feed)))
        while any(not link.is_idle for link in self._links):
            if self._stopping.is_set():
                deadline = deadline or time.monotonic() + self._options.flush_s
                if time.monotonic() > deadline:
                    self._report.say(f"{self._tally.waiting:,} messages are left without acknowledgement")
                    return
            self._turn(feed)

    def _now_ms(self, feed: Feed) -> int:
        """The time on the devices' clocks: while history is sent, that of what has got through."""
        if feed.speed is None and not feed.done:
            return self._tally.last_ms or feed.start_ms
        return feed.now_ms

    def _status(self, number: int, state: str, now_ms: int) -> Message:
        device = self._devices[number]
        seq = self._encoder.take_seq(number, Channel.STATUS)
        if self._truth is not None:
            table = self._statuses[device.kind]
            rows = {"state": [state], "firmware": [FIRMWARE]}
            columns = {field.name: column_of(field, rows[field.name]) for field in table.fields}
            key, time_ns = SeriesKey(device.compound, device.id), np.array([now_ms], np.int64) * NS_PER_MS
            batch = Batch(table, (key,), np.zeros(1, np.int32), time_ns, columns)
            self._truth.record([batch], np.array([seq], np.int64))
        boot = self._encoder.boot_of(number, Channel.STATUS)
        payload = {"ts": now_ms, "seq": seq, "boot": boot, "state": state, "firmware": FIRMWARE}
        counts = ((f"{device.kind}_{STATUS}", 1),)
        return Message(now_ms, number, _status_topic(device), orjson.dumps(payload), counts, retain=True)

    def _made_links(self, broker: BrokerOptions, inventory: Inventory, numbers: Mapping[str, int]) -> list[Link]:
        links = []
        for compound in inventory.compounds.values():
            groups: list[tuple[str, tuple[Device, ...]]] = [(device.id, (device,)) for device in compound.devices]
            if groups and self._options.connections is Connections.COMPOUND:
                groups = [(f"{compound.id}-gateway", compound.devices)]
            for client_id, devices in groups:
                will = Will(topic=_status_topic(devices[0]), payload=_WILL)
                connection = Connection(broker, client_id=client_id, will=will)
                speaks_for = tuple(numbers[device.id] for device in devices)
                links.append(Link(connection, speaks_for, self._options.window, self._tally))
        return links


def _status_topic(device: Device) -> str:
    return str(Topic(device.compound, device.kind, device.id, Channel.STATUS))
