"""The worker: from rows in a store to alarms in the book, whatever is killed in between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from alarms.alarm import Open, Wanted
from alarms.book import Book
from alarms.calendar import Calendar
from alarms.errors import AcknowledgedError, UnknownAlarmError, UnknownWindowError
from alarms.windows import Window
from alarms.worker import READER, AlarmWorker
from devices.columns import Batch, Coded, Column
from devices.inventory import Inventory
from devices.kind import STATUS, TELEMETRY
from devices.registry import Registry
from records.database import Database
from records.errors import RecordsError
from rollups.writelog import WriteLog
from simulators.behaviour import discover
from simulators.faults.devices import DeviceFaults
from simulators.faults.options import FaultRates
from simulators.options import selected
from simulators.source import Source
from store.duck import DuckStore
from tests.alarms.made import S

HOUR_MS = 3_600_000
FAULTS = FaultRates(outages=1, reboots=2, frozen=2)
START_MS = 1_762_300_800_000  # 2025-11-05, midnight UTC


@dataclass
class Street:
    """A compound whose readings come as they do, with a clock that follows them."""

    inventory: Inventory
    registry: Registry
    folder: Path
    now_ns: int = START_MS * 1_000_000

    def __post_init__(self) -> None:
        """Open everything."""
        self.store = DuckStore(self.folder / "rows.duckdb", self.registry.tables())
        self.log = WriteLog(self.folder / "a.writelog")
        self.database = Database(f"sqlite:///{self.folder / 'records.db'}")
        self.database.migrate()
        self.book = Book(self.database)
        self.reader = WriteLog(self.folder / "a.writelog", reader=READER)
        behaviours = discover(self.registry)
        self.source = Source(self.inventory, self.registry, behaviours, 7)
        devices = tuple(self.inventory.devices.values())
        self.faults = DeviceFaults(FAULTS, devices, self.registry, behaviours, 7, START_MS, "sim")

    def worker(self) -> AlarmWorker:
        """A worker that begins with what the book has."""
        return AlarmWorker(
            self.registry, self.inventory, self.store, self.book, lambda: [self.reader], clock=lambda: self.now_ns
        )

    def take(self, batches: list[Batch]) -> None:
        """What ingest does with rows."""
        self.store.write(batches)
        self.log.note(batches)

    def pass_by(self, ms: int) -> None:
        """Some time with its readings."""
        begin_ms = self.now_ns // 1_000_000
        end_ms = begin_ms + ms
        rows = self.faults.applied(self.source.span(begin_ms, end_ms), begin_ms, end_ms)
        self.take([replace(each, time=each.time + np.arange(len(each)) % 1000) for each in rows if len(each)])
        self.now_ns += ms * 1_000_000

    def alarms(self, state: Open = Open.ALL) -> list[tuple[str, str, str, int, int | None]]:
        """All alarms, by what they are about."""
        _, found = self.book.find(Wanted(state=state), limit=10_000)
        return sorted((each.rule, each.device, each.part, each.raised_ns, each.cleared_ns) for each in found)

    def close(self) -> None:
        """Close everything."""
        self.store.close()
        for each in (self.log, self.reader):
            each.close()
        self.database.close()


@pytest.fixture
def street(inventory: Inventory, registry: Registry, tmp_path: Path) -> Iterator[Street]:
    found = Street(selected(inventory, "jingyuan", ""), registry, tmp_path)
    yield found
    found.close()


def changed(street: Street, kind: str, how: Callable[[Batch], Batch]) -> Batch:
    """The last telemetry of a kind's first device, a minute later and otherwise."""
    table = street.registry[kind].tables[TELEMETRY]
    last = street.store.latest(table, since_ns=0)
    one = last.take(np.flatnonzero([last.keys[each].device.endswith("-01") for each in last.series]))
    return how(Batch(table, one.keys, one.series, np.full(len(one), street.now_ns), one.columns))


def full(batch: Batch) -> Batch:
    return replace(batch, columns={**batch.columns, "fill": np.full(len(batch), 0.97)})


def empty(batch: Batch) -> Batch:
    return replace(batch, columns={**batch.columns, "fill": np.zeros(len(batch))})


def test_a_full_bin_is_an_alarm_until_it_is_emptied(street: Street) -> None:
    worker = street.worker()
    street.pass_by(HOUR_MS)
    while worker.turn():
        pass
    street.take([changed(street, "bin", full)])
    street.now_ns += S
    worker.turn()
    found = [each for each in street.alarms(Open.OPEN) if each[0] == "full" and "-bin-" in each[1]]
    assert len(found) == 4  # each of its streams
    assert {each[1] for each in found} == {"jingyuan-bin-01"}
    worker.turn()
    street.worker().turn()
    assert [each for each in street.alarms(Open.OPEN) if each[0] == "full" and "-bin-" in each[1]] == found
    street.now_ns += 600 * S
    street.take([changed(street, "bin", empty)])
    worker.turn()
    assert not [each for each in street.alarms(Open.OPEN) if each[0] == "full" and "-bin-" in each[1]]


@pytest.mark.parametrize("seed", range(3))
def test_deaths_and_doubles_change_nothing(street: Street, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (tmp_path / "twin").mkdir()
    twin = Street(street.inventory, street.registry, tmp_path / "twin")
    steady, worker = twin.worker(), street.worker()
    for _ in range(36):
        for each in (street, twin):
            each.pass_by(HOUR_MS // 2)
        while steady.turn():
            pass
        with dying(street, int(rng.integers(0, 3))):
            while worker.turn():
                pass
        worker = street.worker()
        if rng.random() < 0.5:  # what was written is noted once more
            street.log.note([street.store.latest(table, since_ns=0) for table in street.registry.tables()])
        while worker.turn():
            pass
    assert street.alarms() == twin.alarms()
    assert len(street.alarms()) > 5
    twin.close()


@contextmanager
def dying(street: Street, where: int) -> Iterator[None]:
    """The worker dies before its first write, after it, or not at all."""
    write = street.book.write

    def first(*args: object, **more: object) -> None:
        if where == 1:
            write(*args, **more)  # type: ignore[arg-type]
        raise RuntimeError("killed")

    if where < 2:
        street.book.write = first  # type: ignore[method-assign]  # a stand-in that may take anything
    try:
        yield
    except RuntimeError:
        pass
    finally:
        street.book.write = write  # type: ignore[method-assign]  # back again


def test_a_device_that_goes_is_told_by_its_status(street: Street) -> None:
    worker = street.worker()
    street.pass_by(HOUR_MS)
    while worker.turn():
        pass
    table = street.registry["gate"].tables[STATUS]
    labels = table.by_name["state"].labels
    device = street.inventory.of_kind("gate")[0]
    columns: dict[str, Column] = {
        "state": Coded(np.array([labels.index("offline")], np.int32), labels),
        "firmware": Coded(np.array([-1], np.int32), ()),
    }
    street.take([Batch(table, tuple(device.keys(table)), np.zeros(1, np.int32), np.array([street.now_ns]), columns)])
    street.now_ns += 121 * S
    worker.turn()
    (alarm,) = [each for each in street.alarms(Open.OPEN) if each[0] == "offline"]
    assert alarm[1] == device.id


def test_of_two_who_acknowledge_one_does(street: Street) -> None:
    worker = street.worker()
    street.pass_by(HOUR_MS)
    street.take([changed(street, "bin", full)])
    street.now_ns += S
    while worker.turn():
        pass
    _, found = street.book.find(Wanted(), limit=10)
    number = found[0].id
    alarm = street.book.acknowledge(number, by="Li", note="on my way", now_ns=street.now_ns + 60 * S)
    assert (alarm.acknowledged_by, alarm.note) == ("Li", "on my way")
    with pytest.raises(AcknowledgedError, match="Li"):
        street.book.acknowledge(number, by="Wang", note="", now_ns=street.now_ns)
    with pytest.raises(UnknownAlarmError):
        street.book.acknowledge(10_000, by="Wang", note="", now_ns=street.now_ns)
    summary = street.book.summary(Wanted(state=Open.ALL))
    assert summary.raised == summary.open + sum(each[4] is not None for each in street.alarms())
    assert summary.mean_acknowledge_s == pytest.approx((street.now_ns + 60 * S - alarm.raised_ns) / S)


def test_records_that_are_away_are_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/none/records.db")
    with pytest.raises(RecordsError, match="records cannot be read or written"):
        database.migrate()
    (tmp_path / "text.db").write_text("no database" * 100)
    other = Database(f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(RecordsError):
        other.migrate()
    for each in (database, other):
        each.close()


def test_what_is_gone_from_the_inventory_has_no_alarm(street: Street, inventory: Inventory) -> None:
    worker = street.worker()
    street.pass_by(HOUR_MS)
    street.take([changed(street, "bin", full)])
    street.now_ns += S
    while worker.turn():
        pass
    assert [each for each in street.alarms(Open.OPEN) if "-bin-" in each[1]]
    street.inventory = selected(inventory, "shuichang", "")
    street.worker().turn()
    assert not [each for each in street.alarms(Open.OPEN) if "-bin-" in each[1]]
    assert street.book.standings().keys() == {each for each in street.book.standings() if each.compound == "shuichang"}


def test_where_the_log_was_too_long_everything_is_looked_at(street: Street) -> None:
    worker = street.worker()
    street.pass_by(HOUR_MS)
    while worker.turn():
        pass
    street.store.write([changed(street, "bin", full)])  # and no mark of it is left but one that says: everything
    street.log.ask_everything(0)
    street.now_ns += S
    while worker.turn():
        pass
    assert len([each for each in street.alarms(Open.OPEN) if each[:2] == ("full", "jingyuan-bin-01")]) == 4


def test_in_a_window_nothing_is_raised(street: Street) -> None:
    calendar = Calendar(street.database)
    made = calendar.add(
        Window(id=0, compound="jingyuan", device="jingyuan-bin-01", start_ns=0, stop_ns=2**62, by="Li", note="")
    )
    assert calendar.since(street.now_ns) == [made]
    worker = AlarmWorker(
        street.registry,
        street.inventory,
        street.store,
        street.book,
        lambda: [street.reader],
        calendar=calendar,
        clock=lambda: street.now_ns,
    )
    street.pass_by(HOUR_MS)
    street.take([changed(street, "bin", full)])
    street.now_ns += S
    while worker.turn():
        pass
    assert not [each for each in street.alarms(Open.OPEN) if each[1] == "jingyuan-bin-01"]
    calendar.remove(made.id)
    with pytest.raises(UnknownWindowError):
        calendar.remove(made.id)
    worker.turn()
    assert len([each for each in street.alarms(Open.OPEN) if each[:2] == ("full", "jingyuan-bin-01")]) == 4
