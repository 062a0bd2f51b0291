"""A small installation with a day of readings, served from both stores."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from api.app import create_app
from api.options import ApiOptions
from devices.inventory import Inventory
from devices.registry import Registry
from store.duck import DuckStore
from store.protocol import Store
from tests.api.client import KEY, Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, batches, inventory_of

OPTIONS = ApiOptions(keys=(KEY,), heavy_wait_s=0.2, hold_s=0.0)


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now_ns: int = field(default=NOW_NS)

    def __call__(self) -> int:
        """The present."""
        return self.now_ns


@pytest.fixture(scope="session")
def small(registry: Registry) -> Inventory:
    """Two compounds with two devices of each kind."""
    return inventory_of(registry)


@pytest.fixture(scope="session", params=["memory", "duck"])
def filled(
    request: pytest.FixtureRequest, registry: Registry, small: Inventory, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Each store with a day of readings; not to be written to."""
    store: Store = MemoryStore()
    if request.param == "duck":
        store = DuckStore(Path(tmp_path_factory.mktemp("duck")) / "rows.duckdb", registry.tables())
    store.write(list(batches(small, registry)))
    yield store
    store.close()


@pytest.fixture(scope="session")
def client(filled: Store, registry: Registry, small: Inventory) -> Iterator[Client]:
    """A client of an application over each store."""
    with Client(create_app(OPTIONS, small, registry, filled, clock=Clock())) as made:
        yield made


@pytest.fixture
def memory(registry: Registry, small: Inventory) -> MemoryStore:
    """A store in memory of this test's own, with a day of readings."""
    store = MemoryStore()
    store.write(list(batches(small, registry)))
    return store


@pytest.fixture
def clock() -> Clock:
    """A clock of this test's own."""
    return Clock()


@pytest.fixture
def own(memory: MemoryStore, registry: Registry, small: Inventory, clock: Clock) -> Iterator[Client]:
    """A client over this test's own `memory` and `clock`."""
    with Client(create_app(OPTIONS, small, registry, memory, clock=clock)) as made:
        yield made


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, object]]]:
    """What is logged, kept and not rendered."""
    with structlog.testing.capture_logs() as entries:
        yield entries
