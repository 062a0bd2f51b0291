"""Maintenance windows over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alarms.calendar import Calendar
from api.app import create_app
from devices.inventory import Inventory
from devices.registry import Registry
from records.database import Database
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore


@pytest.fixture
def asked(registry: Registry, small: Inventory, tmp_path: Path) -> Iterator[Client]:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    app = create_app(OPTIONS, small, registry, MemoryStore(), calendar=Calendar(database), clock=Clock())
    with Client(app) as made:
        yield made
    database.close()


def add(client: Client, **wanted: object) -> tuple[int, dict[str, Any]]:
    answer = client.request("POST", "/v1/maintenance", json={"compound": "jingyuan", "by": "Li", **wanted})
    return answer.status_code, answer.json()


def test_windows_are_made_listed_and_ended(asked: Client) -> None:
    status, made = add(asked, device="jingyuan-bin-01", minutes=90, note="new sensor")
    assert status == 200
    assert made == {
        "id": 1, "compound": "jingyuan", "device": "jingyuan-bin-01", "start": "2025-06-01T10:00:00+08:00",
        "stop": "2025-06-01T11:30:00+08:00", "by": "Li", "note": "new sensor",
    }  # fmt: skip
    _, later = add(asked, start="2025-06-02T08:00:00", stop="2025-06-02T12:00:00")
    assert later["device"] is None
    assert asked.get("/v1/maintenance").json()["windows"] == [made, later]
    assert asked.request("DELETE", f"/v1/maintenance/{made['id']}").status_code == 204
    gone = asked.request("DELETE", f"/v1/maintenance/{made['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_window")
    assert asked.get("/v1/maintenance").json()["windows"] == [later]


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"compound": "nowhere", "minutes": 5}, 404, "unknown_compound"),
        ({"device": "nobody", "minutes": 5}, 404, "unknown_device"),
        ({"device": "xinyuan-bin-01", "minutes": 5}, 404, "unknown_device"),
        ({}, 400, "time"),
        ({"minutes": 5, "stop": "2025-06-02"}, 400, "time"),
        ({"minutes": 0}, 422, "validation"),
        ({"stop": "soon"}, 400, "time"),
        ({"stop": "2025-05-01"}, 400, "span_reversed"),
        ({"start": "2025-06-03", "stop": "2025-06-02"}, 400, "span_reversed"),
        ({"stop": "2035-06-02"}, 400, "span_too_long"),
        ({"by": "", "minutes": 5}, 422, "validation"),
    ],
)
def test_a_wrong_window(asked: Client, wanted: dict[str, object], status: int, code: str) -> None:
    found, problem = add(asked, **wanted)
    assert (found, problem["code"]) == (status, code)
    assert asked.get("/v1/maintenance").json()["windows"] == []


def test_without_a_calendar_the_api_says_so(own: Client) -> None:
    answer = own.get("/v1/maintenance")
    assert (answer.status_code, answer.json()["code"]) == (503, "alarms_away")
