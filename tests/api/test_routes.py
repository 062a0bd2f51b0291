"""Every route over both stores: the answers are of their models and say what the readings say."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.answers import ReadingsAnswer, StatisticsAnswer
from api.connection import State
from api.models import CompoundDetail, CompoundList, DeviceDetail, DeviceList, KindList, Overview, StatisticList
from devices.availability import statistics_of
from devices.inventory import Inventory
from devices.registry import Registry
from devices.statistics import Group, Reducer
from tests.api.client import Client


def strict(text: str) -> Any:  # noqa: ANN401  (whatever the JSON holds)
    """JSON as the standard has it: NaN and Infinity fail."""

    def refuse(name: str) -> None:
        pytest.fail(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def named(part: str) -> str | None:
    return part or None


def test_compounds(client: Client, small: Inventory) -> None:
    found = CompoundList.model_validate_json(client.get("/v1/compounds").text)
    assert [each.id for each in found.compounds] == list(small.compounds)
    assert found.compounds[0].name.zh == "警苑小区"
    assert sum(found.compounds[0].devices.values()) == len(small.compounds["jingyuan"].devices)


def test_a_compound_says_how_it_is_now(client: Client, small: Inventory, registry: Registry) -> None:
    found = CompoundDetail.model_validate_json(client.get("/v1/compounds/jingyuan").text)
    assert set(found.now.states_by_kind) == set(registry)
    assert found.now.states[State.ONLINE] == len(small.compounds["jingyuan"].devices)
    assert found.now.last_reading == "2025-06-01T10:00:00+08:00"
    assert found.now.people_inside is not None
    occupancy = {(kind.name, row.name) for kind in registry.values() for row in statistics_of(kind, Group.OCCUPANCY)}
    assert {(each.kind, each.statistic) for each in found.now.figures} == occupancy
    assert all(each.value is not None and each.coverage == 1 for each in found.now.figures)


def test_the_overview_is_every_compound_as_it_says_itself(client: Client, small: Inventory) -> None:
    found = Overview.model_validate_json(client.get("/v1/overview").text)
    assert [each.id for each in found.compounds] == list(small.compounds)
    for each in found.compounds:
        alone = CompoundDetail.model_validate_json(client.get(f"/v1/compounds/{each.id}").text)
        assert alone.now == each


def test_kinds_describe_themselves_to_device_makers(client: Client, registry: Registry) -> None:
    found = KindList.model_validate_json(client.get("/v1/kinds").text)
    assert [each.name for each in found.kinds] == list(registry)
    for each in found.kinds:
        kind = registry[each.name]
        assert [table.name for table in each.tables] == list(kind.tables)
        assert set(each.topics) == set(each.schemas)
        assert each.topics["telemetry"] == f"compounds/{{compound}}/{each.name}/{{device}}/telemetry"
        for schema in each.schemas.values():
            Draft202012Validator.check_schema(schema)
            assert not Draft202012Validator(schema).is_valid({"nonsense": 1})


def test_the_catalogue_has_every_statistic(client: Client, registry: Registry) -> None:
    found = StatisticList.model_validate_json(client.get("/v1/statistics").text)
    declared = [(kind.name, row.name) for kind in registry.values() for row in statistics_of(kind)]
    assert [(each.kind, each.name) for each in found.statistics] == declared
    assert all(each.definition and each.title.zh and each.title.en and each.unit for each in found.statistics)


def test_the_catalogue_can_be_narrowed(client: Client, registry: Registry) -> None:
    kind = next(iter(registry))
    found = StatisticList.model_validate_json(client.get(f"/v1/statistics?group=usage&kind={kind}").text)
    assert {(each.kind, each.group) for each in found.statistics} == {(kind, Group.USAGE)}


def test_devices_are_paged(client: Client, small: Inventory) -> None:
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = DeviceList.model_validate_json(client.get(f"/v1/devices?limit=7&offset={offset}").text)
        assert page.total == len(small.devices)
        seen += [each.id for each in page.devices]
        offset = page.next_offset
    assert seen == list(small.devices)
    assert client.get("/v1/devices?offset=1000").json()["devices"] == []


def test_devices_are_filtered(client: Client, registry: Registry) -> None:
    one, two = list(registry)[:2]
    page = DeviceList.model_validate_json(client.get(f"/v1/devices?compound=xinyuan&kind={one}&kind={two}").text)
    assert {(each.compound, each.kind) for each in page.devices} == {("xinyuan", one), ("xinyuan", two)}
    page = DeviceList.model_validate_json(client.get("/v1/devices?compound=xinyuan&building=2").text)
    assert {each.building for each in page.devices} == {"2"}
    assert client.get("/v1/devices?state=online").json()["total"] == client.get("/v1/devices").json()["total"]
    assert client.get("/v1/devices?state=offline").json() == {
        "total": 0, "limit": 100, "offset": 0, "next_offset": None, "devices": [],
    }  # fmt: skip


def test_every_device_gives_its_latest_by_part(client: Client, small: Inventory, registry: Registry) -> None:
    for device in small.compounds["jingyuan"].devices:
        found = DeviceDetail.model_validate_json(client.get(f"/v1/devices/{device.id}").text)
        kind = registry[device.kind]
        assert [each.part for each in found.latest] == list(map(named, sorted(device.parts)))
        for each in found.latest:
            assert each.time == "2025-06-01T10:00:00+08:00"
            assert each.age_s == 0
            assert set(each.values) == {field.name for field in kind.telemetry}
        assert [field.name for field in found.fields] == [field.name for field in kind.telemetry]
        assert found.firmware is not None
        assert found.attributes == {"size": 7}


def test_every_table_of_every_kind_is_read(client: Client, small: Inventory, registry: Registry) -> None:
    for device in small.compounds["jingyuan"].devices:
        for table in registry[device.kind].tables.values():
            answer = client.get(f"/v1/devices/{device.id}/readings?table={table.name}&limit=10000&start=-2d")
            found = ReadingsAnswer.model_validate_json(answer.text)
            assert found.readings
            assert {each.part for each in found.readings} == {key.part or None for key in device.keys(table)}
            for each in found.readings:
                for name, value in each.values.items():
                    field = table.by_name[name]
                    if field.boolean:
                        assert isinstance(value, bool)
                    elif field.is_number:
                        assert isinstance(value, int if field.integer else float)
                    else:
                        assert isinstance(value, str)


@pytest.mark.parametrize("group", list(Group))
@pytest.mark.parametrize("every", ["15m", "1h", "1d"])
def test_statistics_of_every_kind(client: Client, registry: Registry, group: Group, every: str) -> None:
    answer = client.get(f"/v1/compounds/jingyuan/{group}?every={every}")
    found = StatisticsAnswer.model_validate(strict(answer.text))
    assert (found.compound, found.timezone, found.group, found.every) == ("jingyuan", "Asia/Shanghai", group, every)
    assert (found.start, found.stop) == ("2025-05-31T10:00:00+08:00", "2025-06-01T10:00:00+08:00")
    assert len(found.buckets) == {"15m": 96, "1h": 24, "1d": 2}[every]
    assert found.buckets[0] == found.start
    assert set(found.kinds) == set(registry)
    for name, each in found.kinds.items():
        rows = {row.name: row for row in statistics_of(registry[name], group)}
        assert set(each.statistics) == set(rows)
        for statistic, figures in each.statistics.items():
            assert figures.unit == rows[statistic].unit
            assert (figures.by is None) == (figures.lines[0].label is None)
            for line in figures.lines:
                assert len(line.values) == len(line.coverage) == len(found.buckets)
                assert all(0 <= coverage <= 1 for coverage in line.coverage)
            known = any(value is not None for line in figures.lines for value in line.values)
            # Without an outage there is no repair, and an interval takes more days than these.
            assert known or rows[statistic].reducer in {Reducer.REPAIR_TIME, Reducer.TIME_TO_FULL}


def test_kinds_can_be_chosen(client: Client, registry: Registry) -> None:
    one, two, *_ = registry
    found = client.get(f"/v1/compounds/jingyuan/usage?kind={two}&kind={one}&kind={two}").json()
    assert list(found["kinds"]) == [two, one]
