"""A report on the terminal, and as a file."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from api.app import create_app
from api.options import ApiOptions
from courtyard.cli import app
from courtyard.report import tables
from courtyard.server import ApiServer
from devices.inventory import Inventory
from devices.registry import Registry
from scoring.client import Client
from tests.api.client import KEY
from tests.api.conftest import Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import batches, inventory_of
from tests.services import free_port


@pytest.fixture(autouse=True)
def _logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command runs in this process, whose other tests look at what is logged."""
    monkeypatch.setattr("courtyard.logs.configure", lambda *_: None)


@pytest.fixture
def url(registry: Registry) -> Iterator[str]:
    small: Inventory = inventory_of(registry)
    store = MemoryStore()
    store.write(list(batches(small, registry)))
    server = ApiServer(
        create_app(ApiOptions(keys=(KEY,)), small, registry, store, clock=Clock()), "127.0.0.1", free_port()
    )
    server.start()
    yield server.url
    server.stop()


@pytest.mark.parametrize(("language", "title"), [("en", "Passes"), ("zh", "通行次数")])
def test_it_shows_every_figure_in_either_language(url: str, language: str, title: str) -> None:
    said = Client(url, KEY).get("/v1/reports/day", compound="jingyuan")
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(tables(said, language))
    text = console.export_text()
    assert title in text
    assert "so far" in text
    for each in said["figures"]:
        assert each["title"][language] in text


def test_the_command_prints_it_and_writes_it(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURTYARD_API_KEY", KEY)
    shown = CliRunner().invoke(app, ["report", "2025-06-01", "--url", url])
    assert shown.exit_code == 0, shown.output
    assert "Test Road" in shown.output
    path = tmp_path / "june.parquet"
    written = CliRunner().invoke(app, ["report", "2025-06", "--url", url, "--output", str(path)])
    assert written.exit_code == 0, written.output
    figures = json.loads(Client(url, KEY).file("/v1/reports/month"))["figures"]
    assert pq.read_table(path).num_rows >= len(figures)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["2025-13"], "write a month like"),
        (["--compound", "nowhere"], "no compound"),
        (["--output", "june.pdf"], "end its name with .csv"),
        (["--output", "/nowhere/june.csv"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_told(url: str, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURTYARD_API_KEY", KEY)
    done = CliRunner().invoke(app, ["report", "--url", url, *arguments])
    assert done.exit_code == 1
    assert says in " ".join(done.output.split())
