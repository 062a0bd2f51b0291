"""Served statistics beside true ones: how far apart they are, statistic by statistic."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from aggregate.edges import Every, bucket_edges
from devices.availability import statistics_of
from devices.inventory import Inventory
from devices.kind import Kind
from devices.statistics import Group, Reducer, Statistic
from scoring.figures import figures
from scoring.lines import Lines, TrueLine
from scoring.truth import Tables, Truth
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
        self, compound: str, group: Group, kind: str, *, start: str, stop: str, every: str
    ) -> Mapping[str, Any]:
        """Those of one kind in one compound, by name, as `/v1/compounds/{compound}/{group}` writes them."""
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
    told: Callable[[], None] = lambda: None,
) -> Iterator[Row]:
    """Compare everything that is served about every compound.

    Args:
        truth: what really happened.
        served: what is served.
        kinds: the kinds.
        inventory: the compounds that took part in the truth.
        every: length of a bucket.
        told: is called after each kind of each compound.

    Yields:
        A row for each kind and statistic, when all compounds have been compared.

    Raises:
        StoreUnavailableError: the API cannot be asked.
        SettingsError: the truth cannot be read.
    """
    for kind in kinds.values():
        rows = {each.name: Row(kind.name, each.name, every, limit_of(each)) for each in statistics_of(kind)}
        tables = truth.compounds(kind)
        for compound in inventory.compounds.values():
            if compound.of_kind(kind.name):
                _compound(truth, served, kind, inventory, compound.id, tables.get(compound.id, {}), every, rows)
            told()
        yield from rows.values()


def _compound(  # noqa: PLR0913, PLR0917  (one compound in all its context)
    truth: Truth,
    served: Served,
    kind: Kind,
    inventory: Inventory,
    name: str,
    tables: Tables,
    every: str,
    rows: dict[str, Row],
) -> None:
    compound = inventory.compounds[name]
    edges = bucket_edges(truth.start_ns, truth.stop_ns, Every.parse(every), compound.timezone)
    world = World(kind, compound, tables, edges.tolist())
    start, stop = (_text(each) for each in (truth.start_ns, truth.stop_ns))
    for group in Group:
        wanted = statistics_of(kind, group)
        if not wanted:
            continue
        answer = served.statistics(name, group, kind.name, start=start, stop=stop, every=every)
        for extra in sorted(set(answer) - {each.name for each in wanted}):
            rows.setdefault(extra, Row(kind.name, extra, every, 0.0, why="not declared"))
        for statistic in wanted:
            row = rows[statistic.name]
            true = figures(world, statistic)
            if true is None:
                row.why = "not scored"
            elif statistic.name not in answer:
                row.why = "not served"
            else:
                _lines(row, name, true, answer[statistic.name]["lines"])


def _lines(row: Row, compound: str, true: Lines, lines: Sequence[Mapping[str, Any]]) -> None:
    if [line["label"] for line in lines] != list(true):
        row.why = "other lines"
        return
    for line in lines:
        _line(row, f"{compound} {line['label'] or ''}", true[line["label"]], line)


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
