"""The tables of a DuckDB file: one per measurement, and two that name what its rows only number.

- `_series(id, compound, device, part)`: every series that was ever written.
- `_labels(measurement, field, code, label)`: the labels of states and categories, in the order they came to be known,
  so that a kind may gain, reorder or lose labels while old rows keep theirs.
- `<measurement>(_series, time, <fields>)`: numbers DOUBLE, labels SMALLINT codes, identities VARCHAR; NULL is absent.

Names of kinds and fields begin with a letter, so that none meets these.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from devices.columns import ABSENT, Codes
from devices.errors import StoreRejectedError
from devices.fields import Field
from devices.kind import Table
from store.duck_sql import quoted

_BASE = """
CREATE TABLE IF NOT EXISTS _series (
    id INTEGER PRIMARY KEY, compound VARCHAR NOT NULL, device VARCHAR NOT NULL, part VARCHAR NOT NULL,
    UNIQUE (compound, device, part)
);
CREATE TABLE IF NOT EXISTS _labels (
    measurement VARCHAR NOT NULL, field VARCHAR NOT NULL, code SMALLINT NOT NULL, label VARCHAR NOT NULL,
    PRIMARY KEY (measurement, field, label)
);
"""
_COLUMNS = """
SELECT table_name, column_name, data_type FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal
"""
_LABELS = "SELECT measurement, field, label, code FROM _labels"
_ADD_LABELS = "INSERT INTO _labels SELECT unnest(?), unnest(?), unnest(?), unnest(?)"


@dataclass(frozen=True, slots=True)
class LabelCodes:
    """How a field's labels are numbered in the file.

    Attributes:
        stored: int16[labels + 1], the file's code of each declared label, and last of "absent".
        declared: int32[codes + 1], the declared code of each code of the file, or absent where the declaration no
            longer has it; and last of "absent".
    """

    stored: NDArray[np.int16]
    declared: Codes


def create(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> dict[tuple[str, str], LabelCodes]:
    """Bring the file up to what the kinds declare: new tables, new columns, new labels.

    Args:
        connection: the open file, outside a transaction.
        tables: all tables.

    Returns:
        The numbering of every label field, by measurement and field.

    Raises:
        StoreRejectedError: a field is declared with another type than the file has it.
    """
    connection.begin()
    try:
        connection.execute(_BASE)
        present: dict[str, dict[str, str]] = {}
        for name, column, sql_type in connection.execute(_COLUMNS).fetchall():
            present.setdefault(name, {})[column] = sql_type
        known: dict[tuple[str, str], dict[str, int]] = {}
        for name, field, label, code in connection.execute(_LABELS).fetchall():
            known.setdefault((name, field), {})[label] = code
        codes: dict[tuple[str, str], LabelCodes] = {}
        added: list[tuple[str, str, int, str]] = []
        for table in tables:
            _create_table(connection, table, present.get(table.measurement))
            for field in table.fields:
                if field.is_label:
                    place = (table.measurement, field.name)
                    numbers = known.setdefault(place, {})
                    new = [(*place, code, label) for code, label in _unnumbered(field.labels, numbers)]
                    numbers |= {label: code for _, _, code, label in new}
                    codes[place] = _codes(field.labels, numbers)
                    added += new
        if added:
            connection.execute(_ADD_LABELS, list(map(list, zip(*added, strict=True))))
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return codes


def _create_table(connection: duckdb.DuckDBPyConnection, table: Table, present: Mapping[str, str] | None) -> None:
    name = quoted(table.measurement)
    if present is None:
        columns = [f"{quoted(field.name)} {_sql_type(field)}" for field in table.fields]
        columns = ["_series INTEGER NOT NULL", "time BIGINT NOT NULL", *columns]
        connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        return
    for field in table.fields:
        wanted, found = _sql_type(field), present.get(field.name)
        if found is None:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(field.name)} {wanted}")
        elif found != wanted:
            raise StoreRejectedError(
                f"{table.measurement}.{field.name} is declared as {wanted}, but the file has it as {found}; "
                "give the field a new name, or begin a new file"
            )


def _unnumbered(labels: Sequence[str], numbers: Mapping[str, int]) -> Iterable[tuple[int, str]]:
    """The labels without a number, with the numbers they get."""
    return enumerate((label for label in labels if label not in numbers), len(numbers))


def _codes(labels: Sequence[str], numbers: Mapping[str, int]) -> LabelCodes:
    stored = np.array([*(numbers[label] for label in labels), ABSENT], np.int16)
    declared = np.full(len(numbers) + 1, ABSENT, np.int32)
    declared[stored[:-1]] = np.arange(len(labels))
    return LabelCodes(stored, declared)


def _sql_type(field: Field) -> str:
    if field.is_number:
        return "DOUBLE"
    return "SMALLINT" if field.is_label else "VARCHAR"
