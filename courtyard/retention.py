"""Lets go of rows of tables that are kept for less time than all: InfluxDB keeps a bucket's tables equally long.

Ingest does it, for its token may write, and so delete; and it refuses what is older. Raw rows are kept two days longer
than they are taken, since what is rolled up anew of the oldest of them begins up to a day earlier.
"""

import time
from collections.abc import Callable, Mapping

import structlog

from courtyard.settings import Settings
from courtyard.threads import Threads
from devices.errors import SettingsError, StoreError
from devices.kind import Kind, Table
from devices.registry import Registry
from store.protocol import DeletingStore, Store

_EVERY_S = 3600.0
_LONGER_DAYS = 2
_NS_PER_DAY = 86_400 * 1_000_000_000
_LOG = structlog.get_logger(__name__)


class Retention:
    """Deletes what is too old, once an hour, in a thread of its own."""

    def __init__(self, settings: Settings, known: Registry, store: Store) -> None:
        """Prepare.

        Args:
            settings: as loaded.
            known: the kinds.
            store: holds the readings; it stays the caller's.

        Raises:
            SettingsError: a table is named that no kind has.
        """
        self._tables = tables_of(settings.retention_days_of, known)
        self._store = store
        self._threads = Threads()

    @property
    def failure(self) -> str | None:
        """Why its thread died; None while it has not."""
        return self._threads.failure

    def start(self) -> None:
        """Begin; nothing where all tables are kept equally long."""
        if self._tables and isinstance(self._store, DeletingStore):
            self._threads.begin("retention", self._run)

    def stop(self) -> None:
        """End. Safe to call twice."""
        self._threads.stop()

    def once(self, now_ns: int) -> None:
        """Delete what is too old now; raises `StoreError`."""
        if not isinstance(self._store, DeletingStore):
            return
        for table, days in self._tables.items():
            self._store.delete(table, stop_ns=now_ns - (days + _LONGER_DAYS) * _NS_PER_DAY)

    def _run(self, stopped: Callable[[float], bool]) -> None:
        while not stopped(0):
            try:
                self.once(time.time_ns())
            except StoreError as exc:
                _LOG.warning(
                    "old rows cannot be deleted; it is tried again in an hour", code=exc.code, error=exc.message
                )
            if stopped(_EVERY_S):
                return


def tables_of(days: Mapping[str, int], known: Mapping[str, Kind]) -> dict[Table, int]:
    """The tables that are kept for less, and for how many days.

    Raises:
        SettingsError: one is named that no kind has.
    """
    tables = {each.measurement: each for kind in known.values() for each in kind.tables.values()}
    unknown = sorted(set(days) - set(tables))
    if unknown:
        raise SettingsError(
            f"COURTYARD_RETENTION_DAYS_OF: there is no table {unknown[0]!r}; there are {', '.join(sorted(tables))}"
        )
    return {tables[name]: each for name, each in days.items()}


def days_of_kinds(days: Mapping[str, int], known: Mapping[str, Kind]) -> dict[str, int]:
    """For how many days all tables are kept of kinds that have some which are kept for less.

    Raises:
        SettingsError: a table is named that no kind has.
    """
    found: dict[str, int] = {}
    for table, each in tables_of(days, known).items():
        found[table.kind] = min(each, found.get(table.kind, each))
    return found
