"""Tables as files, written piece by piece while they are sent: CSV, Parquet and Arrow streams."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.ipc as arrow_ipc
import pyarrow.parquet as pq

_OFFSET = r"([+-]\d\d)(\d\d)$"


class Format(StrEnum):
    """What kind of file; the value is the ending of its name."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return _FORMATS[self].media_type


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a format is written.

    Attributes:
        media_type: what HTTP calls it.
        writer: makes a writer to a sink of tables of a schema.
        shaped: changes a table before it is written.
    """

    media_type: str
    writer: Callable[[Any, pa.Schema], _Writer]
    shaped: Callable[[pa.Table], pa.Table] = lambda table: table


class _Sink(io.RawIOBase):
    """Takes bytes until they are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401  (any buffer)
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def fetch(self) -> bytes:
        """All bytes since the last call."""
        found, self._parts = b"".join(self._parts), []
        return found


def written(tables: Iterable[pa.Table], schema: pa.Schema, format_: Format) -> Iterator[bytes]:
    """The bytes of a file.

    Args:
        tables: its rows, in pieces, each of which is let go before the next is asked for.
        schema: theirs.
        format_: what kind of file. Times in CSV are RFC 3339 in their column's time zone.

    Yields:
        Pieces of the file, of which each but the last ends with a piece of the rows.
    """
    how, sink = _FORMATS[format_], _Sink()
    writer = how.writer(pa.PythonFile(sink, "w"), how.shaped(schema.empty_table()).schema)
    for table in tables:
        writer.write_table(how.shaped(table))
        if found := sink.fetch():
            yield found
    writer.close()
    yield sink.fetch()


def _with_texts(table: pa.Table) -> pa.Table:
    """The same with times as RFC 3339."""
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            texts = pc.strftime(table[place], format="%Y-%m-%dT%H:%M:%S%z")
            texts = pc.replace_substring_regex(texts, pattern=_OFFSET, replacement=r"\1:\2")
            table = table.set_column(place, column.name, texts)
    return table


_FORMATS: Mapping[Format, _Kind] = {
    Format.CSV: _Kind("text/csv; charset=utf-8", arrow_csv.CSVWriter, _with_texts),
    Format.PARQUET: _Kind(
        "application/vnd.apache.parquet", lambda sink, schema: pq.ParquetWriter(sink, schema, compression="zstd")
    ),
    Format.ARROW: _Kind("application/vnd.apache.arrow.stream", arrow_ipc.new_stream),
}
