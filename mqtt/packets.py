"""The packets of an MQTT 5 stream: PUBLISH packets are read here, all others are left to paho. Pure; no I/O.

paho takes some 45 µs to read a PUBLISH, most of it for properties that are not there; these few lines take 2.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

_PUBLISH = 3
_PUBLISH_QOS_1 = 0x32
_NO_FLAGS = 0xF6  # all bits but DUP and RETAIN
_QOS_2 = 2
_SHORTEST = 7  # bytes of the shortest such packet: one with an empty topic and payload
_MOST_DIGITS = 4
_WORD = 2
_PUBACK = struct.Struct(">BBH")
_PUBACK_TYPE = 0x40

_new = tuple.__new__


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
    limit = at + most_bytes
    full = len(into) + most
    while True:
        at = _usual(stream, at, into, full=full, limit=limit)
        found = _other(stream, at, into, full=full, limit=limit)
        if isinstance(found, Scan):
            return found
        at = found


def pubacks(mids: Sequence[int]) -> bytes:
    """The PUBACK packets of messages, in order; none for QoS 0. The reason code 0x00 is left out, as it may be."""
    return b"".join([_PUBACK.pack(_PUBACK_TYPE, _WORD, mid) for mid in mids if mid])


def _usual(stream: bytes, at: int, into: list[Message], *, full: int, limit: int) -> int:
    """Read what nearly all packets are: PUBLISH, QoS 1, of less than 16 KiB, with a packet id and without properties.

    Returns:
        Where another one begins, or one that is not complete, or where it is enough. Never raises.
    """
    end = len(stream)
    append = into.append
    room = full - len(into)
    while room > 0 and at <= limit and at + _SHORTEST <= end:
        head = stream[at]
        length = stream[at + 1]
        start = at + _WORD
        if length > 127:
            digit = stream[start]
            if digit > 127:
                break
            length += (digit - 1) * 128
            start += 1
        stop = start + length
        topic_at = start + _WORD
        topic_end = topic_at + (stream[start] << 8) + stream[start + 1]
        payload_at = topic_end + _WORD + 1
        if head & _NO_FLAGS != _PUBLISH_QOS_1 or stop > end or payload_at > stop or stream[payload_at - 1]:
            break
        mid = (stream[topic_end] << 8) + stream[topic_end + 1]
        if not mid:
            break
        try:
            topic = stream[topic_at:topic_end].decode()
        except UnicodeDecodeError:
            break
        # What Message() does, without a Python frame for each message.
        append(_new(Message, (topic, stream[payload_at:stop], mid, head & 1 == 1)))
        at = stop
        room -= 1
    return at


def _other(stream: bytes, at: int, into: list[Message], *, full: int, limit: int) -> Scan | int:
    """Read one packet of whatever kind: where the next one begins, or where and why reading stops."""
    if at + _WORD > len(stream):
        return Scan(at, 0, other=False)
    head = stream[at]
    length, start = _varint(stream, at + 1)
    if not start:
        return Scan(at, 0, other=False)
    stop = start + length
    if stop > len(stream):
        return Scan(at, stop - at, other=False)
    if head >> 4 != _PUBLISH or (head >> 1) & 3 >= _QOS_2:
        return Scan(at, stop - at, other=True)
    if len(into) >= full or at > limit:
        return Scan(at, stop - at, other=False)
    into.append(_message(stream, head, start, stop))
    return stop


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
