"""The form of a backup: a ZIP of Parquet files, the records, the spools, and a manifest that counts and hashes them."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey, column_of
from devices.errors import CourtyardError
from devices.kind import Table

VERSION = 1
MANIFEST = "manifest.json"
_IDS = ("compound", "device", "part")


class ArchiveError(CourtyardError):
    """A backup cannot be read or written, or is not what was written."""

    code = "archive"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        created_ns: when it was begun.
        counts: rows by table, of `readings` and of `rollups`.
        members: SHA-256 of each file in it.
    """

    created_ns: int
    counts: Mapping[str, Mapping[str, int]]
    members: Mapping[str, str]


class Writer:
    """Writes a backup, file by file."""

    def __init__(self, path: Path) -> None:
        """Begin; raises `ArchiveError` where the file exists or cannot be made."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
            path.chmod(0o600)
        except OSError as exc:
            raise ArchiveError(f"the backup {path} cannot be made: {exc.strerror}") from exc
        # Parquet is compressed already, and SQLite is small.
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._members: dict[str, str] = {}

    def add(self, name: str, content: bytes) -> None:
        """Add a file."""
        self._members[name] = hashlib.sha256(content).hexdigest()
        self._zip.writestr(name, content)

    def finish(self, created_ns: int, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Write the manifest, and close."""
        body = {"version": VERSION, "created_ns": created_ns, "counts": counts, "members": self._members}
        self._zip.writestr(MANIFEST, json.dumps(body, indent=1))
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()
        self._file.close()


class Reader:
    """Reads a backup."""

    def __init__(self, path: Path) -> None:
        """Open it; raises `ArchiveError` where it is none, or of a later version."""
        try:
            self._zip = zipfile.ZipFile(path)
            body: dict[str, Any] = json.loads(self._zip.read(MANIFEST))
            self.manifest = Manifest(body["created_ns"], body["counts"], body["members"])
            version = body["version"]
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as exc:
            raise ArchiveError(f"{path} is no backup of Courtyard, or not whole: {exc}") from exc
        if version != VERSION:
            raise ArchiveError(f"{path} has version {version}, this program reads {VERSION}")

    def read(self, name: str) -> bytes:
        """One file of it; raises `ArchiveError` where it is not what was written."""
        try:
            content = self._zip.read(name)
        except (KeyError, zipfile.BadZipFile, OSError, ValueError) as exc:
            raise ArchiveError(f"the backup lacks {name}, or it is damaged: {exc}") from exc
        if hashlib.sha256(content).hexdigest() != self.manifest.members.get(name):
            raise ArchiveError(f"{name} in the backup is not what was written")
        return content

    def names(self, folder: str) -> Iterator[str]:
        """The names of files in a folder of it."""
        return (name for name in self.manifest.members if name.startswith(f"{folder}/"))

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()


def packed(batch: Batch) -> bytes:
    """The rows of a batch as a Parquet file: ids, time and fields; absent values are null."""
    columns: dict[str, pa.Array] = {}
    for place, name in enumerate(_IDS):
        texts = [each[place] for each in batch.keys]
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(batch.series, pa.int32()), pa.array(texts, pa.string()))
    columns["time"] = pa.array(batch.time, pa.int64())
    for name, column in batch.columns.items():
        if isinstance(column, Coded):
            codes = pa.array(column.codes, pa.int32(), mask=column.codes == ABSENT)
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(list(column.labels), pa.string()))
        else:
            columns[name] = pa.array(column, pa.float64())  # NaN stays NaN
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def unpacked(content: bytes, table: Table) -> Batch:
    """The rows of a Parquet file as a batch of today's table; fields that it no longer has are left out.

    Raises:
        ArchiveError: the file is none of ours.
    """
    try:
        rows = pq.read_table(io.BytesIO(content))
        ids = [rows[name].combine_chunks().cast(pa.string()).to_pylist() for name in _IDS]
        time = rows["time"].to_numpy().astype(np.int64)
        columns: dict[str, Column] = {}
        for field in table.fields:
            if field.name not in rows.column_names:
                columns[field.name] = column_of(field, [np.nan if field.is_number else None] * len(time))
            elif field.is_number:
                columns[field.name] = rows[field.name].to_numpy().astype(np.float64)
            else:
                texts = rows[field.name].combine_chunks().cast(pa.string())
                columns[field.name] = _coded(texts, field.labels, known=field.is_label)
    except (pa.ArrowException, KeyError, ValueError) as exc:
        raise ArchiveError(f"rows of {table.measurement} in the backup cannot be read: {exc}") from exc
    place: dict[SeriesKey, int] = {}
    series = np.array([place.setdefault(SeriesKey(*each), len(place)) for each in zip(*ids, strict=True)], np.int32)
    return Batch(table, tuple(place), series, time, columns)


def _coded(values: pa.Array, labels: tuple[str, ...], *, known: bool) -> Coded:
    if known:
        found = pa.compute.fill_null(pa.compute.index_in(values, pa.array(labels, pa.string())), ABSENT)
        return Coded(found.to_numpy().astype(np.int32), labels)
    encoded = values.dictionary_encode()
    codes = pa.compute.fill_null(encoded.indices, ABSENT).to_numpy().astype(np.int32)
    return Coded(codes, tuple(encoded.dictionary.to_pylist()))
