"""The true figures of each reducer, and of statistics that are made of others."""

from collections.abc import Callable, Mapping
from itertools import pairwise

from devices.availability import statistics_of
from devices.statistics import Reducer, Statistic
from scoring import events, presence, sampled
from scoring.lines import Lines, TrueLine, Value
from scoring.world import World


def figures(world: World, statistic: Statistic) -> Lines | None:
    """The true lines of a statistic, by label; None where its reducer is not known here."""
    make = _REDUCERS.get(statistic.reducer)
    return None if make is None else world.once(("figures", statistic.name), lambda: make(world, statistic))


def _named(world: World, name: str) -> Lines:
    statistic = next(each for each in statistics_of(world.kind) if each.name == name)
    found = figures(world, statistic)
    if found is None:
        raise KeyError(name)
    return found


def _ratio(world: World, statistic: Statistic) -> Lines:
    above, below = (_named(world, name) for name in statistic.operands)
    made: Lines = {}
    for label, line in above.items():
        by = below.get(label) or below[None]
        values = [
            None if one is None or not other else one / other for one, other in zip(line.values, by.values, strict=True)
        ]
        made[label] = TrueLine(values, [min(pair) for pair in zip(line.coverage, by.coverage, strict=True)])
    return made


def _difference(world: World, statistic: Statistic) -> Lines:
    first, *others = (_named(world, name) for name in statistic.operands)
    made: Lines = {}
    for label, line in first.items():
        rest = [other[label] for other in others]
        values: list[Value] = []
        for b in world.buckets:
            each = [line.values[b], *(other.values[b] for other in rest)]
            known = [value for value in each if value is not None]
            values.append(known[0] - sum(known[1:]) if len(known) == len(each) else None)
        made[label] = TrueLine(values, [min(line.coverage[b], *(o.coverage[b] for o in rest)) for b in world.buckets])
    return made


def _bound(world: World, statistic: Statistic) -> Lines:
    of = next(each for each in world.kind.statistics if each.name == statistic.operands[0])
    slack = [(time, 1) for time, _, _ in world.events(statistic.table, statistic.where)]
    for key in world.keys(statistic.table):
        times = world.series(statistic.table, key).times
        for before, time in pairwise(times):
            last, number = before % 1_000_000, time % 1_000_000
            slack.append((time, number - last - 1 if number > last else number))
    made: Lines = {}
    for label, line in _named(world, of.name).items():
        values: list[Value] = []
        for b in world.buckets:
            value, end = line.values[b], world.edges[b + 1]
            anchor = events.anchor(world, of, end)
            wide = sum(number for time, number in slack if anchor <= time < end)
            values.append(None if value is None else max(value + statistic.bound * wide, 0.0))
        made[label] = TrueLine(values, line.coverage)
    return made


_REDUCERS: Mapping[Reducer, Callable[[World, Statistic], Lines]] = {
    Reducer.LEVEL: sampled.level,
    Reducer.IN_STATE: sampled.in_state,
    Reducer.SECONDS: sampled.seconds,
    Reducer.ENTRIES: sampled.entries,
    Reducer.INCREASE: sampled.increase,
    Reducer.RISE: sampled.rise,
    Reducer.ABOVE: sampled.above,
    Reducer.TIME_TO_FULL: sampled.time_to_full,
    Reducer.COUNT: events.count,
    Reducer.TOTAL: events.total,
    Reducer.BALANCE: events.balance,
    Reducer.BOUND: _bound,
    Reducer.MEAN_DURATION: events.mean_duration,
    Reducer.QUANTILE: events.quantile,
    Reducer.RATIO: _ratio,
    Reducer.DIFFERENCE: _difference,
    Reducer.PEAK: events.peak,
    Reducer.PEAK_HOUR: events.peak_hour,
    Reducer.ONLINE: presence.online,
    Reducer.OFFLINE_SECONDS: presence.offline_seconds,
    Reducer.OUTAGES: presence.outages,
    Reducer.REPAIR_TIME: presence.repair_time,
    Reducer.UPTIME: presence.uptime,
}
