"""Reports: their figures are those of the statistics, beside the period before; and what was down, and what comes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from alarms.book import Book
from alarms.standing import Change, Subject, What
from api.app import create_app
from api.files import Format
from api.times import NS_PER_S
from devices.alarms import Severity
from devices.inventory import Inventory
from devices.registry import Registry
from records.database import Database
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore
from tests.api.test_export import READ
from tests.api.world import DAY_S, NOW_NS, batches

GATE = Subject("gate", "forced", "xinyuan", "xinyuan-gate-01")
AWAY = Subject("bin", "offline", "jingyuan", "jingyuan-bin-01")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    made = Book(database)
    changes = []
    for number in range(4):
        at = NOW_NS - (4 - number) * 3600 * NS_PER_S
        changes += [
            (Change(What.RAISED, GATE, at, at, ""), Severity.CRITICAL),
            (Change(What.CLEARED, GATE, at + 600 * NS_PER_S, at, ""), Severity.CRITICAL),
        ]
    changes.append((Change(What.RAISED, AWAY, NOW_NS - 1800 * NS_PER_S, NOW_NS, ""), Severity.MAJOR))
    made.write(changes, {}, {})
    yield made
    database.close()


@pytest.fixture
def asked(book: Book, registry: Registry, small: Inventory) -> Iterator[Client]:
    store = MemoryStore()
    store.write(list(batches(small, registry, seconds=3 * DAY_S)))
    with Client(create_app(OPTIONS, small, registry, store, alarms=book, clock=Clock())) as made:
        yield made


def report(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(f"/v1/reports/{path}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("compound", ["jingyuan", None])
def test_the_figures_are_those_of_the_statistics(asked: Client, compound: str | None) -> None:
    said = report(asked, "day?date=2025-05-31" + (f"&compound={compound}" if compound else ""))
    assert said["complete"]
    assert (said["start"], said["stop"]) == ("2025-05-31T00:00:00+08:00", "2025-06-01T00:00:00+08:00")
    scope = f"compounds/{compound}" if compound else "fleet"
    expected = {}
    for group in ("usage", "occupancy", "availability"):
        found = asked.get(f"/v1/{scope}/{group}?start=2025-05-31&stop=2025-06-01&every=1d&compare=previous").json()
        for kind, of_kind in found["kinds"].items():
            for name, statistic in of_kind["statistics"].items():
                earlier = found["previous"]["kinds"][kind]["statistics"][name]["lines"]
                for line, before in zip(statistic["lines"], earlier, strict=True):
                    key = (group, kind, name, line["label"])
                    expected[key] = (line["values"][0], line["coverage"][0], before["values"][0])
    figures = {
        (each["group"], each["kind"], each["statistic"], each["label"]): (
            each["value"], each["coverage"], each["previous"],
        )
        for each in said["figures"]
    }  # fmt: skip
    assert figures == expected
    changed = [each for each in said["figures"] if each["change"] is not None]
    assert changed
    assert all(each["change"] == pytest.approx(each["value"] / each["previous"] - 1) for each in changed)


def test_a_month_that_is_not_over_is_compared_with_as_much_of_the_month_before(asked: Client) -> None:
    said = report(asked, "month")
    assert not said["complete"]
    assert (said["start"], said["stop"]) == ("2025-06-01T00:00:00+08:00", "2025-06-01T10:00:00+08:00")
    assert (said["previous_start"], said["previous_stop"]) == ("2025-05-01T00:00:00+08:00", "2025-05-01T10:00:00+08:00")
    whole = report(asked, "month?date=2025-05")
    assert whole["complete"]
    assert whole["previous_start"] == "2025-04-01T00:00:00+08:00"
    assert whole["previous_stop"] == whole["start"] == "2025-05-01T00:00:00+08:00"


def test_what_was_down_and_what_fails_again_and_again(asked: Client) -> None:
    said = report(asked, "day")
    assert [(each["device"], each["rule"]) for each in said["down"]] == [("jingyuan-bin-01", "offline")]
    assert said["down_total"] == 1
    assert [(each["rule"], each["number"], each["lasted_s"]) for each in said["by_rule"]] == [
        ("forced", 4, 2400.0), ("offline", 1, 1800.0),
    ]  # fmt: skip
    assert [(each["device"], each["rule"], each["number"]) for each in said["watched"]] == [
        ("xinyuan-gate-01", "forced", 4)
    ]
    assert said["alarms"]["raised"] == 5
    assert report(asked, "day?compound=jingyuan")["watched"] == []


def test_what_is_likely_to_be_full_comes_the_soonest_first(asked: Client) -> None:
    found = report(asked, "day")["likely_full"]
    assert found
    assert [each["in_s"] for each in found] == sorted(each["in_s"] for each in found)
    for each in found:
        assert 0 <= each["in_s"] <= 2 * DAY_S
        assert each["low_s"] is None or each["low_s"] <= each["in_s"] <= each["high_s"]
    one = found[0]
    said = asked.get(
        f"/v1/compounds/{one['compound']}/usage?device={one['device']}&statistic=time_to_full&every=15m&start=-15m"
    ).json()
    lines = said["kinds"]["bin"]["statistics"]["time_to_full"]["lines"]
    assert {line["label"]: line["values"][0] for line in lines}[one["part"]] == pytest.approx(one["in_s"])
    assert report(asked, "day?date=2025-05-31")["likely_full"] == []


@pytest.mark.parametrize("format_", list(Format))
def test_it_comes_as_a_file_too(asked: Client, format_: Format) -> None:
    answer = asked.get(f"/v1/reports/day?compound=xinyuan&format={format_}")
    assert answer.headers["content-disposition"] == f'attachment; filename="xinyuan-day-2025-06-01.{format_}"'
    table: pa.Table = READ[format_](answer.content)
    said = report(asked, "day?compound=xinyuan")
    rows = [row for row in table.to_pylist() if row["section"] in {"usage", "occupancy", "availability"}]
    assert [(row["name"], row["label"], row["value"]) for row in rows] == [
        (each["statistic"], each["label"], each["value"]) for each in said["figures"]
    ]
    assert [row["value"] for row in table.to_pylist() if row["section"] == "alarms"] == [4.0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("day?date=2025-06-02", 400, "time"),
        ("month?date=2025-07", 400, "time"),
        ("day?date=2025-05", 400, "time"),
        ("month?date=2025-5-1", 400, "time"),
        ("day?date=0001-01-01", 400, "time"),
        ("day?date=%00", 400, "time"),
        ("week", 422, "validation"),
        ("day?compound=nowhere", 404, "unknown_compound"),
        ("day?format=pdf", 422, "validation"),
    ],
)
def test_what_cannot_be_reported_is_told(asked: Client, path: str, status: int, code: str) -> None:
    answer = asked.get(f"/v1/reports/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_without_the_alarms_the_figures_come_all_the_same(own: Client) -> None:
    said = report(own, "day")
    assert said["alarms"] is None
    assert said["figures"]


def test_rollups_are_told_by_kind(own: Client, registry: Registry) -> None:
    said = own.get("/v1/rollups").json()["kinds"]
    assert [each["kind"] for each in said] == list(registry)
    assert all(each["closed"] is None and not each["current"] for each in said)


def test_the_overview_says_how_old_the_readings_of_each_kind_are(own: Client, registry: Registry) -> None:
    first = own.get("/v1/overview").json()["compounds"][0]
    assert set(first["ages_by_kind"]) == set(registry)
    assert first["last_reading_age_s"] == min(first["ages_by_kind"].values())
