"""The truth that simulators wrote, read back series by series."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from devices.columns import SeriesKey
from devices.errors import SettingsError
from devices.kind import Kind, Table

MANIFEST = "truth.json"


@dataclass(frozen=True, slots=True)
class Series:
    """The rows of one series, in the order of time, each time once.

    Attributes:
        times: ns since the epoch.
        columns: by field: what each row says, None where it says nothing.
    """

    times: list[int]
    columns: Mapping[str, list[Any]]

    def of(self, field: str) -> tuple[list[int], list[Any]]:
        """The times and values of the rows that say something of a field."""
        values = self.columns[field]
        if None not in values:
            return self.times, values
        rows = [row for row, value in enumerate(values) if value is not None]
        return [self.times[row] for row in rows], [values[row] for row in rows]


Tables = Mapping[str, Mapping[SeriesKey, Series]]
"""The rows of one kind: by table, by series."""


class Truth:
    """A folder that `simulators.truth` wrote.

    Attributes:
        start_ns: where simulated time began, ns since the epoch.
        stop_ns: where it ended.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder.

        Raises:
            SettingsError: it holds no whole truth.
        """
        try:
            said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            self.start_ns, self.stop_ns = int(said["start_ms"]) * 1_000_000, int(said["stop_ms"]) * 1_000_000
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise SettingsError(
                f"{folder} holds no truth, or not all of it: {exc}. `python -m simulators --truth {folder}` writes one"
            ) from exc
        self._folder = folder

    def tables(self, kind: Kind) -> Tables:
        """What is true of a kind.

        Raises:
            SettingsError: a file cannot be read.
        """
        return {table.name: dict(self._series(table)) for table in kind.tables.values()}

    def _series(self, table: Table) -> Iterator[tuple[SeriesKey, Series]]:
        path = self._folder / f"{table.measurement}.parquet"
        if not path.exists():
            return
        try:
            rows = pq.read_table(path).sort_by([(name, "ascending") for name in (*SeriesKey._fields, "time_ns")])
        except (OSError, pa.ArrowException) as exc:
            raise SettingsError(f"{path} cannot be read: {exc}") from exc
        keys = [rows[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in SeriesKey._fields]
        changes = np.any([np.diff(each, prepend=-1) != 0 for each in keys], axis=0)
        begins = [*np.flatnonzero(changes).tolist(), rows.num_rows]
        for begin, end in pairwise(begins):
            part = rows.slice(begin, end - begin).to_pydict()
            key = SeriesKey(part["compound"][0], part["device"][0], part["part"][0])
            # A reading that was taken twice at one time under one number counts as its last.
            times = part["time_ns"]
            last = [row for row, time in enumerate(times) if row + 1 == len(times) or times[row + 1] != time]
            columns = {field.name: _values(part[field.name], last, boolean=field.boolean) for field in table.fields}
            yield key, Series([times[row] for row in last], columns)


def _values(values: list[Any], rows: list[int], *, boolean: bool) -> list[Any]:
    chosen = [values[row] for row in rows]
    return [str(value).lower() if value is not None else None for value in chosen] if boolean else chosen
