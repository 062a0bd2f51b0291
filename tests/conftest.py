"""Fixtures that all tests share: the real services, the registry and the inventory.

`mosquitto` and `influxd` run for a whole session and are shared; tests that stop or restart a service, or that need
nobody else's messages, take `broker` or `influx_bucket`, which are theirs alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.inventory import Inventory
from devices.registry import Registry, discover
from tests.services import Bucket, Influxd, Mosquitto

INVENTORY = Path(__file__).resolve().parent.parent / "devices" / "inventory" / "fangzhi-road.yaml"


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real mosquitto that the whole session shares; do not stop it."""
    with Mosquitto(folder=tmp_path_factory.mktemp("mosquitto")) as service:
        yield service


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real mosquitto of this test's own, with no messages or sessions in it; may be stopped and restarted."""
    with Mosquitto(folder=tmp_path_factory.mktemp("broker")) as service:
        yield service


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A real influxd that the whole session shares; do not stop it, and take `influx_bucket` to write."""
    with Influxd(folder=tmp_path_factory.mktemp("influxd")) as service:
        yield service


@pytest.fixture
def influx_bucket(influxd: Influxd) -> Iterator[Bucket]:
    """An empty bucket of this test's own, removed afterwards."""
    bucket = influxd.create_bucket()
    yield bucket
    influxd.delete_bucket(bucket.bucket)


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every device kind."""
    return discover()


@pytest.fixture(scope="session")
def inventory(registry: Registry) -> Inventory:
    """The inventory of the 22 compounds."""
    return Inventory.parse(INVENTORY.read_text(encoding="utf-8"), registry)
