"""The application behind a real server, over a real store, asked by several threads at once."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.options import ApiOptions
from devices.inventory import Inventory
from devices.registry import Registry
from store.duck import DuckStore
from tests.api.client import KEY
from tests.api.conftest import Clock
from tests.api.world import batches


@pytest.fixture
def address(tmp_path: Path, registry: Registry, small: Inventory) -> Iterator[tuple[str, int]]:
    store = DuckStore(tmp_path / "rows.duckdb", registry.tables())
    store.write(list(batches(small, registry)))
    app = create_app(ApiOptions(keys=(KEY,), heavy_wait_s=60), small, registry, store, clock=Clock())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()
        server.should_exit = True
        thread.join()
    store.close()


def test_many_at_once(address: tuple[str, int]) -> None:
    urls = [
        "/v1/compounds/jingyuan/occupancy", "/v1/compounds/xinyuan/usage?every=15m", "/v1/overview",
        "/v1/devices?state=online", "/v1/devices/jingyuan-bin-01", "/v1/devices/jingyuan-gate-01/readings",
    ]  # fmt: skip
    with httpx.Client(base_url="http://{}:{}".format(*address), headers={"X-API-Key": KEY}, timeout=60) as client:
        once = {url: client.get(url) for url in urls}
        assert {answer.status_code for answer in once.values()} == {200}
        with ThreadPoolExecutor(8) as pool:
            for url, answer in zip(urls * 8, pool.map(client.get, urls * 8), strict=True):
                assert (answer.status_code, answer.content) == (200, once[url].content)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v1/devices?kind=%FF%FE&x=\x01 HTTP/1.1",
        b"GET /v1/compounds/\xff\xfe HTTP/1.1",
        b"GET /v1/compounds/%00 HTTP/1.1",
        b"GET //evil.example/%2e%2e HTTP/1.1",
        b"GET /v1/devices?" + b"a" * 200_000 + b" HTTP/1.1",
        b"GET http://elsewhere/v1/devices HTTP/1.1",
        b"\x16\x03\x01\x00",
    ],
)
def test_raw_bytes_get_an_answer_below_500(address: tuple[str, int], line: bytes) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(line + b"\r\nHost: x\r\nX-API-Key: " + KEY.encode() + b"\r\nConnection: close\r\n\r\n")
        status = connection.makefile("rb").readline()
    assert status.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))
