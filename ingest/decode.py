"""Decode: raw messages in; batches of columns and dead letters out. Pure: no I/O, no clock.

Each message is accounted for exactly once: by all of its objects, or by one dead letter. One bad object in an array
refuses the whole message, since its sender is wrong about what it sends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Codes, Column, Times, column_of
from devices.errors import ReadingError, Reason
from devices.inventory import Inventory
from devices.kind import Kind, Table
from devices.payloads import Row
from ingest.deadletters import DeadLetter, refused
from ingest.frame import Spooled
from ingest.ledger import UNKNOWN_KIND, Account, Counts, Entry
from ingest.routes import Route, Routes, Series

_SEQ_MODULUS = NS_PER_MS
_MS_PER_DAY = 86_400_000

_Reading = tuple[Series, int, int, Row]
"""A validated object, its series as number within its table, and its time in nanoseconds."""


class Rows:
    """The readings of one table: each identity once, sorted by series, then time.

    Attributes:
        batch: the columns.
    """

    def __init__(self, series: Series, readings: Sequence[_Reading]) -> None:
        """Turn readings, in the order received, into columns; of two with one identity the later one counts."""
        _, numbers, times, objects = zip(*readings, strict=True)
        self._objects: tuple[Row, ...] = objects
        self._order, batch = _in_order(series, np.array(numbers, np.int32), np.array(times, np.int64))
        # The columns are made in the order received: the objects lie in memory so.
        whole = _columns(series.table, objects)
        self.batch = replace(batch, columns={name: _taken(column, self._order) for name, column in whole.items()})

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.batch)

    def object(self, row: int) -> Row:
        """The validated object that a row was made of."""
        return self._objects[int(self._order[row])]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a run of messages holds.

    Attributes:
        tables: the readings by table; tables without readings are left out.
        letters: the refused messages.
        counts: received and duplicate readings and dead letters, by kind.
    """

    tables: list[Rows]
    letters: list[DeadLetter]
    counts: Counts


class Decoder:
    """Decodes messages of one installation's devices."""

    def __init__(
        self, inventory: Inventory, kinds: Mapping[str, Kind], *, max_future_s: float, max_age_days: float
    ) -> None:
        """Prepare to decode.

        Args:
            inventory: the devices that may send.
            kinds: what they may send.
            max_future_s: a reading may be this far ahead of the time it was received at, in seconds.
            max_age_days: a reading may be this old when it was received, in days.
        """
        self._routes = Routes(inventory, kinds)
        self._future_ms = round(max_future_s * 1000)
        self._age_ms = round(max_age_days * _MS_PER_DAY)

    @property
    def known_topics(self) -> int:
        """How many topics are cached."""
        return len(self._routes)

    def decode(self, batches: Iterable[Spooled]) -> Decoded:
        """Decode messages in the order they were received.

        Args:
            batches: messages. An object without `ts`, which only a status may be, happened when its batch was received.

        Returns:
            Every message's objects, or its dead letter; one dead letter for a whole batch that is unreadable.
        """
        readings: list[_Reading] = []
        letters: list[DeadLetter] = []
        unreadable = 0
        for batch in batches:
            messages, received_ms = batch.messages, batch.received_ms
            if messages is None:
                letters.append(_lost(batch))
                unreadable += batch.count - 1
                continue
            cut = messages.cut
            for place, (topic, payload) in enumerate(zip(messages.topics, messages.payloads, strict=True)):
                begun = len(readings)
                try:
                    if place in cut:
                        raise ReadingError(Reason.TOO_LARGE, f"{cut[place]:,} bytes. Send smaller arrays")  # noqa: TRY301
                    self._read(self._routes[topic], payload, received_ms, readings)
                except ReadingError as exc:
                    del readings[begun:]
                    letters.append(self._letter(exc, topic, payload, cut.get(place, len(payload)), received_ms))
        return _decoded(readings, letters, unreadable)

    def _read(self, route: Route, payload: bytes, received_ms: int, into: list[_Reading]) -> None:
        """Append a payload's readings, or some of them and raise `ReadingError`."""
        only = route.only
        earliest, latest = received_ms - self._age_ms, received_ms + self._future_ms
        for row in route.validate(payload):
            target = only if only is not None else route.events[row["event"]]
            part = target.part
            number = target.numbers.get(None if part is None else row[part])
            if number is None:
                raise ReadingError(Reason.UNKNOWN_PART, f"the device has no {part} {row[part or '']!r}")
            ts = row.get("ts", received_ms)
            if not earliest <= ts <= latest:
                raise _untimely(ts, received_ms)
            into.append((target.series, number, ts * NS_PER_MS + row.get("seq", 0) % _SEQ_MODULUS, row))

    def _letter(self, exc: ReadingError, topic: str, payload: bytes, size: int, received_ms: int) -> DeadLetter:
        kind, compound = self._routes.whose(topic)
        return refused(
            time_ms=received_ms,
            reason=exc.reason,
            message=exc.message,
            topic=topic,
            payload=payload,
            kind=kind,
            compound=compound,
            size=size,
        )


def _in_order(series: Series, numbers: Codes, times: Times) -> tuple[NDArray[np.intp], Batch]:
    """Which readings to take in which order, and a batch of these without columns."""
    order = np.lexsort((times, numbers))  # stable: of equals, the later one is last
    numbers, times = numbers[order], times[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (numbers[1:] != numbers[:-1]) | (times[1:] != times[:-1])
    if not last.all():
        order, numbers, times = order[last], numbers[last], times[last]
    first = np.ones(len(order), np.bool_)
    first[1:] = numbers[1:] != numbers[:-1]
    keys = tuple([series.keys[number] for number in numbers[first].tolist()])
    return order, Batch(series.table, keys, np.cumsum(first, dtype=np.int32) - 1, times, {})


def _columns(table: Table, objects: Sequence[Row]) -> dict[str, Column]:
    made: dict[str, Column] = {}
    for field in table.fields:
        name = field.name
        if field.required:
            made[name] = column_of(field, [row[name] for row in objects])
        else:
            made[name] = column_of(field, [row.get(name) for row in objects])
    return made


def _taken(column: Column, order: NDArray[np.intp]) -> Column:
    return Coded(column.codes[order], column.labels) if isinstance(column, Coded) else column[order]


def _decoded(readings: list[_Reading], letters: list[DeadLetter], unreadable: int) -> Decoded:
    by_series: dict[Series, list[_Reading]] = {}
    for reading in readings:
        by_series.setdefault(reading[0], []).append(reading)
    tables = []
    counts: Counts = Counter()
    for series, found in by_series.items():
        rows = Rows(series, found)
        kind = series.table.kind
        tables.append(rows)
        counts[Account(Entry.RECEIVED, kind)] += len(found)
        counts[Account(Entry.DUPLICATE, kind)] += len(found) - len(rows)
    for letter in letters:
        counts[Account(Entry.RECEIVED, letter.kind)] += 1
        counts[Account(Entry.DEAD_LETTERED, letter.kind, letter.reason)] += 1
    if unreadable:  # these have one dead letter for all
        counts[Account(Entry.RECEIVED, UNKNOWN_KIND)] += unreadable
        counts[Account(Entry.DEAD_LETTERED, UNKNOWN_KIND, Reason.SPOOL_CORRUPT)] += unreadable
    return Decoded(tables, letters, counts)


def _lost(batch: Spooled) -> DeadLetter:
    return DeadLetter(
        time_ms=batch.received_ms,
        reason=Reason.SPOOL_CORRUPT,
        message=f"the spool could not give back a batch of {batch.count} messages: its checksum differs",
        topic="",
    )


def _untimely(ts: int, received_ms: int) -> ReadingError:
    seconds = (ts - received_ms) / 1000
    if seconds > 0:
        return ReadingError(Reason.FUTURE, f"ts is {seconds:,.0f} s ahead of the time it was received at")
    return ReadingError(Reason.EXPIRED, f"ts is {-seconds / 86400:,.1f} days before the time it was received at")
