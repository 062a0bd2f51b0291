"""A sixth kind, declared and put in the registry, is served on every route with no edit of the API."""

from collections.abc import Iterator

import pytest

from api.app import create_app
from devices.fields import category, counter, gauge, state
from devices.kind import Event, Kind, Part
from devices.names import Text
from devices.registry import Registry
from devices.statistics import Group, Reducer, Statistic
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import batches, inventory_of

PUMP = Kind(
    name="pump",
    title=Text("Water pump", "水泵"),
    interval_s=120,
    part=Part(name="stage", title=Text("Stage", "级"), values=("low", "high")),
    telemetry=(
        state("mode", Text("Mode", "模式"), ("off", "on")),
        gauge("bar", Text("Pressure", "压力"), "bar", 0, 50),
        counter("litres", Text("Volume", "水量"), "L", 1e9),
    ),
    events=(
        Event(
            name="trip",
            title=Text("Trip", "跳闸"),
            fields=(category("cause", Text("Cause", "原因"), ("dry", "hot")),),
        ),
    ),
    statistics=(
        Statistic(
            name="running",
            title=Text("Running", "运行"),
            group=Group.OCCUPANCY,
            unit="pumps",
            reducer=Reducer.IN_STATE,
            definition="Mean number of stages running.",
            field="mode",
            labels=("on",),
        ),
        Statistic(
            name="pumped",
            title=Text("Pumped", "泵水量"),
            group=Group.USAGE,
            unit="L",
            reducer=Reducer.INCREASE,
            definition="Increase of the registers.",
            field="litres",
        ),
        Statistic(
            name="trips",
            title=Text("Trips", "跳闸次数"),
            group=Group.USAGE,
            unit="trips",
            reducer=Reducer.COUNT,
            definition="Trips by cause.",
            table="trip",
            by="cause",
        ),
    ),
)


@pytest.fixture
def six(registry: Registry) -> Iterator[Client]:
    kinds = Registry({**registry, "pump": PUMP})
    inventory = inventory_of(kinds)
    store = MemoryStore()
    store.write(list(batches(inventory, kinds)))
    with Client(create_app(OPTIONS, inventory, kinds, store, clock=Clock())) as made:
        yield made


def test_it_is_declared(six: Client) -> None:
    kind = next(each for each in six.get("/v1/kinds").json()["kinds"] if each["name"] == "pump")
    assert kind["schemas"]["telemetry"]["properties"]["bar"]["maximum"] == 50
    names = {each["name"] for each in six.get("/v1/statistics?kind=pump").json()["statistics"]}
    assert names == {"running", "pumped", "trips", "online", "offline_seconds", "outages", "repair_time"}


def test_its_devices_are_served(six: Client) -> None:
    assert six.get("/v1/devices?kind=pump").json()["total"] == 4
    device = six.get("/v1/devices/jingyuan-pump-01").json()
    assert [each["part"] for each in device["latest"]] == ["high", "low"]
    assert set(device["latest"][0]["values"]) == {"mode", "bar", "litres"}
    trips = six.get("/v1/devices/jingyuan-pump-01/readings?table=trip&start=-2d").json()["readings"]
    assert {each["values"]["cause"] for each in trips} == {"dry", "hot"}


def test_its_statistics_are_served(six: Client) -> None:
    for group, expected in {"occupancy": {"running"}, "usage": {"pumped", "trips"}}.items():
        found = six.get(f"/v1/compounds/jingyuan/{group}?every=6h").json()["kinds"]["pump"]["statistics"]
        assert set(found) == expected
    assert [line["label"] for line in found["trips"]["lines"]] == ["dry", "hot"]
    assert any(line["values"][1] for line in found["trips"]["lines"])


def test_it_is_in_the_overview(six: Client) -> None:
    assert six.get("/v1/overview").json()["compounds"][0]["states_by_kind"]["pump"]["online"] == 2
