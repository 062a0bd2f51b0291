"""What `BufferedClient` relies on in paho, and that nothing a peer sends can raise out of `step`."""

import inspect
import socket
import time

import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from devices.errors import BrokerError
from mqtt.buffered import BufferedClient, BufferedSocket
from mqtt.connection import Connection, wait
from mqtt.options import BrokerOptions
from mqtt.packets import Message
from tests.mqtt.drive import until
from tests.mqtt.fake_broker import CONNACK, FakeBroker
from tests.mqtt.test_packets import publish


def test_paho_makes_its_socket_where_we_expect_it() -> None:
    """`_create_socket` is private to paho: where it goes, the buffered socket must find another way in."""
    assert list(inspect.signature(paho.Client._create_socket).parameters) == ["self"]
    with FakeBroker(CONNACK, hang_up=False) as broker:
        client = BufferedClient(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect("127.0.0.1", broker.port)
        try:
            assert isinstance(client.buffered, BufferedSocket)
            assert id(client.socket()) == id(client.buffered)
        finally:
            client.disconnect()
            client.drop()


def test_paho_reads_and_writes_through_the_buffer() -> None:
    with FakeBroker(CONNACK + publish(b"t", b"x", 1), hang_up=False) as broker:
        connection = Connection(BrokerOptions(port=broker.port), client_id="c")
        connection.open()
        until = time.monotonic() + 5
        found: list[Message] = []
        while not found and time.monotonic() < until:
            wait([connection], 0.05)
            connection.step()
            found = connection.take_messages()
        assert found[0].payload == b"x"
        connection.acknowledge(1)
        assert not broker.heard  # an acknowledgement waits for the flush
        connection.flush()
        while not broker.heard and time.monotonic() < until:
            time.sleep(0.01)
        assert bytes(broker.heard) == b"\x40\x02\x00\x01"
        connection.close()


def test_a_long_packet_is_put_together_from_many_reads() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    buffered = BufferedSocket(ours)
    payload = bytes(range(256)) * 4000
    packet = publish(b"t", payload, 3) + publish(b"t", b"after", 4)
    found: list[Message] = []
    for at in range(0, len(packet), 10_000):
        theirs.sendall(packet[at : at + 10_000])
        while not buffered.messages(found, most=10, most_bytes=10**9):
            assert not buffered.for_paho
    assert [message.payload for message in found] == [payload, b"after"]
    assert buffered.pending() == 0
    theirs.close()
    assert not buffered.messages(found, most=10, most_bytes=10**9)
    assert buffered.for_paho
    assert buffered.recv(1) == b""
    buffered.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | st.binary(max_size=40).map(lambda junk: publish(b"t", b"x", 1) + junk))
def test_no_peer_can_make_step_raise(junk: bytes) -> None:
    with FakeBroker(CONNACK + junk) as broker:
        connection = Connection(BrokerOptions(port=broker.port, timeout_s=5), client_id="c")
        connection.open()
        until = time.monotonic() + 5
        while connection.is_open and time.monotonic() < until:
            wait([connection], 0.05)
            connection.step()
        assert not connection.is_open
        assert connection.lost_because
        connection.abort()


@pytest.mark.parametrize("said", [b"", b"\x20\x03\x00\x87\x00", b"\xff" * 40, b"GET / HTTP/1.1\r\n\r\n"])
def test_no_peer_can_make_open_raise_anything_else(said: bytes) -> None:
    with FakeBroker(said) as broker:
        connection = Connection(BrokerOptions(port=broker.port, timeout_s=1), client_id="c")
        with pytest.raises(BrokerError):
            connection.open()
        assert not connection.is_open


@pytest.mark.parametrize("wait_for_answer", [True, False])
def test_a_subscription_that_is_refused_ends_the_connection(*, wait_for_answer: bool) -> None:
    """As mosquitto answers where the ACL forbids the filter: 0x87."""
    suback = b"\x90\x04\x00\x01\x00\x87"
    with FakeBroker(CONNACK + suback, hang_up=False) as broker:
        connection = Connection(BrokerOptions(port=broker.port), client_id="c")
        connection.open()
        if wait_for_answer:
            with pytest.raises(BrokerError, match="does not grant") as caught:
                connection.subscribe("t")
            assert caught.value.code == "broker_refused"
        else:
            connection.subscribe("t", wait_for_answer=False)
            until(lambda: not connection.is_open, connection)
        assert not connection.is_open
        assert "does not grant" in (connection.lost_because or "")
