"""One MQTT 5 connection without threads or callbacks: the caller's thread drives it, and takes what has arrived.

Inside, paho's callbacks only append to lists, so nothing can raise in them, and since the thread that reads is the one
that acknowledges, an acknowledgement cannot slip into a connection other than the one its message came on.
"""

import select
import time
from collections.abc import Iterable, Sequence
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.errors import BrokerError
from mqtt.buffered import BufferedClient
from mqtt.inbox import QOS, Inbox, Receipt, Will, made_client
from mqtt.options import BrokerOptions
from mqtt.packets import Message, pubacks

SUCCESS = 0x00
_RETAIN_ONLY_IF_NEW = 1
_RETAIN_NEVER = 2

__all__ = ["SUCCESS", "Connection", "Receipt", "Will", "wait"]


class Connection:
    """One client's connection to the broker.

    Attributes:
        client_id: the client id.
        epoch: counts the connections made; a packet id means nothing in another epoch.
    """

    def __init__(  # noqa: PLR0913  (a connection's settings are one row)
        self,
        options: BrokerOptions,
        *,
        client_id: str,
        clean_start: bool = True,
        session_expiry_s: int = 0,
        receive_maximum: int = 1000,
        will: Will | None = None,
    ) -> None:
        """Prepare a connection; `open` makes it.

        Args:
            options: how to reach the broker.
            client_id: the client id; fixed where the session is to survive.
            clean_start: True to begin with an empty session.
            session_expiry_s: how long the broker keeps the session after a disconnect, in seconds.
            receive_maximum: how many messages may be delivered before they are acknowledged.
            will: what the broker is to publish when this connection is lost.

        Raises:
            BrokerError: the CA file cannot be read.
        """
        self.client_id = client_id
        self.epoch = 0
        self._options = options
        self._messages: list[Message] = []
        self._connected = False
        self._inbox = Inbox()
        self._clean_start = clean_start
        self._will = will
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        self._properties.SessionExpiryInterval = session_expiry_s
        self._properties.ReceiveMaximum = receive_maximum
        self._client: BufferedClient | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        client = self._client
        return client is not None and client.socket() is not None and self._connected

    @property
    def lost_because(self) -> str | None:
        """Why the connection was lost, or None."""
        return self._inbox.lost

    @property
    def session_present(self) -> bool:
        """Whether the broker still had the session, at the last `open`."""
        return self._inbox.session_present

    @property
    def window(self) -> int:
        """How many publishes the broker takes unacknowledged on this connection."""
        return self._inbox.window

    def open(self) -> None:
        """Connect and wait for the broker's CONNACK; what an earlier connection left unread is dropped.

        Raises:
            BrokerError: the broker cannot be reached, refuses, or does not answer in time. Trying again is safe.
        """
        options = self._options
        self.abort()
        self._messages.clear()
        inbox = self._inbox = Inbox()
        client = self._client = made_client(options, self.client_id, self._will, inbox)
        try:
            client.connect(
                options.host,
                options.port,
                keepalive=options.keepalive_s,
                clean_start=self._clean_start,
                properties=self._properties,
            )
            answer = self._awaited("CONNACK")
        except (OSError, ValueError) as exc:
            self.abort()
            raise BrokerError(f"no MQTT broker at {options.host}:{options.port}: {exc}") from exc
        if answer.is_failure:
            self.abort()
            raise BrokerError(f"the MQTT broker refused {self.client_id!r}: {answer}", code="broker_refused")
        self._connected = True
        self.epoch += 1

    def subscribe(
        self, topic_filter: str, *, qos: int = QOS, retained: bool = True, wait_for_answer: bool = True
    ) -> None:
        """Subscribe.

        Args:
            topic_filter: what to subscribe to.
            qos: 1, or 0 for what may be missed.
            retained: whether retained messages come, if the filter is new.
            wait_for_answer: wait for the broker's SUBACK. In a session taken up again do not: the embedded broker sends
                none before the messages are acknowledged that it delivers first. Then a refusal ends the connection
                when it comes.

        Raises:
            BrokerError: the broker refuses the filter or grants less, or the connection is lost.
        """
        self._inbox.answers.clear()
        self._inbox.refused = None
        self._inbox.qos = qos
        options = SubscribeOptions(qos=qos, retainHandling=_RETAIN_ONLY_IF_NEW if retained else _RETAIN_NEVER)
        self._opened().subscribe(topic_filter, options=options)
        if not wait_for_answer:
            self.flush()
            return
        try:
            granted = self._awaited("SUBACK")
        except OSError as exc:
            self.abort()
            raise BrokerError(f"subscribing to {topic_filter!r}: {exc}") from exc
        if granted.value != qos:
            raise BrokerError(f"{topic_filter!r}: {self._inbox.refused}", code="broker_refused")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Queue one publish with QoS 1; `step` sends it.

        Returns:
            Its packet id, under which its `Receipt` will come.

        Raises:
            BrokerError: there is no connection, or the broker's window is full.
        """
        info = self._opened().publish(topic, payload, qos=QOS, retain=retain)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise BrokerError(f"publishing to {topic!r}: {paho.error_string(info.rc)}")
        return info.mid

    def acknowledge(self, mid: int) -> None:
        """Queue the PUBACK of a message of the current epoch; `step` sends it."""
        self.acknowledge_all([mid])

    def acknowledge_all(self, mids: Sequence[int]) -> None:
        """Queue the PUBACKs of messages of the current epoch, in order; `step` or `flush` sends them.

        A message that came with QoS 0 (its mid is 0) has none. Without a connection nothing happens: the broker
        delivers the messages again on the next.
        """
        client = self._client
        if client is not None and client.buffered is not None and self.is_open:
            client.buffered.send(pubacks(mids))

    def step(self, *, most: int = 1000, most_bytes: int = 16 * 1024 * 1024) -> bool:
        """Read what has arrived, and send what waits. Never blocks, never raises.

        Args:
            most: stop after about so many packets.
            most_bytes: stop once messages of more than so many bytes of payload have been read.

        Returns:
            True where the socket is drained (nothing more has arrived), False where more can be read at once.
        """
        drained = False
        messages = self._messages
        while most > 0 and most_bytes > 0 and not drained:
            client = self._client
            if client is None or client.buffered is None or client.socket() is None:
                return True
            begun = len(messages)
            try:
                drained = client.buffered.messages(messages, most=most, most_bytes=most_bytes)
                if client.buffered.for_paho:
                    client.loop_read()
                    most -= 1
            except Exception as exc:  # noqa: BLE001  (a peer that speaks no MQTT makes a parser raise anything)
                self._drop(f"the broker sent what is no MQTT: {type(exc).__name__}")
                return True
            if self._inbox.refused is not None:
                self._drop(self._inbox.refused)
                return True
            most -= len(messages) - begun
            most_bytes -= sum([len(message.payload) for message in messages[begun:]])
        self.flush()
        return drained

    def flush(self) -> None:
        """Send what waits, and keep the connection alive. Never blocks, never raises."""
        client = self._client
        if client is None or client.buffered is None or client.socket() is None:
            return
        client.loop_write()
        try:
            client.buffered.flush()
        except OSError as exc:
            self._drop(str(exc))
            return
        client.loop_misc()

    def take_messages(self) -> list[Message]:
        """The messages received since the last call, in order."""
        taken, self._messages = self._messages, []
        return taken

    def take_receipts(self) -> list[Receipt]:
        """The PUBACKs received since the last call, in order."""
        taken, self._inbox.receipts = self._inbox.receipts, []
        return taken

    def close(self) -> None:
        """Send what waits and disconnect in order: the broker does not publish the will."""
        client = self._client
        if client is not None and client.socket() is not None:
            client.disconnect()
            client.loop_write()  # after the DISCONNECT paho closes the socket, which sends what is kept
        self.abort()

    def abort(self) -> None:
        """Drop the connection as it is; a persistent session stays with the broker."""
        if self._client is not None:
            self._client.drop()
        self._client = None
        self._connected = False

    def _drop(self, why: str) -> None:
        self._inbox.lost = why
        self.abort()

    def _opened(self) -> BufferedClient:
        if self._client is None or not self.is_open:
            raise BrokerError(
                f"the connection of {self.client_id!r} is not open: {self._inbox.lost or 'call open first'}"
            )
        return self._client

    def _awaited(self, what: str) -> ReasonCode:
        deadline = time.monotonic() + self._options.timeout_s
        inbox = self._inbox
        while not inbox.answers:
            if inbox.lost is not None:
                raise ConnectionError(inbox.lost)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {what} within {self._options.timeout_s:.0f} s")
            wait([self], min(left, 0.5))
            self.step(most=1)
        return inbox.answers[0]

    def __enter__(self) -> Self:
        """Open the connection."""
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def poll_flags(self) -> tuple[int, int] | None:
        """The socket's number and what to wait for (select.POLLIN, POLLOUT), or None where there is no socket.

        A number of -1 says that bytes read ahead wait: do not wait for the socket.
        """
        client = self._client
        if client is None or client.buffered is None or client.socket() is None:
            return None
        buffered = client.buffered
        if buffered.pending():
            return -1, 0
        writes = buffered.wants_write or client.want_write()
        return buffered.fileno(), select.POLLIN | (select.POLLOUT if writes else 0)


def wait(connections: Iterable[Connection], timeout_s: float) -> list[Connection]:
    """Wait until some of `connections` can be read, or written where they have something to send.

    Args:
        connections: any number of them, open or not.
        timeout_s: wait at most this long.

    Returns:
        Those worth a `step`.
    """
    poll = select.poll()
    by_number: dict[int, Connection] = {}
    ready: list[Connection] = []
    for connection in connections:
        flags = connection.poll_flags()
        if flags is None:
            continue
        number, events = flags
        if number < 0:
            ready.append(connection)
        else:
            by_number[number] = connection
            poll.register(number, events)
    if not by_number and not ready:
        time.sleep(timeout_s)
        return []
    timeout_ms = 0 if ready else max(0, round(timeout_s * 1000))
    return ready + [by_number[number] for number, _ in poll.poll(timeout_ms) if number in by_number]
