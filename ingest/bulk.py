"""Many payloads of one kind and channel, read at once into columns: the fast way of what `devices.payloads` decides.

pydantic decides payload by payload and makes a Python object of each value; Arrow's JSON reader makes columns. Only
that is accepted here which pydantic would accept with the same values; all else is left to it, to be refused or, now
and then, accepted after all. So the two ways cannot be told apart but by the clock (`tests/ingest/test_bulk.py`).

The payloads are joined to one text, a line each. None can leak into another:

- A payload with a line feed or a zero byte is left alone, so that line feeds are exactly the ends of lines, and the
  reader takes nothing for the end of the text.
- At a line's end the reader is between two objects. It is not within a string, for these hold no line feeds; nor within
  an object: the next line begins with `{`, which may follow only a colon, a comma or `[`, and a value that is an object
  or an array has no place in the columns asked for. (Arrays have a line `{"m":…}`, which ends in `}`; after that no
  `{` may follow within an object at all.)
- So each line holds one object or more, and as there are as many objects as lines, each holds just one.

JSON's null reads as absent, which pydantic refuses: a text with `null` in it is left alone. A key that stands twice, or
that nobody declared, is an error of the reader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from pydantic import TypeAdapter

from devices.columns import ABSENT, Coded, Codes, Column, Floats
from devices.errors import DeclarationError
from devices.fields import Field, Signal
from devices.kind import Channel, Table
from devices.payloads import MAX_SEQ, MAX_TS_MS, value_adapter
from ingest.sightings import Bools, Ints

NO_SEQ = -1
"""Stands for a `seq` that is not there."""
NO_TS = -1
"""Stands for a `ts` that is not there."""
NO_BOOT = 0
"""Stands for a `boot` that is not there."""

_ARRAY = "m"
_BEFORE, _BETWEEN, _AFTER = b'{"m":', b'}\n{"m":', b"}"
_HEADER: Mapping[str, tuple[int, int]] = {
    "ts": (NO_TS, MAX_TS_MS),
    "seq": (NO_SEQ, MAX_SEQ),
    "boot": (NO_BOOT, MAX_SEQ),
}
_EVENT = "event"
_STRIDE, _SAMPLES = 256, 8
"""To find long numbers every so many bytes are looked at; so many digits in a row are looked into."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of one table, as columns.

    Attributes:
        table: place of the table among those of the reader.
        message: int64[n], place of the payload that each object came in, ascending.
        item: int64[n], its place in that payload.
        ts: int64[n], or `NO_TS`.
        seq: int64[n], or `NO_SEQ`.
        boot: int64[n], or `NO_BOOT`.
        part: int64[n], place of the part among the device's: 0 in tables without parts, and -1 for what is no part.
        columns: by field.
    """

    table: int
    message: Ints
    item: Ints
    ts: Ints
    seq: Ints
    boot: Ints
    part: Ints
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.message)


class BulkReader:
    """Reads payloads of one kind and channel."""

    def __init__(self, tables: Sequence[Table]) -> None:
        """Read objects of `tables`, which all have the same channel.

        Raises:
            DeclarationError: they declare a field of one name with different types.
        """
        self._tables = tuple(tables)
        self._events = tables[0].channel is Channel.EVENT
        types: dict[str, pa.DataType] = dict.fromkeys(_HEADER, pa.int64())
        if self._events:
            types[_EVENT] = pa.string()
        for table in tables:
            for name, type_ in _types(table).items():
                if types.setdefault(name, type_) != type_:
                    raise DeclarationError(f"{table.measurement}: {name!r} has another type elsewhere in its channel")
        self._shortest = min(map(_shortest, tables))
        texts = [field for table in tables for field in table.fields if field.signal is Signal.IDENTITY]
        self._adapters = {field.name: value_adapter(field) for field in texts}
        self._one = pa.schema(types)
        self._many = pa.schema({_ARRAY: pa.list_(pa.struct(list(self._one)))})

    def read(self, payloads: Sequence[bytes], *, arrays: bool) -> tuple[list[Objects], Bools] | None:
        """Read payloads.

        Args:
            payloads: at least one; each begins with `{`, or each with `[` where `arrays`.
            arrays: whether they are arrays of objects.

        Returns:
            The objects by table, and bool[len(payloads)], which payloads are to be left to pydantic, with all their
            objects: those hold one that cannot be accepted here. None where nothing could be read.
        """
        text = _BEFORE + _BETWEEN.join(payloads) + _AFTER if arrays else b"\n".join(payloads)
        if text.count(b"\n") != len(payloads) - 1 or b"\0" in text or b"null" in text:
            return None
        if text.count(b"{") * self._shortest > len(text) + len(payloads) * self._shortest:
            return None  # a flood of empty objects, each of which would take a row of every column
        if _has_long_number(text):
            return None
        options = arrow_json.ParseOptions(
            explicit_schema=self._many if arrays else self._one,
            newlines_in_values=False,
            unexpected_field_behavior="error",
        )
        whole = arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        try:
            read = arrow_json.read_json(pa.BufferReader(text), whole, options)
        except pa.ArrowException:
            return None
        if len(read) != len(payloads):
            return None
        left = np.zeros(len(payloads), np.bool_)
        message = item = np.arange(len(payloads))
        if arrays:
            lists = read.column(_ARRAY).combine_chunks()
            begins = lists.offsets.to_numpy().astype(np.int64)
            lengths = np.diff(begins)
            left |= lengths == 0
            message = np.repeat(message, lengths)
            item = np.arange(len(message)) - (begins[:-1] - begins[0])[message]
            flat = lists.flatten()
            columns = {name: flat.field(place) for place, name in enumerate(self._one.names)}
        else:
            item = np.zeros(len(payloads), np.int64)
            columns = {name: read.column(name).combine_chunks() for name in self._one.names}
        return [self._checked(*each, left) for each in self._by_table(columns, message, item, left)], left

    def _by_table(
        self, columns: Mapping[str, pa.Array], message: Ints, item: Ints, left: Bools
    ) -> Sequence[tuple[int, Mapping[str, pa.Array], Ints, Ints]]:
        """The rows of each table that has some."""
        if not self._events:
            return [(0, columns, message, item)]
        codes, _ = _codes(columns[_EVENT], [table.name for table in self._tables])
        left[message[codes == ABSENT]] = True
        found = []
        for number, table in enumerate(self._tables):
            rows = np.flatnonzero(codes == number)
            if not len(rows):
                continue
            own = {name: column.take(pa.array(rows)) for name, column in columns.items()}
            for name in own.keys() - _types(table).keys() - _HEADER.keys() - {_EVENT}:
                left[message[rows[_present(own[name])]]] = True
            found.append((number, own, message[rows], item[rows]))
        return found

    def _checked(self, number: int, columns: Mapping[str, pa.Array], message: Ints, item: Ints, left: Bools) -> Objects:
        """The objects of one table; the payloads of those that cannot be accepted are noted in `left`."""
        table = self._tables[number]
        made: dict[str, Column] = {}
        bad = np.zeros(len(message), np.bool_)
        header: dict[str, Ints] = {}
        for name, (absent, limit) in _HEADER.items():
            values, missing = _whole(columns[name], absent)
            bad |= ~missing & ((values < 0) | (values >= limit))
            if name != "boot" and table.channel is not Channel.STATUS:
                bad |= missing
            header[name] = values
        for field in table.fields:
            made[field.name], wrong = self._column(field, columns[field.name])
            bad |= wrong
        part = np.zeros(len(message), np.int64)
        if table.part is not None:
            if table.part.values:
                codes, _ = _codes(columns[table.part.name], table.part.values)
                part = codes.astype(np.int64)
            else:
                values, _ = _whole(columns[table.part.name], 0)
                part = np.where((values >= 1) & (values <= 999), values - 1, -1)
            bad |= part < 0
        left[message[bad]] = True
        return Objects(number, message, item, header["ts"], header["seq"], header["boot"], part, made)

    def _column(self, field: Field, values: pa.Array) -> tuple[Column, Bools]:
        """A column, and which of its values cannot be accepted."""
        column: Column
        if field.is_number:
            column, wrong = _numbers(field, values)
        elif field.boolean:
            codes = pc.fill_null(pc.cast(values, pa.int32()), ABSENT).to_numpy()
            column, wrong = Coded(codes, field.labels), np.zeros(len(values), np.bool_)
        elif field.signal is Signal.IDENTITY:
            column, wrong = _identities(values, self._adapters[field.name])
        else:
            codes, wrong = _codes(values, field.labels)
            column = Coded(codes, field.labels)
        if field.required and values.null_count:
            wrong = wrong | ~_present(values)
        return column, wrong


def _has_long_number(text: bytes) -> bool:
    """Whether there are thousands of digits in a row: Arrow takes 0.1 s for a number of 250,000, pydantic 0.1 ms."""
    digit = np.frombuffer(text, np.uint8)[::_STRIDE] - ord("0") < 10  # others wrap around
    row = digit[: max(0, len(digit) - _SAMPLES + 1)]
    for place in range(1, _SAMPLES):
        row = row & digit[place : place + len(row)]
    return any(
        text[begin : begin + (_SAMPLES - 1) * _STRIDE].isdigit() for begin in (np.flatnonzero(row) * _STRIDE).tolist()
    )


def _shortest(table: Table) -> int:
    """The bytes of the shortest object of a table that may be accepted, or less."""
    names = [field.name for field in table.fields if field.required]
    if table.channel is not Channel.STATUS:
        names += ["ts", "seq"]
    return len("{}") + sum(len(f'"{name}":0') for name in names) + max(0, len(names) - 1)


def _types(table: Table) -> dict[str, pa.DataType]:
    """What the keys of a table hold."""
    types = {field.name: _type(field) for field in table.fields}
    if table.part is not None:
        types[table.part.name] = pa.string() if table.part.values else pa.int64()
    return types


def _type(field: Field) -> pa.DataType:
    if field.boolean:
        return pa.bool_()
    if field.is_number:
        return pa.int64() if field.integer else pa.float64()
    return pa.string()


def _numbers(field: Field, values: pa.Array) -> tuple[Floats, Bools]:
    """Numbers, NaN where absent, and which of them are out of range, as is a NaN that stands in the text."""
    if field.integer:
        numbers, missing = _whole(values, 0)
        column: Floats = numbers.astype(np.float64)
        column[missing] = np.nan
    else:
        column = values.to_numpy(zero_copy_only=False)
    low = -np.inf if field.low is None else field.low
    high = np.inf if field.high is None else field.high
    inside: Bools = (column >= low) & (column <= high)
    return column, ~inside & _present(values) if values.null_count else ~inside


def _identities(values: pa.Array, adapter: TypeAdapter[str]) -> tuple[Coded, Bools]:
    """Identities, and which of them are none. The reader lets pass what is no UTF-8."""
    coded = values.dictionary_encode()
    texts = coded.dictionary.cast(pa.binary()).to_pylist()
    labels: list[str] = []
    places = np.full(len(texts) + 1, ABSENT, np.int32)  # the last one is for absent ones, whose code is -1
    for place, text in enumerate(texts):
        try:
            labels.append(adapter.validate_python(text.decode()))
        except ValueError:  # of UTF-8, or of pydantic
            continue
        places[place] = len(labels) - 1
    found = pc.fill_null(coded.indices, ABSENT).to_numpy()
    codes = places[found]
    return Coded(codes, tuple(labels)), (codes == ABSENT) & (found != ABSENT)


def _codes(values: pa.Array, labels: Sequence[str]) -> tuple[Codes, Bools]:
    """Places in `labels`, and which values are there but no label."""
    found = pc.index_in(values, pa.array(labels, pa.string()))
    codes = pc.fill_null(found, ABSENT).to_numpy()
    if found.null_count == values.null_count:
        return codes, np.zeros(len(codes), np.bool_)
    return codes, (codes == ABSENT) & _present(values)


def _whole(values: pa.Array, absent: int) -> tuple[Ints, Bools]:
    """Whole numbers with `absent` for absent ones, and which are absent."""
    if not values.null_count:
        return values.to_numpy(), np.zeros(len(values), np.bool_)
    return pc.fill_null(values, absent).to_numpy(), ~_present(values)


def _present(values: pa.Array) -> Bools:
    """Which values are there."""
    there: Bools = values.is_valid().to_numpy(zero_copy_only=False)
    return there
