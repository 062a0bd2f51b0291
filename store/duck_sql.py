"""The statements that read and write the rows of one table in a DuckDB file.

Names in them are those of declared kinds and fields, which are checked to be `[a-z][a-z0-9_]*`; everything else is
passed as a parameter.
"""
# ruff: noqa: S608  (see above: no text from outside is put into a statement)

from collections.abc import Iterable, Sequence

from devices.kind import Table

INCOMING = "_incoming"
"""The name under which rows to be written are registered."""

INSERT_SERIES = f"INSERT INTO _series SELECT id, compound, device, part FROM {INCOMING}"  # nosec B608
"""Add series: id, compound, device, part."""


def quoted(name: str) -> str:
    """A declared name as SQL takes it: it may be a key word."""
    return f'"{name}"'


def of_series(*, chosen: bool) -> str:
    """A condition that follows another: only the series whose numbers are given as a list; nothing unless `chosen`."""
    return " AND _series IN (SELECT unnest(?))" if chosen else ""


def delete(table: Table) -> str:
    """Remove the rows whose series and time are among the incoming ones."""
    return (
        f"DELETE FROM {quoted(table.measurement)} AS old USING {INCOMING} AS new "  # nosec B608
        "WHERE old._series = new._series AND old.time = new.time"
    )


def delete_before(table: Table, series: str) -> str:
    """Remove the rows before a time: parameter that time."""
    return f"DELETE FROM {quoted(table.measurement)} WHERE time < ?{series}"  # nosec B608


def insert(table: Table, columns: Sequence[str]) -> str:
    """Add the incoming rows."""
    names = ", ".join(map(quoted, columns))
    return f"INSERT INTO {quoted(table.measurement)} ({names}) SELECT {names} FROM {INCOMING}"  # nosec B608


def select(table: Table, fields: Iterable[str], series: str) -> str:
    """Rows of a span: parameters first time, time after the last."""
    return f"SELECT {_columns(fields)} FROM {quoted(table.measurement)} WHERE time >= ? AND time < ?{series}"  # nosec B608


def nth_newest(table: Table, series: str) -> str:
    """The time of one row of a span, counted from the newest: parameters as `select`, then how many to leave out."""
    return (
        f"SELECT time FROM {quoted(table.measurement)} WHERE time >= ? AND time < ?{series} "  # nosec B608
        "ORDER BY time DESC LIMIT 1 OFFSET ?"
    )


def lasts(table: Table, fields: Iterable[str], series: str) -> str:
    """Per series and field the last value in a span, as "<field>", and its time, as "<field>.time"."""
    pairs = [
        f"max(time) FILTER (WHERE {name} IS NOT NULL) AS {time}, arg_max({name}, time) AS {name}"
        for name, time in ((quoted(field), quoted(f"{field}.time")) for field in fields)
    ]
    return (
        f"SELECT _series, {', '.join(pairs)} FROM {quoted(table.measurement)} "  # nosec B608
        f"WHERE time >= ? AND time < ?{series} GROUP BY _series"
    )


def latest(table: Table, fields: Iterable[str], series: str) -> str:
    """Per series its newest row: parameter the time before which not to look."""
    name = quoted(table.measurement)
    times = f"SELECT _series, max(time) AS time FROM {name} WHERE time >= ?{series} GROUP BY _series"  # nosec B608
    return f"SELECT {_columns(fields)} FROM {name} JOIN ({times}) USING (_series, time)"  # nosec B608


def newest(table: Table) -> str:
    """Per series its newest time."""
    return f"SELECT _series, max(time) AS time FROM {quoted(table.measurement)} GROUP BY _series"  # nosec B608


def count(table: Table) -> str:
    """The number of rows in a span."""
    return f"SELECT count(*) FROM {quoted(table.measurement)} WHERE time >= ? AND time < ?"  # nosec B608


def _columns(fields: Iterable[str]) -> str:
    return ", ".join(["_series", "time", *map(quoted, fields)])
