"""A small installation, and ingest running in it over a real broker and a real store."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from devices.inventory import Inventory
from devices.registry import Registry
from ingest.decode import Decoder
from ingest.health import Health
from ingest.ledger import unbalanced
from ingest.options import IngestOptions
from ingest.service import Ingest
from ingest.spool import Limits, Spool
from mqtt.options import BrokerOptions
from store.duck import DuckStore
from store.protocol import Store
from tests.ingest.fleet import Fleet

SMALL = Path(__file__).parent.parent / "golden" / "decode" / "inventory.yaml"
MB = 1024 * 1024
LIMITS = Limits(max_bytes=64 * MB, min_free_bytes=0, dead_letters_max=1000, dead_letters_max_bytes=8 * MB)


@pytest.fixture(scope="session")
def small(registry: Registry) -> Inventory:
    """Two compounds with a few devices of each kind."""
    return Inventory.parse(SMALL.read_text(encoding="utf-8"), registry)


@pytest.fixture
def fleet(small: Inventory, registry: Registry) -> Fleet:
    """Speaks for the devices of the small installation."""
    return Fleet(small, registry)


@pytest.fixture
def decoder(small: Inventory, registry: Registry) -> Decoder:
    """Decodes for the small installation."""
    return Decoder(small, registry, max_future_s=3600, max_age_days=90)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    made = Spool(tmp_path / "spool.sqlite", LIMITS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def empty_duck(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """A store's file without rows: opening a copy is faster than making all tables anew."""
    path = tmp_path_factory.mktemp("duck") / "empty.duckdb"
    DuckStore(path, registry.tables()).close()
    return path


@pytest.fixture
def duck(tmp_path: Path, empty_duck: Path, registry: Registry) -> Iterator[DuckStore]:
    """An empty store."""
    path = tmp_path / "readings.duckdb"
    shutil.copy(empty_duck, path)
    store = DuckStore(path, registry.tables())
    yield store
    store.close()


Start = Callable[..., Ingest]


@pytest.fixture
def start(tmp_path: Path, small: Inventory, registry: Registry) -> Iterator[Start]:
    """Starts ingest on a broker's port and a store, waits for its connection, and stops it after the test."""
    with ExitStack() as stack:

        def started(
            port: int,
            store: Store,
            *,
            wait: bool = True,
            metrics: CollectorRegistry | None = None,
            inventory: Inventory = small,
            **settings: object,
        ) -> Ingest:
            options = IngestOptions(
                **{"spool": tmp_path / "spool.sqlite", "write_age_s": 0.05, "min_free_bytes": 0, **settings}  # type: ignore[arg-type]  # passed through
            )
            ingest = Ingest(
                options, BrokerOptions(port=port, timeout_s=2.0), inventory, registry, store, registry=metrics
            )
            stack.callback(ingest.stop)
            ingest.start()
            if wait:
                until(lambda: ingest.health().connected)
            return ingest

        yield started


def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def settled(ingest: Ingest, messages: int, within_s: float = 30.0) -> Health:
    """How ingest is once `messages` messages have left the spool; the ledger balances."""

    def left() -> int:
        health = ingest.health()
        return sum(value for account, value in health.counts.items() if account.entry == "messages")

    until(lambda: left() >= messages, within_s)
    health = ingest.health()
    assert unbalanced(health.counts) == {}
    assert health.alive
    return health
