"""A socket that reads ahead and sends together, under paho.

paho reads a packet's header byte by byte and sends every packet by a system call of its own. With this socket between,
one read serves many packets, PUBLISH packets are read by `mqtt.packets` and never reach paho, and all acknowledgements
of a batch leave in one send. This is the only module that touches what paho does not document;
`tests/mqtt/test_buffered.py` fails when paho changes it.
"""

import ssl
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from mqtt.packets import Message, scan

_READ_BYTES = 64 * 1024
_READ_MOST = 4 * 1024 * 1024
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BufferedSocket:
    """The parts of a socket that paho uses, with a buffer on either side.

    Attributes:
        for_paho: whether paho has something to read: a whole packet, or the end of the connection.
        ready: whether more can be read without waiting for the peer.
    """

    def __init__(self, sock: Any) -> None:  # noqa: ANN401  (a TCP or TLS socket; paho's protocol type is private)
        """Wrap a connected socket."""
        self._sock = sock
        self._stream = b""
        self._at = 0
        self._parts: list[bytes] = []
        self._missing = 0
        self._control = b""
        self._end: Exception | None = None
        self._out = bytearray()
        self.for_paho = False
        self.ready = False

    def messages(self, into: list[Message], *, most: int, most_bytes: int) -> bool:
        """Read the PUBLISH packets that have arrived, up to the next packet that is paho's.

        Args:
            into: the messages are appended here.
            most: stop after so many.
            most_bytes: stop once the packets read are larger than this together.

        Returns:
            True where nothing more has arrived, False where there is more to read, by this method or (`for_paho`) by
            paho.

        Raises:
            MalformedError: the peer does not speak MQTT.
        """
        if self.for_paho:
            return False
        found = scan(self._stream, self._at, into, most=most, most_bytes=most_bytes)
        self._at = found.at
        held = len(self._stream) - found.at
        self.ready = bool(found.size) and found.size <= held
        if found.other:
            self._control = self._stream[found.at : found.at + found.size]
            self._at += found.size
            self.for_paho = True
            return False
        if self.ready:
            return False
        return not self._read_on(found.size - held if found.size else 1)

    def recv(self, size: int) -> bytes:
        """Up to `size` bytes of a packet that is paho's.

        Raises:
            BlockingIOError: there is none at the moment.
            OSError: the connection is gone.
        """
        taken, self._control = self._control[:size], self._control[size:]
        if taken:
            self.for_paho = bool(self._control) or self._end is not None
            return taken
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, EOFError):
            return b""
        raise self._end

    def send(self, data: bytes) -> int:
        """Keep `data` for the next `flush`; all of it counts as sent."""
        self._out += data
        return len(data)

    def flush(self) -> bool:
        """Send what is kept.

        Returns:
            True where all of it has left, False where the peer takes no more at the moment.

        Raises:
            OSError: the connection is gone.
        """
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except _WOULD_BLOCK:
                return False
            del self._out[:sent]
        return True

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    def pending(self) -> int:
        """Above 0 where reading can go on without waiting for the peer (also where TLS has decrypted something)."""
        behind = self._sock.pending() if hasattr(self._sock, "pending") else 0
        return int(self.ready or self.for_paho) + behind

    def close(self) -> None:
        """Send what can still be sent at once, and close."""
        try:
            self.flush()
        except OSError:
            self._out.clear()  # the peer is gone; paho reports the lost connection
        self._sock.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the socket has)
        """Everything else (fileno, setblocking, …) is the socket's own."""
        return getattr(self._sock, name)

    def _read_on(self, missing: int) -> bool:
        """Read what has arrived, once; a packet of many reads is put together when `missing` bytes of it are there.

        Returns:
            False where nothing has arrived.
        """
        if not self._parts:
            self._parts, self._missing = [self._stream[self._at :]], missing
        try:
            data = self._sock.recv(min(max(self._missing, _READ_BYTES), _READ_MOST))
        except _WOULD_BLOCK:
            return False
        except OSError as exc:
            self._end, self.for_paho = exc, True
            return True
        if not data:
            self._end, self.for_paho = EOFError(), True
            return True
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            self._stream, self._at = b"".join(self._parts), 0
            self._parts = []
        return True


class TlsContext(ssl.SSLContext):
    """A context that remembers its socket: paho leaves it open where the handshake fails."""

    made: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:  # noqa: ANN401  (as its base has them)
        """As its base."""
        self.made = super().wrap_socket(*args, **kwargs)
        return self.made


class BufferedClient(paho.Client):
    """paho's client on a `BufferedSocket`."""

    buffered: BufferedSocket | None = None
    _tls: TlsContext | None = None

    def use_tls(self, ca_file: Path) -> None:
        """Speak TLS 1.2 or later, with brokers that a certificate in `ca_file` vouches for.

        Raises:
            OSError: the file cannot be read.
        """
        self._tls = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_verify_locations(ca_file)
        self.tls_set_context(self._tls)

    def drop(self) -> None:
        """Close the socket, whatever state it is in."""
        if self.buffered is not None:
            self.buffered.close()
        elif self._tls is not None and self._tls.made is not None:
            self._tls.made.close()

    def _create_socket(self) -> Any:  # noqa: ANN401  (paho's own protocol type is private)
        self.buffered = BufferedSocket(super()._create_socket())
        return self.buffered
