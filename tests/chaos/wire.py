"""A TCP proxy whose connections can be reset."""

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

_RESET = struct.pack("ii", 1, 0)
_READ = 64 * 1024


class Wire:
    """Passes bytes between clients and one server on loopback.

    Attributes:
        port: where it listens.
        made: how many connections it has passed so far.
    """

    def __init__(self, server_port: int) -> None:
        """Lead to a server's port; `with` starts it."""
        self.made = 0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def reset(self) -> int:
        """Reset every connection that stands, at both ends; how many sockets that were."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _reset(end)
        return len(ends)

    def __enter__(self) -> Self:
        """Start."""
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
                self.made += 1
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(_READ):
                target.sendall(data)
        except OSError:
            pass  # one of the ends is gone: so is the other, now
        with self._lock:
            self._open -= {source, target}
        for end in (source, target):
            with suppress(OSError):  # the other pump may have done it already
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _reset(end: socket.socket) -> None:
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # A thread that reads from it keeps it alive: shutting down wakes that thread.
        end.shutdown(socket.SHUT_RD)
        end.close()
    except OSError:
        pass  # gone already
