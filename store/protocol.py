"""What a store does. Both stores fulfil this contract to the letter; tests/store/test_contract.py holds them to it.

Rows. A row belongs to a table and is identified by (compound, device, part, time). Writing a row again replaces it, so
that any number of rewrites, in one batch, in one call or over time, leaves one row: of two contents the one written
later counts (within a call: the later batch, within a batch: the later row). A field that the later content lacks may
keep the value of the earlier one; devices never send two contents under one identity, so nothing is lost by this.

Absence. NaN in a number column and -1 in a label column mean "absent", going in and coming out. Numbers come out with
the very bits that went in. A stored label that the declaration no longer has reads as absent; a field added to a
declaration reads as absent in older rows.

Threads. Any number of threads may call at once. Of a `write` under way DuckDB shows nothing; InfluxDB, which knows no
transactions, may show some rows of it, and some fields of a row. What is written when `write` returns is shown whole.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from devices.columns import Batch
from devices.errors import QueryError
from devices.kind import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which rows and columns of one table to read.

    Attributes:
        table: the table.
        start_ns: first nanosecond of the span (since the epoch, UTC).
        stop_ns: the nanosecond after its last; where it is not above `start_ns` the span is empty.
        compounds: ids of the compounds to read, or None for all. An id that does not occur matches nothing.
        devices: ids of the devices to read, or None for all. Both must match where both are given.
        fields: the columns to read, in this order, or None for all. The choice never changes which rows are read;
            () reads series and time alone.
        before_ns: how far before `start_ns` to look for what still holds at the start; 0 looks for nothing.
        limit: read the newest `limit` rows of the span (over all series together; of rows of one time those of the
            later series count as newer), or None for all. Rows before the start are not counted.
        few: whether few rows are expected, some thousands at most: a store may then ask in another way, which begins
            to answer sooner and takes longer for each row. It never changes the answer.
    """

    table: Table
    start_ns: int
    stop_ns: int
    compounds: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    fields: tuple[str, ...] | None = None
    before_ns: int = 0
    limit: int | None = None
    few: bool = False

    def __post_init__(self) -> None:
        """Check what no store could answer."""
        unknown = [name for name in self.fields or () if name not in self.table.by_name]
        if unknown:
            raise QueryError(f"{self.table.measurement} has no field {', '.join(map(repr, unknown))}")
        if len(set(self.names)) != len(self.names):
            raise QueryError("a field is asked for twice")
        if self.before_ns < 0:
            raise QueryError("before_ns must not be negative")
        if self.limit is not None and self.limit < 1:
            raise QueryError("limit must be at least 1")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read."""
        return tuple(self.table.by_name) if self.fields is None else self.fields

    @property
    def is_empty(self) -> bool:
        """Whether nothing can match, whatever the store holds."""
        return self.start_ns >= self.stop_ns or self.compounds == () or self.devices == ()


class Store(Protocol):
    """Keeps rows of all tables.

    Every method may raise `StoreUnavailableError` (away, overloaded or closed: the same call may go through later) and
    `StoreDeniedError` (credentials).
    """

    def write(self, batches: Sequence[Batch]) -> None:
        """Keep all rows of `batches`, durably: on return they survive the death of the process.

        Args:
            batches: rows of any tables, in any order, with all columns of their table.

        Raises:
            StoreRejectedError: something among the rows will never be taken. With `partial` True all rows of the call
                are kept but the offending ones; with `partial` False count on none of them. Since writing is
                idempotent, a caller may bisect in both cases.
        """
        ...

    def read(self, query: Query) -> Batch:
        """Read rows.

        Args:
            query: which.

        Returns:
            The rows of [start_ns, stop_ns), and in front of them, where `before_ns` is given, for each series and each
            field asked for its last value that is not absent within [start_ns - before_ns, start_ns): such a row
            holds just those values that are last at its time, the other columns being absent. All sorted by series,
            then time. `keys` are those that occur, in ascending order. A batch without rows where nothing matches.
        """
        ...

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        """Read the newest row of each series.

        Args:
            table: the table.
            since_ns: rows before this are not looked at.
            compounds: ids of the compounds to read, or None for all.
            devices: ids of the devices to read, or None for all.
            fields: the columns to read, in this order, or None for all. The choice never changes which rows are read;
                () reads series and time alone, which may cost far less.

        Returns:
            One row per series that has one at or after `since_ns`, however far in the future; sorted by series.
        """
        ...

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        """Count the rows of `table` in [start_ns, stop_ns), exactly."""
        ...

    def ping(self) -> None:
        """Check that the store can be reached and answers to our credentials; raises a `StoreError` where not."""
        ...

    def close(self) -> None:
        """Let go of files and connections; calls after this raise `StoreUnavailableError`. Closing twice is allowed."""
        ...


@runtime_checkable
class DeletingStore(Store, Protocol):
    """A store that can let go of rows for good."""

    def delete(self, table: Table, *, stop_ns: int, compound: str | None = None) -> None:
        """Remove all rows of a table before a time; on return none of them can be read.

        Args:
            table: the table.
            stop_ns: the nanosecond after the last that is removed, since the epoch, UTC.
            compound: remove those of this compound alone; None removes those of all.
        """
        ...


@runtime_checkable
class PreparingStore(Store, Protocol):
    """A store that can do part of a write ahead, in another thread, while it still takes the write before."""

    def prepare(self, batches: Sequence[Batch]) -> Callable[[], None]:
        """Do of a write what needs no database.

        Args:
            batches: as for `write`.

        Returns:
            Does the rest, as `write` would; it may be called again where it fails.

        Raises:
            StoreRejectedError: as `write` would.
        """
        ...
