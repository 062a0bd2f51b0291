"""Decode: raw messages in; batches of columns and dead letters out. Pure: no I/O, no clock.

Each message is accounted for exactly once: by all of its objects, or by one dead letter. One bad object in an array
refuses the whole message, since its sender is wrong about what it sends.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from devices.errors import ReadingError, Reason
from devices.inventory import Inventory
from devices.kind import Kind
from devices.payloads import MAX_PAYLOAD_BYTES, Row
from ingest.bulk import NO_BOOT, NO_SEQ, NO_TS
from ingest.deadletters import DeadLetter, refused
from ingest.frame import Spooled
from ingest.ledger import UNKNOWN_KIND, Account, Counts, Entry
from ingest.routes import Group, Routes, Series, part_place
from ingest.rows import Barred, Readings, Rows, columns_of, joined
from ingest.runs import Run, gathered
from ingest.sightings import Ints, Sightings, Streams

_MS_PER_DAY = 86_400_000
_OBJECT, _ARRAY = b"{["
_FEW_BYTES = 16 * 1024
"""So few bytes of one kind and channel are not worth a call of the bulk reader."""
_PIECES = 16
"""Where something is wrong with a group of payloads, it is tried again in so many pieces."""

_Reading = tuple[int, int, int, int, int, int, int, Row]
"""A validated object as `Readings` has it: message, item, series, stream, ts, seq and boot before it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a run of messages holds.

    Attributes:
        tables: the readings by table; tables without readings are left out.
        letters: the refused messages.
        counts: received and duplicate readings and dead letters, by kind.
        refused: the streams of refused messages, as far as these are known.
    """

    tables: list[Rows]
    letters: list[DeadLetter]
    counts: Counts
    refused: list[int] = field(default_factory=list)

    def sightings(self, received_ms: int, *, replayed: bool = False) -> Sightings:
        """Which numbers came: to be asked when the store has taken the rows, or refused them.

        Args:
            received_ms: when they came, ms since the epoch.
            replayed: whether the messages came before, as dead letters: then none is a repetition.
        """
        parts = [rows.seen() for rows in self.tables]
        if not parts:
            none = np.empty(0, np.int64)
            return Sightings(received_ms, none, none, none, refused=self.refused)
        stream, boot, seq, stored, message = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(parts) > 1:  # the events of a device, which share their numbers, lie in several tables
            order = np.argsort(message, kind="stable")
            stream, boot, seq, stored = stream[order], boot[order], seq[order], stored[order]
        stored &= not replayed
        return Sightings(received_ms, stream, boot, seq, None if stored.all() else stored, self.refused)


class Decoder:
    """Decodes messages of one installation's devices."""

    def __init__(  # noqa: PLR0913  (what may come, and when)
        self,
        inventory: Inventory,
        kinds: Mapping[str, Kind],
        *,
        max_future_s: float,
        max_age_days: float,
        max_age_days_of: Mapping[str, float] = MappingProxyType({}),
        streams: Streams | None = None,
        barred: Callable[[], Barred] = dict,
    ) -> None:
        """Prepare to decode.

        Args:
            inventory: the devices that may send.
            kinds: what they may send.
            max_future_s: a reading may be this far ahead of the time it was received at, in seconds.
            max_age_days: a reading may be this old when it was received, in days.
            max_age_days_of: the same where rows of some tables are kept for less, by measurement. It holds for all
                tables of their kind: rolling up anew what is late takes a device's rows of all of them.
            streams: the streams that have numbers already; devices that are new get theirs from it.
            barred: says what was deleted for good: readings of that time are left out, and counted.
        """
        self._barred = barred
        self._routes = Routes(inventory, kinds, Streams() if streams is None else streams)
        self._future_ms = round(max_future_s * 1000)
        self._age_ms = round(max_age_days * _MS_PER_DAY)
        self._age_ms_of = _by_kind(kinds, max_age_days_of)

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
        run = gathered(batches)
        self._many(run)
        letters, refused = self._few(run)

        @lru_cache(maxsize=1)  # refused rows often stand in one array
        def objects(message: int) -> list[Row]:
            group, _ = self._routes.route(run.topics[message])
            return group.validate(run.payloads[message])

        def source(message: int, item: int) -> Row:
            return objects(message)[item]

        barred = self._barred()
        tables = [
            Rows(series, joined(series.table, parts), run.received_ms, source, barred)
            for series, parts in run.parts.items()
        ]
        tables.sort(key=lambda rows: rows.first)
        letters += [letter for rows in tables if rows.barred for letter in _of_deleted(rows)]
        return Decoded(tables, letters, _counted(tables, letters, run.unreadable), refused)

    def _many(self, run: Run) -> None:
        """Read what can be read together."""
        groups, run.devices = self._routes.all(run.topics)
        lengths = np.fromiter(map(len, run.payloads), np.int64, len(run.payloads))
        begins = np.frombuffer(b"".join([payload[:1] or b" " for payload in run.payloads]), np.uint8)
        fit = (groups >= 0) & (lengths <= MAX_PAYLOAD_BYTES)
        fit[list(run.cut)] = False
        for place in np.unique(groups[fit]).tolist():
            for begin in (_OBJECT, _ARRAY):
                chosen = np.flatnonzero(fit & (groups == place) & (begins == begin))
                if not len(chosen) or int(lengths[chosen].sum()) < _FEW_BYTES:
                    continue
                group = self._routes.groups[place]
                if not self._together(run, group, chosen):
                    for piece in np.array_split(chosen, min(_PIECES, len(chosen))):
                        self._together(run, group, piece)

    def _together(self, run: Run, group: Group, chosen: Ints) -> bool:
        """Read some payloads of one group; False where none could be."""
        payloads = [run.payloads[place] for place in chosen.tolist()]
        read = group.reader.read(payloads, arrays=payloads[0][0] == _ARRAY)
        if read is None:
            return False
        found, left = read
        received_ms, devices, streams = run.received_ms[chosen], run.devices[chosen], group.streams.array
        made = []
        for each in found:
            series = group.tables[each.table]
            device, received = devices[each.message], received_ms[each.message]
            number = series.numbers(device, each.part)
            ts = np.where(each.ts == NO_TS, received, each.ts)
            age_ms = self._age_ms_of.get(series.table.measurement, self._age_ms)
            left[each.message[(number < 0) | (ts < received - age_ms) | (ts > received + self._future_ms)]] = True
            message, stream = chosen[each.message], streams[device]
            made.append(Readings(message, each.item, number, stream, ts, each.seq, each.boot, each.columns))
        for each, readings in zip(found, made, strict=True):
            good = ~left[each.message]
            if good.any():
                run.add(group.tables[each.table], readings if good.all() else readings.take(good))
        run.alone[chosen[~left]] = False
        return True

    def _few(self, run: Run) -> tuple[list[DeadLetter], list[int]]:
        """Read what is left, one by one.

        Returns:
            All dead letters, and the streams of refused messages as far as they are known.
        """
        letters = list(run.lost)
        limited: dict[str, list[int]] = {}
        streams: list[int] = []
        found: dict[Series, list[_Reading]] = {}
        for place in np.flatnonzero(run.alone).tolist():
            topic, payload, received_ms = run.topics[place], run.payloads[place], int(run.received_ms[place])
            if not payload and place in run.cut:  # the receiver left nothing of it but its size
                limited.setdefault(topic, []).append(place)
                continue
            try:
                if place in run.cut:
                    raise ReadingError(Reason.TOO_LARGE, f"{run.cut[place]:,} bytes. Send smaller arrays")  # noqa: TRY301
                group, device = self._routes.route(topic)
                for series, reading in self._read(group, device, payload, place, received_ms):
                    found.setdefault(series, []).append(reading)
            except ReadingError as exc:
                size = run.cut.get(place, len(payload))
                letters.append((place, self._letter(exc, topic, payload, size, received_ms)))
                if topic in self._routes:
                    group, device = self._routes.route(topic)
                    streams.append(group.streams[device])
        for series, readings in found.items():
            *header, rows = zip(*readings, strict=True)
            message, item, number, stream, ts, seq, boot = (np.array(each, np.int64) for each in header)
            columns = columns_of(series.table, rows)
            made = Readings(message, item, number.astype(np.int32), stream, ts, seq, boot, columns)
            run.add(series, made)
        for topic, places in limited.items():
            letters.append((places[0], self._too_many(topic, places, run)))
            if self._is_ours(topic):
                group, device = self._routes.route(topic)
                streams += [group.streams[device]] * len(places)
        letters.sort(key=lambda each: each[0])
        return [letter for _, letter in letters], streams

    def _read(
        self, group: Group, device: int, payload: bytes, message: int, received_ms: int
    ) -> list[tuple[Series, _Reading]]:
        """The readings of one payload, or `ReadingError`."""
        latest = received_ms + self._future_ms
        stream = group.streams[device]
        found = []
        for item, row in enumerate(group.validate(payload)):
            series = group.table_of(row)
            number = series.number(device, part_place(series.table, row))
            if number is None:
                part = series.table.part
                name = "" if part is None else part.name
                raise ReadingError(Reason.UNKNOWN_PART, f"the device has no {name} {row[name]!r}")
            ts = row.get("ts", received_ms)
            age_ms = self._age_ms_of.get(series.table.measurement, self._age_ms)
            if not received_ms - age_ms <= ts <= latest:
                raise _untimely(ts, received_ms)
            seq, boot = row.get("seq", NO_SEQ), row.get("boot", NO_BOOT)
            found.append((series, (message, item, number, stream, ts, seq, boot, row)))
        return found

    def _is_ours(self, topic: str) -> bool:
        try:
            self._routes.route(topic)
        except ReadingError:
            return False
        return True

    def _too_many(self, topic: str, places: list[int], run: Run) -> DeadLetter:
        """One dead letter for all messages of a topic that were too many."""
        kind, compound = self._routes.whose(topic)
        made = refused(
            time_ms=int(run.received_ms[places[0]]),
            reason=Reason.RATE,
            message=f"{len(places):,} messages more than a device may send in a minute; they were not read",
            topic=topic,
            payload=b"",
            kind=kind,
            compound=compound,
            size=sum(run.cut[place] for place in places),
        )
        return replace(made, messages=len(places))

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


def _by_kind(kinds: Mapping[str, Kind], days: Mapping[str, float]) -> dict[str, int]:
    """By measurement, the least age in ms of any table of its kind; kinds without such a table are left out."""
    found: dict[str, int] = {}
    for kind in kinds.values():
        named = [days[table.measurement] for table in kind.tables.values() if table.measurement in days]
        if named:
            found |= {table.measurement: round(min(named) * _MS_PER_DAY) for table in kind.tables.values()}
    return found


def _counted(tables: list[Rows], letters: list[DeadLetter], unreadable: int) -> Counts:
    counts: Counts = Counter()
    for rows in tables:
        kind = rows.batch.table.kind
        counts[Account(Entry.RECEIVED, kind)] += rows.received
        counts[Account(Entry.DUPLICATE, kind)] += rows.received - len(rows)
    for letter in letters:
        counts[Account(Entry.RECEIVED, letter.kind)] += letter.messages
        counts[Account(Entry.DEAD_LETTERED, letter.kind, letter.reason)] += letter.messages
    if unreadable:  # these have one dead letter for all
        counts[Account(Entry.RECEIVED, UNKNOWN_KIND)] += unreadable
        counts[Account(Entry.DEAD_LETTERED, UNKNOWN_KIND, Reason.SPOOL_CORRUPT)] += unreadable
    return counts


def _of_deleted(rows: Rows) -> Iterator[DeadLetter]:
    """A dead letter for each compound some of whose readings were deleted before they came; it keeps none of them."""
    table = rows.batch.table
    for compound, count in rows.barred.items():
        yield DeadLetter(
            time_ms=rows.first_received_ms,
            reason=Reason.DELETED,
            message=f"{count:,} readings of {table.measurement} are of a time whose data was deleted for good",
            topic="",
            kind=table.kind,
            compound=compound,
            messages=count,
        )


def _untimely(ts: int, received_ms: int) -> ReadingError:
    seconds = (ts - received_ms) / 1000
    if seconds > 0:
        return ReadingError(Reason.FUTURE, f"ts is {seconds:,.0f} s ahead of the time it was received at")
    return ReadingError(Reason.EXPIRED, f"ts is {-seconds / 86400:,.1f} days before the time it was received at")
