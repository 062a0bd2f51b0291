"""The alarm worker: follows what ingest writes, and keeps the book.

It reads the write log, reads from the store the rows that were written, feeds them to the rules, and writes what has
changed in one transaction before it has done with the log: after a crash in between it reads the same rows once more,
which changes nothing, for it keeps of every series which row was the newest.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from alarms.book import Book
from alarms.calendar import Calendar
from alarms.engine import Engine
from alarms.metrics import AlarmMetrics
from alarms.rules import Rules
from alarms.silence import Silence
from alarms.standing import Change, Standing, Subject
from alarms.targets import Target
from alarms.windows import Windows
from devices.alarms import Severity
from devices.columns import Batch, SeriesKey
from devices.errors import StoreError
from devices.inventory import Inventory
from devices.kind import STATUS, TELEMETRY, Kind, Table
from records.errors import RecordsError
from rollups.errors import WriteLogError
from rollups.grains import QUARTER_NS
from rollups.writelog import EVERYTHING, Mark, WriteLog
from store.protocol import Query, Store

READER = "alarms"

_MARKS = 1000
_PAUSE_S = 1.0
_BACKOFF_S = 5.0
_JOIN_S = 3600.0
_OLDEST_NS = 2 * 86_400 * 1_000_000_000
"""Rows that come later than this raise nothing any more."""

_FEW_ROWS = 10_000

log = structlog.get_logger("courtyard.alarms")


@dataclass(slots=True)
class _Touched:
    """What was written of a table: which devices, and from which quarter to which."""

    devices: set[str] = field(default_factory=set)
    first: int = 2**62
    last: int = -1


class _State:
    """What the worker knows: as the book has it after each turn."""

    def __init__(self, engines: Mapping[str, Engine], silence: Silence, seen: dict[tuple[str, SeriesKey], int]) -> None:
        self.engines = engines
        self.silence = silence
        self.seen = seen
        self.last: dict[tuple[str, str], int] = {}
        self.note(seen)

    def standings(self) -> Iterator[tuple[Subject, Standing]]:
        """Where every rule stands."""
        holders: list[Engine | Silence] = [*self.engines.values(), self.silence]
        for each in holders:
            yield from each.standings.items()

    def note(self, seen: Mapping[tuple[str, SeriesKey], int]) -> None:
        """Note the newest rows that were looked at; of a device with parts the part that is furthest behind counts."""
        self.seen.update(seen)
        parts: dict[tuple[str, str], list[int]] = {}
        for (name, key), time_ns in self.seen.items():
            parts.setdefault((name, key.device), []).append(time_ns)
        self.last = {device: min(times) for device, times in parts.items()}


class AlarmWorker:
    """Keeps the alarms of all kinds. There must be one alone."""

    def __init__(  # noqa: PLR0913  (what it is wired to)
        self,
        kinds: Mapping[str, Kind],
        inventory: Inventory,
        raw: Store,
        book: Book,
        logs: Callable[[], Sequence[WriteLog]],
        *,
        rules: Rules | None = None,
        calendar: Calendar | None = None,
        targets: Sequence[Target] = (),
        metrics: AlarmMetrics | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare to work.

        Args:
            kinds: the kinds.
            inventory: which compounds and devices there are.
            raw: holds readings.
            book: keeps the alarms.
            logs: say what was written, to the reader `READER`.
            rules: the rules in force; as declared where None.
            calendar: says when to be quiet; never where None.
            targets: who is told of alarms.
            metrics: are told what was done.
            clock: the present, in ns.
        """
        self._metrics = metrics if metrics is not None else AlarmMetrics(None)
        self._kinds = kinds
        self._inventory = inventory
        self._raw = raw
        self._book = book
        self._logs = logs
        self._clock = clock
        self._tables = {table.measurement: table for kind in kinds.values() for table in kind.tables.values()}
        self._rules = Rules(kinds) if rules is None else rules
        self._calendar = calendar
        self._targets = targets
        self._windows = Windows()
        self._state: _State | None = None
        self._joined: dict[int, float] = {}

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Work until the end is asked for.

        Args:
            stopped: waits up to the given seconds, and says whether to end.
        """
        pause = 0.0
        while not stopped(pause):
            try:
                pause = 0.0 if self.turn() else _PAUSE_S
            except (StoreError, WriteLogError, RecordsError) as exc:
                log.warning("alarms wait", code=exc.code, error=exc.message)
                self._state, pause = None, _BACKOFF_S  # what was not written is not known: begin with what was

    def turn(self) -> bool:
        """Look at the log once, and at the clock.

        Returns:
            Whether more waits in the log.

        Raises:
            StoreError: the store failed; nothing is lost.
            WriteLogError: a log cannot be read or written; nothing is lost.
            RecordsError: the book cannot be read or written; nothing is lost.
        """
        if self._state is None:
            self._state = self._begun()
        state = self._state
        logs = self._logs()
        self._join(logs)
        taken = [each.marks(limit=_MARKS) for each in logs]
        before = {subject: each.kept() for subject, each in state.standings()}
        seen: dict[tuple[str, SeriesKey], int] = {}
        if self._calendar is not None:
            self._windows.replace(self._calendar.since(self._clock() - _OLDEST_NS))
        changes: list[Change] = []
        for kind, batches in self._written([mark for each in taken for mark in each], state):
            fresh = [self._fresh(batch, state, seen) for batch in batches]
            state.silence.feed(fresh)
            changes += state.engines[kind].feed(fresh)
        now_ns = self._clock()
        for engine in state.engines.values():
            changes += engine.tick(now_ns)
        changes += state.silence.tick(now_ns)
        graded = [(each, self._severity(each.subject)) for each in changes]
        self._write(state, before, graded, seen)
        for each, found in zip(logs, taken, strict=True):
            if found:
                each.forget(found[-1].id)
        self._metrics.turned(graded, waiting=sum(each.waiting() for each in logs), now_s=now_ns / 1e9)
        return any(len(found) == _MARKS for found in taken)

    def _begun(self) -> _State:
        """Where it stood, and the last rows of every device."""
        standings = self._book.standings()
        gone = {subject: each for subject, each in standings.items() if not self._is_known(subject)}
        changes = [change for subject, each in gone.items() for change in each.drop(subject, self._clock())]
        if gone:
            self._book.write([(each, Severity.WARNING) for each in changes], gone, {})
        silence = Silence(self._kinds, self._inventory, standings, self._rules, self._windows)
        since_ns = max(self._clock() - 90 * 86_400 * 1_000_000_000, 0)
        for kind in self._kinds.values():
            silence.feed(self._raw.latest(kind.tables[name], since_ns=since_ns) for name in (STATUS, TELEMETRY))
        engines = {kind.name: Engine(kind, standings, self._rules, self._windows) for kind in self._kinds.values()}
        return _State(engines, silence, self._book.seen())

    def _is_known(self, subject: Subject) -> bool:
        """Whether there is still such a rule, and what it is about."""
        compound, device = self._inventory.compounds.get(subject.compound), self._inventory.devices.get(subject.device)
        there = compound is not None if not subject.kind else device is not None and device.kind == subject.kind
        return there and self._rules.is_declared(subject.kind, subject.rule)

    def _join(self, logs: Iterable[WriteLog]) -> None:
        now_s = time.monotonic()
        for each in logs:
            if now_s - self._joined.get(id(each), -_JOIN_S) >= _JOIN_S:
                each.join()
                self._joined[id(each)] = now_s

    def _written(self, marks: Iterable[Mark], state: _State) -> Iterator[tuple[str, list[Batch]]]:
        """The rows that marks tell of, kind by kind."""
        touched: dict[str, dict[str, _Touched]] = {}
        for mark in marks:
            if mark.measurement == EVERYTHING:  # the log was too long to be kept: anything may have been written
                self._touch_all(touched, mark.first)
                continue
            table = self._tables.get(mark.measurement)
            if table is None or not len(mark.quarter):
                continue
            found = touched.setdefault(table.kind, {}).setdefault(table.name, _Touched())
            found.devices.update(name for name in mark.devices if name in self._inventory.devices)
            found.first = min(found.first, int(mark.quarter.min()))
            found.last = max(found.last, int(mark.quarter.max()))
        for kind, tables in touched.items():
            yield (
                kind,
                [
                    self._read(self._kinds[kind].tables[name], each, state)
                    for name, each in tables.items()
                    if each.devices
                ],
            )

    def _touch_all(self, touched: dict[str, dict[str, _Touched]], first: int) -> None:
        last = self._clock() // QUARTER_NS
        for table in self._tables.values():
            found = touched.setdefault(table.kind, {}).setdefault(table.name, _Touched())
            found.devices.update(each.id for each in self._inventory.of_kind(table.kind))
            found.first, found.last = min(found.first, first), max(found.last, last)

    def _read(self, table: Table, touched: _Touched, state: _State) -> Batch:
        start_ns = max(touched.first * QUARTER_NS, self._clock() - _OLDEST_NS, 0)
        if table.name == TELEMETRY:
            known = [state.last.get((table.measurement, name), 0) for name in touched.devices]
            start_ns = max(start_ns, min(known) + 1)
        stop_ns = (touched.last + 1) * QUARTER_NS
        devices = tuple(sorted(touched.devices))
        compounds = tuple({self._inventory.devices[name].compound for name in devices})
        expected = len(devices) * max(stop_ns - start_ns, 0) / (self._kinds[table.kind].interval_s * 1e9)
        return self._raw.read(
            Query(
                table=table,
                start_ns=start_ns,
                stop_ns=stop_ns,
                compounds=compounds,
                devices=devices,
                few=expected < _FEW_ROWS,
            )
        )

    def _fresh(self, batch: Batch, state: _State, seen: dict[tuple[str, SeriesKey], int]) -> Batch:
        """The rows of telemetry that are newer than all that was looked at of their series; all of other tables."""
        if batch.table.name != TELEMETRY or not len(batch):
            return batch
        name = batch.table.measurement
        newest = np.array([state.seen.get((name, key), -1) for key in batch.keys], np.int64)
        fresh = batch.take(batch.time > newest[batch.series])
        np.maximum.at(newest, fresh.series, fresh.time)
        for key, time_ns in zip(fresh.keys, newest.tolist(), strict=True):
            if time_ns > state.seen.get((name, key), -1):
                seen[name, key] = time_ns
        return fresh

    def _write(
        self,
        state: _State,
        before: Mapping[Subject, dict[str, Any]],
        changes: Sequence[tuple[Change, Severity]],
        seen: Mapping[tuple[str, SeriesKey], int],
    ) -> None:
        changed = {
            subject: each
            for subject, each in state.standings()
            if _essence(each.kept()) != _essence(before.get(subject))
        }
        if not (changes or changed or seen):
            return
        self._book.write(changes, changed, seen, targets=self._targets, now_ns=self._clock())
        state.note(seen)
        for each, _ in changes:
            about = {name: text for name, text in each.subject._asdict().items() if text}
            log.info("alarm", what=str(each.what), value=each.value, **about)

    def _severity(self, subject: Subject) -> Severity:
        rule = self._rules.of(subject.kind, subject.rule, subject.compound, subject.device)
        return Severity.WARNING if rule is None else rule.severity


def _essence(kept: dict[str, Any] | None) -> dict[str, Any]:
    """What matters of a standing: not which row was the newest, where it does not count them."""
    whole = Standing().kept() if kept is None else kept
    return {name: value for name, value in whole.items() if name != "seen_ns" or whole["counts"]}
