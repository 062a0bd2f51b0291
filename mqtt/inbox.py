"""What paho's callbacks tell, and the client that tells it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from devices.errors import BrokerError
from mqtt.buffered import BufferedClient
from mqtt.options import BrokerOptions

QOS = 1
MOST_IN_FLIGHT = 65535


class Receipt(NamedTuple):
    """A PUBACK received: for which publish, and its reason code (0x00 is the only success that counts)."""

    mid: int
    code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Will:
    """What the broker publishes, retained and with QoS 1, when the connection is lost."""

    topic: str
    payload: bytes


@dataclass(slots=True)
class Inbox:
    """Takes what one connection's callbacks tell. They only store it: an exception in one would be lost in paho.

    Attributes:
        answers: the reason codes of the CONNACK or SUBACK that is waited for.
        receipts: the PUBACKs.
        session_present: whether the broker still had the session.
        window: how many publishes the broker takes unacknowledged.
        lost: why the connection was lost, or None.
        refused: why a subscription is refused, or None.
        qos: the QoS that a subscription must be granted with.
    """

    answers: list[ReasonCode] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    session_present: bool = False
    window: int = 0
    lost: str | None = None
    refused: str | None = None
    qos: int = QOS

    def on_connect(self, _client: Any, _data: Any, flags: Any, code: ReasonCode, properties: Any) -> None:  # noqa: ANN401
        """A CONNACK came."""
        self.answers.append(code)
        self.session_present = bool(flags.session_present)
        self.window = int(getattr(properties, "ReceiveMaximum", MOST_IN_FLIGHT))

    def on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:  # noqa: ANN401
        """The connection ended."""
        self.lost = str(code)

    def on_publish(self, _client: Any, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:  # noqa: ANN401
        """A PUBACK came."""
        self.receipts.append(Receipt(mid, int(code.value)))

    def on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:  # noqa: ANN401
        """A SUBACK came."""
        self.answers += codes
        if any(code.value != self.qos for code in codes):
            said = ", ".join(map(str, codes))
            self.refused = f"the broker does not grant the subscription with QoS {self.qos}: {said}"


def made_client(options: BrokerOptions, client_id: str, will: Will | None, inbox: Inbox) -> BufferedClient:
    """A client that is not connected yet.

    Args:
        options: how to reach the broker.
        client_id: the client id.
        will: what the broker is to publish when the connection is lost.
        inbox: what the client tells goes here.

    Raises:
        BrokerError: the CA file cannot be read.
    """
    client = BufferedClient(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=paho.MQTTv5,
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.suppress_exceptions = True
    client.connect_timeout = options.timeout_s
    client.max_inflight_messages_set(MOST_IN_FLIGHT)
    # With a writer registered paho leaves sending to us instead of writing each packet at once.
    client.on_socket_register_write = _nothing
    client.on_connect = inbox.on_connect
    client.on_disconnect = inbox.on_disconnect
    client.on_publish = inbox.on_publish
    client.on_subscribe = inbox.on_subscribe
    if options.username is not None:
        client.username_pw_set(options.username, options.password)
    if options.ca_file is not None:
        try:
            client.use_tls(options.ca_file)
        except OSError as exc:
            raise BrokerError(f"the CA file {options.ca_file} cannot be read: {exc}") from exc
    if will is not None:
        client.will_set(will.topic, will.payload, qos=QOS, retain=True)
    return client


def _nothing(*_: object) -> None:
    """Stand in for paho's socket callback."""
