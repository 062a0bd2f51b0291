from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from access.doors import Doors
from records.database import Database
from tests.api.world import NOW_NS

KEY = "a-key-for-tests-only-0001"


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now_ns: int = field(default=NOW_NS)

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'records.db'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doors(database: Database, clock: Clock) -> Doors:
    return Doors(database, keys=(KEY,), clock=clock)
