"""Alarms over HTTP: found, summed up, taken on by one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from alarms.book import Book
from alarms.standing import Change, Subject, What
from api.app import create_app
from devices.alarms import Severity
from devices.inventory import Inventory
from devices.registry import Registry
from records.database import Database
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS

S = 1_000_000_000
BIN = Subject("bin", "full", "jingyuan", "jingyuan-bin-01", "kitchen")
GATE = Subject("gate", "forced", "xinyuan", "xinyuan-gate-01")
CUT = Subject("", "uplink_down", "xinyuan")


def change(what: What, subject: Subject, seconds_ago: int) -> Change:
    at_ns = NOW_NS - seconds_ago * S
    return Change(what, subject, at_ns, at_ns - 60 * S, "0.97")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    found = Book(database)
    found.write(
        [
            (change(What.RAISED, BIN, 7200), Severity.MAJOR),
            (change(What.CLEARED, BIN, 3600), Severity.MAJOR),
            (change(What.RAISED, BIN, 1800), Severity.MAJOR),
            (change(What.RAISED, GATE, 2400), Severity.CRITICAL),
            (change(What.RAISED, CUT, 1000), Severity.CRITICAL),
        ],
        {},
        {},
    )
    yield found
    database.close()


@pytest.fixture
def asked(book: Book, registry: Registry, small: Inventory) -> Iterator[Client]:
    app = create_app(OPTIONS, small, registry, MemoryStore(), alarms=book, clock=Clock())
    with Client(app) as made:
        yield made


def found(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/alarms{query}")
    assert answer.status_code == 200, answer.text
    alarms: list[dict[str, Any]] = answer.json()["alarms"]
    return alarms


def test_what_needs_hands_comes_worst_first(asked: Client) -> None:
    alarms = found(asked)
    assert [(each["rule"], each["severity"]) for each in alarms] == [
        ("uplink_down", "critical"), ("forced", "critical"), ("full", "major"),
    ]  # fmt: skip
    cut, _, full = alarms
    assert (cut["kind"], cut["device"], cut["compound"]) == (None, None, "xinyuan")
    assert (full["title"]["zh"], full["value"], full["part"]) == ("垃圾箱已满", "0.97", "kitchen")
    assert full["advice"]["en"] == "Have it emptied."
    assert full["lasted_s"] == 1800
    assert full["raised"].endswith("+08:00")
    assert full["cleared"] is None


@pytest.mark.parametrize(
    ("query", "rules"),
    [
        ("?state=cleared", ["full"]),
        ("?state=all", ["uplink_down", "full", "forced", "full"]),
        ("?compound=jingyuan", ["full"]),
        ("?device=xinyuan-gate-01", ["forced"]),
        ("?kind=bin&kind=gate", ["forced", "full"]),
        ("?severity=major", ["full"]),
        ("?rule=offline&rule=uplink_down&state=all", ["uplink_down"]),
        ("?acknowledged=true", []),
        ("?state=all&start=-1h", ["uplink_down", "full", "forced"]),
        ("?state=all&stop=-1h", ["full"]),
        ("?limit=1&offset=1", ["forced"]),
    ],
)
def test_alarms_are_filtered(asked: Client, query: str, rules: list[str]) -> None:
    assert [each["rule"] for each in found(asked, query)] == rules


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?compound=nowhere", 404, "unknown_compound"),
        ("?device=nobody", 404, "unknown_device"),
        ("?kind=robot", 400, "unknown_kind"),
        ("?start=yesterday", 400, "time"),
        ("?rule=fool", 400, "unknown_rule"),
        ("?severity=fatal", 422, "validation"),
        ("?state=lost", 422, "validation"),
        ("/9999", 404, "unknown_alarm"),
        ("/0", 422, "validation"),
        (f"/{10**30}", 422, "validation"),
    ],
)
def test_what_is_not_there(asked: Client, query: str, status: int, code: str) -> None:
    answer = asked.get(f"/v1/alarms{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_of_many_who_acknowledge_at_once_one_does(asked: Client) -> None:
    number = found(asked)[0]["id"]

    def take(who: int) -> tuple[int, str]:
        answer = asked.request("POST", f"/v1/alarms/{number}/acknowledge", json={"by": f"p{who}", "note": "going"})
        return answer.status_code, answer.json().get("acknowledged_by") or answer.json()["detail"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(take, range(8)))
    winners = [who for status, who in answers if status == 200]
    assert len(winners) == 1
    assert [status for status, _ in answers].count(409) == 7
    assert all(winners[0] in said for status, said in answers if status == 409)
    alarm = asked.get(f"/v1/alarms/{number}").json()
    assert (alarm["acknowledged_by"], alarm["note"]) == (winners[0], "going")
    summary = asked.get("/v1/alarms/summary").json()
    assert summary == {"raised": 4, "open": 3, "mean_acknowledge_s": 1000.0, "mean_repair_s": 3600.0}


def test_an_alarm_is_snoozed_and_woken(asked: Client) -> None:
    number = found(asked)[0]["id"]

    def snooze(minutes: object) -> httpx.Response:
        return asked.request("POST", f"/v1/alarms/{number}/snooze", json={"by": "Li", "minutes": minutes})

    answer = snooze(90).json()
    assert (answer["snoozed_until"], answer["snoozed_by"]) == ("2025-06-01T11:30:00+08:00", "Li")
    assert snooze(0).json()["snoozed_until"] == "2025-06-01T10:00:00+08:00"
    assert [snooze(wrong).status_code for wrong in (-1, 43_201, "long")] == [422] * 3
    gone = asked.request("POST", "/v1/alarms/999/snooze", json={"by": "Li", "minutes": 1})
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_alarm")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"by": ""},
        {"by": "L\x1b[31mi"},
        {"by": "Li", "note": "\x00"},
        {"by": "x" * 65},
        {"by": "x", "note": "y" * 2001},
        {"by": 7},
        [],
    ],
)
def test_a_wrong_acknowledgement_changes_nothing(asked: Client, body: object) -> None:
    number = found(asked)[0]["id"]
    answer = asked.request("POST", f"/v1/alarms/{number}/acknowledge", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation")
    assert found(asked)[0]["acknowledged"] is None


def test_without_a_book_the_api_says_so(own: Client) -> None:
    answer = own.get("/v1/alarms")
    assert (answer.status_code, answer.json()["code"]) == (503, "alarms_away")


def test_a_book_that_is_away_is_told_without_its_address(tmp_path: Path, registry: Registry, small: Inventory) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/records.db")
    app = create_app(OPTIONS, small, registry, MemoryStore(), alarms=Book(database), clock=Clock())
    with Client(app) as client:
        answer = client.get("/v1/alarms")
    assert (answer.status_code, answer.json()["code"]) == (503, "records")
    assert str(tmp_path) not in answer.text
    database.close()
