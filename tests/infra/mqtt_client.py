"""A small MQTT 5 client for looking at a broker from outside: it notes what arrives and how publishes are answered."""

import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.services import Mosquitto

WAIT_S = 10.0


class RefusedError(Exception):
    """The broker refused the connection; the text is its reason."""


@dataclass
class Client:
    """A connected client; a context manager.

    Attributes:
        messages: topic and payload of everything that arrived, in order.
    """

    broker: Mosquitto
    client_id: str
    username: str | None = None
    password: str | None = None
    session_s: int = 0
    port: int = 0
    ca: Path | None = None
    certificate: tuple[Path, Path] | None = None
    old: bool = False
    will: tuple[str, bytes] | None = None
    messages: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare; nothing is connected yet."""
        self._arrived = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._reason: ReasonCode | None = None
        self._lost = False
        protocol = paho.MQTTv311 if self.old else paho.MQTTv5
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2, self.client_id, protocol=protocol, reconnect_on_failure=self.will is None
        )
        if self.ca is not None:
            certificate, key = map(str, self.certificate) if self.certificate is not None else (None, None)
            self._paho.tls_set(str(self.ca), certificate, key)
        if self.will is not None:
            self._paho.will_set(*self.will, qos=1)
        self._paho.on_message = self._on_message
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_publish = self._on_publish
        self._paho.on_subscribe = self._on_subscribe
        self._paho.max_inflight_messages_set(1000)
        if self.username is not None:
            self._paho.username_pw_set(self.username, self.password)

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            RefusedError: the broker refused.
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types it not
        properties.SessionExpiryInterval = self.session_s
        clean = self.session_s == 0
        port = self.port or self.broker.port
        # The certificate is of the name, not of the address.
        host = self.broker.host if self.ca is None else "localhost"
        if self.old:
            self._paho.connect(host, port)
        else:
            self._paho.connect(host, port, clean_start=clean, properties=properties)
        self._paho.loop_start()
        self._wait(lambda: self._reason is not None or self._lost)
        if self._reason is None or self._reason.is_failure:
            self.__exit__(None, None, None)
            raise RefusedError(str(self._reason or "the connection was closed"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        if self.will is None:
            self._paho.disconnect()
        else:  # no farewell: the broker sends the will
            held = self._paho.socket()
            if isinstance(held, socket.socket):
                held.shutdown(socket.SHUT_RDWR)
        self._paho.loop_stop()

    def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1 and wait for the answer."""
        _, number = self._paho.subscribe(topic, qos=1)
        self._wait(lambda: number in self._answers)

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        """Publish with QoS 1, and wait; how the broker answered."""
        return self.publish_all([(topic, payload)], retain=retain)[0]

    def publish_all(self, messages: list[tuple[str, bytes]], *, retain: bool = False) -> list[str]:
        """Publish with QoS 1, and wait for all; how the broker answered each."""
        numbers = [self._paho.publish(topic, payload, qos=1, retain=retain).mid for topic, payload in messages]
        self._wait(lambda: all(number in self._answers for number in numbers))
        return [str(self._answers[number]) for number in numbers]

    def expect(self, count: int) -> list[tuple[str, bytes]]:
        """Wait until `count` messages have arrived; all that have."""
        self._wait(lambda: len(self.messages) >= count)
        return list(self.messages)

    def _wait(self, done: Any) -> None:  # noqa: ANN401  (any predicate)
        with self._arrived:
            assert self._arrived.wait_for(done, WAIT_S), f"{self.client_id}: no answer within {WAIT_S} s"

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401
        with self._arrived:
            self._reason = reason
            self._arrived.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, _reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401
        with self._arrived:
            self._lost = True
            self._arrived.notify_all()

    def _on_publish(self, _client: Any, _data: Any, number: int, reason: ReasonCode, _properties: Any) -> None:  # noqa: ANN401
        with self._arrived:
            self._answers[number] = reason
            self._arrived.notify_all()

    def _on_subscribe(self, _client: Any, _data: Any, number: int, reasons: list[ReasonCode], _properties: Any) -> None:  # noqa: ANN401
        with self._arrived:
            self._answers[number] = reasons[0]
            self._arrived.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:  # noqa: ANN401
        with self._arrived:
            self.messages.append((message.topic, bytes(message.payload)))
            self._arrived.notify_all()
