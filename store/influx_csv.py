"""Answers of InfluxDB: Flux CSV without annotations, read by Arrow into columns while it arrives.

An answer holds one table per field and series, one after another, so that the series and field of a run of rows need
to be looked at once per run. Failures after InfluxDB has said 200 come as a table of errors inside the answer.
"""

import csv
import io
import re
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from devices.columns import Codes, Floats, SeriesKey, Times
from devices.errors import StoreUnavailableError

_BLOCK_BYTES = 4 << 20
_TAIL_BYTES = 4096
_SAID = 300
_WHOLE = re.compile(r"[0-9]{1,18}")
_LABELS = pa.dictionary(pa.int32(), pa.string())
_TYPES = {
    "table": pa.int64(),
    "_time": pa.timestamp("ns", "UTC"),
    "_field": _LABELS,
    "compound": _LABELS,
    "device": _LABELS,
    "part": _LABELS,
}
_OPTIONAL = {"part"}


Values = Floats | Codes


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; b"" at the end."""
        ...


class UnexpectedShapeError(Exception):
    """The answer is not one block of cells of the types asked for.

    It is several blocks where some series have a part and others none (a kind was changed), or where values are of
    other types than declared (somebody else wrote to the bucket).
    """


@dataclass(frozen=True, slots=True)
class Run:
    """Rows `begin` to `end` of an answer: the values of one field of one series, by ascending time."""

    field: str
    key: SeriesKey
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """All values of an answer.

    Attributes:
        runs: what they belong to, covering all rows.
        time: int64[n], nanoseconds.
        values: float64[n], or codes int32[n] into `labels`.
        labels: the texts that occur; () with numbers.
    """

    runs: tuple[Run, ...]
    time: Times
    values: Values
    labels: tuple[str, ...] = ()


EMPTY = Answer((), np.empty(0, np.int64), np.empty(0, np.float64))


def read(stream: Readable, values: pa.DataType) -> Answer:
    """Read an answer to the end.

    Args:
        stream: the body of the HTTP answer.
        values: the type of its values: float64, bool or string.

    Returns:
        Its values; booleans as codes 0 and 1.

    Raises:
        UnexpectedShapeError: `read_blocks` may be able to read it.
        StoreUnavailableError: InfluxDB gave up in the middle, or this is no answer of InfluxDB.
    """
    source = _Source(stream)
    header = source.header()
    if header is None:
        return EMPTY
    kind = _LABELS if values == pa.string() else values
    types = {name: each for name, each in {**_TYPES, "_value": kind}.items() if name not in _OPTIONAL or name in header}
    if not types.keys() <= set(header):
        raise source.failure() or StoreUnavailableError("InfluxDB answered with other columns than asked for")
    try:
        table = arrow_csv.read_csv(  # it parses one block while the next arrives
            source,
            read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(types), strings_can_be_null=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid as exc:
        failure = source.failure()
        if failure is None:
            raise UnexpectedShapeError(str(exc)) from exc
        raise failure from exc
    return _answer(table)


def read_blocks(stream: Readable, values: pa.DataType) -> Answer:
    """Read an answer of several blocks, each with a header of its own; takes more time and memory than `read`.

    Args:
        stream: the body of the HTTP answer.
        values: the type of its values; numbers may be of any type in the answer.

    Raises:
        UnexpectedShapeError: a value cannot be read as that type.
        StoreUnavailableError: as `read`.
    """
    body = b"".join(iter(lambda: stream.read(_BLOCK_BYTES), b""))
    answers = [read(io.BytesIO(block), values) for block in body.split(b"\r\n\r\n")]
    runs: list[Run] = []
    parts: list[Values] = []
    places: dict[str, int] = {}
    begin = 0
    for answer in answers:
        runs += [replace(run, begin=run.begin + begin, end=run.end + begin) for run in answer.runs]
        mapping = np.array([places.setdefault(label, len(places)) for label in answer.labels], np.int32)
        parts.append(mapping[answer.values] if answer.labels else answer.values)
        begin += len(answer.time)
    time = np.concatenate([answer.time for answer in answers])
    return Answer(tuple(runs), time, cast("Values", np.concatenate(parts)), tuple(places))


def number(stream: Readable) -> int:
    """Read an answer that is one whole number; 0 where it is empty.

    Raises:
        StoreUnavailableError: it is anything else.
    """
    source = _Source(stream)
    header = source.header()
    if header is None:
        return 0
    names, *rows = _cells(source.rest())
    found = [row[names.index("_value")] for row in rows if "_value" in names and len(row) == len(names)]
    if len(found) != 1 or not _WHOLE.fullmatch(found[0]):
        raise source.failure() or StoreUnavailableError("InfluxDB answered with no number where one was asked for")
    return int(found[0])


class _Source:
    """The stream, its header looked at ahead and its end remembered for the errors that may stand there."""

    closed = False

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._ahead = b""
        self._tail = b""

    def header(self) -> list[str] | None:
        """The names of the columns; None where the answer is empty."""
        while b"\n" not in self._ahead.lstrip():
            chunk = self._stream.read(_TAIL_BYTES)
            if not chunk or len(self._ahead) > _TAIL_BYTES:
                break
            self._ahead += chunk
        self._ahead = self._ahead.lstrip()
        first = self._ahead.split(b"\n", 1)[0].decode(errors="replace").strip()
        return first.split(",") if first else None

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most but for the first time."""
        chunk, self._ahead = self._ahead or self._stream.read(size), b""
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        return chunk

    def rest(self) -> str:
        """Read to the end; the last few thousand characters."""
        while self.read(_BLOCK_BYTES):
            pass
        return self._tail.decode(errors="replace")

    def failure(self) -> StoreUnavailableError | None:
        """Read to the end; what InfluxDB says went wrong while it answered, if it does."""
        _, found, after = self.rest().rpartition("error,reference")
        if not found:
            return None
        said = [row[0] for row in _cells(after) if row[0]]
        return StoreUnavailableError(f"InfluxDB gave up while it answered: {said[0][:_SAID] if said else 'no reason'}")


def _cells(text: str) -> list[list[str]]:
    """The rows of a short CSV text, one at least; where it is none, its lines."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error:
        rows = [[line] for line in text.splitlines()]
    return rows or [[""]]


def _answer(table: pa.Table) -> Answer:
    """Columns from parsed cells."""
    count = table.num_rows
    if not count:
        return EMPTY
    table = table.unify_dictionaries().combine_chunks()
    number = table["table"].chunk(0).to_numpy()
    begins = np.flatnonzero(np.concatenate(([True], number[1:] != number[:-1])))
    ends = np.append(begins[1:], count)
    tags = [
        table[name].chunk(0).take(pa.array(begins)).to_pylist() if name in table.column_names else [""] * len(begins)
        for name in ("_field", *SeriesKey._fields)
    ]
    runs = tuple(
        Run(field, SeriesKey(compound, device, part), begin, end)
        for field, compound, device, part, begin, end in zip(*tags, begins.tolist(), ends.tolist(), strict=True)
    )
    time = table["_time"].chunk(0).cast(pa.int64()).to_numpy()
    values = table["_value"].chunk(0)
    if isinstance(values, pa.DictionaryArray):
        return Answer(runs, time, values.indices.to_numpy(), tuple(values.dictionary.to_pylist()))
    if pa.types.is_boolean(values.type):
        return Answer(runs, time, values.cast(pa.int8()).to_numpy().astype(np.int32))
    return Answer(runs, time, values.to_numpy())
