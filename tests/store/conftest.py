"""Both stores, empty, for tests that hold them to one contract."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devices.columns import Batch
from devices.registry import Registry
from store.duck import DuckStore
from store.influx import InfluxOptions, InfluxStore
from store.protocol import Query, Store
from tests.services import Bucket


def influx_options(bucket: Bucket, timeout_s: float = 30.0) -> InfluxOptions:
    return InfluxOptions(url=bucket.url, org=bucket.org, bucket=bucket.bucket, token=bucket.token, timeout_s=timeout_s)


@pytest.fixture(scope="session")
def duck_file(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    """A file without rows: opening a copy is faster than making all tables anew."""
    path = tmp_path_factory.mktemp("duck") / "empty.duckdb"
    DuckStore(path, registry.tables()).close()
    return path


@pytest.fixture
def duck(tmp_path: Path, duck_file: Path, registry: Registry) -> Iterator[DuckStore]:
    path = tmp_path / "readings.duckdb"
    shutil.copy(duck_file, path)
    store = DuckStore(path, registry.tables())
    yield store
    store.close()


@pytest.fixture
def influx(influx_bucket: Bucket) -> Iterator[InfluxStore]:
    store = InfluxStore(influx_options(influx_bucket))
    yield store
    store.close()


class Few(InfluxStore):
    """An `InfluxStore` that expects few rows, whatever it is asked."""

    def read(self, query: Query) -> Batch:
        """See `Store.read`."""
        return super().read(replace(query, few=True))


@pytest.fixture
def influx_few(influx_bucket: Bucket) -> Iterator[InfluxStore]:
    store = Few(influx_options(influx_bucket))
    yield store
    store.close()


@pytest.fixture(params=["duck", *(pytest.param(each, marks=pytest.mark.services) for each in ("influx", "influx_few"))])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found
