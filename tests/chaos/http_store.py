"""Stand-ins for InfluxDB: a server that answers as a test says, and a proxy that sees answers before ingest does."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing resets
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Request:
    """A request as received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it writes readings."""
        return self.method == "POST" and self.path.startswith("/api/v2/write")


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300


Answering = Callable[[Request], Answer | None]
"""Answers a request; None resets the connection instead. Called by several threads."""


class HttpStore:
    """An HTTP server on a free loopback port.

    Attributes:
        url: its address.
    """

    def __init__(self, answering: Answering) -> None:
        """Answer with `answering`; `with` starts it."""
        self._failures: list[BaseException] = []
        failures = self._failures

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = _TIMEOUT_S

            def handle_request(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    answer = answering(Request(self.command, self.path, dict(self.headers), body))
                except BaseException as exc:  # noqa: BLE001  (raised again when the block ends)
                    failures.append(exc)
                    answer = None
                if answer is None:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if answer.status != 204:
                    self.wfile.write(answer.body)

            do_GET = do_POST = handle_request  # noqa: N815  (names that http.server asks for)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:  # noqa: ANN401
                pass  # the peer is killed in the middle of requests, on purpose

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop; raise what answering raised."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._failures and exc[0] is None:
            raise self._failures[0]


def forwarding(upstream: Callable[[], str], then: Callable[[Request, Answer], Answer | None]) -> Answering:
    """Answer with what a server answers, after a look at it.

    Args:
        upstream: the server's address.
        then: is given its answer, and returns what ingest gets to see, or None to reset the connection.
    """

    def answer(request: Request) -> Answer | None:
        connection = http.client.HTTPConnection(urlsplit(upstream()).netloc, timeout=_TIMEOUT_S)
        kept = {name: value for name, value in request.headers.items() if name.lower() not in {"host", "connection"}}
        try:
            connection.request(request.method, request.path, request.body, kept)
            got = connection.getresponse()
            body = got.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        passed = {name: value for name, value in got.getheaders() if name.lower() in {"content-type", "retry-after"}}
        return then(request, Answer(got.status, body, passed))

    return answer
