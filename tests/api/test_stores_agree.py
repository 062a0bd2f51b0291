"""The same readings in a real influxd and in memory: every route answers the same, to the last digit."""

from collections.abc import Iterator

import pytest

from api.app import create_app
from devices.inventory import Inventory
from devices.registry import Registry
from store.influx import InfluxOptions, InfluxStore
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.world import batches
from tests.services import Bucket

URLS = (
    "/v1/overview", "/v1/compounds/jingyuan", "/v1/compounds/jingyuan/occupancy?every=15m",
    "/v1/compounds/jingyuan/usage", "/v1/compounds/xinyuan/usage?every=1d&start=-390d",
    "/v1/compounds/jingyuan/availability", "/v1/devices?state=online&limit=7", "/v1/devices?state=offline",
    "/v1/devices/jingyuan-bin-01", "/v1/devices/xinyuan-charger-02/readings?limit=50",
    "/v1/devices/xinyuan-charger-02/readings?limit=50&order=oldest&start=-30d",
    "/v1/devices/jingyuan-locker-01/readings?table=refused_full",
    "/v1/devices/jingyuan-gate-01/readings?table=status&start=-2d", "/ready",
)  # fmt: skip


@pytest.fixture
def influx(influx_bucket: Bucket, registry: Registry, small: Inventory) -> Iterator[Client]:
    store = InfluxStore(
        InfluxOptions(
            url=influx_bucket.url, org=influx_bucket.org, bucket=influx_bucket.bucket, token=influx_bucket.token
        )
    )
    store.write(list(batches(small, registry)))
    with Client(create_app(OPTIONS, small, registry, store, clock=Clock())) as made:
        yield made
    store.close()


@pytest.mark.services
def test_answers_do_not_depend_on_the_store(influx: Client, own: Client) -> None:
    for url in URLS:
        answer = influx.get(url)
        assert answer.status_code == 200, answer.text
        assert answer.json() == own.get(url).json(), url
