"""The truth of sampled fields: levels, states, registers, and how long until they are full."""

import math
from collections.abc import Mapping, Sequence

from devices.columns import SeriesKey
from devices.statistics import Across, Statistic
from scoring import walks
from scoring.lines import Lines, TrueLine, Value, field_of
from scoring.walks import DAY_NS, NS
from scoring.world import World

Amounts = Mapping[SeriesKey, tuple[Sequence[float], Sequence[int]]]
"""Of each series: an amount for each bucket, and the ns in which it was observed."""


def level(world: World, statistic: Statistic) -> Lines:
    """The time-weighted mean of a gauge."""
    hold = world.hold_in(statistic.table)
    amounts = {}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        amounts[key] = walks.integral(times, values, hold, world.edges)
    return _rates(world, statistic, amounts)


def in_state(world: World, statistic: Statistic) -> Lines:
    """The mean number, or share, of series in the labels."""
    return _rates(world, statistic, _within(world, statistic))


def seconds(world: World, statistic: Statistic) -> Lines:
    """The seconds in the labels."""
    inside = {key: ([ns / NS for ns in each], seen) for key, (each, seen) in _within(world, statistic).items()}
    return _sums(world, statistic, inside)


def entries(world: World, statistic: Statistic) -> Lines:
    """The entries into the labels."""
    hold = world.hold_in(statistic.table)
    amounts = {}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        seen = walks.held_ns(times, hold, world.edges)
        amounts[key] = (walks.entries(times, values, statistic.labels, world.edges), seen)
    return _sums(world, statistic, amounts)


def increase(world: World, statistic: Statistic) -> Lines:
    """The increase of registers."""
    return _sums(world, statistic, _rises(world, statistic, world.edges, resets=True))


def rise(world: World, statistic: Statistic) -> Lines:
    """The rise of a level per hour in which it was followed."""
    amounts = _rises(world, statistic, world.edges, resets=False)
    made: Lines = {}
    for label, keys in world.lines(statistic).items():
        values: list[Value] = []
        for b in world.buckets:
            ns = sum(amounts[key][1][b] for key in keys)
            values.append(math.fsum(amounts[key][0][b] for key in keys) * 3600 * NS / ns if ns else None)
        made[label] = TrueLine(values, world.coverage([amounts[key][1] for key in keys], len(keys)))
    return made


def above(world: World, statistic: Statistic) -> Lines:
    """The seconds at the threshold or above."""
    amounts = {}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        full = [1.0 if value >= (statistic.threshold or 0) else 0.0 for value in values]
        ns, seen = walks.integral(times, full, world.hold_in(statistic.table), world.edges)
        amounts[key] = ([each / NS for each in ns], seen)
    return _sums(world, statistic, amounts)


def time_to_full(world: World, statistic: Statistic) -> Lines:
    """Seconds from the bucket's end until the first series is full, at its rate of the seven days before."""
    hours = 3600 * NS
    first = world.edges[0] - 7 * DAY_NS - (world.edges[0] - 7 * DAY_NS - world.edges[0]) % hours
    grid = list(range(first, world.edges[-1] + 1, hours))
    rises = world.once(("rises", statistic.field), lambda: _rises(world, statistic, grid, resets=False))
    made: Lines = {}
    for label, keys in world.lines(statistic).items():
        seen, soonest = [], [math.inf] * len(world.buckets)
        for key in keys:
            times, values = world.series(statistic.table, key).of(field_of(statistic))
            last: list[Value] = [None] * len(world.buckets)
            observed = [0] * len(world.buckets)
            for row, b, ns in walks.holds(times, world.hold, world.edges):
                last[b] = values[row]
                observed[b] += ns
            seen.append(observed)
            for b in world.buckets:
                rate = _forecast_rate(rises[key], (world.edges[b + 1] - first) // hours, statistic.bound)
                level = last[b]
                if level is None:
                    continue
                room = max((statistic.threshold or 0) - level, 0.0)
                if room == 0 or rate > 0:
                    soonest[b] = min(soonest[b], room / rate if room else 0.0)
        coverage = world.coverage(seen, len(keys))
        values_ = [s if math.isfinite(s) and coverage[b] > 0 else None for b, s in enumerate(soonest)]
        made[label] = TrueLine(list(values_), coverage)
    return made


def _rates(world: World, statistic: Statistic, amounts: Amounts) -> Lines:
    """Rates from amounts (unit · ns) and observed ns of each series."""
    made: Lines = {}
    for label, keys in world.lines(statistic).items():
        values: list[Value] = []
        for b in world.buckets:
            seen = [(amounts[key][0][b], amounts[key][1][b]) for key in keys if amounts[key][1][b] > 0]
            if not seen:
                values.append(None)
            elif statistic.across is Across.MEAN:
                values.append(math.fsum(amount for amount, _ in seen) / sum(ns for _, ns in seen))
            elif statistic.across is Across.MAX:
                values.append(max(amount / ns for amount, ns in seen))
            else:
                values.append(math.fsum(amount / ns for amount, ns in seen))
        made[label] = TrueLine(values, world.coverage([amounts[key][1] for key in keys], len(keys)))
    return made


def _sums(world: World, statistic: Statistic, amounts: Amounts) -> Lines:
    """Sums over series; what is known to have happened counts even where nothing was observed."""
    made: Lines = {}
    for label, keys in world.lines(statistic).items():
        coverage = world.coverage([amounts[key][1] for key in keys], len(keys))
        totals = [math.fsum(amounts[key][0][b] for key in keys) for b in world.buckets]
        values = [t if coverage[b] > 0 or t > 0 else None for b, t in enumerate(totals)]
        made[label] = TrueLine(list(values), coverage)
    return made


def _within(world: World, statistic: Statistic) -> dict[SeriesKey, tuple[list[float], list[int]]]:
    """The ns in the labels, and the ns observed, of each series."""
    hold = world.hold_in(statistic.table)
    amounts = {}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        inside = [1.0 if value in statistic.labels else 0.0 for value in values]
        amounts[key] = walks.integral(times, inside, hold, world.edges)
    return amounts


def _rises(
    world: World, statistic: Statistic, edges: Sequence[int], *, resets: bool
) -> dict[SeriesKey, tuple[list[float], list[int]]]:
    amounts = {}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        amounts[key] = walks.rise(times, values, world.hold_in(statistic.table), edges, resets=resets)
    return amounts


def _forecast_rate(rises: tuple[Sequence[float], Sequence[int]], hour: int, bound: int) -> float:
    """The rate per second over the seven days before an hour of the grid."""
    days = []
    for day in range(7):
        window = slice(hour - 24 * (day + 1), hour - 24 * day)
        days.append((math.fsum(rises[0][window]), sum(rises[1][window]) / NS))
    known = [(rise, seconds) for rise, seconds in days if seconds > 0]
    if not known:
        return 0.0
    mean = math.fsum(rise for rise, _ in known) / math.fsum(seconds for _, seconds in known)
    if not bound:
        return mean
    if len(known) < 2:
        return 0.0
    variance = math.fsum((rise / seconds - mean) ** 2 for rise, seconds in known) / (len(known) - 1)
    return mean - bound * 1.645 * math.sqrt(variance / len(known))
