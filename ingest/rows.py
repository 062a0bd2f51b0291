"""Rows: the readings of one table, put in order and ready to be written."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Codes, Column, SeriesKey, Times, column_of
from devices.keys import ChosenKeys
from devices.kind import Table
from devices.payloads import Row
from ingest.bulk import NO_SEQ
from ingest.routes import Series
from ingest.sightings import Bools, Ints

_SEQ_MODULUS = NS_PER_MS
_ANY = SeriesKey("", "")  # stands for all series where only the columns matter

_NEVER = np.iinfo(np.int64).min

Barred = Mapping[str, int]
"""By compound, before when its readings were deleted for good, ms since the epoch."""
Source = Callable[[int, int], Row]
"""Gives the validated object that came as item of a message, both by their places."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one table, in the order received.

    Attributes:
        message: int64[n], place of the message that each came in.
        item: int64[n], its place in that message.
        number: int32[n], its series as number within the table.
        stream: int64[n], its stream.
        ts: int64[n], its time in ms.
        seq: int64[n], its number, or `NO_SEQ`.
        boot: int64[n], its boot, or `NO_BOOT`.
        columns: by field.
    """

    message: Ints
    item: Ints
    number: Codes
    stream: Ints
    ts: Ints
    seq: Ints
    boot: Ints
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """The number of readings."""
        return len(self.message)

    def take(self, chosen: NDArray[np.intp] | Bools) -> "Readings":
        """Some of them, or in another order."""
        return Readings(
            self.message[chosen],
            self.item[chosen],
            self.number[chosen],
            self.stream[chosen],
            self.ts[chosen],
            self.seq[chosen],
            self.boot[chosen],
            {name: _taken(column, chosen) for name, column in self.columns.items()},
        )


def joined(table: Table, parts: Sequence[Readings]) -> Readings:
    """Readings of one table from several ways of reading, in the order received."""
    if len(parts) == 1:
        return parts[0]
    batches = [Batch(table, (_ANY,), np.zeros(len(each), np.int32), each.ts, each.columns) for each in parts]
    whole = Readings(
        np.concatenate([each.message for each in parts]),
        np.concatenate([each.item for each in parts]),
        np.concatenate([each.number for each in parts]),
        np.concatenate([each.stream for each in parts]),
        np.concatenate([each.ts for each in parts]),
        np.concatenate([each.seq for each in parts]),
        np.concatenate([each.boot for each in parts]),
        Batch.concatenated(batches).columns,
    )
    return whole.take(np.argsort(whole.message, kind="stable"))


class Rows:
    """The readings of one table: each identity once, sorted by series, then time.

    Attributes:
        batch: the columns.
        barred: by compound, how many readings are left out since they are of a time that was deleted.
    """

    def __init__(
        self, series: Series, readings: Readings, received_ms: Ints, source: Source, barred: Barred | None = None
    ) -> None:
        """Put readings in order; of two with one identity the later one counts.

        Args:
            series: the series of their table.
            readings: the readings.
            received_ms: int64, when each message of the run was received, ms since the epoch.
            source: gives the objects they were made of.
            barred: before when readings of each compound are taken no more, ms since the epoch; None takes all.
        """
        self._readings = readings
        self._received_ms = received_ms
        self._source = source
        self._refused: list[int] = []
        times = readings.ts * NS_PER_MS + np.maximum(readings.seq, 0) % _SEQ_MODULUS
        self._order, numbers, times = _in_order(readings.number, times)
        self.barred: Counter[str] = Counter()
        # What comes is newer than what was deleted, but for a backlog.
        if barred and len(readings) and int(readings.ts.min()) < max(barred.values()):
            gone = self._is_barred(series, barred)
            self._order, numbers, times = self._order[~gone], numbers[~gone], times[~gone]
        first = np.ones(len(numbers), np.bool_)
        first[1:] = numbers[1:] != numbers[:-1]
        self.batch = Batch(
            series.table,
            ChosenKeys(series.keys, numbers[first]),
            np.cumsum(first, dtype=np.int32) - 1,
            times,
            {name: _taken(column, self._order) for name, column in readings.columns.items()},
        )

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.batch)

    @property
    def received(self) -> int:
        """How many readings there were before those of one identity became one, but for those barred."""
        return len(self._readings) - self.barred.total()

    @property
    def first(self) -> tuple[int, int]:
        """Which message its first reading came in, and at which place there."""
        return int(self._readings.message[0]), int(self._readings.item[0])

    def _is_barred(self, series: Series, barred: Barred) -> Bools:
        """Which of the readings in order are taken no more; counts them."""
        order = self._order
        numbers, of = np.unique(self._readings.number[order], return_inverse=True)
        compounds = [series.keys[number].compound for number in numbers.tolist()]
        floors = np.array([barred.get(each, _NEVER) for each in compounds], np.int64)
        gone: Bools = self._readings.ts[order] < floors[of]
        for place, count in enumerate(np.bincount(of[gone], minlength=len(compounds)).tolist()):
            if count:
                self.barred[compounds[place]] += count
        return gone

    def object(self, row: int) -> Row:
        """The validated object that a row was made of."""
        at = int(self._order[row])
        return self._source(int(self._readings.message[at]), int(self._readings.item[at]))

    @property
    def first_received_ms(self) -> int:
        """When the message of its first reading was received, ms since the epoch."""
        return int(self._received_ms[self._readings.message[0]])

    def received_ms(self, row: int) -> int:
        """When the message of a row was received, ms since the epoch."""
        return int(self._received_ms[self._readings.message[self._order[row]]])

    def refuse(self, row: int) -> None:
        """Note that the store has refused a row."""
        self._refused.append(row)

    def seen(self) -> tuple[Ints, Ints, Ints, Bools, Ints]:
        """Stream, boot and number of every reading that has one, whether it is in the store, and its message."""
        readings = self._readings
        stored = np.zeros(len(readings), np.bool_)
        stored[self._order] = True
        stored[self._order[self._refused]] = False
        found = (readings.stream, readings.boot, readings.seq, stored, readings.message)
        numbered = readings.seq != NO_SEQ
        if numbered.all():
            return found
        stream, boot, seq, stored, message = (each[numbered] for each in found)
        return stream, boot, seq, stored, message


def columns_of(table: Table, objects: Sequence[Row]) -> dict[str, Column]:
    """The columns of validated objects."""
    made: dict[str, Column] = {}
    for each in table.fields:
        name = each.name
        if each.required:
            made[name] = column_of(each, [row[name] for row in objects])
        else:
            made[name] = column_of(each, [row.get(name) for row in objects])
    return made


def _in_order(numbers: Codes, times: Times) -> tuple[NDArray[np.intp], Codes, Times]:
    """Which readings to take in which order, and their series and times."""
    order = np.lexsort((times, numbers))  # stable: of equals, the later one is last
    numbers, times = numbers[order], times[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (numbers[1:] != numbers[:-1]) | (times[1:] != times[:-1])
    if not last.all():
        order, numbers, times = order[last], numbers[last], times[last]
    return order, numbers, times


def _taken(column: Column, order: NDArray[np.intp] | Bools) -> Column:
    return Coded(column.codes[order], column.labels) if isinstance(column, Coded) else column[order]
