"""The packets of an MQTT 5 stream: PUBLISH packets are read here, all others are left to paho. Pure; no I/O.

paho takes some 45 µs to read a PUBLISH, most of it for properties that are not there; these few lines take 2.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

_PUBLISH = 3
_QOS_2 = 2
_MOST_DIGITS = 4
_WORD = 2
_PUBACK = struct.Struct(">BBH")
_PUBACK_TYPE = 0x40


class Message(NamedTuple):
    """A message received. `mid` is its packet id, valid on this connection only; 0 where it came with QoS 0."""

    topic: str
    payload: bytes
    mid: int
    retained: bool


class MalformedError(ValueError):
    """Bytes that no broker may send."""


class Scan(NamedTuple):
    """Where reading a stream stopped.

    Attributes:
        at: where the first packet begins that was not read.
        size: size of that packet in bytes, or 0 where too little of it has arrived to know.
        other: whether it is whole and no PUBLISH: paho's.
    """

    at: int
    size: int
    other: bool


def scan(stream: bytes, at: int, into: list[Message], *, most: int, most_bytes: int) -> Scan:
    """Read PUBLISH packets until something else comes, a packet is not complete, or there are enough.

    Args:
        stream: what has arrived.
        at: where a packet begins in it.
        into: the messages are appended here. One whose topic is not UTF-8 gets the topic "".
        most: stop after so many messages.
        most_bytes: stop once the packets read are larger than this together.

    Returns:
        Where it stopped.

    Raises:
        MalformedError: the stream is not MQTT.
    """
    end = len(stream)
    limit = at + most_bytes
    while at + _WORD <= end:
        head = stream[at]
        length = stream[at + 1]
        start = at + _WORD
        if length > 127:
            length, start = _varint(stream, at + 1)
            if not start:
                break
        stop = start + length
        if stop > end:
            return Scan(at, stop - at, other=False)
        if head >> 4 != _PUBLISH or (head >> 1) & 3 >= _QOS_2:
            return Scan(at, stop - at, other=True)
        if most <= 0 or at > limit:
            return Scan(at, stop - at, other=False)
        into.append(_message(stream, head, start, stop))
        most -= 1
        at = stop
    return Scan(at, 0, other=False)


def pubacks(mids: Sequence[int]) -> bytes:
    """The PUBACK packets of messages, in order; none for QoS 0. The reason code 0x00 is left out, as it may be."""
    return b"".join([_PUBACK.pack(_PUBACK_TYPE, _WORD, mid) for mid in mids if mid])


def _message(stream: bytes, head: int, start: int, stop: int) -> Message:
    topic_at = start + _WORD
    at = topic_at + int.from_bytes(stream[start:topic_at])
    mid = 0
    raw = stream[topic_at:at]
    if head & 0x06:
        mid = int.from_bytes(stream[at : at + _WORD])
        at += _WORD
        if not mid:
            raise MalformedError("a PUBLISH without packet id")
    if at >= stop:
        raise MalformedError("a PUBLISH shorter than its header")
    properties = stream[at]
    at += 1
    if properties:
        properties, behind = _varint(stream, at - 1)
        at = behind + properties
        if not behind or at > stop:
            raise MalformedError("properties longer than their packet")
    try:
        topic = raw.decode()
    except UnicodeDecodeError:
        topic = ""  # no topic of ours; refused as such, and acknowledged
    return Message(topic, stream[at:stop], mid, bool(head & 1))


def _varint(stream: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; (0, 0) where it has not all arrived."""
    value = 0
    for place, byte in enumerate(stream[at : at + _MOST_DIGITS]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at + place + 1
    if len(stream) < at + _MOST_DIGITS:
        return 0, 0
    raise MalformedError("a length of more than four bytes")
