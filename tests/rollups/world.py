"""A small world for rollups: two compounds, random rows, and the worker on stores in memory."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from prometheus_client import CollectorRegistry

from devices.columns import Batch, Coded, Column, SeriesKey
from devices.errors import StoreUnavailableError
from devices.inventory import Inventory
from devices.kind import Kind, Table
from devices.registry import discover
from rollups.metrics import RollupMetrics
from rollups.reader import Reader
from rollups.worker import Worker, WorkerOptions
from rollups.writelog import WriteLog
from store.protocol import Query
from tests.aggregate.rows import drawn
from tests.api.memory_store import MemoryStore

KINDS = discover()
TZ = ZoneInfo("Asia/Shanghai")
DAY_NS = 86_400 * 10**9
START_NS = 1_746_028_800 * 10**9  # 2025-05-01, midnight in Shanghai
DAYS = 3
STOP_NS = START_NS + DAYS * DAY_NS


def small(kind: Kind, zone: str = "Asia/Shanghai") -> Inventory:
    """Two compounds with two devices of a kind, and one with one."""
    group = "{count: %d, parts: 2}" if kind.part is not None and not kind.part.values else "{count: %d}"
    compounds = "\n".join(
        f"  - {{id: {name}, name: {{en: {name}, zh: {name}}}, buildings: 2, residents: 100, parking_spaces: 5, "
        f"devices: {{{kind.name}: {group % count}}}}}"
        for name, count in (("east", 2), ("west", 1))
    )
    return Inventory.parse(f"name: {{en: small, zh: small}}\ntimezone: {zone}\ncompounds:\n{compounds}\n", KINDS)


def rows_of(kind: Kind, inventory: Inventory, seed: int) -> dict[str, Batch]:
    """Random rows of all devices, sorted."""
    devices = inventory.of_kind(kind.name)
    return {
        name: once(owned(batch, inventory))
        for name, batch in drawn(kind, devices, START_NS, STOP_NS, np.random.default_rng(seed)).items()
    }


def owned(batch: Batch, inventory: Inventory) -> Batch:
    """The rows, under the compound that each device stands in."""
    keys = tuple(SeriesKey(inventory.devices[key.device].compound, key.device, key.part) for key in batch.keys)
    return Batch(batch.table, keys, batch.series, batch.time, batch.columns)


def once(batch: Batch) -> Batch:
    """The rows sorted, each identity once."""
    batch = batch.sorted()
    keep = np.ones(len(batch), np.bool_)
    keep[1:] = (batch.series[1:] != batch.series[:-1]) | (batch.time[1:] != batch.time[:-1])
    return batch.take(keep)


@dataclass(frozen=True)
class Arrival:
    """Rows that are written at once."""

    batches: Sequence[Batch]


def arrivals(tables: Mapping[str, Batch], rng: np.random.Generator, number: int, late: float) -> Iterator[list[Batch]]:
    """All rows in `number` writes: by time, but a share of `late` of them at random."""
    for batch in tables.values():
        assert len(batch)
    turn = {}
    for name, batch in tables.items():
        due = ((batch.time - START_NS) * number // (STOP_NS - START_NS)).clip(0, number - 1)
        turn[name] = np.where(rng.random(len(batch)) < late, rng.integers(due, number), due)
    for each in range(number):
        found = [batch.take(np.flatnonzero(turn[name] == each)) for name, batch in tables.items()]
        yield [batch for batch in found if len(batch)]


class Fragile:
    """A store in memory that dies at a write, once, when it is told to."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._store = MemoryStore()
        self.dies_in: int | None = None

    def write(self, batches: Sequence[Batch]) -> None:
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.dies_in = None
                self._store.write(batches[: len(batches) // 2])
                raise StoreUnavailableError("away in the middle of a write")
        self._store.write(batches)

    def read(self, query: Query) -> Batch:
        return self._store.read(query)

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        return self._store.latest(table, since_ns=since_ns, compounds=compounds, devices=devices, fields=fields)

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        return self._store.count(table, start_ns=start_ns, stop_ns=stop_ns)

    def ping(self) -> None:
        self._store.ping()

    def close(self) -> None:
        self._store.close()


class Rolled:
    """Stores, a log, and a worker on them."""

    def __init__(
        self,
        kind: Kind,
        inventory: Inventory,
        folder: Path,
        clock: Callable[[], int] = lambda: STOP_NS + DAY_NS,
    ) -> None:
        """Begin with nothing."""
        self.kind, self.inventory, self.clock = kind, inventory, clock
        self.raw = MemoryStore()
        self.rolled = Fragile()
        self.log = WriteLog(folder / "log.writelog")
        self.metrics = CollectorRegistry()
        self.options = WorkerOptions(raw_days=36_500)
        self.restart()

    def restart(self) -> None:
        """A worker that knows nothing of what was before."""
        registry = self.metrics = CollectorRegistry()
        self.worker = Worker(
            self.options,
            {self.kind.name: self.kind},
            self.inventory,
            self.raw,
            self.rolled,
            lambda: [self.log],
            metrics=RollupMetrics(registry),
            clock=self.clock,
        )

    def counted(self, name: str, **labels: str) -> float:
        """What the worker has counted since it was started last."""
        return self.metrics.get_sample_value(f"courtyard_rollups_{name}", {"kind": self.kind.name, **labels}) or 0.0

    @property
    def reader(self) -> Reader:
        """Reads what is there now."""
        return Reader(self.raw, self.rolled, self.inventory)

    def take(self, batches: Sequence[Batch]) -> None:
        """What ingest does with rows."""
        self.raw.write(batches)
        self.log.note(batches)


def same_column(one: Column, other: Column) -> bool:
    """Whether two columns hold the same."""
    if isinstance(one, Coded) or isinstance(other, Coded):
        return isinstance(one, Coded) and isinstance(other, Coded) and one.decoded() == other.decoded()
    return np.array_equal(one, other, equal_nan=True)
