"""The alarm worker: follows what ingest writes, and keeps the book.

It reads the write log, reads from the store the rows that were written, feeds them to the rules, and writes what has
changed in one transaction before it has done with the log: after a crash in between it reads the same rows once more,
which changes nothing, for it keeps of every series which row was the newest.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

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
from alarms.written import OLDEST_NS, Written
from devices.alarms import Severity
from devices.errors import StoreError
from devices.inventory import Inventory
from devices.kind import STATUS, TELEMETRY, Kind
from records.errors import RecordsError
from rollups.errors import WriteLogError
from rollups.writelog import WriteLog
from store.protocol import Store

READER = "alarms"

_MARKS = 1000
_PAUSE_S = 1.0
_BACKOFF_S = 5.0
_JOIN_S = 3600.0

log = structlog.get_logger("courtyard.alarms")


class _State:
    """What the worker knows: as the book has it after each turn."""

    def __init__(self, engines: Mapping[str, Engine], silence: Silence, written: Written) -> None:
        self.engines = engines
        self.silence = silence
        self.written = written

    def standings(self) -> Iterator[tuple[Subject, Standing]]:
        """Where every rule stands."""
        holders: list[Engine | Silence] = [*self.engines.values(), self.silence]
        for each in holders:
            yield from each.standings.items()


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
        if self._calendar is not None:
            self._windows.replace(self._calendar.since(self._clock() - OLDEST_NS))
        changes: list[Change] = []
        for kind, batches in state.written.rows([mark for each in taken for mark in each]):
            state.silence.feed(batches)
            changes += state.engines[kind].feed(batches)
        now_ns = self._clock()
        for engine in state.engines.values():
            changes += engine.tick(now_ns)
        changes += state.silence.tick(now_ns)
        graded = [(each, self._severity(each.subject)) for each in changes]
        self._write(state, before, graded)
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
            last = [self._raw.latest(kind.tables[name], since_ns=since_ns) for name in (STATUS, TELEMETRY)]
            silence.feed(last, delivered=False)
        engines = {kind.name: Engine(kind, standings, self._rules, self._windows) for kind in self._kinds.values()}
        return _State(
            engines, silence, Written(self._kinds, self._inventory, self._raw, self._book.seen(), self._clock)
        )

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

    def _write(
        self,
        state: _State,
        before: Mapping[Subject, dict[str, Any]],
        changes: Sequence[tuple[Change, Severity]],
    ) -> None:
        changed = {
            subject: each
            for subject, each in state.standings()
            if _essence(each.kept()) != _essence(before.get(subject))
        }
        fresh = state.written.fresh
        if not (changes or changed or fresh):
            return
        self._book.write(changes, changed, fresh, targets=self._targets, now_ns=self._clock())
        state.written.note()
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
