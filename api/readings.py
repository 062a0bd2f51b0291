"""Raw readings of one device, a page at a time."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from api import discretion
from api.answers import ReadingModel, ReadingsAnswer
from api.context import Context
from api.models import FieldModel
from api.rows import fields_of, parts, records, table_of
from api.times import LATEST_NS, NS_PER_DAY, Span, parse_span, rfc3339, shown
from devices.columns import Batch
from devices.errors import QueryError
from devices.inventory import Device
from devices.kind import Table
from store.protocol import Query

Order = Literal["newest", "oldest"]

_CURSOR = re.compile(r"(\d{1,19})-(\d{1,3})", re.ASCII)
_FIRST_WINDOW_NS = NS_PER_DAY


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingsQuestion:
    """Which readings are asked for.

    Attributes:
        table: "telemetry", "status" or the name of an event.
        start: first instant, as the caller wrote it.
        stop: end, as the caller wrote it.
        fields: the fields wanted, in this order; none means all.
        limit: the most readings on a page.
        order: which come first.
        cursor: `next` of the page before, or None for the first.
    """

    table: str
    start: str | None
    stop: str | None
    fields: tuple[str, ...]
    limit: int
    order: Order
    cursor: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: at the instant `time_ns`, of whose rows `skip` were on pages before."""

    time_ns: int
    skip: int


def read(context: Context, device: Device, question: ReadingsQuestion) -> ReadingsAnswer:
    """One page of readings.

    Args:
        context: the world.
        device: whose readings.
        question: which.

    Returns:
        The page. Rows of one instant are in the order of their parts; every row is on exactly one page.

    Raises:
        QueryError: an unknown table or field, a bad span or cursor.
    """
    table = table_of(context.kinds[device.kind], question.table)
    names = fields_of(table, question.fields)
    discretion.check(context, table, device.id)
    tz = context.compound(device.compound).timezone
    span = parse_span(
        question.start,
        question.stop,
        now_ns=context.clock(),
        tz=tz,
        max_days=context.options.max_span_days,
    )
    cursor = _parse_cursor(question.cursor) if question.cursor is not None else None
    page = _Page(context, device, table, names, question.limit)
    batch, rows = page.newest(span, cursor) if question.order == "newest" else page.oldest(span, cursor)
    return ReadingsAnswer(
        device=device.id,
        kind=device.kind,
        compound=device.compound,
        table=table.name,
        timezone=tz.key,
        start=rfc3339(span.start_ns, tz),
        stop=rfc3339(span.stop_ns, tz),
        order=question.order,
        fields=[FieldModel.of(table.by_name[name]) for name in names],
        readings=[
            ReadingModel(time=rfc3339(time, tz), part=part, values=values)
            for time, part, values in zip(
                batch.time[rows[: question.limit]].tolist(),
                parts(batch, rows[: question.limit]),
                records(batch, names, rows[: question.limit]),
                strict=True,
            )
        ],
        next=_next(batch, rows, question.limit, cursor),
    )


@dataclass(frozen=True, slots=True)
class _Page:
    context: Context
    device: Device
    table: Table
    names: tuple[str, ...]
    limit: int

    def newest(self, span: Span, cursor: _Cursor | None) -> tuple[Batch, NDArray[np.intp]]:
        """The rows of the page and one more if there is one, the newest first."""
        skip, stop_ns = 0, span.stop_ns
        if cursor is not None:
            skip, stop_ns = cursor.skip, min(stop_ns, cursor.time_ns + 1)
        batch = self._read(span.start_ns, stop_ns, self.limit + skip + 1)
        # The store counts rows of one time by their series, the later as newer; so must every page.
        return batch, np.lexsort((batch.series, batch.time))[::-1][skip:]

    def oldest(self, span: Span, cursor: _Cursor | None) -> tuple[Batch, NDArray[np.intp]]:
        """The same, the oldest first: read in windows that grow until they hold enough."""
        skip, start_ns = 0, span.start_ns
        if cursor is not None:
            skip, start_ns = cursor.skip, max(start_ns, cursor.time_ns)
        width_ns = _FIRST_WINDOW_NS
        while True:
            stop_ns = min(start_ns + width_ns, span.stop_ns)
            batch = self._read(start_ns, stop_ns, None)
            if stop_ns >= span.stop_ns or len(batch) > self.limit + skip:
                return batch, np.lexsort((batch.series, batch.time))[skip : skip + self.limit + 1]
            width_ns *= 4

    def _read(self, start_ns: int, stop_ns: int, limit: int | None) -> Batch:
        return self.context.store.read(
            Query(
                table=self.table,
                start_ns=start_ns,
                stop_ns=stop_ns,
                compounds=(self.device.compound,),
                devices=(self.device.id,),
                fields=self.names,
                limit=limit,
            )
        )


def _next(batch: Batch, rows: NDArray[np.intp], limit: int, cursor: _Cursor | None) -> str | None:
    """The cursor of the page after: the instant of the first row that did not fit, and how many of it did."""
    if len(rows) <= limit:
        return None
    time_ns = int(batch.time[rows[limit]])
    skip = int(np.count_nonzero(batch.time[rows[:limit]] == time_ns))
    if cursor is not None and cursor.time_ns == time_ns:
        skip += cursor.skip
    return f"{time_ns}-{skip}"


def _parse_cursor(text: str) -> _Cursor:
    found = _CURSOR.fullmatch(text)
    if found is None or int(found[1]) > LATEST_NS:
        raise QueryError(
            f"cursor={shown(text)} is not one of ours; send the `next` of the page before, or none", code="cursor"
        )
    return _Cursor(int(found[1]), int(found[2]))
