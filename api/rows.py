"""Which rows and columns are asked for, and rows of a batch as values that JSON can carry."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from api.models import Value
from api.times import shown
from devices.columns import Batch, Coded, Column, Floats
from devices.errors import QueryError
from devices.fields import Field
from devices.kind import Kind, Table


def table_of(kind: Kind, name: str) -> Table:
    """The table of a kind that a parameter names; a `QueryError` that lists them where there is none."""
    if name not in kind.tables:
        raise QueryError(
            f"table={shown(name)}: a {kind.name} has no such table; send one of {', '.join(kind.tables)}",
            code="unknown_table",
        )
    return kind.tables[name]


def fields_of(table: Table, wanted: Sequence[str]) -> tuple[str, ...]:
    """The fields that a parameter names, all where it names none; a `QueryError` that lists them for an unknown one."""
    unknown = [name for name in wanted if name not in table.by_name]
    if unknown:
        known = ", ".join(table.by_name) or "none: leave `fields` out"
        raise QueryError(
            f"fields={shown(unknown[0])}: {table.measurement} has no such field; it has {known}", code="unknown_field"
        )
    return tuple(dict.fromkeys(wanted)) or tuple(table.by_name)


def finite(values: Floats) -> list[float | None]:
    """The numbers as a list; None where there is none."""
    listed: list[float | None] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        listed[index] = None
    return listed


def records(batch: Batch, names: Sequence[str], rows: NDArray[np.intp]) -> list[dict[str, Value]]:
    """The values of `rows`, in that order.

    Args:
        batch: the rows.
        names: the columns wanted.
        rows: which rows.

    Returns:
        One mapping from field to value per row; None where the row has none; booleans and whole numbers as such.
    """
    columns = [_values(batch.table.by_name[name], batch.columns[name], rows) for name in names]
    if not columns:  # an event that says no more than that it happened
        return [{} for _ in range(len(rows))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def parts(batch: Batch, rows: NDArray[np.intp]) -> list[str | None]:
    """The part that each of `rows` names; None in tables without parts."""
    names = [key.part or None for key in batch.keys]
    return [names[series] for series in batch.series[rows].tolist()]


def _values(field: Field, column: Column, rows: NDArray[np.intp]) -> Sequence[Value]:
    if not isinstance(column, Coded):
        numbers = finite(column[rows])
        return [each if each is None else int(each) for each in numbers] if field.integer else numbers
    labels = Coded(column.codes[rows], column.labels).decoded()
    return [each if each is None else each == "true" for each in labels] if field.boolean else labels
