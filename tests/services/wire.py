"""What every MQTT packet is made of, for tools that write packets by themselves (MQTT 5, sections 1.5.4 and 1.5.5)."""

import struct


def string(text: bytes) -> bytes:
    """A string with its length before it."""
    return struct.pack(">H", len(text)) + text


def varint(value: int) -> bytes:
    """A variable byte integer."""
    digits = bytearray()
    while True:
        value, digit = divmod(value, 128)
        digits.append(digit | (128 if value else 0))
        if not value:
            return bytes(digits)
