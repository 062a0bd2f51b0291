"""An HTTP server that answers every request as told: what a failing InfluxDB, or something else in its place, says."""

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class Stub:
    """A server on loopback.

    Attributes:
        status: what it answers with.
        first: what it answers the first requests with, one each.
        body: the content.
        headers: more headers.
        hang: it accepts requests and never answers.
        cut: it promises more bytes than it sends, then closes.
        reset: it closes the connection at once, without an answer.
        bodies: what it was sent.
    """

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False
    reset: bool = False
    first: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose a port."""
        self._released = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.answer(self)

            def do_GET(self) -> None:
                stub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.bodies.append(handler.rfile.read(int(handler.headers.get("Content-Length", 0))))
        handler.close_connection = True
        if self.hang:
            self._released.wait(30)
            return
        if self.reset:
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.send_response(self.first.pop(0) if self.first else self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(self.body) + (1000 if self.cut else 0)))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(self.body)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and let go of those who hang."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
