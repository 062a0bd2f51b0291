"""Every route of the API × every key that must not open it, generated from the OpenAPI document."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI

from access.callers import Grant, Scope
from access.doors import Doors
from alarms.book import Book
from alarms.calendar import Calendar
from alarms.standing import Change, Subject, What
from alarms.windows import Window
from api.app import create_app
from api.options import ApiOptions
from devices.alarms import Severity
from devices.registry import Registry
from live.frames import Frame, Group, Wanted
from live.hub import Hub
from records.database import Database
from tests.access.conftest import KEY, Clock
from tests.api.client import Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, NS_PER_S, batches, inventory_of

OPEN = {"/health", "/ready"}
MINE, FOREIGN, NOWHERE = "jingyuan", "xinyuan", "nowhere"
NEEDED = {("post", "acknowledge"): Scope.ACKNOWLEDGE, ("post", "snooze"): Scope.ACKNOWLEDGE}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/alarms/{alarm}/acknowledge": {"by": "x"},
    "/v1/alarms/{alarm}/snooze": {"by": "x", "minutes": 5},
    "/v1/maintenance": {"compound": FOREIGN, "minutes": 5, "by": "x"},
    "/v1/keys": {"name": "x", "scopes": ["read"], "compounds": [FOREIGN]},
}


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    url: str
    body: dict[str, Any] | None

    @property
    def scope(self) -> Scope | None:
        if self.path == "/v1/me":
            return None
        if self.path.startswith(("/v1/keys", "/v1/audit")):
            return Scope.ADMIN
        if self.path.startswith("/v1/maintenance") and self.method != "get":
            return Scope.MANAGE
        return NEEDED.get((self.method, self.path.rpartition("/")[2]), Scope.READ)


def calls(client: Client, compound: str, number: int, key: str) -> Iterator[Call]:
    """Every call that the document knows, about one compound and its things."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        if path in OPEN:
            continue
        for method, operation in operations.items():
            url = path.format(
                compound=compound, device=f"{compound}-gate-01", alarm=number, window=number, length="day", key=key
            )
            names = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
            query = [
                *(["kind=gate"] if path == "/v1/export/readings" else []),
                *([f"compound={compound}"] if "compound" in names and "compound" not in path else []),
            ]
            body = BODIES.get(path) if method == "post" else None
            if body is not None:
                body = {
                    name: compound if each == FOREIGN else [compound] if each == [FOREIGN] else each
                    for name, each in body.items()
                }
            yield Call(method, path, url + ("?" + "&".join(query) if query else ""), body)


@pytest.fixture
def app(doors: Doors, database: Database, registry: Registry, clock: Clock) -> FastAPI:
    inventory = inventory_of(registry, compounds=(MINE, FOREIGN))
    store = MemoryStore()
    store.write(list(batches(inventory, registry)))
    book, calendar = Book(database), Calendar(database)
    raised = [
        Change(What.RAISED, Subject("gate", "held", name, f"{name}-gate-01"), NOW_NS - 5, NOW_NS - 9, f"of-{name}")
        for name in (MINE, FOREIGN)
    ]
    book.write([(each, Severity.MINOR) for each in raised], {}, {})
    for name in (MINE, FOREIGN):
        calendar.add(
            Window(id=0, compound=name, device="", start_ns=NOW_NS, stop_ns=NOW_NS + 10**13, by="x", note=f"of-{name}")
        )
    return create_app(
        ApiOptions(keys=(KEY,), hold_s=0.0), inventory, registry, store, alarms=book, calendar=calendar,
        hub=Hub(), doors=doors, clock=clock,
    )  # fmt: skip


def made(doors: Doors, *scopes: Scope, compound: str | None = None, expires_ns: int | None = None) -> tuple[str, str]:
    """A new key: its id, and itself."""
    assert doors.keys is not None
    grant = Grant(scopes=frozenset(scopes or Scope), compounds=None if compound is None else frozenset({compound}))
    new = doors.keys.create("test", grant, by="test", now_ns=NOW_NS - 10 * NS_PER_S, expires_ns=expires_ns)
    return new.key.id, new.text


def ask(client: Client, call: Call, key: str | None) -> tuple[int, str]:
    headers = {} if key is None else {"X-API-Key": key}
    answer = client.request(call.method, call.url, headers=headers, json=call.body)
    return answer.status_code, answer.text


def test_no_expired_revoked_or_missing_key_opens_anything(app: FastAPI, doors: Doors) -> None:
    assert doors.keys is not None
    target, _ = made(doors)
    _, expired = made(doors, expires_ns=NOW_NS - 1)
    number, revoked = made(doors)
    doors.keys.revoke(number, now_ns=NOW_NS)
    _, good = made(doors)
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    with Client(app, key=None) as client:
        asked = list(calls(client, MINE, 1, target))
        assert len(asked) > 25
        for call, key in itertools.product(asked, (None, expired, revoked, wrong, good[:20])):
            status, text = ask(client, call, key)
            assert status == 401, (call, key)
            assert "of-" not in text
            assert MINE not in text
        # What is refused is refused for the key: a good one opens them.
        for call in asked:
            if call.path not in {"/v1/stream", "/v1/ledger", "/v1/export/readings"}:
                assert ask(client, call, good)[0] not in {401, 403}, call


def test_a_key_of_another_scope_opens_nothing(app: FastAPI, doors: Doors) -> None:
    target, _ = made(doors)
    keys = {scope: made(doors, *(each for each in Scope if each is not scope))[1] for scope in Scope}
    with Client(app, key=None) as client:
        for call in calls(client, MINE, 1, target):
            if call.scope is None:
                continue
            status, text = ask(client, call, keys[call.scope])
            assert status == 403, call
            assert "of-" not in text
            assert MINE not in text


def test_a_key_of_another_compound_sees_no_more_than_of_one_that_is_not_there(app: FastAPI, doors: Doors) -> None:
    target, _ = made(doors, compound=FOREIGN)
    _, key = made(doors, compound=MINE)
    with Client(app, key=None) as client:
        foreign, nowhere = list(calls(client, FOREIGN, 2, target)), list(calls(client, NOWHERE, 777, "0" * 12))
        for call, other in zip(foreign, nowhere, strict=True):
            status, text = ask(client, call, key)
            _, same = ask(client, other, key)
            if call.method == "get" and "{" not in call.path and "compound=" not in call.url:
                # It names no compound: it answers about those of the key, or not at all.
                assert status in {200, 403}, call
                assert FOREIGN not in text, call
                continue
            assert status in {401, 403, 404}, (call, status, text)
            plain = text.replace(FOREIGN, NOWHERE).replace(" 2;", " 777;").replace(target, "0" * 12)
            if call.path != "/v1/keys/{key}":
                assert plain.replace("/2", "/777") == same.replace("/2", "/777"), call


def test_the_fleet_of_a_key_is_its_compounds(app: FastAPI, doors: Doors) -> None:
    _, key = made(doors, compound=MINE)
    with Client(app, key=key) as client:
        assert [each["id"] for each in client.get("/v1/compounds").json()["compounds"]] == [MINE]
        assert [each["id"] for each in client.get("/v1/overview").json()["compounds"]] == [MINE]
        assert {each["compound"] for each in client.get("/v1/devices").json()["devices"]} == {MINE}
        assert {each["compound"] for each in client.get("/v1/alarms").json()["alarms"]} == {MINE}
        assert client.get("/v1/alarms/summary").json()["raised"] == 1
        assert [each["compound"] for each in client.get("/v1/maintenance").json()["windows"]] == [MINE]
        for group in ("occupancy", "usage", "availability"):
            fleet = client.get(f"/v1/fleet/{group}?every=6h").json()
            own = client.get(f"/v1/compounds/{MINE}/{group}?every=6h").json()
            assert fleet["kinds"] == own["kinds"]
        rows = client.get("/v1/export/readings?kind=bin&table=telemetry&start=-1h").text
        assert MINE in rows
        assert FOREIGN not in rows
        for path in ("/metrics", "/v1/ledger", "/v1/rollups", "/v1/audit"):
            assert client.get(path).json()["code"] == "whole_installation"
    with Client(app, key=KEY) as client:
        assert client.get("/v1/alarms/summary").json()["raised"] == 2
        assert FOREIGN in client.get("/v1/export/readings?kind=bin&table=telemetry&start=-1h").text


def test_a_key_of_a_compound_that_is_gone_sees_nothing_at_all(app: FastAPI, doors: Doors) -> None:
    target, _ = made(doors)
    _, key = made(doors, compound="demolished")
    with Client(app, key=None) as client:
        for call in calls(client, MINE, 1, target):
            if call.path == "/v1/stream":
                continue
            plain = Call(call.method, call.path, call.url.replace(f"compound={MINE}", "").rstrip("?&"), call.body)
            for each in (call, plain):
                status, text = ask(client, each, key)
                assert status in {200, 201, 400, 403, 404}, (each, status, text)
                assert "of-" not in text, each
                assert f'"{FOREIGN}' not in text, each
                if status == 200 and "export" in each.path:
                    assert len(text.splitlines()) == 1, text  # its heading
        for kind in ("bin", "gate"):
            url = f"/v1/export/readings?kind={kind}&table=telemetry&start=-1h"
            assert len(client.get(url, headers={"X-API-Key": key}).text.splitlines()) == 1


def test_a_stream_carries_its_compounds_alone() -> None:
    group = {name: Group(name, "bin") for name in (MINE, FOREIGN)}
    frame = Frame(1, b"", {group[name]: b"of-" + name.encode() for name in group})
    assert frame.chosen(Wanted(frozenset({MINE}))) == b"of-" + MINE.encode()
    assert frame.chosen(Wanted(frozenset())) == b""
    people = Frame(1, b"", {Group(MINE, "gate", about_people=True): b"x"})
    assert people.chosen(Wanted(people=False)) == b""
    assert people.chosen(Wanted()) == b"x"
