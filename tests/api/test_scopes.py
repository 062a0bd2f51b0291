"""Whose statistics are asked for: some devices of a compound, all compounds together, and the period before."""

from collections.abc import Mapping
from typing import Any

import pytest

from devices.inventory import Inventory
from devices.registry import Registry
from devices.statistics import Group
from tests.api.client import Client
from tests.api.test_statistics import ask, lines


def problem(client: Client, path: str) -> Mapping[str, Any]:
    answer = client.get(path)
    assert answer.status_code in {400, 404}, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


def test_buildings_and_devices_add_up_to_their_compound(own: Client, small: Inventory) -> None:
    whole = lines(ask(own, "usage", "kind=charger&statistic=energy"))["charger", "energy", None]
    devices = small.compounds["jingyuan"].of_kind("charger")
    for filters in (
        [f"device={each.id}" for each in devices],
        [f"building={number}" for number in (1, 2, 3)],
    ):
        parts = [ask(own, "usage", f"kind=charger&statistic=energy&{each}") for each in filters]
        assert sum(part["kinds"]["charger"]["devices"] for part in parts) == len(devices)
        found = [lines(part)["charger", "energy", None][0] for part in parts if part["kinds"]["charger"]["devices"]]
        assert [sum(each) for each in zip(*found, strict=True)] == pytest.approx(whole[0])
    one = ask(own, "usage", f"device={devices[0].id}")
    assert list(one["kinds"]) == ["charger"]
    assert (one["device"], one["building"]) == (devices[0].id, None)


def test_a_statistic_is_picked_by_name(own: Client) -> None:
    found = ask(own, "usage", "statistic=passes&statistic=energy")
    assert {name for each in found["kinds"].values() for name in each["statistics"]} == {"passes", "energy"}
    assert lines(found)["gate", "passes", None] == lines(ask(own, "usage"))["gate", "passes", None]
    assert problem(own, "/v1/compounds/jingyuan/usage?statistic=people_inside")["code"] == "unknown_statistic"


def test_people_inside_are_those_of_whole_compounds(own: Client) -> None:
    assert "people_inside" in ask(own, "occupancy")["kinds"]["gate"]["statistics"]
    assert not ask(own, "occupancy", "device=jingyuan-gate-01")["kinds"]["gate"]["statistics"]
    asked = "/v1/compounds/jingyuan/occupancy?statistic=people_inside&building=1"
    assert problem(own, asked)["code"] == "whole_compounds"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("building=4", 400, "unknown_building"),
        ("device=jingyuan-bin-99", 404, "unknown_device"),
        ("device=xinyuan-bin-01", 404, "unknown_device"),
    ],
)
def test_what_is_not_there(own: Client, query: str, status: int, code: str) -> None:
    answer = own.get(f"/v1/compounds/jingyuan/usage?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("group", list(Group))
def test_the_fleet_is_all_compounds(own: Client, small: Inventory, registry: Registry, group: Group) -> None:
    answer = own.get(f"/v1/fleet/{group}?every=6h")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["compounds"] == len(small.compounds)
    assert list(found["kinds"]) == list(registry)
    if group is Group.USAGE:
        each = [lines(ask(own, group, "every=6h", name))["gate", "passes", None][0] for name in small.compounds]
        assert lines(found)["gate", "passes", None][0] == [sum(values) for values in zip(*each, strict=True)]
    if group is Group.OCCUPANCY:
        people = [
            lines(ask(own, group, "every=6h", name))["gate", "people_inside", None][0] for name in small.compounds
        ]
        total = lines(found)["gate", "people_inside", None][0]
        assert total == [sum(values) if None not in values else None for values in zip(*people, strict=True)]


def test_the_period_before(own: Client) -> None:
    found = ask(own, "usage", "start=2025-06-01T08:00&stop=2025-06-01T10:00&compare=previous")
    before = ask(own, "usage", "start=2025-06-01T06:00&stop=2025-06-01T08:00")
    assert (found["previous"]["start"], found["previous"]["stop"]) == (before["start"], before["stop"])
    assert found["previous"]["buckets"] == before["buckets"]
    assert lines(found["previous"]) == lines(before)
    assert before["previous"] is None


def test_the_month_before_is_a_month(own: Client) -> None:
    found = ask(own, "usage", "start=2025-03-01&stop=2025-04-01&every=1d&compare=previous")
    assert (found["previous"]["start"][:10], found["previous"]["stop"][:10]) == ("2025-02-01", "2025-03-01")
    assert len(found["previous"]["buckets"]) == 28
    answer = own.get("/v1/compounds/jingyuan/usage?start=0&stop=2000000000&every=1d&compare=previous")
    assert answer.status_code == 400
