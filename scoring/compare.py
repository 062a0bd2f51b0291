"""Served statistics beside true ones: how far apart they are, statistic by statistic."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from aggregate.edges import Every, bucket_edges
from devices.inventory import Inventory
from devices.kind import Kind
from devices.statistics import Group, Reducer, Statistic
from scoring.figures import figures
from scoring.lines import Lines, TrueLine
from scoring.scopes import Level, Scope, scopes, statistics_at
from scoring.truth import Truth
from scoring.walks import NS
from scoring.world import World

EXACT = frozenset({
    Reducer.COUNT, Reducer.ENTRIES, Reducer.OUTAGES, Reducer.BALANCE, Reducer.BOUND, Reducer.PEAK, Reducer.PEAK_HOUR,
})  # fmt: skip
"""What is counted must be exactly right."""

INTEGRAL = 1e-9
"""How far off, relatively, an integral or what is made of some may be: as far as the order of a sum changes it."""

QUANTILE = 0.02
COVERAGE = 1e-9
_TINY = 1e-3
"""Below this the difference counts, not its ratio to the truth."""

_DAY_NS = 86_400 * NS


class Served(Protocol):
    """Answers with statistics."""

    def statistics(  # noqa: PLR0913  (a question's parts)
        self, path: str, group: Group, kind: str, *, start: str, stop: str, every: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Those of one kind in one scope, by name, as `/v1/{path}/{group}` writes them."""
        ...


@dataclass(slots=True)
class Row:
    """How one statistic fared.

    Attributes:
        kind: name of the kind.
        statistic: name of the statistic.
        every: length of its buckets.
        limit: the largest error that passes.
        buckets: how many figures were compared.
        known: how many of them are known.
        worst: the largest error: relative, or inf where one is known and the other is not.
        coverage: the largest error of a coverage.
        why: what else is wrong; "" where nothing is.
        where: where the largest error is.
    """

    kind: str
    statistic: str
    every: str
    limit: float
    buckets: int = 0
    known: int = 0
    worst: float = 0.0
    coverage: float = 0.0
    why: str = ""
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether it passes."""
        return not self.why and self.buckets > 0 and self.worst <= self.limit and self.coverage <= COVERAGE


def limit_of(statistic: Statistic) -> float:
    """The largest error that passes."""
    if statistic.reducer in EXACT:
        return 0.0
    return QUANTILE if statistic.reducer is Reducer.QUANTILE else INTEGRAL


def compared(  # noqa: PLR0913  (both sides, and how they are compared)
    truth: Truth,
    served: Served,
    kinds: Mapping[str, Kind],
    inventory: Inventory,
    every: str,
    *,
    levels: Collection[Level] = tuple(Level),
    told: Callable[[], None] = lambda: None,
) -> Iterator[Row]:
    """Compare everything that is served.

    Args:
        truth: what really happened.
        served: what is served.
        kinds: the kinds.
        inventory: the compounds that took part in the truth.
        every: length of a bucket.
        levels: whose statistics are compared; see `scoring.scopes`.
        told: is called after each scope of each kind.

    Yields:
        A row for each kind and statistic, when all scopes have been compared.

    Raises:
        StoreUnavailableError: the API cannot be asked.
        SettingsError: the truth cannot be read.
    """
    for kind in kinds.values():
        wanted = {each.name: each for level in levels for each in statistics_at(level, kind)}
        rows = {name: Row(kind.name, name, every, limit_of(each)) for name, each in wanted.items()}
        tables = truth.tables(kind)
        for scope in scopes(inventory, kind, levels):
            edges = bucket_edges(truth.start_ns, truth.stop_ns, Every.parse(every), scope.whole.timezone)
            _scope(World(kind, scope.whole, tables, edges.tolist()), served, scope, every, rows)
            told()
        yield from rows.values()


def _scope(world: World, served: Served, scope: Scope, every: str, rows: dict[str, Row]) -> None:
    start, stop = (_text(each) for each in (world.edges[0], world.edges[-1]))
    for group in Group:
        wanted = statistics_at(scope.level, world.kind, group)
        if not wanted:
            continue
        answer = served.statistics(
            scope.path, group, world.kind.name, start=start, stop=stop, every=every, params=scope.params
        )
        for extra in sorted(set(answer) - {each.name for each in wanted}):
            rows.setdefault(extra, Row(world.kind.name, extra, every, 0.0)).why = "not declared"
        for statistic in wanted:
            row = rows[statistic.name]
            true = figures(world, statistic)
            if true is None:
                row.why = "not scored"
            elif statistic.name not in answer:
                row.why = "not served"
            else:
                _lines(row, scope.name, true, answer[statistic.name]["lines"])


def _lines(row: Row, scope: str, true: Lines, lines: Sequence[Mapping[str, Any]]) -> None:
    if [line["label"] for line in lines] != list(true):
        row.why = "other lines"
        return
    for line in lines:
        _line(row, f"{scope} {line['label'] or ''}", true[line["label"]], line)


def _line(row: Row, where: str, true: TrueLine, line: Mapping[str, Any]) -> None:
    if len(line["values"]) != len(true.values):
        row.why = "another number of buckets"
        return
    for place, (value, truth) in enumerate(zip(line["values"], true.values, strict=True)):
        error = _error(value, truth)
        if error > row.worst:
            row.worst, row.where = error, f"{where}[{place}]: {value} for {truth}"
        row.known += truth is not None
    row.buckets += len(true.values)
    pairs = zip(line["coverage"], true.coverage, strict=True)
    row.coverage = max(row.coverage, max((_apart(one, other) for one, other in pairs), default=0.0))


def _error(value: float | None, truth: float | None) -> float:
    if value is None or truth is None:
        return 0.0 if value is truth else math.inf
    return _apart(value, truth) / max(abs(truth), _TINY)


def _apart(value: float, truth: float) -> float:
    """How far apart two numbers are; what is no finite number is infinitely far from everything."""
    apart = abs(value - truth)
    return apart if math.isfinite(apart) else math.inf


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant / NS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
