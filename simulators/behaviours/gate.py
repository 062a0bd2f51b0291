"""Gates: residents leave and come home, visitors and deliveries come and go, some are refused at first.

Who lives here is drawn once; each day then draws every resident's trips. A trip is a pass out and a pass in, and trips
of one resident never overlap, so that people are conserved. Everybody is at home at 04:00 but those on night shift
(fewer than 1 %), whose trip ends the next morning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch, Times
from simulators.behaviour import Behaviour
from simulators.cache import Kept
from simulators.people import METHODS, RESIDENT, residents_trips, roles, visits
from simulators.site import Day, Site, joined
from simulators.timeline import Instants, Intervals

_IN, _OUT, _UNKNOWN = 0, 1, 2
_GRANTED, _DENIED = 0, 1
_FACE, _CARD, _QR, _PIN = 0, 1, 2, 3
_NO_MATCH, _EXPIRED, _SCHEDULE, _BLOCKED, _LIVENESS, _TIMEOUT = range(6)
_CLOSED, _OPEN, _HELD, _FORCED = range(4)

_OPEN_MS = 6000
_UNKNOWN_SHARE = 0.005
_DENIED_SHARE = 0.018
_STRANGERS_PER_RESIDENT = 0.002
_MATCH_MS = np.array([420.0, 90.0, 260.0, 60.0, np.nan])  # median by method; a remote opening decides nothing
_MATCH_SPREAD = np.array([0.35, 0.2, 0.3, 0.2, 0.0])
# Reasons of a refusal by method: face, card, qr, pin, remote.
_REASONS = np.array([
    [0.72, 0.03, 0.01, 0.01, 0.19, 0.04],
    [0.30, 0.42, 0.10, 0.10, 0.00, 0.08],
    [0.22, 0.60, 0.06, 0.04, 0.00, 0.08],
    [0.80, 0.06, 0.06, 0.04, 0.00, 0.04],
    [0.00, 0.00, 0.30, 0.20, 0.00, 0.50],
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What one day's plan makes happen, some of it after midnight.

    Attributes:
        passes: the events, as a batch of the table `pass`.
        held: intervals in which someone props a door open.
        forced: intervals in which a door was forced.
    """

    passes: Batch
    held: Intervals
    forced: Intervals


class Gates:
    """The gates of one compound."""

    def __init__(self, site: Site) -> None:
        """Draw who lives there."""
        self._site = site
        self._roles = roles(site)
        self._plans = Kept(self._plan)

    def day(self, day: Day) -> Sequence[Batch]:
        """The passes and door states of one day."""
        plans = [self._plans[each] for each in self._site.days_until(day, 1)]
        both = Batch.concatenated([plan.passes for plan in plans])
        return self._doors(day, both, plans), joined([both], day)

    def _doors(self, day: Day, passes: Batch, plans: Sequence[Plan]) -> Batch:
        site = self._site
        samples = site.samples(day)
        granted = passes.take(passes.coded("result").codes == _GRANTED)
        opened = Instants(granted.series, granted.time // 1_000_000)
        held = Intervals.joined([plan.held for plan in plans]).cover(samples.series, samples.ms)
        forced = Intervals.joined([plan.forced for plan in plans]).cover(samples.series, samples.ms)
        door = np.where(opened.within(samples.series, samples.ms, _OPEN_MS), _OPEN, _CLOSED)
        door[held] = _HELD
        door[forced] = _FORCED
        # A gate restarts every few weeks, at an hour of its own.
        rng = site.rng("restarts")
        period = rng.uniform(20, 45, len(site.devices)) * 86_400_000
        uptime = (samples.ms - rng.uniform(0, period)[samples.device]) % period[samples.device] / 1000
        return site.telemetry(samples, {"door": door, "tamper": forced, "uptime_s": np.floor(uptime)})

    def _plan(self, day: Day) -> Plan:
        site = self._site
        gates = len(site.devices)
        trips = residents_trips(site, self._roles, day)
        others = visits(site, day)
        rng = site.rng("passes", day.date)
        home = site.rng("favourites").integers(0, gates, len(self._roles))[trips.person]
        count = len(trips.person)
        # A trip begins with a pass out, a visit with a pass in.
        ms = np.concatenate([day.at(trips.out_h), day.at(trips.in_h), day.at(others.in_h), day.at(others.out_h)])
        inward = np.repeat([False, True, True, False], [count, count, len(others.who), len(others.who)])
        who = np.concatenate([np.full(2 * count, RESIDENT), others.who, others.who])
        gate = rng.integers(0, gates, len(ms))
        # Four of five times a resident takes the gate next to the own building.
        own = rng.random(2 * count) < 0.8
        gate[: 2 * count][own] = np.concatenate([home, home])[own]
        method = _drawn(rng, METHODS[who])
        passes = self._passes(rng, day, _Granted(ms, gate, np.where(inward, _IN, _OUT), who, method))
        return Plan(passes, *self._props(rng, day, ms, gate))

    def _passes(self, rng: np.random.Generator, day: Day, granted: "_Granted") -> Batch:
        count = len(granted.ms)
        direction = np.where(rng.random(count) < _UNKNOWN_SHARE, _UNKNOWN, granted.direction)
        retried = np.flatnonzero(rng.random(count) < _DENIED_SHARE)
        strangers = int(rng.poisson(_STRANGERS_PER_RESIDENT * len(self._roles)))
        tries = np.where(rng.random(len(retried)) < 0.8, granted.method[retried], _FACE)
        tries = np.concatenate([tries, rng.choice([_FACE, _CARD, _PIN], strangers, p=[0.7, 0.1, 0.2])])
        reason = _drawn(rng, _REASONS[tries])
        stranger = np.arange(len(tries)) >= len(retried)
        reason[stranger & (tries == _FACE)] = _NO_MATCH
        who = np.concatenate([granted.who[retried], np.full(strangers, -1)])
        who[(reason == _NO_MATCH) | (reason == _LIVENESS)] = -1  # a gate that knows nobody cannot say who
        method = np.concatenate([granted.method, tries])
        before = (rng.uniform(3, 9, len(retried)) * 1000).astype(np.int64)
        late = np.concatenate([granted.ms[retried] - before, day.at(rng.uniform(5, 23.9, strangers))])
        gates = np.concatenate(
            [granted.gate, granted.gate[retried], rng.integers(0, len(self._site.devices), strangers)]
        )
        turn = np.concatenate([direction, granted.direction[retried], np.full(strangers, _IN)])
        match = np.rint(_MATCH_MS[method] * np.exp(_MATCH_SPREAD[method] * rng.normal(size=len(method))))
        columns = {
            "direction": turn,
            "method": method,
            "result": np.repeat([_GRANTED, _DENIED], [count, len(tries)]),
            "reason": np.concatenate([np.full(count, -1), reason]),
            "category": np.concatenate([granted.who, who]),
            "match_ms": match,
        }
        return self._site.batch("pass", gates, np.concatenate([granted.ms, late]), None, columns)

    def _props(
        self, rng: np.random.Generator, day: Day, ms: Times, gate: NDArray[np.int64]
    ) -> tuple[Intervals, Intervals]:
        gates = len(self._site.devices)
        count = int(rng.poisson(0.12 * gates)) if len(ms) else 0
        chosen = rng.integers(0, max(len(ms), 1), count)
        begin = ms[chosen] + _OPEN_MS
        held = Intervals(gate[chosen], begin, begin + (rng.uniform(90, 1500, count) * 1000).astype(np.int64))
        forced = Intervals.drawn(rng, gates, rate=0.004, between=day.at([0, 24]), minutes=4, most_minutes=20)
        return held, forced


@dataclass(frozen=True, slots=True)
class _Granted:
    ms: Times
    gate: NDArray[np.int64]
    direction: NDArray[np.int64]
    who: NDArray[np.int64]
    method: NDArray[np.int64]


def _drawn(rng: np.random.Generator, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """One code per row of `shares`, float64[n, k], with the probabilities of that row."""
    bounds = np.cumsum(shares, axis=1)
    codes: NDArray[np.int64] = (rng.random(len(shares))[:, None] * bounds[:, -1:] >= bounds).sum(axis=1)
    return codes


BEHAVIOUR = Behaviour(kind="gate", model=Gates)
