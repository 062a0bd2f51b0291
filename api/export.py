"""Files on their way to a caller: made and sent piece by piece, however long they are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import structlog

from api.context import Context
from api.files import Format, written
from api.times import Span
from devices.errors import CourtyardError

_UTC = ZoneInfo("UTC")
_log = structlog.get_logger("api")

Turn = Callable[[], AbstractContextManager[None]]
"""Waits for a place among the questions that read history."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way.

    Attributes:
        name: what to save it as.
        media_type: what HTTP calls it.
        pieces: its bytes. The first is there already; each other is made when it is asked for, and may raise
            `StoreError` and `BusyError`.
    """

    name: str
    media_type: str
    pieces: Iterator[bytes]


def file_of(  # noqa: PLR0913, PLR0917  (what a file is made of)
    what: str, span: Span, zone: ZoneInfo, tables: Iterator[pa.Table], schema: pa.Schema, format_: Format
) -> File:
    """A file of tables.

    Args:
        what: what it is about, for its name.
        span: what it covers.
        zone: whose days its name tells.
        tables: its rows.
        schema: theirs.
        format_: what kind of file.

    Returns:
        The file. Its first rows are made by now, so that what goes wrong at once is told as a problem, not as half a
        file.
    """
    first, last = (str(np.datetime64(each, "ns").astype("datetime64[D]")) for each in _local(span, zone))
    begun = next(tables, None)
    name = f"{what}-{first}-{last}.{format_}"
    pieces = written(chain([] if begun is None else [begun], tables), schema, format_)
    return File(name, format_.media_type, _told(name, pieces))


def _told(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same; where it ends early, the log says why: the caller sees but a connection that was cut."""
    try:
        yield from pieces
    except CourtyardError as exc:
        _log.warning("a file was cut short", file=name, code=exc.code, error=exc.message)
        raise


def _local(span: Span, zone: ZoneInfo) -> tuple[int, int]:
    """The first and last instant by the wall clock, as if that were UTC."""
    found = pa.array([span.start_ns, span.stop_ns - 1], pa.timestamp("ns", zone.key))
    first, last = (each.as_py().replace(tzinfo=None) for each in found.cast(pa.timestamp("us", zone.key), safe=False))
    return tuple(int(np.datetime64(each, "ns").astype(np.int64)) for each in (first, last))  # type: ignore[return-value]


def zone_of(context: Context, compounds: Sequence[str]) -> ZoneInfo:
    """The time zone of compounds, or UTC where they lie in several."""
    found = {context.inventory.compounds[name].timezone for name in compounds or context.inventory.compounds}
    return found.pop() if len(found) == 1 else _UTC
