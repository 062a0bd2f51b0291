"""The truth: every reading as its device took it, once each, in a folder of Parquet files beside what is published.

A file for each table holds its rows (`time_ns`, `compound`, `device`, `part`, one column per field); `truth.json` says
of what span. Nothing in it has been through a broker, so that what a system makes of the messages can be compared.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Column
from devices.errors import SettingsError
from devices.fields import Field

MANIFEST = "truth.json"


class TruthFolder:
    """Writes what really happened; a context manager. The manifest comes last: a folder without one is not whole."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            SettingsError: it cannot be made, or holds a truth already.
        """
        if (folder / MANIFEST).exists():
            raise SettingsError(f"{folder} holds the truth of another run; give an empty folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SettingsError(f"the folder {folder} cannot be made: {exc}") from exc
        self._folder = folder
        self._files: dict[str, pq.ParquetWriter] = {}

    def record(self, batches: Sequence[Batch], seq: NDArray[np.int64]) -> None:
        """Write rows.

        Args:
            batches: rows, their `time` in whole milliseconds.
            seq: int64[n], the numbers of all rows, one batch after the other.

        Raises:
            SettingsError: the folder cannot be written to.
        """
        first = 0
        for batch in batches:
            self._write(batch, seq[first : first + len(batch)])
            first += len(batch)

    def finish(self, *, start_ms: int, stop_ms: int, seed: int) -> None:
        """Close all files, and say what they hold.

        Args:
            start_ms: where simulated time began, ms since the epoch.
            stop_ms: where it ended.
            seed: the fleet's seed.

        Raises:
            SettingsError: the folder cannot be written to.
        """
        self.close()
        said = {"start_ms": start_ms, "stop_ms": stop_ms, "seed": seed, "tables": sorted(self._files)}
        try:
            (self._folder / MANIFEST).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        except OSError as exc:
            raise SettingsError(f"the truth cannot be written to {self._folder}: {exc}") from exc

    def close(self) -> None:
        """Close all files."""
        for each in self._files.values():
            each.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all files."""
        self.close()

    def _write(self, batch: Batch, seq: NDArray[np.int64]) -> None:
        keys = np.array([*batch.keys], object).reshape(len(batch.keys), -1)[batch.series]
        columns: dict[str, pa.Array] = {"time_ns": pa.array(batch.time + seq % NS_PER_MS, pa.int64())}
        columns |= {
            name: pa.array(keys[:, place], pa.string()) for place, name in enumerate(("compound", "device", "part"))
        }
        columns |= {field.name: _column(field, batch.columns[field.name]) for field in batch.table.fields}
        table = pa.table(columns)
        name = batch.table.measurement
        try:
            if name not in self._files:
                self._files[name] = pq.ParquetWriter(self._folder / f"{name}.parquet", table.schema)
            self._files[name].write_table(table)
        except (OSError, pa.ArrowException) as exc:
            raise SettingsError(f"the truth cannot be written to {self._folder}: {exc}") from exc


def _column(field: Field, column: Column) -> pa.Array:
    if isinstance(column, Coded):
        return pa.array(column.decoded(), pa.string())
    return pa.array(np.asarray(column, np.float64), from_pandas=field.is_number)
