"""The rollup worker: reads the write log, and brings the rollups up to it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from devices.errors import StoreError
from devices.inventory import Inventory
from devices.kind import Kind
from rollups import cells
from rollups.cells import Codes, apart
from rollups.errors import WriteLogError
from rollups.grains import QUARTER_NS
from rollups.marks import Marks, gathered
from rollups.metrics import RollupMetrics
from rollups.places import places
from rollups.reach import reach
from rollups.roller import Roller, Whole
from rollups.state import State, read_states, write_state
from rollups.writelog import WriteLog
from store.protocol import Store

_DAY = 96
"""Quarters of a day: so much is rolled up at once."""

_WEEK = 7 * _DAY
_GRACE = 2
"""Quarters behind the newest readings, and behind how long they hold, that are left open: what comes a little late then
is not late."""

_MARKS = 4000
_PAUSE_S = 5.0
_BACKOFF_S = 30.0
_DAY_NS = 86_400 * 1_000_000_000

log = structlog.get_logger("courtyard.rollups")


class StoppedError(Exception):
    """The end was asked for; what is not done is done after the next start."""


Told = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is of it, in cells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOptions:
    """How the worker works.

    Attributes:
        raw_days: how far back there are raw readings, in days.
        raw_days_of: the same for kinds of which there are fewer, by name.
        pause_s: how long it waits between two looks at the log, in seconds.
    """

    raw_days: int = 90
    raw_days_of: Mapping[str, int] = field(default_factory=dict)
    pause_s: float = _PAUSE_S


class Worker:
    """Keeps the rollups of all kinds. There must be one alone."""

    def __init__(  # noqa: PLR0913, PLR0917  (what it is wired to)
        self,
        options: WorkerOptions,
        kinds: Mapping[str, Kind],
        inventory: Inventory,
        raw: Store,
        rolled: Store,
        logs: Callable[[], Sequence[WriteLog]],
        *,
        metrics: RollupMetrics | None = None,
        clock: Callable[[], int] = time.time_ns,
        told: Told | None = None,
    ) -> None:
        """Prepare to work.

        Args:
            options: the settings.
            kinds: the kinds.
            inventory: which compounds and devices there are.
            raw: holds readings.
            rolled: holds rollups.
            logs: say what was written.
            metrics: are told what was done.
            clock: the present, in ns.
            told: is told how long work goes on.
        """
        self._options = options
        self._rollers = {kind.name: Roller(kind, raw, rolled, inventory) for kind in kinds.values()}
        self._inventory = inventory
        self._kinds = kinds
        self._raw = raw
        self._rolled = rolled
        self._logs = logs
        self._metrics = metrics if metrics is not None else RollupMetrics(None)
        self._clock = clock
        self._told = told if told is not None else lambda _what, _done, _of: None
        self._states: dict[str, State] | None = None
        self._fresh: set[str] = set()
        self._stopped: Callable[[float], bool] = lambda _seconds: False

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Work until the end is asked for.

        Args:
            stopped: waits up to the given seconds, and says whether to end.
        """
        self._stopped = stopped
        pause = 0.0
        while not stopped(pause):
            try:
                more = self.turn()
                pause = 0.0 if more else self._options.pause_s
            except StoppedError:
                return
            except (StoreError, WriteLogError) as exc:
                log.warning("rollups wait", code=exc.code, error=exc.message)
                self._states, pause = None, _BACKOFF_S

    def catch_up(self, stopped: Callable[[float], bool] = lambda _seconds: False) -> None:
        """Work until nothing is left to do.

        Raises:
            StoppedError: the end was asked for first.
            StoreError: a store failed.
            WriteLogError: a log cannot be read or written.
        """
        self._stopped = stopped
        while self.turn():
            pass

    def turn(self) -> bool:
        """Look at the log once, and do what is to do.

        Returns:
            Whether more waits in it.

        Raises:
            StoppedError: the end was asked for.
            StoreError: a store failed; what was not done is done in the next turn.
            WriteLogError: a log cannot be read or written.
        """
        logs = self._logs()
        taken = [each.marks(limit=_MARKS) for each in logs]
        marks = gathered([mark for each in taken for mark in each], self._kinds, self._inventory)
        states = self._known()
        newest = dict[str, int]()
        for each in logs:
            for compound, quarter in each.newest().items():
                newest[compound] = max(quarter, newest.get(compound, 0))
        for compound, quarter in marks.newest.items():
            newest[compound] = max(quarter, newest.get(compound, 0))
        for name, roller in self._rollers.items():
            if roller.devices:
                self._kind(roller, states.get(name), marks, newest)
        for each, found in zip(logs, taken, strict=True):
            if found:
                each.forget(found[-1].id, marks.newest)
        self._metrics.waiting(sum(each.waiting() for each in logs))
        return any(len(found) == _MARKS for found in taken)

    def _known(self) -> dict[str, State]:
        if self._states is None:
            self._states = read_states(self._rolled, self._kinds)
            self._fresh = set()
            self._rolled.write([places(self._inventory)])
            for name, state in list(self._states.items()):
                self._renewed(self._rollers[name], state)
        return self._states

    def _renewed(self, roller: Roller, state: State) -> None:
        """Make anew what is of another declaration or inventory."""
        kind = roller.kind
        now = State.now(kind, self._inventory, state.begin_ns, state.closed_ns)
        if state == now or state.closed_ns <= state.begin_ns:
            return
        first, last = state.begin_ns // QUARTER_NS, state.closed_ns // QUARTER_NS
        whole = Whole(state.begin_ns, state.closed_ns)
        if state.partials_of != now.partials_of:
            raw = max(first, self._raw_from(kind))
            log.info("the declaration has changed; its rollups are made anew", kind=kind.name)
            self._partials(roller, cells.every(len(roller.devices), raw, last), whole, "renewed")
        log.info("declaration or inventory have changed; the figures are made anew", kind=kind.name)
        self._finish(roller, cells.every(len(roller.devices), first, last), whole)
        self._keep(kind, now)

    def _kind(self, roller: Roller, state: State | None, marks: Marks, newest: Mapping[str, int]) -> None:
        kind = roller.kind
        # What there are no readings of any more stays as it was rolled up.
        marks = marks.within(self._raw_from(kind))
        mine = marks.of(kind.name)
        first = marks.first(kind.name)
        if state is None:
            if first is None:
                return
            state = State.now(kind, self._inventory, first * QUARTER_NS, first * QUARTER_NS)
        state = self._late(roller, state, mine, marks.everything)
        if first is not None and first * QUARTER_NS < state.begin_ns:
            state = self._backwards(roller, state, first)
        self._close(roller, state, self._target(kind, newest))

    def _late(self, roller: Roller, state: State, marks: Mapping[str, Codes], everything: int | None) -> State:
        """Roll up anew what late rows changed."""
        kind, whole = roller.kind, Whole(state.begin_ns, state.closed_ns)
        begin, closed = state.begin_ns // QUARTER_NS, state.closed_ns // QUARTER_NS
        if begin >= closed:
            return state
        hold = -(-kind.max_hold_ns // QUARTER_NS)
        late = {name: codes[apart(codes).quarter < closed + hold] for name, codes in marks.items()}
        codes = cells.clipped(reach(kind, roller.devices, self._raw, late, closed), begin, closed)
        if everything is not None:
            first = min(max(everything, begin), closed)
            codes = np.union1d(codes, cells.every(len(roller.devices), first, closed))
        if len(codes):
            self._metrics.touched(kind.name, sum(int((apart(each).quarter < closed).sum()) for each in late.values()))
            self._partials(roller, codes, whole, "late")
            self._finish(roller, codes, whole)
        return state

    def _raw_from(self, kind: Kind) -> int:
        """The first quarter of which all raw readings are there."""
        days = self._options.raw_days_of.get(kind.name, self._options.raw_days)
        return (self._clock() - days * _DAY_NS) // QUARTER_NS + 1

    def _backwards(self, roller: Roller, state: State, first: int) -> State:
        """Roll up what lies before all that is rolled up, the latest first, so that it stays in one piece."""
        while (begin := state.begin_ns // QUARTER_NS) > first:
            start = max(first, (begin - 1) // _DAY * _DAY)
            whole = Whole(start * QUARTER_NS, state.closed_ns)
            codes = cells.every(len(roller.devices), start, begin)
            self._partials(roller, codes, whole, "closed")
            self._finish(roller, codes, whole)
            state = self._keep(roller.kind, replace(state, begin_ns=whole.begin_ns))
        return state

    def _close(self, roller: Roller, state: State, target: int) -> None:
        """Roll up what is closed by now and was not."""
        while (closed := state.closed_ns // QUARTER_NS) < target:
            stop = min(target, (closed // _DAY + 1) * _DAY)
            whole = Whole(state.begin_ns, stop * QUARTER_NS)
            codes = cells.every(len(roller.devices), closed, stop)
            again = roller.kind.name not in self._fresh  # an earlier process may have begun with these
            self._partials(roller, codes, whole, "closed")
            roller.finish(codes, whole, again=again)
            state = self._keep(roller.kind, replace(state, closed_ns=whole.closed_ns))
            self._fresh.add(roller.kind.name)
        self._metrics.closed(roller.kind.name, state.closed_ns)

    def _target(self, kind: Kind, newest: Mapping[str, int]) -> int:
        """The quarter up to which a kind may be closed: by what half of the compounds have sent, and by the clock."""
        if not newest:
            return 0
        now = self._clock() // QUARTER_NS
        middle = sorted(newest.values())[len(newest) // 2]
        return min(middle, now) - -(-kind.max_hold_ns // QUARTER_NS) - _GRACE

    def _partials(self, roller: Roller, codes: Codes, whole: Whole, why: str) -> None:
        done = 0
        for part in _by(codes, _DAY):
            self._check()
            self._told(f"{roller.kind.name}: {why}", done, len(codes))
            roller.partials(part, whole)
            self._metrics.rolled(roller.kind.name, why, len(part))
            done += len(part)

    def _finish(self, roller: Roller, codes: Codes, whole: Whole) -> None:
        done = 0
        for part in _by(codes, _WEEK):
            self._check()
            self._told(f"{roller.kind.name}: figures", done, len(codes))
            roller.finish(part, whole, again=True)
            done += len(part)

    def _keep(self, kind: Kind, state: State) -> State:
        write_state(self._rolled, kind, state)
        if self._states is not None:
            self._states[kind.name] = state
        return state

    def _check(self) -> None:
        if self._stopped(0.0):
            raise StoppedError


def _by(codes: Codes, quarters: int) -> Iterator[Codes]:
    """Codes in parts of so many quarters, the oldest first."""
    part = apart(codes).quarter // quarters
    for each in np.unique(part).tolist():
        yield codes[part == each]
