"""The truth of availability: online, offline, outages and uptime."""

import math

from devices.statistics import Statistic
from scoring import walks
from scoring.lines import Lines, TrueLine, Value, field_of
from scoring.walks import NS
from scoring.world import World


def online(world: World, _: Statistic) -> Lines:
    """The share of the time known to be online or offline that was online."""
    states = _states(world)
    values: list[Value] = []
    for here, away in zip(states["online"], states["offline"], strict=True):
        values.append(here / (here + away) if here + away else None)
    return {None: TrueLine(values, _known_states(world))}


def offline_seconds(world: World, _: Statistic) -> Lines:
    """The seconds known to be offline."""
    coverage = _known_states(world)
    values = [ns / NS if coverage[b] > 0 else None for b, ns in enumerate(_states(world)["offline"])]
    return {None: TrueLine(list(values), coverage)}


def outages(world: World, _: Statistic) -> Lines:
    """The entries into offline."""
    counts, coverage = walks.empty(world.edges), _known_states(world)
    for device in world.devices:
        said = world.said(device)
        each = walks.entries([time for time, _ in said], [state for _, state in said], ("offline",), world.edges)
        counts = [one + other for one, other in zip(counts, each, strict=True)]
    return {None: TrueLine([n if coverage[b] > 0 or n else None for b, n in enumerate(counts)], coverage)}


def repair_time(world: World, _: Statistic) -> Lines:
    """The mean length of the outages that ended."""
    lengths: list[list[float]] = [[] for _ in world.buckets]
    for device in world.devices:
        for time, ns in walks.repairs(world.said(device)):
            b = walks.bucket_of(time, world.edges)
            if b is not None:
                lengths[b].append(ns / NS)
    return {None: TrueLine([math.fsum(s) / len(s) if s else None for s in lengths], _known_states(world))}


def uptime(world: World, statistic: Statistic) -> Lines:
    """The share of known time in which parts were neither down nor their device offline."""
    known = [0] * len(world.buckets)
    lost = [0] * len(world.buckets)
    by_id = {device.id: device for device in world.devices}
    for key in world.keys(statistic.table):
        times, values = world.series(statistic.table, key).of(field_of(statistic))
        heard = [(t, "down" if v in statistic.labels else "up") for t, v in zip(times, values, strict=True)]
        states = walks.timeline(world.said(by_id[key.device]), heard, world.hold, world.edges)
        for state, cells in states.items():
            known = [one + other for one, other in zip(known, cells, strict=True)]
            if state in {"down", "offline"}:
                lost = [one + other for one, other in zip(lost, cells, strict=True)]
    values_ = [1 - down / whole if whole else None for down, whole in zip(lost, known, strict=True)]
    return {None: TrueLine(list(values_), world.coverage([known], len(world.keys(statistic.table))))}


def _states(world: World) -> dict[str, list[int]]:
    """The ns of each bucket in each state, summed over devices."""

    def made() -> dict[str, list[int]]:
        total = {state: [0] * len(world.buckets) for state in ("online", "offline", "maintenance")}
        for device in world.devices:
            heard = [(time, "online") for time in world.alive(device)]
            for state, cells in walks.timeline(world.said(device), heard, world.hold, world.edges).items():
                total[state] = [one + other for one, other in zip(total[state], cells, strict=True)]
        return total

    return world.once("states", made)


def _known_states(world: World) -> list[float]:
    return world.coverage(list(_states(world).values()), len(world.devices))
