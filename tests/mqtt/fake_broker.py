"""A peer that answers a CONNECT and then says whatever a test wants."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CONNACK = b"\x20\x03\x00\x00\x00"


class FakeBroker:
    """Accepts one connection, reads the CONNECT, and sends `said`.

    Attributes:
        heard: what the client sent after that.
    """

    def __init__(self, said: bytes, *, hang_up: bool = True) -> None:
        """Be ready to say `said`, and to end what it says after that where `hang_up`."""
        self.heard = bytearray()
        self._said = said
        self._hang_up = hang_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        """Wait for the client."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the client go."""
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with suppress(OSError), self._listener.accept()[0] as peer:  # the client may hang up at any time
            peer.settimeout(5)
            peer.recv(4096)
            peer.sendall(self._said)
            if self._hang_up:
                peer.shutdown(socket.SHUT_WR)
            while heard := peer.recv(4096):
                self.heard += heard
