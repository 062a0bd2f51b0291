"""`ledger` and `dead-letters`, run as users run them, over spools with and without a running ingest."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from courtyard import letters, wiring
from courtyard.ledger import ledger_reader, read_ledger
from courtyard.settings import Settings, load
from devices.errors import NotFoundError, QueryError, Reason
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.deadletters import Wanted
from ingest.errors import SpoolFullError
from ingest.spool import Spool
from store.duck import DuckStore
from tests.ingest.conftest import LIMITS
from tests.ingest.fleet import Sent
from tests.ingest.line import GATE, Line, gate
from tests.pipeline.programs import ROOT, environment

SMALL = Path(__file__).parent.parent / "golden" / "decode" / "inventory.yaml"
PERSONAL = Sent(GATE, b'{"face_image": "AAAA"}')
Made = tuple[Line, Path]


@pytest.fixture
def made(tmp_path: Path, registry: Registry) -> Iterator[Made]:
    """A spool with gaps, repetitions and dead letters, which this process uses, and its folder."""
    inventory = Inventory.parse(SMALL.read_text(encoding="utf-8"), registry)
    with closing(DuckStore(tmp_path / "readings.duckdb", registry.tables())) as store:
        line = Line(tmp_path / "spool.sqlite", inventory, registry, store)
        line.take([gate(0, 1, 2), gate(6), gate(2), Sent(GATE, b'{"x": "\x1b[31m[red]"}'), PERSONAL])
        line.take([Sent(GATE, b" " * 70_000), Sent("compounds/jingyuan/lift/lift-1/telemetry", b"{x")])
        yield line, tmp_path
        line.spool.close()


def run(*arguments: str, status: int = 0, **settings: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "courtyard", *arguments],
        env=environment(inventory=SMALL, **settings) | {"COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, output
    assert "Traceback" not in output
    return done.stdout if status == 0 else output


def settings_of(folder: Path) -> Settings:
    return load(None, data_dir=folder, inventory=SMALL, gap_grace_s=0)


def test_the_ledger_for_people_and_for_programs(made: Made) -> None:
    _, folder = made
    shown = run("ledger", data_dir=folder, gap_grace_s=0)
    for text in ("gate", "jingyuan-gate-01", "3–5", "the ledger balances", "running", "json 1"):
        assert text in shown
    found: dict[str, Any] = json.loads(run("ledger", "--json", data_dir=folder, gap_grace_s=0))
    assert (found["balanced"], found["faults"], found["missing"], found["pending"]) == (True, [], 3, 0)
    kinds = {each["kind"]: each for each in found["kinds"]}
    assert kinds["gate"]["received"] == 8
    assert (kinds["gate"]["written"], kinds["gate"]["duplicate"]) == (4, 1)
    assert kinds["gate"]["dead_lettered"] == {"empty": 1, "privacy": 1, "json": 1}
    assert kinds["unknown"]["dead_lettered"] == {"unknown_kind": 1}
    (stream,) = found["streams"]
    assert stream["ranges"] == [{"boot": 1, "first": 3, "last": 5}]
    assert (stream["refused_messages"], stream["highest_seq"], stream["boot"]) == (3, 6, 1)
    (spool,) = found["spools"]
    assert (spool["name"], spool["running"], spool["taken"], spool["settled"]) == ("spool.sqlite", True, 7, 7)


def test_a_ledger_that_does_not_balance_is_exit_status_1(made: Made) -> None:
    line, folder = made
    line.spool._db.execute("UPDATE counters SET value = value - 1 WHERE entry = 'written'")
    output = run("ledger", status=1, data_dir=folder)
    assert "gate: +1 readings received" in output
    assert json.loads(run("ledger", "--json", status=1, data_dir=folder))["balanced"] is False


def test_without_a_spool_it_says_so(tmp_path: Path) -> None:
    for arguments in (["ledger"], ["dead-letters", "replay"]):
        assert "there is no spool" in run(*arguments, status=1, data_dir=tmp_path)


def test_one_device_is_shown_whether_it_misses_something_or_not(made: Made) -> None:
    line, folder = made
    line.take([gate(3, 4, 5)])
    settings, kinds = settings_of(folder), wiring.kinds()
    assert read_ledger(settings, kinds).streams == []
    (stream,) = read_ledger(settings, kinds, device="jingyuan-gate-01").streams
    assert (stream.missing, stream.ranges, stream.refused_messages) == (0, [], 3)
    assert read_ledger(settings, kinds, device="jingyuan-gate-02").streams == []


def test_the_api_reads_the_same(made: Made) -> None:
    _, folder = made
    settings = settings_of(folder)
    read = ledger_reader(settings, wiring.kinds())
    found = read(None, 20)
    assert (found.balanced, found.missing, [each.device for each in found.streams]) == (True, 3, ["jingyuan-gate-01"])


def test_dead_letters_are_listed_and_shown(made: Made) -> None:
    _, folder = made
    shown = run("dead-letters", "list", "--limit", "3", data_dir=folder)
    assert "3 of 4 dead letters" in shown
    assert "unknown_kind" in shown
    found = json.loads(run("dead-letters", "list", "--json", "--device", "jingyuan-gate-01", data_dir=folder))
    assert [each["reason"] for each in found] == ["empty", "privacy", "json"]
    assert [each["id"] for each in found] == ["3", "2", "1"]
    assert found[0]["size"] == 70_000
    assert (found[0]["whole"], found[1]["payload"], len(found[1]["sha256"])) == (False, None, 64)
    shown = run("dead-letters", "show", "1", data_dir=folder)
    # What devices send is shown, but a terminal does not obey it.
    assert "[red]" in shown
    assert "\x1b[31m" not in shown
    assert "no dead letter 99" in run("dead-letters", "show", "99", status=1, data_dir=folder)


def test_dead_letters_are_found_by_what_they_are(made: Made) -> None:
    _, folder = made
    settings = settings_of(folder)
    received = letters.get(settings, "1").letter.time_ms
    for wanted, expected in (
        (Wanted(kind="gate"), ["3", "2", "1"]),
        (Wanted(kind="unknown"), ["4"]),
        (Wanted(reason=Reason.PRIVACY), ["2"]),
        (Wanted(device="lift-1"), ["4"]),
        (Wanted(device="*"), []),
        (Wanted(since_ms=received + 1), []),
        (Wanted(since_ms=received, kind="gate", reason=Reason.EMPTY), ["3"]),
    ):
        assert [each.reference for each in letters.find(settings, wanted, limit=10)] == expected
        assert letters.count(settings, wanted) == len(expected)
    assert letters.get(settings, "2").as_json()["payload"] is None
    assert letters.get(settings, "4").as_json()["payload"] == "{x"
    with pytest.raises(QueryError, match="no number"):
        letters.get(settings, "x")


def test_letters_are_replayed_directly_where_ingest_does_not_run(made: Made, registry: Registry) -> None:
    line, folder = made
    line.spool.close()
    output = run("dead-letters", "replay", data_dir=folder)
    assert "2 dead letters replayed" in output
    assert "1 left out: personal data" in output
    assert "1 left out: not kept whole" in output
    assert "ingest is not running" in output
    found = read_ledger(settings_of(folder), registry)
    assert (found.pending, found.balanced, sum(each.replayed for each in found.kinds)) == (2, True, 2)
    with closing(Spool(folder / "spool.sqlite", LIMITS)) as spool:
        (batch, *_) = spool.read(messages=10, size=10**6)
        assert batch.replayed
    assert "2 left out: replayed already" in run("dead-letters", "replay", data_dir=folder)


def test_letters_are_replayed_by_the_ingest_that_runs(made: Made) -> None:
    line, folder = made
    settings = settings_of(folder)
    plan = letters.plan(settings, Wanted(), ["1"], limit=10)
    assert (plan.total, plan.left_out) == (1, {})
    told: list[int] = []

    def done(more: int) -> None:
        told.append(more)
        assert line.spool.take_replays() == (1 if len(told) == 1 else 0)

    assert letters.replay(settings, plan, done) == []
    assert sum(told) == 1
    line.turn()
    found = letters.find(settings, Wanted(), limit=10)
    assert found[0].reference == "5"
    assert found[0].letter.reason == "json"
    assert line.spool.counts[("replayed", "gate", "json")] == 1  # type: ignore[index]  # an Account


def test_a_replay_does_not_wait_for_ever_for_an_ingest_that_takes_none(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, folder = made  # which holds the spool, and as long as it is full takes no replays
    settings = settings_of(folder)
    monkeypatch.setattr(letters, "_PATIENCE_S", 0.3)
    with pytest.raises(SpoolFullError, match=r"taken no dead letters .* the 2 that it was asked"):
        letters.replay(settings, letters.plan(settings, Wanted(), limit=10), lambda _: None)
    assert line.spool.take_replays() == 2
    assert letters.plan(settings, Wanted(), limit=10).total == 0


def test_who_replays_waits_as_long_as_some_are_taken(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    line, folder = made
    settings = settings_of(folder)
    monkeypatch.setattr(letters, "_PATIENCE_S", 0.0)
    plan = letters.plan(settings, Wanted(), limit=10)
    told: list[int] = []

    def done(more: int) -> None:
        told.append(more)
        line.spool.take_replays(most=1)

    with pytest.raises(SpoolFullError):
        letters.replay(settings, plan, told.append)
    monkeypatch.setattr(letters, "_PATIENCE_S", 600.0)
    assert letters.replay(settings, plan, done) == []
    assert sum(told) == plan.total


def test_letters_of_workers_have_their_name_before_their_number(made: Made, registry: Registry) -> None:
    line, folder = made
    line.spool.close()
    (folder / "spool.sqlite").rename(folder / "spool-2of4.sqlite")
    with closing(Spool(folder / "spool-1of4.sqlite", LIMITS)):
        settings = settings_of(folder)
        assert {each.reference for each in letters.find(settings, Wanted(), limit=10)} == {
            f"2of4:{n}" for n in range(1, 5)
        }
        assert letters.get(settings, "2of4:4").letter.id == 4
        for wrong in ("1of4:4", "9of9:1", "4"):
            with pytest.raises(NotFoundError):
                letters.get(settings, wrong)
            with pytest.raises(NotFoundError):
                letters.plan(settings, Wanted(), [wrong], limit=1)
        assert letters.plan(settings, Wanted(), ["2of4:4"], limit=1).total == 1
        found = read_ledger(settings, registry)
        assert [(each.name, each.running) for each in found.spools] == [
            ("spool-1of4.sqlite", True),
            ("spool-2of4.sqlite", False),
        ]


NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("90m", datetime(2025, 6, 1, 10, 30, tzinfo=UTC)),
        ("2h", datetime(2025, 6, 1, 10, tzinfo=UTC)),
        ("7d", datetime(2025, 5, 25, 12, tzinfo=UTC)),
        ("2025-05-30", datetime(2025, 5, 30, tzinfo=UTC)),
        ("2025-05-30T08:00+08:00", datetime(2025, 5, 30, tzinfo=UTC)),
    ],
)
def test_times_are_read(written: str, expected: datetime) -> None:
    assert letters.since_ms(written, now=NOW) == expected.timestamp() * 1000
    assert letters.since_ms(None) == 0


@pytest.mark.parametrize("written", ["", "yesterday", "2x", "999999w", "-1h", "2025-13-01"])
def test_what_is_no_time_is_an_error(written: str) -> None:
    with pytest.raises(QueryError, match="write 90m"):
        letters.since_ms(written, now=NOW)


@pytest.mark.parametrize("worker", ["5/4", "0/4", "4", "a/b", "65/99", "1/100", "-1/4"])
def test_workers_that_cannot_be_are_refused(worker: str, tmp_path: Path) -> None:
    assert "worker" in run("ingest", f"--worker={worker}", status=1, data_dir=tmp_path)


def test_workers_need_a_store_that_several_processes_can_use(tmp_path: Path) -> None:
    assert "COURTYARD_STORE=influx" in run("ingest", "--worker", "1/2", status=1, data_dir=tmp_path)
