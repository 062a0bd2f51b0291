"""The truth of events: counts, sums, balances, pairs and peaks."""

import math
from datetime import datetime, timedelta

from devices.statistics import Statistic
from scoring import walks
from scoring.lines import Lines, TrueLine, Value, field_of
from scoring.walks import NS
from scoring.world import World


def count(world: World, statistic: Statistic) -> Lines:
    """The number of events."""
    return _tallied(world, statistic, values=False)


def total(world: World, statistic: Statistic) -> Lines:
    """The sum of a value of events."""
    return _tallied(world, statistic, values=True)


def balance(world: World, statistic: Statistic) -> Lines:
    """The base, plus what came and minus what went since the last anchor."""
    base = float(getattr(world.compound, statistic.base or ""))
    moves = [(time, 1) for time, _, _ in world.events(statistic.table, statistic.where)]
    moves += [(time, -1) for time, _, _ in world.events(statistic.table, statistic.minus)]
    heard, values, coverage = world.heard(), list[Value](), []
    for b in world.buckets:
        end = world.edges[b + 1]
        begun = anchor(world, statistic, end)
        share = 1.0
        if begun < end:
            since = world.once(("since", begun, end), lambda a=begun, e=end: world.over([a, e]).heard())  # type: ignore[misc]
            share = since[0]
        coverage.append(min(heard[b], share))
        value = base + sum(way for time, way in moves if begun <= time < end)
        values.append(value if coverage[-1] > 0 else None)
    return {None: TrueLine(values, coverage)}


def mean_duration(world: World, statistic: Statistic) -> Lines:
    """The mean time between the events of a pair."""
    found = _pairs(world, statistic)
    heard = world.heard()
    return {k: TrueLine([math.fsum(s) / len(s) if s else None for s in cells], heard) for k, cells in found.items()}


def quantile(world: World, statistic: Statistic) -> Lines:
    """The exact quantile of the time between the events of a pair."""
    q = statistic.quantile or 0.5

    def of(seconds: list[float]) -> Value:
        return sorted(seconds)[max(math.ceil(q * len(seconds) - 1e-9), 1) - 1] if seconds else None

    heard = world.heard()
    return {k: TrueLine([of(s) for s in cells], heard) for k, cells in _pairs(world, statistic).items()}


def peak(world: World, statistic: Statistic) -> Lines:
    """The most events in one hour of the local clock."""
    heard = world.heard()
    values = [most if most or heard[b] > 0 else None for b, (most, _) in enumerate(_peaks(world, statistic))]
    return {None: TrueLine(list(values), heard)}


def peak_hour(world: World, statistic: Statistic) -> Lines:
    """The hour of the local clock in which there were most events."""
    return {None: TrueLine([None if h is None else float(h) for _, h in _peaks(world, statistic)], world.heard())}


def _labels(world: World, statistic: Statistic) -> list[str | None]:
    if statistic.by is None:
        return [None]
    if statistic.by == "part":
        return list(world.lines(statistic))
    field = world.kind.tables[statistic.table].by_name[statistic.by]
    labels: list[str | None] = [each for each in field.labels if each in statistic.where.get(field.name, field.labels)]
    return labels if field.required or field.name in statistic.where else [*labels, "unspecified"]


def _tallied(world: World, statistic: Statistic, *, values: bool) -> Lines:
    labels = _labels(world, statistic)
    terms: dict[str | None, list[list[float]]] = {label: [[] for _ in world.buckets] for label in labels}
    for time, key, said in world.events(statistic.table, statistic.where):
        label: str | None = None
        if statistic.by == "part":
            label = key.part
        elif statistic.by is not None:
            label = said[statistic.by] or "unspecified"
        b = walks.bucket_of(time, world.edges)
        amount = said[field_of(statistic)] if values else 1.0
        if b is not None and amount is not None:
            terms[label][b].append(amount)
    heard = world.heard()
    return {
        label: TrueLine([math.fsum(each) if each or heard[b] > 0 else None for b, each in enumerate(cells)], heard)
        for label, cells in terms.items()
    }


def anchor(world: World, statistic: Statistic, end: int) -> int:
    """The last instant at or before `end` at which the local clock showed the anchor's hour."""
    local = datetime.fromtimestamp(end // NS, world.timezone).date()
    for back in range(3):
        wall = datetime.combine(local - timedelta(days=back), datetime.min.time(), world.timezone)
        instant = round(wall.replace(hour=statistic.anchor_hour).timestamp()) * NS
        if instant <= end:
            return instant
    raise AssertionError(end)


def _pairs(world: World, statistic: Statistic) -> dict[str | None, list[list[float]]]:
    """The durations of the pairs closed in each bucket, by line."""
    pair = next(each for each in world.kind.pairs if each.name == statistic.pair)
    marks: list[tuple[int, int, str, str, str]] = []
    for closes, matches in ((0, (pair.opens,)), (1, pair.closes)):
        for match in matches:
            where = {name: (label,) for name, label in match.where.items()}
            for time, key, said in world.events(match.event, where):
                if said[pair.key] is not None:
                    marks.append((time, closes, key.device, said[pair.key], key.part))
    made: dict[str | None, list[list[float]]] = {}
    for label in world.lines(statistic) if statistic.by == "part" else [None]:
        made[label] = [[] for _ in world.buckets]
    opened: dict[tuple[str, str], int] = {}
    for time, closes, device, name, part in sorted(marks):
        if not closes:
            opened[device, name] = time
        elif (device, name) in opened:
            began = opened.pop((device, name))
            b = walks.bucket_of(time, world.edges)
            if b is not None:
                made[part if statistic.by == "part" else None][b].append((time - began) / NS)
    return made


def _peaks(world: World, statistic: Statistic) -> list[tuple[float, int | None]]:
    """By bucket: the most events in one hour of the local clock, and which hour that was."""
    of = next(each for each in world.kind.statistics if each.name == statistic.operands[0])
    times = [time for time, _, _ in world.events(of.table, of.where)]
    counts: list[dict[datetime, int]] = [{} for _ in world.buckets]
    for time in times:
        b = walks.bucket_of(time, world.edges)
        if b is not None:
            hour = datetime.fromtimestamp(time // NS, world.timezone).replace(minute=0, second=0)
            counts[b][hour] = counts[b].get(hour, 0) + 1
    found = []
    for each in counts:
        most = max(each.values(), default=0)
        found.append((float(most), min(hour for hour, n in each.items() if n == most).hour if each else None))
    return found
