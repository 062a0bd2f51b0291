"""Statistics of any devices over any buckets: closed ones from rollups, the rest from raw readings.

Both are partials, and make figures in the same way. Finished figures are only a shorter way to the same ones.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from aggregate import evaluate
from aggregate.edges import NS_PER_S
from aggregate.lines import Line, Result
from aggregate.partials import Column, Partials, Scope, keys_of
from aggregate.reducers import grid
from aggregate.requirements import raw_needs
from devices.columns import Batch, Times
from devices.errors import StoreDeniedError, StoreRejectedError
from devices.inventory import Device, Inventory
from devices.kind import Kind
from devices.statistics import Statistic
from rollups import figures, rows
from rollups.grains import Grain, edges_within
from rollups.pieces import Piece, pieces
from rollups.state import State, read_state
from rollups.tables import FINAL_GRAINS, FinalLine, figures_table, partials_table
from store.protocol import Query, Store

log = structlog.get_logger("courtyard.rollups")

_HOLD_S = 1.0
"""So long what is known of the state serves: rollups that were closed since are read from raw readings meanwhile."""

_FEW = 200
"""Devices that are asked for by their ids; more are asked for by their compounds, or all."""

_FEW_ROWS = 10_000
"""So many rows a store is told to be few."""

_THREADS = 8
_RAW_AT_ONCE = 2

Results = list[Result] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        kind: the kind of the devices.
        statistics: which, of `devices.availability.statistics_of(kind)`.
        devices: the devices, of compounds of one time zone.
        edges: int64[m + 1], ns, the buckets.
        tz: their time zone.
        attributes: the numbers that balances begin with.
        compound: id of the compound whose devices of the kind these all are; `ALL` where they are all there are; None
            where they are some.
    """

    kind: Kind
    statistics: Sequence[Statistic]
    devices: Sequence[Device]
    edges: Times
    tz: ZoneInfo
    attributes: Mapping[str, float]
    compound: str | None = None


class Reader:
    """Answers from raw readings and, where there are any, from rollups. Any number of threads may ask."""

    def __init__(
        self, raw: Store, rolled: Store | None, inventory: Inventory, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read from two stores.

        Args:
            raw: holds readings.
            rolled: holds rollups; None where there are none.
            inventory: which compounds and devices there are.
            monotonic: seconds, for what is held for a while.
        """
        self._raw = raw
        self._rolled = rolled
        self._inventory = inventory
        self._monotonic = monotonic
        self._parts, self._pieces, self._reads = (
            ThreadPoolExecutor(_THREADS, thread_name_prefix=f"rollups-{what}") for what in ("parts", "pieces", "reads")
        )
        self._states: dict[str, tuple[float, State | None]] = {}

    def results(self, question: Question) -> list[Result]:
        """Evaluate statistics; see `aggregate.evaluate.results_of`.

        Returns:
            One result for each statistic, in their order.

        Raises:
            QueryError: a balance lacks the attribute that it begins with.
            StoreError: a store failed.
        """
        state = self.state(question.kind)
        found = None if state is None else self._finished(question, state)
        return self._made(question, question.edges) if found is None else found

    def partials(  # noqa: PLR0913  (whose partials, and where from)
        self,
        kind: Kind,
        statistics: Sequence[Statistic],
        devices: Sequence[Device],
        edges: Times,
        tz: ZoneInfo,
        *,
        span: tuple[int, int] | None = None,
    ) -> Partials:
        """The partials of devices.

        Args:
            kind: their kind.
            statistics: whose partials.
            devices: of compounds of one time zone.
            edges: int64[m + 1], ns, increasing.
            tz: the time zone.
            span: from when to when the rollups are whole, ns; as the state says where None.

        Returns:
            The columns of the statistics, on edges that contain `edges`.

        Raises:
            StoreError: a store failed.
        """
        if span is None:
            state = self.state(kind)
            span = (0, 0) if state is None or not state.has_partials(kind) else (state.begin_ns, state.closed_ns)
        columns = evaluate.columns_of(kind, statistics)

        def made(piece: Piece) -> Partials:
            if piece.grain is None:
                return self.of_readings(kind, statistics, devices, piece.edges)
            return self.of_rollups(kind, columns, devices, piece)

        found = pieces(edges, *span, tz)
        # A raw piece is large, and one at a time is enough in memory.
        raw = sum(piece.grain is None for piece in found)
        return Partials.joined(list(self._pieces.map(made, found) if raw <= _RAW_AT_ONCE else map(made, found)))

    def of_readings(
        self, kind: Kind, statistics: Sequence[Statistic], devices: Sequence[Device], edges: Times
    ) -> Partials:
        """The partials of devices, of raw readings alone; raises `StoreError`."""
        compounds, ids = self._asked(kind, devices)
        queries = [
            Query(
                table=need.table,
                start_ns=need.start_ns,
                stop_ns=need.stop_ns,
                compounds=compounds,
                devices=ids,
                fields=need.fields,
                before_ns=need.before_ns,
                few=_reports(kind, devices, need.stop_ns - need.start_ns) <= _FEW_ROWS,
            )
            for need in raw_needs(kind, statistics, edges)
        ]
        batches = self._reads.map(self._raw.read, queries)
        tables = {query.table.name: batch for query, batch in zip(queries, batches, strict=True)}
        return evaluate.partials_of(kind, statistics, devices, tables, edges)

    def of_rollups(self, kind: Kind, columns: Sequence[Column], devices: Sequence[Device], piece: Piece) -> Partials:
        """Partials of devices as they are kept, whole or not; raises `StoreError`."""
        keys = {scope: keys_of(kind, devices, scope) for scope in Scope}
        batches = {
            scope: self._rows(kind, scope, [each.name for each in columns if each.scope is scope], devices, piece)
            for scope in dict.fromkeys(column.scope for column in columns)
        }
        return Partials(piece.edges, keys, tuple(columns), rows.values_of(columns, keys, batches, piece.edges[:-1]))

    def state(self, kind: Kind) -> State | None:
        """What is known of a kind's rollups, a second old at most; raises `StoreError`."""
        if self._rolled is None:
            return None
        now = self._monotonic()
        held = self._states.get(kind.name)
        if held is None or now - held[0] > _HOLD_S:
            held = self._states[kind.name] = (now, self._read_state(self._rolled, kind))
        return held[1]

    def _read_state(self, rolled: Store, kind: Kind) -> State | None:
        try:
            return read_state(rolled, kind)
        except (StoreDeniedError, StoreRejectedError) as exc:
            if kind.name not in self._states:
                log.warning(
                    "rollups cannot be read, so all is made of raw readings",
                    kind=kind.name,
                    code=exc.code,
                    error=exc.message,
                    do="python -m courtyard init makes their bucket, and the tokens that may read it",
                )
            return None

    def _rows(self, kind: Kind, scope: Scope, fields: Sequence[str], devices: Sequence[Device], piece: Piece) -> Batch:
        table = partials_table(kind, scope, piece.grain or Grain.QUARTER)
        compounds, ids = self._asked(kind, devices)
        query = Query(
            table=table,
            start_ns=int(piece.edges[0]),
            stop_ns=int(piece.edges[-1]),
            compounds=compounds,
            devices=ids,
            fields=tuple(fields),
            few=sum(1 for each in devices for _ in each.keys(table)) * len(piece.edges) <= _FEW_ROWS,
        )
        return Batch.empty(table, fields) if self._rolled is None else self._rolled.read(query)

    def _asked(self, kind: Kind, devices: Sequence[Device]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """The compounds and ids to ask a store for; None stands for all."""
        compounds = tuple(dict.fromkeys(each.compound for each in devices))
        whole = sum(len(self._inventory.compounds[name].of_kind(kind.name)) for name in compounds)
        if whole == len(devices):
            return (None if len(compounds) == len(self._inventory.compounds) else compounds), None
        return compounds, tuple(each.id for each in devices) if len(devices) <= _FEW else None

    def _made(self, question: Question, edges: Times) -> list[Result]:
        """Results of partials."""
        kind, statistics, tz = question.kind, question.statistics, question.tz
        partials = self.partials(kind, statistics, question.devices, grid(kind, statistics, edges, tz), tz)
        return evaluate.results_of(
            kind, statistics, question.devices, partials, edges, tz=tz, attributes=question.attributes
        )

    def _finished(self, question: Question, state: State) -> list[Result] | None:
        """Results of finished figures where they are kept, and of partials before and after; None where none are."""
        if question.compound is None or not state.has_figures(question.kind, self._inventory):
            return None
        lines = figures.lines_of(question.kind, question.statistics)
        if lines is None:
            return None
        edges = question.edges
        for grain in FINAL_GRAINS:
            begin, stop = _whole(edges, grain, state, question.tz)
            if begin < stop:
                others = [edges[: begin + 1], edges[stop:]]
                before, after = (
                    self._parts.submit(self._made, question, each) if len(each) > 1 else None for each in others
                )
                kept = self._kept(question, grain, lines, edges[begin : stop + 1])
                made = [None if each is None else each.result() for each in (before, after)]
                return None if kept is None else [_joined(each) for each in _beside(made[0], kept, made[1])]
        return None

    def _kept(
        self, question: Question, grain: Grain, lines: Mapping[str, Sequence[FinalLine]], edges: Times
    ) -> list[Result] | None:
        if self._rolled is None or question.compound is None:
            return None
        batch = self._rolled.read(
            Query(
                table=figures_table(question.kind, grain),
                start_ns=int(edges[0]),
                stop_ns=int(edges[-1]),
                compounds=(question.compound,),
                fields=tuple(name for each in lines.values() for line in each for name in (line.value, line.coverage)),
                few=len(edges) <= _FEW_ROWS,
            )
        )
        return figures.results_of(question.statistics, lines, batch, edges[:-1])


def _reports(kind: Kind, devices: Sequence[Device], span_ns: int) -> float:
    """About how many rows devices send of a sampled table within a span."""
    return sum(len(each.parts) or 1 for each in devices) * span_ns / (kind.interval_s * NS_PER_S)


def _whole(edges: Times, grain: Grain, state: State, tz: ZoneInfo) -> tuple[int, int]:
    """The buckets, from one to before the other, that are closed buckets of a grain; (0, 0) where they are others."""
    if len(edges) < 2:
        return 0, 0
    begin = int(np.searchsorted(edges, state.begin_ns))
    stop = int(np.searchsorted(edges, state.closed_ns, "right")) - 1
    # Only the first and the last edge of a question may lie beside the clock.
    begin += begin == 0 and not _is_edge(grain, int(edges[0]), tz)
    stop -= stop == len(edges) - 1 and not _is_edge(grain, int(edges[-1]), tz)
    if stop <= begin:
        return 0, 0
    return (begin, stop) if _same(edges[begin : stop + 1], grain, tz) else (0, 0)


def _is_edge(grain: Grain, instant: int, tz: ZoneInfo) -> bool:
    return bool(len(edges_within(grain, instant, instant, tz)))


def _same(edges: Times, grain: Grain, tz: ZoneInfo) -> bool:
    """Whether edges are just those of a grain."""
    if grain is Grain.HOUR and bool((np.diff(edges) == grain.every.seconds * NS_PER_S).all()):
        return _is_edge(grain, int(edges[0]), tz) and _is_edge(grain, int(edges[-1]), tz)
    return np.array_equal(edges, edges_within(grain, int(edges[0]), int(edges[-1]), tz))


def _beside(before: Results, kept: Results, after: Results) -> Iterator[tuple[Result, ...]]:
    """The results of each statistic over the spans that there are any for."""
    return zip(*(each for each in (before, kept, after) if each is not None), strict=True)


def _joined(results: Sequence[Result]) -> Result:
    """The results of consecutive buckets as one; their lines are declared, so all have the same."""
    lines = [
        Line(
            each[0].label,
            np.concatenate([line.values for line in each]),
            np.concatenate([line.coverage for line in each]),
        )
        for each in zip(*(result.lines for result in results), strict=True)
    ]
    return Result(results[0].statistic, tuple(lines))


def by_compound(devices: Iterable[Device]) -> dict[str, list[Device]]:
    """Devices by the compound that they stand in."""
    found: dict[str, list[Device]] = {}
    for each in devices:
        found.setdefault(each.compound, []).append(each)
    return found
