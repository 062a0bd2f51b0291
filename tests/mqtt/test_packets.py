"""The stream is read the same however it is cut, and hostile bytes raise nothing undeclared."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from mqtt.packets import MalformedError, Message, pubacks, scan
from tests.services.wire import string, varint

PINGRESP = b"\xd0\x00"
LOTS = {"most": 10**6, "most_bytes": 10**9}


def publish(topic: bytes, payload: bytes, mid: int, *, retained: bool = False, properties: bytes = b"") -> bytes:
    body = string(topic)
    if mid:
        body += struct.pack(">H", mid)
    body += varint(len(properties)) + properties + payload
    return bytes([0x30 | (0x02 if mid else 0) | int(retained)]) + varint(len(body)) + body


MESSAGES = st.lists(
    st.builds(Message, st.text(max_size=40), st.binary(max_size=300), st.integers(0, 65535), st.booleans()), max_size=20
)


@given(MESSAGES, st.binary(max_size=200), st.data())
def test_a_stream_is_read_back_however_it_is_cut(
    messages: list[Message], properties: bytes, data: st.DataObject
) -> None:
    stream = b"".join(
        publish(each.topic.encode(), each.payload, each.mid, retained=each.retained, properties=properties)
        for each in messages
    )
    cut = data.draw(st.integers(0, len(stream)))
    found: list[Message] = []
    stop = scan(stream[:cut], 0, found, **LOTS)
    rest = stream[stop.at :]
    assert stop.size == 0 or stop.size > cut - stop.at
    stop = scan(rest, 0, found, **LOTS)
    assert (stop.at, stop.size) == (len(rest), 0)
    assert found == messages


@given(MESSAGES)
def test_other_packets_are_left_to_paho(messages: list[Message]) -> None:
    stream = b"".join(publish(each.topic.encode(), each.payload, each.mid, retained=each.retained) for each in messages)
    found: list[Message] = []
    stop = scan(stream + PINGRESP + stream, 0, found, **LOTS)
    assert found == messages
    assert stop == (len(stream), len(PINGRESP), True)


@given(st.binary(max_size=400))
def test_hostile_bytes_raise_only_what_is_declared(stream: bytes) -> None:
    found: list[Message] = []
    try:
        stop = scan(stream, 0, found, **LOTS)
    except MalformedError:
        return
    assert 0 <= stop.at <= len(stream)


@given(st.binary(min_size=1, max_size=60), st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A]))
def test_hostile_publishes_raise_only_what_is_declared(body: bytes, head: int) -> None:
    stream = bytes([head]) + varint(len(body)) + body
    found: list[Message] = []
    try:
        stop = scan(stream, 0, found, **LOTS)
    except MalformedError:
        return
    assert stop.at == len(stream)
    assert len(found) == 1


@pytest.mark.parametrize(
    "stream",
    [
        b"\x32\x02\x00\x00",  # no packet id
        b"\x32\x05\x00\x00\x00\x00\x00",  # packet id 0
        b"\x30\x03\x00\x09a",  # topic longer than the packet
        b"\x30\x04\x00\x00\x05\x00",  # properties longer than the packet
        b"\x30\x03\x00\x00\xff",  # length of the properties not complete
        b"\x30\xff\xff\xff\xff\x01",  # length of five bytes
    ],
)
def test_malformed_packets_are_refused(stream: bytes) -> None:
    with pytest.raises(MalformedError):
        scan(stream, 0, [], **LOTS)


def test_a_topic_that_is_not_utf8_becomes_empty() -> None:
    found: list[Message] = []
    scan(publish(b"\xff\xfe", b"x", 7), 0, found, **LOTS)
    assert found == [Message("", b"x", 7, False)]


def test_quality_of_service_2_is_left_to_paho() -> None:
    packet = b"\x34" + publish(b"t", b"x", 7)[1:]
    assert scan(packet, 0, [], **LOTS).other


def test_acknowledgements_are_those_of_paho() -> None:
    """Ours leave out what paho writes out: that the reason is success and that there are no properties."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, manual_ack=True)
    client.ack(0x1234, 1)
    theirs = client._out_packet[0]["packet"]
    assert bytes(theirs[:1]) == pubacks([0x1234])[:1]
    assert bytes(theirs[2:4]) == pubacks([0x1234])[2:] == b"\x12\x34"
    assert pubacks([0, 1, 0, 2]) == b"\x40\x02\x00\x01\x40\x02\x00\x02"
