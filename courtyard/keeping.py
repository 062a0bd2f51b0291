"""All that an installation keeps, as backup, restore, retention and purge work on it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from courtyard import wiring
from courtyard.settings import Settings
from devices.columns import Batch
from devices.errors import SettingsError
from devices.kind import Table
from ingest.workers import all_spools
from rollups.tables import tables as rollup_tables
from store.checks import MAX_NS
from store.protocol import DeletingStore, Query

PIECE_ROWS = 200_000
"""So many rows are read at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """One store and its tables.

    Attributes:
        name: `readings` or `rollups`.
        store: holds them.
        tables: by measurement.
    """

    name: str
    store: DeletingStore
    tables: Mapping[str, Table]

    def counts(self) -> dict[str, int]:
        """The rows of each table that has any; raises `StoreError`."""
        found = {name: self.count(table) for name, table in self.tables.items()}
        return {name: count for name, count in found.items() if count}

    def count(self, table: Table) -> int:
        """The rows of a table; raises `StoreError`."""
        return self.store.count(table, start_ns=0, stop_ns=MAX_NS)

    def pieces(self, table: Table, *, start_ns: int = 0, stop_ns: int = MAX_NS) -> Iterator[Batch]:
        """All rows of a table, some at a time; raises `StoreError`."""
        count = self.store.count(table, start_ns=start_ns, stop_ns=stop_ns)
        if not count:
            return
        if count <= PIECE_ROWS or stop_ns - start_ns <= 1:
            yield self.store.read(Query(table=table, start_ns=start_ns, stop_ns=stop_ns))
            return
        middle = start_ns + (stop_ns - start_ns) // 2
        yield from self.pieces(table, start_ns=start_ns, stop_ns=middle)
        yield from self.pieces(table, start_ns=middle, stop_ns=stop_ns)

    def of_compound(self, table: Table, compound: str, stop_ns: int) -> int:
        """How many rows a compound has before a time; raises `StoreError`."""
        query = Query(table=table, start_ns=0, stop_ns=stop_ns, compounds=(compound,), fields=())
        return len(self.store.read(query))


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Part, Part]]:
    """Readings and rollups; raises `SettingsError` and `StoreError`."""
    known = wiring.kinds()
    with ExitStack() as stack:
        readings, rolled = wiring.open_to_keep(settings, known)
        stack.callback(readings.close)
        stack.callback(rolled.close)
        yield (
            _part("readings", readings, known.tables()),
            _part("rollups", rolled, rollup_tables(known)),
        )


def records_file(settings: Settings) -> Path:
    """The file of the records.

    Raises:
        SettingsError: they are in another database, which has tools of its own.
    """
    if settings.records_url is None:
        return settings.data_dir / "records.db"
    url = make_url(settings.records_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise SettingsError("COURTYARD_RECORDS_URL is no SQLite file: save and load it with the tools of its database")
    return Path(url.database)


def spools(settings: Settings) -> list[Path]:
    """The spools of all ingest processes: counters, dead letters, and what waits."""
    return [path for path in all_spools(wiring.spool_dir(settings)) if path.exists()]


def _part(name: str, store: object, tables: object) -> Part:
    if not isinstance(store, DeletingStore):
        raise SettingsError(f"the store of {name} cannot let go of rows")
    listed: list[Table] = list(tables)  # type: ignore[call-overload]  # any iterable of tables
    return Part(name, store, {each.measurement: each for each in listed})
