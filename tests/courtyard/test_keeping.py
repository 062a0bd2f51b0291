"""Backup, wipe, restore; purge, and that no older backup brings back what was deleted: on both stores."""

import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from access.audit import Audit
from access.callers import Grant
from access.keys import Keys
from alarms.alarm import Open
from alarms.alarm import Wanted as Alarms
from alarms.book import Book
from alarms.standing import Change, Subject, What
from courtyard import backup, deletions, keeping, rollups, wiring
from courtyard.archive import ArchiveError, packed, unpacked
from courtyard.settings import Settings, load
from devices.alarms import Severity
from devices.columns import Batch, Coded, SeriesKey, column_of
from devices.errors import Reason
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.deadletters import Wanted, refused
from ingest.frame import Messages
from ingest.inspection import find_dead_letters
from ingest.ledger import Account, per_reason
from ingest.outcome import Outcome
from ingest.service import Ingest
from ingest.spool import Spool
from mqtt.options import BrokerOptions
from rollups.grains import Grain
from rollups.tables import figures_table, partials_table, scopes_of
from rollups.writelog import WriteLog
from store.protocol import Query
from tests.api.world import NOW_NS, batches, inventory_of
from tests.ingest.conftest import LIMITS, until
from tests.pipeline.programs import environment as clean
from tests.pipeline.programs import finish
from tests.services import free_port
from tests.services.influx import Influxd

HALF_NS = NOW_NS - 12 * 3600 * 10**9
GONE, STAYS = "jingyuan", "xinyuan"


@pytest.fixture(params=["duck", pytest.param("influx", marks=pytest.mark.services)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, registry: Registry) -> Settings:
    """An installation with readings, rollups, records, and a spool with dead letters and what waits."""
    file = tmp_path / "inventory.yaml"
    file.write_text(text_of(registry))
    more: dict[str, object] = {"data_dir": tmp_path / "data", "inventory": file}
    if request.param == "influx":
        influxd = request.getfixturevalue("fresh_influxd")
        more |= influxd
    made = load(None, **more)
    fill(made, inventory_of(registry), registry)
    return made


@pytest.fixture
def fresh_influxd(tmp_path: Path) -> Iterator[dict[str, object]]:
    with Influxd(folder=tmp_path / "influxd", set_up=False, bucket="courtyard", token="t" * 40) as influxd:
        settings = load(
            None, data_dir=tmp_path / "data", influx_url=influxd.url, influx_admin_password="p" * 20,
            influx_admin_token="t" * 40, store="influx", retention_days=36_500,
        )  # fmt: skip
        tokens = wiring.provision(settings)
        folder = tmp_path / "data" / "tokens"
        folder.mkdir(parents=True)
        (folder / "ingest").write_text(tokens.ingest)
        (folder / "rollups").write_text(tokens.rollups)
        yield {
            "store": "influx", "influx_url": influxd.url, "influx_token_file": folder / "ingest",
            "retention_days": 36_500,
        }  # fmt: skip


def text_of(registry: Registry) -> str:
    lines = ["name: {en: Test Road, zh: 测试路}", "compounds:"]
    for name in (GONE, STAYS):
        lines += [f"  - {{id: {name}, name: {{en: J, zh: 警}}, buildings: 3, residents: 620, parking_spaces: 30,"]
        kinds = [
            f"{kind.name}: {{count: 2, attributes: {{size: 7}}"
            f"{', parts: 2' if kind.part is not None and not kind.part.values else ''}}}"
            for kind in registry.values()
        ]
        lines += [f"     devices: {{{', '.join(kinds)}}}}}"]
    return "\n".join(lines)


def fill(settings: Settings, inventory: Inventory, registry: Registry) -> None:
    rows = list(batches(inventory, registry))
    gate = registry["gate"]
    figures = figures_table(gate, Grain.DAY)
    days = [NOW_NS - 86_400 * 10**9, NOW_NS]
    made = Batch(
        figures,
        (SeriesKey(GONE, "all"), SeriesKey(STAYS, "all"), SeriesKey("all", "all")),
        np.repeat(np.arange(3, dtype=np.int32), 2),
        np.array(days * 3),
        {each.name: column_of(each, [0.5, np.nan if not each.required else 0.25] * 3) for each in figures.fields},
    )
    with keeping.opened(settings) as (readings, rolled):
        readings.store.write(rows)
        rolled.store.write([made])
    with closing(wiring.open_records(settings)) as database:
        raised = [
            (Change(What.RAISED, Subject("gate", rule, name, f"{name}-gate-01"), at, at, "x"), Severity.MINOR)
            for name in (GONE, STAYS)
            for rule, at in (("held", HALF_NS - 10), ("forced", HALF_NS + 10))
        ]
        Book(database).write(raised, {}, {})
        Keys(database).create("wall", Grant(), by="test", now_ns=1)
        Audit(database).write("test", "filled")
    spool = Spool(settings.data_dir / "spool.sqlite", LIMITS)
    letters = [
        refused(
            time_ms=at // 10**6, reason=Reason.JSON, message="m", topic=f"compounds/{name}/gate/g/event",
            payload=b"{of-" + name.encode(), kind="gate", compound=name, size=9,
        )
        for name in (GONE, STAYS)
        for at in (HALF_NS - 10**9, HALF_NS + 10**9)
    ]  # fmt: skip
    spool.append(Messages(["t"], [b"done"]), 1)
    spool.trim(1, Outcome({}, letters))
    waiting = [
        (
            f"compounds/{name}/gate/{name}-gate-01/telemetry",
            b'{"ts":%d,"seq":1,"door":"open","tamper":false,"uptime_s":1}' % ts,
        )
        for name in (GONE, STAYS)
        for ts in ((HALF_NS - 10**9) // 10**6, (HALF_NS + 10**9) // 10**6)
    ]
    spool.append(Messages(*map(list, zip(*waiting, strict=True))), NOW_NS // 10**6)  # type: ignore[arg-type]
    spool.close()


def drain(settings: Settings, inventory: Inventory, registry: Registry) -> Mapping[Account, int]:
    """Have ingest write what waits in the spool; its counters."""
    store = wiring.open_store(settings, registry)
    broker = BrokerOptions(port=free_port(), timeout_s=1.0)  # nobody is there
    options = replace(wiring.ingest_options(settings), dead_letters_days=36_500)
    ingest = Ingest(options, broker, inventory, registry, store)
    ingest.start()
    until(lambda: ingest.health().pending_messages == 0)
    ingest.stop()
    store.close()
    return ingest.health().counts


def counts(settings: Settings) -> dict[str, dict[str, int]]:
    with keeping.opened(settings) as parts:
        return {part.name: part.counts() for part in parts}


def rows(settings: Settings) -> list[tuple[object, ...]]:
    """Every row, bit by bit."""
    with keeping.opened(settings) as parts:
        batches = [batch for part in parts for table in part.tables.values() for batch in part.pieces(table)]
    return [(batch.table.measurement, *content(batch)) for batch in batches]


def content(batch: Batch) -> tuple[list[SeriesKey], list[int], dict[str, object]]:
    """What a batch says, however its labels are numbered; numbers by their bits."""
    columns: dict[str, object] = {
        name: column.decoded() if isinstance(column, Coded) else column.tobytes()
        for name, column in batch.columns.items()
    }
    return [batch.keys[each] for each in batch.series.tolist()], batch.time.tolist(), columns


def of(settings: Settings, compound: str, before_ns: int) -> int:
    """Rows of a compound before a time, in both stores."""
    with keeping.opened(settings) as parts:
        return sum(part.of_compound(table, compound, before_ns) for part in parts for table in part.tables.values())


def wipe(settings: Settings) -> None:
    """Everything is lost but the backups, and what InfluxDB needs to run."""
    with keeping.opened(settings) as parts:
        for part in parts:
            for table in part.tables.values():
                part.store.delete(table, stop_ns=2**62)
    for path in settings.data_dir.iterdir():
        if path.name not in {"backups", "tokens"}:
            path.unlink() if path.is_file() else shutil.rmtree(path)


def silent(_: str) -> None:
    """Tell nobody."""


def test_backup_wipe_restore(settings: Settings, tmp_path: Path) -> None:
    before, told = counts(settings), rows(settings)
    assert sum(before["readings"].values()) > 1000
    assert before["rollups"]
    saved = backup.backup(settings, tmp_path / "saved.zip", silent)
    assert saved == before
    assert (tmp_path / "saved.zip").stat().st_mode & 0o077 == 0
    wipe(settings)
    assert counts(settings) == {"readings": {}, "rollups": {}}
    lines = backup.restore(settings, tmp_path / "saved.zip", silent)
    assert all(each.is_equal and not each.withheld for each in lines)
    assert counts(settings) == before
    assert rows(settings) == told
    with closing(wiring.open_records(settings)) as database:
        assert [each.name for each in Keys(database).list()] == ["wall"]
        assert Audit(database).verify().broken is None
        assert len(Book(database).find(all_alarms(), limit=10)[1]) == 4
    assert len(find_dead_letters(settings.data_dir / "spool.sqlite", Wanted(), limit=10)) == 4
    spool = Spool(settings.data_dir / "spool.sqlite", LIMITS)
    assert spool.pending.messages == 4
    spool.close()


def all_alarms() -> Alarms:
    return Alarms(state=Open.ALL)


def environment(settings: Settings) -> dict[str, str]:
    named = ("data_dir", "inventory", "store", "influx_url", "influx_token_file", "retention_days")
    return clean(**{name: value for name in named if (value := getattr(settings, name)) is not None})


def test_what_is_purged_stays_gone_whatever_is_restored(settings: Settings, registry: Registry, tmp_path: Path) -> None:
    old = tmp_path / "elsewhere" / "old.zip"
    backup.backup(settings, old, silent)
    total, kept = of(settings, GONE, HALF_NS), of(settings, STAYS, HALF_NS)
    later = of(settings, GONE, 2**62) - total
    assert min(total, kept, later) > 100
    when = np.datetime64(HALF_NS, "ns").astype("datetime64[s]").item().isoformat() + "+00:00"
    said = finish(["courtyard", "purge", "--compound", GONE, "--before", when, "--yes"], environment(settings))
    assert ", 0 left" in said
    check_gone(settings, kept, later)
    with closing(wiring.open_records(settings)) as database:
        assert [each.what for each in Audit(database).newest(2)] == ["purge.done", "purge"]

    # Everything is lost, and the backup is older than the purge: what was noted beside the backups holds it back.
    wipe(settings)
    lines = backup.restore(settings, old, silent)
    assert all(each.is_equal for each in lines)
    assert sum(each.withheld for each in lines) == total
    check_gone(settings, kept, later)
    with closing(wiring.open_records(settings)) as database:
        assert [each.compound for each in deletions.kept(database)] == [GONE]

    # The notes are lost too, but a backup made since knows.
    new = tmp_path / "new.zip"
    backup.backup(settings, new, silent)
    wipe(settings)
    shutil.rmtree(settings.data_dir / "backups")
    backup.restore(settings, new, silent)
    backup.restore(settings, old, silent)
    check_gone(settings, kept, later)

    # Nor does what waited in the spool while all of this went on.
    counts = drain(settings, inventory_of(registry), registry)
    assert per_reason(counts)[Reason.DELETED] == 1
    check_gone(settings, kept + 1, later + 1, barred=1)


def check_gone(settings: Settings, kept: int, later: int, *, barred: int = 0) -> None:
    assert of(settings, GONE, HALF_NS) == 0
    assert of(settings, STAYS, HALF_NS) == kept
    assert of(settings, GONE, 2**62) == later
    letters = find_dead_letters(settings.data_dir / "spool.sqlite", Wanted(), limit=10)
    assert sorted(each.compound for each in letters) == [GONE] * (1 + barred) + [STAYS, STAYS]
    with closing(wiring.open_records(settings)) as database:
        found = Book(database).find(all_alarms(), limit=10)[1]
    assert sorted((each.compound, each.rule) for each in found) == [
        (GONE, "forced"), (STAYS, "forced"), (STAYS, "held"),
    ]  # fmt: skip


def test_rollups_catch_up_with_what_was_restored(tmp_path: Path, registry: Registry) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(text_of(registry))
    taken = list(batches(inventory_of(registry), registry))
    late = [batch.take(np.arange(len(batch)) % 7 == 0) for batch in taken]
    early = [batch.take(np.arange(len(batch)) % 7 != 0) for batch in taken]
    whole, saved = (load(None, data_dir=tmp_path / name, inventory=file) for name in ("whole", "saved"))
    write(whole, taken)
    rollups.run(whole, lambda worker: worker.catch_up())
    write(saved, early)
    rollups.run(saved, lambda worker: worker.catch_up())
    write(saved, late)  # noted, but not rolled up when it is saved
    assert partials(saved, registry) != partials(whole, registry)
    backup.backup(saved, tmp_path / "saved.zip", silent)
    wipe(saved)
    backup.restore(saved, tmp_path / "saved.zip", silent)
    rollups.run(saved, lambda worker: worker.catch_up())
    assert partials(saved, registry) == partials(whole, registry)


def write(settings: Settings, batches: Sequence[Batch]) -> None:
    """What ingest does with rows."""
    with keeping.opened(settings) as (readings, _):
        readings.store.write(batches)
    with closing(WriteLog(settings.data_dir / "spool.writelog")) as log:
        log.note(batches)


def partials(settings: Settings, registry: Registry) -> dict[str, tuple[list[SeriesKey], list[int], dict[str, object]]]:
    tables = [
        partials_table(kind, scope, grain) for kind in registry.values() for scope in scopes_of(kind) for grain in Grain
    ]
    with keeping.opened(settings) as (_, rolled):
        found = {
            table.measurement: content(rolled.store.read(Query(table=table, start_ns=0, stop_ns=2**62)))
            for table in tables
        }
    assert sum(len(times) for _, times, _ in found.values()) > 1000
    return found


def test_a_damaged_backup_touches_nothing(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "saved.zip"
    backup.backup(settings, path, silent)
    before = counts(settings)
    with pytest.raises(ArchiveError, match="cannot be made"):
        backup.backup(settings, path, silent)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "cut.zip", "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:-1] + b"x" if name.startswith("readings/gate_pass") else content)
    (tmp_path / "none.zip").write_bytes(path.read_bytes()[:1000])
    for name in ("cut.zip", "none.zip", "missing.zip"):
        with pytest.raises(ArchiveError):
            backup.restore(settings, tmp_path / name, silent)
    assert counts(settings) == before
    spool = Spool(settings.data_dir / "spool.sqlite", LIMITS)
    with pytest.raises(ArchiveError, match="stop all parts"):
        backup.restore(settings, path, silent)
    spool.close()


def test_rows_pass_through_a_file_bit_by_bit(registry: Registry) -> None:
    for batch in batches(inventory_of(registry), registry, seconds=7200):
        back = unpacked(packed(batch), batch.table)
        assert content(back) == content(batch)
    with pytest.raises(ArchiveError):
        unpacked(b"nonsense", batch.table)
