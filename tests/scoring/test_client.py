"""The client of the score: clear errors for whatever answers."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from devices.errors import QueryError, StoreUnavailableError
from devices.statistics import Group
from scoring.client import Client

ANSWERS = {
    "html": (200, b"<html>"),
    "empty": (200, b"{}"),
    "list": (200, b"[]"),
    "refused": (401, b'{"code": "unauthorized"}'),
    "good": (200, b'{"kinds": {"gate": {"statistics": {"passes": {"lines": []}}}}}'),
}


class Handler(BaseHTTPRequestHandler):
    """Answers by the compound's name, if the key is right."""

    def do_GET(self) -> None:
        name = self.path.split("/")[3]
        status, body = ANSWERS[name] if self.headers["X-API-Key"] == "key" else ANSWERS["refused"]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def ask(url: str, compound: str, key: str | None = "key") -> object:
    path = f"compounds/{compound}"
    return Client(url, key).statistics(path, Group.USAGE, "gate", start="-1d", stop="now", every="1h", params={})


def test_statistics_are_those_of_the_kind(url: str) -> None:
    assert ask(url, "good") == {"passes": {"lines": []}}


@pytest.mark.parametrize("name", ["html", "empty", "list", "refused"])
def test_what_is_no_answer_says_so(url: str, name: str) -> None:
    with pytest.raises(StoreUnavailableError, match=f"/v1/compounds/{name}/usage"):
        ask(url, name)


def test_without_a_key_the_refusal_is_told(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match=r"HTTP 401.*unauthorized"):
        ask(url, "good", None)


def test_an_api_that_is_away_is_told() -> None:
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        ask("http://127.0.0.1:9", "good")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:8000", ""])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(QueryError, match="no address of an API"):
        Client(url, None)
