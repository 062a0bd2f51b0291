import time

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from access import kept
from access.callers import Grant, Scope
from access.doors import Doors
from access.errors import GrantError, UnknownKeyError
from access.keys import Keys
from api.app import create_app
from api.options import ApiOptions
from devices.registry import Registry
from records.database import Database
from records.errors import RecordsError
from records.schema import KEYS
from tests.access.conftest import KEY, Clock
from tests.api.client import Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, inventory_of

READS = Grant(scopes=frozenset({Scope.READ}))


@pytest.fixture
def app(doors: Doors, registry: Registry, clock: Clock) -> FastAPI:
    inventory = inventory_of(registry)
    return create_app(ApiOptions(keys=(KEY,)), inventory, registry, MemoryStore(), doors=doors, clock=clock)


def test_a_key_is_kept_as_a_digest(database: Database) -> None:
    keys = Keys(database)
    new = keys.create("wall", READS, by="test", now_ns=NOW_NS)
    secret = new.text.rpartition("_")[2]
    assert len(new.text.split("_", 2)[2]) == 32  # 192 bits
    with database.begin() as connection:
        assert secret not in repr(connection.execute(select(KEYS)).all())
    caller = keys.recognise(new.text, now_ns=NOW_NS)
    assert caller is not None
    assert (caller.name, caller.grant) == ("wall", READS)


def test_no_key_is_made_that_cannot_be_written_down(
    app: FastAPI, doors: Doors, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doors.audit is not None

    def fails(*_: object, **__: object) -> None:
        raise RecordsError("the audit log cannot be written")

    monkeypatch.setattr(doors.audit, "write", fails)
    with Client(app) as client:
        assert client.request("POST", "/v1/keys", json={"name": "wall"}).status_code == 503
    with database.begin() as connection:
        assert connection.execute(select(KEYS)).all() == []


def test_one_revoked_by_another_process_is_refused_within_a_second(database: Database) -> None:
    here, there = Keys(database), Keys(database)
    new = here.create("wall", READS, by="test", now_ns=NOW_NS)
    assert here.recognise(new.text, now_ns=NOW_NS) is not None
    there.revoke(new.key.id, now_ns=NOW_NS)
    assert there.recognise(new.text, now_ns=NOW_NS) is None
    end = time.monotonic() + 1
    while here.recognise(new.text, now_ns=NOW_NS) is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert kept.HOLD_S < 1


@pytest.mark.parametrize(
    ("name", "expires_ns"), [("", None), ("x" * 65, None), ("a\nb", None), ("late", NOW_NS), ("late", 0)]
)
def test_what_cannot_be_a_key(database: Database, name: str, expires_ns: int | None) -> None:
    with pytest.raises(GrantError):
        Keys(database).create(name, READS, by="test", now_ns=NOW_NS, expires_ns=expires_ns)
    with pytest.raises(UnknownKeyError):
        Keys(database).revoke("0" * 12, now_ns=NOW_NS)


@pytest.mark.parametrize(("scopes", "compounds"), [([], None), (["write"], None), (["read"], [])])
def test_what_cannot_be_granted(scopes: list[str], compounds: list[str] | None) -> None:
    with pytest.raises(GrantError):
        Grant.of(scopes, compounds)


def test_keys_are_made_and_revoked_over_the_api(app: FastAPI) -> None:
    with Client(app) as client:
        answer = client.request("POST", "/v1/keys", json={"name": "wall", "scopes": ["read"], "days": 30})
        assert answer.status_code == 201
        key = answer.json()
        assert key["key"].startswith(f"cyk_{key['id']}_")
        listed = client.get("/v1/keys").json()["keys"]
        assert [each["id"] for each in listed] == [key["id"]]
        assert "key" not in listed[0]
        with Client(app, key=key["key"]) as other:
            assert other.get("/v1/me").json() == {
                "id": f"key:{key['id']}", "name": "wall", "scopes": ["read"], "compounds": None,
            }  # fmt: skip
            assert other.get("/v1/keys").json()["code"] == "scope"
            assert client.request("DELETE", f"/v1/keys/{key['id']}").json()["revoked"] is not None
            assert other.get("/v1/me").json()["code"] == "key_wrong"
        assert [each["what"] for each in client.get("/v1/audit").json()["lines"]] == ["key.revoke", "key.create"]


def test_nobody_gives_away_more_than_they_have(app: FastAPI, doors: Doors) -> None:
    assert doors.keys is not None
    few = Grant(scopes=frozenset({Scope.READ, Scope.ADMIN}), compounds=frozenset({"jingyuan"}))
    strong = doors.keys.create("all", Grant(), by="test", now_ns=NOW_NS)
    with Client(app, key=doors.keys.create("some", few, by="test", now_ns=NOW_NS).text) as client:
        wanted = {"name": "x", "scopes": ["manage"]}
        assert client.request("POST", "/v1/keys", json=wanted).json()["code"] == "grant"
        wanted = {"name": "x", "scopes": ["read"], "compounds": ["xinyuan"]}
        assert client.request("POST", "/v1/keys", json=wanted).json()["code"] == "unknown_compound"
        assert client.request("POST", "/v1/keys", json={"name": "x"}).json()["compounds"] == ["jingyuan"]
        assert client.request("DELETE", f"/v1/keys/{strong.key.id}").json()["code"] == "unknown_key"
        assert strong.key.id not in client.get("/v1/keys").text


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    database: Database, registry: Registry, clock: Clock
) -> None:
    doors = Doors(database, keys=(KEY,), per_minute=5, clock=clock)
    app = create_app(ApiOptions(keys=(KEY,)), inventory_of(registry), registry, MemoryStore(), doors=doors, clock=clock)
    with Client(app) as client:
        for left in (4, 3, 2, 1, 0):
            answer = client.get("/v1/kinds")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"minute";q=5;w=60'
            assert answer.headers["ratelimit"].startswith(f'"minute";r={left};t=')
        answer = client.get("/v1/kinds")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate")
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert client.get("/health").status_code == 200
