"""Rows of a batch as values that JSON can carry."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from api.models import Value
from devices.columns import Batch, Coded, Column, Floats
from devices.fields import Field


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
