"""Readings to messages: sequence numbers, JSON and arrays, column by column instead of row by row.

The text of all rows of a table is joined by pyarrow in one buffer, of which each payload is a slice.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Column, Times
from devices.fields import Field
from devices.kind import Channel, Table
from devices.topics import Topic


class Message(NamedTuple):
    """One publish.

    Attributes:
        due_ms: when its last reading was taken, ms since the epoch.
        device: number of the device, as the encoder was given them.
        topic: the topic.
        payload: one JSON object, or an array of them.
        counts: how many readings of which measurement it holds.
        retain: whether the broker is to keep it.
    """

    due_ms: int
    device: int
    topic: str
    payload: bytes
    counts: tuple[tuple[str, int], ...]
    retain: bool = False


_DUE = itemgetter(0)

Boots = Callable[[NDArray[np.int64], Times], NDArray[np.int64]]
"""Given int64[n] numbers of devices and int64[n] ms since the epoch: how often each has started anew until then."""

Record = Callable[[Sequence[Batch], NDArray[np.int64]], None]
"""Takes batches, and the sequence numbers of all their rows, one batch after the other."""


class Encoder:
    """Makes messages of batches, and numbers the readings of each device and channel.

    Attributes:
        linger_ms: a message holds readings of one span of so many ms only; 0: it may wait until it is full.
    """

    def __init__(  # noqa: PLR0913  (an encoder's settings are one row)
        self,
        numbers: Mapping[str, int],
        *,
        boot: int,
        batch: int = 1,
        linger_ms: int = 0,
        boots: Boots | None = None,
        record: Record | None = None,
    ) -> None:
        """Begin all sequences at 0.

        Args:
            numbers: the number of each device, from 0, by its id.
            boot: the `boot` id that every reading carries.
            batch: at most so many readings of one device and channel go into one message.
            linger_ms: a message holds readings of one span of so many ms only; 0: it may wait until it is full.
            boots: how often each device has started anew until some time; None where none ever does.
            record: is given all rows with their sequence numbers.
        """
        self._numbers = numbers
        self._boots = boots
        self._record = record
        self._booted: dict[Channel, NDArray[np.int64]] = {
            channel: np.zeros(len(numbers), np.int64) for channel in Channel
        }
        self._boot = boot
        self._batch = batch
        self.linger_ms = linger_ms
        self._next: dict[Channel, NDArray[np.int64]] = {
            channel: np.zeros(len(numbers), np.int64) for channel in Channel
        }

    def encode(self, batches: Iterable[Batch]) -> list[Message]:
        """Make the messages of one span; spans must come in the order of time.

        Returns:
            The messages, by `due_ms`.
        """
        groups: dict[tuple[str, Channel], dict[str, list[Batch]]] = {}
        for batch in batches:
            if len(batch):
                group = groups.setdefault((batch.table.kind, batch.table.channel), {})
                group.setdefault(batch.table.name, []).append(batch)
        messages: list[Message] = []
        with _uncollected():
            for (kind, channel), tables in groups.items():
                merged = [Batch.concatenated(parts) for parts in tables.values()]
                messages += self._channel(kind, channel, merged)
            messages.sort(key=_DUE)
        return messages

    def boot_of(self, device: int, channel: Channel) -> int:
        """The `boot` under which the channel of a device goes on."""
        return self._boot + int(self._booted[channel][device])

    def take_seq(self, device: int, channel: Channel) -> int:
        """The next sequence number of a device's channel, which is thereby used."""
        seq = int(self._next[channel][device])
        self._next[channel][device] += 1
        return seq

    def _channel(self, kind: str, channel: Channel, batches: Sequence[Batch]) -> Iterable[Message]:
        topics: dict[int, str] = {}
        owners = []
        for batch in batches:
            numbers = [self._numbers[key.device] for key in batch.keys]
            pairs = zip(numbers, batch.keys, strict=True)
            topics |= {n: str(Topic(key.compound, kind, key.device, channel)) for n, key in pairs}
            owners.append(np.array(numbers)[batch.series])
        device = np.concatenate(owners)
        ms = np.concatenate([batch.time for batch in batches]) // NS_PER_MS
        table = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
        order = np.lexsort((ms, device))
        device, ms, table = device[order], ms[order], table[order]
        booted = None if self._boots is None else self._boots(device, ms)
        seq = np.empty(len(order), np.int64)
        seq[order] = self._numbered(device, channel, booted)
        boot: int | NDArray[np.int64] = self._boot
        if booted is not None:
            boot = np.empty(len(order), np.int64)
            boot[order] = booted + self._boot
        if self._record is not None:
            self._record(batches, seq)
        texts = _texts(batches, seq, boot)
        starts = self._starts(device, ms)
        ends = np.append(starts[1:], len(device))
        counts = _counts([batch.table.measurement for batch in batches], table, starts, ends)
        names = np.array([topics.get(n, "") for n in range(max(topics) + 1)], object)[device[starts]].tolist()
        payloads = _payloads(texts.take(pa.array(order)), starts, ends)
        retain = [channel is Channel.STATUS] * len(starts)
        columns = zip(ms[ends - 1].tolist(), device[starts].tolist(), names, payloads, counts, retain, strict=True)
        # What Message._make does, without a Python frame for each message.
        return map(tuple.__new__, repeat(Message), columns)

    def _numbered(
        self, device: NDArray[np.int64], channel: Channel, booted: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Sequence numbers of rows in order of device and time; those of a device that starts anew begin at 0 again."""
        if booted is not None and len(device):
            return self._numbered_by_boot(device, channel, booted)
        counters = self._next[channel]
        counts = np.bincount(device, minlength=len(counters))
        seq = np.arange(len(device)) - (np.cumsum(counts) - counts)[device] + counters[device]
        counters += counts
        return seq

    def _numbered_by_boot(
        self, device: NDArray[np.int64], channel: Channel, booted: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        counters, last = self._next[channel], self._booted[channel]
        # A clock that was put back shows a time from before the boot; the boot stays the one it is.
        np.maximum(booted, last[device], out=booted)
        first = np.ones(len(device), np.bool_)
        first[1:] = (device[1:] != device[:-1]) | (booted[1:] != booted[:-1])
        begins = np.flatnonzero(first)
        lengths = np.diff(begins, append=len(device))
        same = booted[begins] == last[device[begins]]
        offset = np.where(same, counters[device[begins]], 0)
        seq = np.arange(len(device)) - np.repeat(begins - offset, lengths)
        ends = begins + lengths - 1  # of several boots of a device the last one counts
        counters[device[ends]], last[device[ends]] = seq[ends] + 1, booted[ends]
        return seq

    def _starts(self, device: NDArray[np.int64], ms: Times) -> NDArray[np.int64]:
        """At which rows messages begin."""
        rows = np.arange(len(device))
        if self._batch == 1:
            return rows
        changes = np.diff(device, prepend=-1) != 0
        if self.linger_ms:
            changes |= np.diff(ms // self.linger_ms, prepend=-1) != 0
        place = rows - np.maximum.accumulate(np.where(changes, rows, 0))
        return np.flatnonzero(place % self._batch == 0)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector: nothing here makes a cycle, and searching the messages takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _counts(
    measurements: Sequence[str], table: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> list[tuple[tuple[str, int], ...]]:
    """What each message holds; equal counts share one tuple."""
    held = np.stack([
        np.add.reduceat(table == number, starts, dtype=np.int64) for number in range(len(measurements))
    ])  # fmt: skip
    size = int((ends - starts).max()) + 1
    code = np.ravel_multi_index(tuple(held), (size,) * len(measurements))
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    kinds = np.empty(len(first), object)
    for place, message in enumerate(first.tolist()):
        kinds[place] = tuple(
            (name, count) for name, count in zip(measurements, held[:, message].tolist(), strict=True) if count
        )
    shared: list[tuple[tuple[str, int], ...]] = kinds[inverse].tolist()
    return shared


def _payloads(texts: pa.Array, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bytes]:
    """Slices of the joined text, each object of which ends in a comma."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    text = data.to_pybytes()
    begins, stops = bounds[starts].tolist(), (bounds[ends] - 1).tolist()
    single = ends - starts == 1
    if single.all():
        return [text[begin:stop] for begin, stop in zip(begins, stops, strict=True)]
    return [
        text[begin:stop] if alone else b"[%b]" % text[begin:stop]
        for begin, stop, alone in zip(begins, stops, single.tolist(), strict=True)
    ]


def _texts(batches: Sequence[Batch], seq: NDArray[np.int64], boot: int | NDArray[np.int64]) -> pa.Array:
    """One JSON object and a comma for each row of `batches`, in their order."""
    made, first = [], 0
    for batch in batches:
        rows = slice(first, first + len(batch))
        made.append(_objects(batch, seq[rows], boot if isinstance(boot, int) else boot[rows]))
        first += len(batch)
    return made[0] if len(made) == 1 else pa.concat_arrays(made)


def _objects(batch: Batch, seq: NDArray[np.int64], boot: int | NDArray[np.int64]) -> pa.Array:
    table = batch.table
    event = f',"event":"{table.name}"' if table.channel is Channel.EVENT else ""
    pieces: list[Any] = [
        '{"ts":', _numbers(batch.time // NS_PER_MS), ',"seq":', _numbers(seq), ',"boot":',
        str(boot) if isinstance(boot, int) else _numbers(boot), event,
    ]  # fmt: skip
    if table.part is not None:
        labels = [_part(table, key.part) for key in batch.keys]
        pieces.append(_chosen(labels, batch.series))
    pieces += [_piece(field, batch.columns[field.name]) for field in table.fields]
    return pc.binary_join_element_wise(*pieces, "},", "", null_handling="replace", null_replacement="")


def _part(table: Table, name: str) -> str:
    assert table.part is not None  # noqa: S101  (for the type checker: the caller asks only for tables with parts)
    value = f'"{name}"' if table.part.values else name
    return f',"{table.part.name}":{value}'


def _piece(field: Field, column: Column) -> pa.Array:
    """The key and value of each row, null where absent."""
    key = f',"{field.name}":'
    if isinstance(column, Coded):
        quote = "" if field.boolean else '"'
        return _chosen([f"{key}{quote}{label}{quote}" for label in column.labels], column.codes)
    absent = np.isnan(column)
    values = np.where(absent, 0, column).astype(np.int64) if field.integer else column
    texts = pc.cast(pa.array(values, mask=absent if absent.any() else None), pa.string())
    return pc.binary_join_element_wise(key, texts, "")


def _chosen(labels: Sequence[str], codes: NDArray[np.int32]) -> pa.Array:
    """The label of each code, null where the code is -1."""
    absent = codes < 0
    return pa.array([*labels], pa.string()).take(pa.array(codes, mask=absent if absent.any() else None))


def _numbers(values: NDArray[np.int64]) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())
