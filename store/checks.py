"""What both stores refuse before they begin, so that they refuse the same."""

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np

from devices.columns import Batch, Coded, Column, SeriesKey
from devices.errors import StoreRejectedError
from devices.fields import Field
from devices.kind import Table

MIN_NS = -(2**63) + 2
MAX_NS = 2**63 - 2
"""The first and the last nanosecond that InfluxDB holds."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def anchor(table: Table) -> Field | None:
    """The field by which the rows of `table` are counted: its first required one, which every row has; or None."""
    return next((field for field in table.fields if field.required), None)


def clipped(time_ns: int) -> int:
    """`time_ns`, or the nearest time that a store holds."""
    return min(max(time_ns, MIN_NS), MAX_NS)


def check(batch: Batch) -> None:
    """Refuse a batch that a store could not give back as it is.

    Args:
        batch: what is about to be written.

    Raises:
        StoreRejectedError: a column is missing or of the wrong type; a row lacks a required field; a number is
            infinite; a label is not declared; a time is outside what 64-bit nanoseconds hold; an id or text is empty; a
            text holds control characters or is no Unicode.
    """
    check_rows(batch)
    check_keys(batch.table, batch.keys)


def check_keys(table: Table, keys: Sequence[SeriesKey]) -> None:
    """Refuse series that a store could not give back as they are; raises `StoreRejectedError`."""
    name = table.measurement
    compounds, devices, _ = zip(*keys, strict=True) if keys else ((), (), ())
    if not (all(compounds) and all(devices)):
        raise StoreRejectedError(f"{name}: a row needs a compound and a device")
    _check_text("".join(chain.from_iterable(keys)), name)


def check_rows(batch: Batch) -> None:
    """Refuse rows that a store could not give back as they are, whatever their series; raises `StoreRejectedError`."""
    name = batch.table.measurement
    missing = [each for each in batch.table.by_name if each not in batch.columns]
    if missing:
        raise StoreRejectedError(f"{name}: the batch has no column {', '.join(missing)}")
    if len(batch) and not (int(batch.time.min()) >= MIN_NS and int(batch.time.max()) < MAX_NS):
        raise StoreRejectedError(f"{name}: a time lies outside 64-bit nanoseconds")
    for field in batch.table.fields:
        _check_column(field, batch.columns[field.name], f"{name}.{field.name}")


def _check_column(field: Field, column: Column, where: str) -> None:
    if isinstance(column, Coded):
        if field.is_number:
            raise StoreRejectedError(f"{where}: labels, where numbers are declared")
        if field.is_label and column.labels != field.labels and not set(column.labels) <= set(field.labels):
            raise StoreRejectedError(f"{where}: a label is not declared")
        if "" in column.labels:
            # Flux (influxd 2.8) moves an empty string to the end of its series and all after it one place ahead.
            raise StoreRejectedError(f"{where}: a text is empty")
        _check_text("".join(column.labels), where)
        absent = column.codes < 0
    else:
        if not field.is_number:
            raise StoreRejectedError(f"{where}: numbers, where labels are declared")
        if bool(np.isinf(column).any()):
            raise StoreRejectedError(f"{where}: a number is infinite")
        absent = np.isnan(column)
    if field.required and bool(absent.any()):
        raise StoreRejectedError(f"{where}: a row lacks it, and it is required")


def _check_text(text: str, where: str) -> None:
    if text.isascii() and text.isprintable():
        return
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise StoreRejectedError(f"{where}: a text is no Unicode") from exc
    if _CONTROL.search(text):
        raise StoreRejectedError(f"{where}: a text holds control characters")
