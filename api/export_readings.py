"""Raw readings as a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from api import discretion
from api.context import Context
from api.export import File, Turn, file_of, zone_of
from api.files import Format
from api.rows import fields_of, table_of
from api.times import NS_PER_DAY, NS_PER_S, Span, parse_span
from devices.columns import ABSENT, NS_PER_MS, Batch, Coded, Column
from devices.errors import NotFoundError
from devices.fields import Field
from devices.kind import Table
from store.protocol import Query

_ROWS = 100_000
"""About so many rows make a piece."""

_FIRST_NS = 3600 * NS_PER_S
_SHORTEST_NS, _LONGEST_NS = 60 * NS_PER_S, NS_PER_DAY
_GROWTH = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingsExport:
    """Which readings are asked for.

    Attributes:
        kind: name of the kind.
        table: "telemetry", "status" or the name of an event.
        compounds: ids; none means all.
        device: id of a device; None means all.
        start: first instant, as the caller wrote it.
        stop: end, as the caller wrote it.
        fields: the fields wanted, in this order; none means all.
        format: what kind of file.
    """

    kind: str
    table: str
    compounds: tuple[str, ...]
    device: str | None
    start: str | None
    stop: str | None
    fields: tuple[str, ...]
    format: Format


def readings(context: Context, question: ReadingsExport, turn: Turn) -> File:
    """Raw readings of any devices of one kind, by time.

    Args:
        context: the world.
        question: which.
        turn: entered while a piece is read.

    Returns:
        Rows of time, sequence number (modulo 1,000,000), compound, device, part where there are parts, and fields.

    Raises:
        NotFoundError: an unknown compound or device.
        QueryError: an unknown kind, table or field, or a bad span.
        StoreError: the store failed.
    """
    kind = context.kind(question.kind)
    table = table_of(kind, question.table)
    names = fields_of(table, question.fields)
    compounds = tuple(context.compound(name).id for name in dict.fromkeys(question.compounds))
    # None asks for all there are, and () for none: somebody may see none of them any more.
    wanted = None if not compounds and context.inventory.is_whole else compounds or tuple(context.inventory.compounds)
    if question.device is not None and context.device(question.device).kind != kind.name:
        raise NotFoundError(f"{question.device} is no {kind.name}", code="unknown_device")
    zone = zone_of(context, compounds)
    span = parse_span(
        question.start, question.stop, now_ns=context.clock(), tz=zone, max_days=context.options.max_span_days
    )
    discretion.check(context, table, question.device or " ".join(compounds))
    context.record("export.readings", table.measurement, compounds=list(compounds), device=question.device)
    schema = _readings_schema(table, names, zone)

    def tables() -> Iterator[pa.Table]:
        for batch in _read(context, table, names, wanted, question.device, span, turn):
            yield _rows(batch, schema, names)

    what = "-".join([*(compounds if len(compounds) == 1 else ()), question.device or kind.name, table.name])
    return file_of(what, span, zone, tables(), schema, question.format)


def _read(  # noqa: PLR0913, PLR0917  (which rows)
    context: Context,
    table: Table,
    names: tuple[str, ...],
    compounds: tuple[str, ...] | None,
    device: str | None,
    span: Span,
    turn: Turn,
) -> Iterator[Batch]:
    """The rows of a span, in pieces of about `_ROWS`: each is as long as the one before lets expect."""
    begin, width = span.start_ns, _FIRST_NS
    while begin < span.stop_ns:
        end = min(begin + width, span.stop_ns)
        with turn():
            batch = context.store.read(
                Query(
                    table=table,
                    start_ns=begin,
                    stop_ns=end,
                    compounds=compounds,
                    devices=None if device is None else (device,),
                    fields=names,
                )
            )
        yield batch
        fitting = width * _ROWS // max(len(batch), 1)
        width = min(max(fitting, width // _GROWTH, _SHORTEST_NS), width * _GROWTH, _LONGEST_NS)
        begin = end


def _readings_schema(table: Table, names: Sequence[str], zone: ZoneInfo) -> pa.Schema:
    keys = ["compound", "device", *([table.part.name] if table.part is not None else [])]
    return pa.schema(
        [
            ("time", pa.timestamp("ms", zone.key)),
            ("seq", pa.int32()),
            *((name, pa.string()) for name in keys),
            *((name, _type(table.by_name[name])) for name in names),
        ]
    )


def _type(field: Field) -> pa.DataType:
    if field.boolean:
        return pa.bool_()
    if not field.is_number:
        return pa.string()
    return pa.int64() if field.integer else pa.float64()


def _rows(batch: Batch, schema: pa.Schema, names: Sequence[str]) -> pa.Table:
    """The rows of a batch by time."""
    batch = batch.take(np.lexsort((batch.series, batch.time)))
    columns: list[pa.Array] = [batch.time // NS_PER_MS, batch.time % NS_PER_MS]
    part = batch.table.part is not None
    for place in range(3 if part else 2):
        texts = pa.array([key[place] for key in batch.keys], pa.string())
        columns.append(texts.take(pa.array(batch.series)))
    columns += [_values(batch.table.by_name[name], batch.columns[name]) for name in names]
    return pa.table([pa.array(each).cast(of.type) for each, of in zip(columns, schema, strict=True)], schema)


def _values(field: Field, column: Column) -> pa.Array:
    if not isinstance(column, Coded):
        return pa.array(column, from_pandas=True)  # NaN is missing
    texts = pa.array(column.labels, pa.string())
    found = texts.take(pa.array(column.codes, mask=column.codes == ABSENT))
    return pa.array([None if each is None else each == "true" for each in column.decoded()]) if field.boolean else found
