"""A publisher faster than a client library, that can also send what none would: for floods and for bad input.

It does what a device has to do: a message is kept until its PUBACK says 0x00, and sent again where that does not come.
"""

import secrets
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from tests.ingest.fleet import Sent
from tests.services.wire import string, varint

_PUBACK = 4
_DISCONNECT = 14


class Refused(NamedTuple):
    """A PUBACK that says the message reached nobody."""

    mid: int
    code: int


class Publisher:
    """Publishes with QoS 1 over a connection of its own, which it makes again when it is lost.

    Attributes:
        done: how many messages have their PUBACK.
        refusals: how many PUBACKs said anything but success.
    """

    def __init__(self, port: int, *, per_second: float | None = None, window: int = 400) -> None:
        """Publish to a broker on loopback, at most `per_second` messages a second, `window` without a PUBACK."""
        self.done = 0
        self.refusals = 0
        self._port = port
        self._per_second = per_second
        self._window = window
        self._socket: socket.socket | None = None
        self._heard = b""
        self._flying: dict[int, Sent] = {}
        self._mid = 0

    def publish(self, messages: Iterable[Sent], *, within_s: float = 60.0) -> None:
        """Publish all of `messages` and wait for their PUBACKs."""
        waiting = deque(messages)
        began = time.monotonic()
        started = self.done
        while waiting or self._flying:
            assert time.monotonic() - began < within_s, f"{len(waiting)} not sent, {len(self._flying)} without PUBACK"
            try:
                self._send(waiting, self._allowed(began, started))
                self._hear(waiting)
            except (OSError, EOFError):
                self._begin_anew(waiting)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        """Connect with the first message."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def _allowed(self, began: float, started: int) -> int:
        room = self._window - len(self._flying)
        if self._per_second is None:
            return room
        due = int((time.monotonic() - began) * self._per_second) - (self.done - started) - len(self._flying)
        return max(0, min(room, due))

    def _send(self, waiting: deque[Sent], most: int) -> None:
        connection = self._socket or self._connect()
        packets = []
        for _ in range(min(most, len(waiting))):
            message = waiting.popleft()
            self._mid = self._mid % 65535 + 1
            self._flying[self._mid] = message
            packets.append(packet(message, self._mid))
        connection.sendall(b"".join(packets))

    def _hear(self, waiting: deque[Sent]) -> None:
        if not self._flying:
            time.sleep(0.001)
            return
        assert self._socket is not None
        try:
            heard = self._socket.recv(65536)
        except TimeoutError:
            return
        if not heard:
            raise EOFError
        self._heard += heard
        while len(self._heard) >= 2 and len(self._heard) >= 2 + self._heard[1]:
            body, self._heard = self._heard[: 2 + self._heard[1]], self._heard[2 + self._heard[1] :]
            if body[0] >> 4 == _DISCONNECT:
                raise EOFError
            if body[0] >> 4 != _PUBACK:
                continue
            message = self._flying.pop(int.from_bytes(body[2:4]))
            if len(body) > 4 and body[4]:
                self.refusals += 1
                waiting.append(message)
            else:
                self.done += 1

    def _begin_anew(self, waiting: deque[Sent]) -> None:
        self.close()
        waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        self._heard = b""
        time.sleep(0.05)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        self._socket = connection
        body = string(b"MQTT") + b"\x05\x02" + struct.pack(">H", 60) + b"\x00" + string(secrets.token_hex(8).encode())
        connection.sendall(b"\x10" + varint(len(body)) + body)
        head = connection.recv(2)
        if len(head) < 2:
            raise EOFError
        connection.recv(head[1])
        connection.settimeout(0.05)
        return connection


def packet(message: Sent, mid: int) -> bytes:
    """A PUBLISH of QoS 1, or of QoS 0 where `mid` is 0."""
    body = b"".join((string(message.topic.encode()), struct.pack(">H", mid) if mid else b"", b"\x00", message.payload))
    return (b"\x32" if mid else b"\x30") + varint(len(body)) + body


class Background:
    """Runs a publisher's work in a thread; leaving the block waits for its end and shows its failure."""

    def __init__(self, work: Callable[[], None]) -> None:
        """Run `work`."""
        self._work = work
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait."""
        self._thread.join()
        if self._failure is not None and exc[0] is None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001  (raised again by __exit__)
            self._failure = exc
