"""Waste bins: they fill by the rhythm of households, morning and evening, and are collected on a schedule."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch, Times
from simulators.behaviour import Behaviour
from simulators.cache import Kept
from simulators.site import Day, Site
from simulators.timeline import Instants, Intervals
from simulators.weather import ambient_c

# recyclable, kitchen, hazardous, residual, as the kind declares them.
_STREAMS = 4
_ATTRIBUTES = (("recyclable_l", 1100.0), ("kitchen_l", 240.0), ("hazardous_l", 120.0), ("residual_l", 660.0))
_DEPOSITS_PER_RESIDENT = np.array([0.15, 0.38, 0.002, 0.48])  # a day
_DEPOSIT_KG = np.array([1.1, 1.05, 0.3, 0.95])  # median
_DEPOSIT_SPREAD = np.array([0.6, 0.5, 0.7, 0.5])
_KG_PER_L = np.array([0.09, 0.75, 0.25, 0.30])
_WEEKEND_FACTOR = 1.15
_PEAKS = ((0.38, 7.6, 0.8), (0.14, 12.6, 1.0), (0.48, 19.4, 1.1))
# When the lorry comes, in hours, and on which weekdays.
_EVERY_DAY = range(7)
_ROUNDS = (((13.5,), _EVERY_DAY), ((6.5, 19.5), _EVERY_DAY), ((10.0,), (2,)), ((6.5, 19.5), _EVERY_DAY))
_LOOK_BACK_DAYS = 8  # further than the rarest collection

_GRAMS = 10  # scales resolve 10 g; weights are summed in whole steps, so that they add up exactly
_CLOSED, _OPEN, _JAMMED = range(3)
_OPEN_MS = 9000
_BATTERY_DAYS = (90.0, 150.0)
_BATTERY_LEFT = 0.22
_FIRE_C = 45.0


class _Plan(NamedTuple):
    """One day: deposits people come with, collections, and what goes wrong; series are bin × stream."""

    series: NDArray[np.int64]
    ms: Times
    units: NDArray[np.int64]
    collected_series: NDArray[np.int64]
    collected_ms: Times
    jammed: Intervals
    smoke: Intervals
    tilt: Intervals


class _Filling(NamedTuple):
    """Deposits that found room, by series and time, and what each compartment holds after each."""

    series: NDArray[np.int64]
    ms: Times
    units: NDArray[np.int64]
    deposits: Instants
    collections: Instants
    held: NDArray[np.int64]
    cycle: NDArray[np.int64]


class Bins:
    """The waste bins of one compound."""

    def __init__(self, site: Site) -> None:
        """Take the bins of `site`."""
        self._site = site
        litres = np.column_stack([site.attribute(name, default) for name, default in _ATTRIBUTES])
        self._room_units = np.rint(litres * _KG_PER_L * 1000 / _GRAMS).astype(np.int64).ravel()
        self._plans = Kept(self._plan, most=_LOOK_BACK_DAYS + 1)

    def day(self, day: Day) -> Sequence[Batch]:
        """Fill levels, deposits and collections of one day."""
        plans = [self._plans[each] for each in self._site.days_until(day, _LOOK_BACK_DAYS)]
        filling = self._filled(plans)
        return (
            self._telemetry(day, plans, filling),
            self._deposits(day, filling),
            self._collections(plans[-1], filling),
        )

    def _filled(self, plans: Sequence[_Plan]) -> _Filling:
        series = np.concatenate([plan.series for plan in plans])
        ms = np.concatenate([plan.ms for plan in plans])
        units = np.concatenate([plan.units for plan in plans])
        collections = Instants(
            np.concatenate([plan.collected_series for plan in plans]),
            np.concatenate([plan.collected_ms for plan in plans]),
        )
        order = Instants(series, ms).order
        series, ms, units = series[order], ms[order], units[order]
        cycle = collections.until(series, ms) + series  # differs between series even where nothing was collected
        held = _running(units, cycle)
        # A full compartment takes nothing more until it is emptied.
        room = held <= self._room_units[series]
        series, ms, units, held, cycle = series[room], ms[room], units[room], held[room], cycle[room]
        return _Filling(series, ms, units, Instants(series, ms), collections, held, cycle)

    def _telemetry(self, day: Day, plans: Sequence[_Plan], filling: _Filling) -> Batch:
        site = self._site
        samples = site.samples(day)
        series, ms = samples.series.astype(np.int64), samples.ms
        held = _held_at(filling, series, ms)
        smoke = Intervals.joined([plan.smoke for plan in plans[-2:]]).cover(series, ms)
        tilt = Intervals.joined([plan.tilt for plan in plans[-2:]]).cover(series, ms)
        jammed = Intervals.joined([plan.jammed for plan in plans[-2:]]).cover(series, ms)
        lid = np.where(filling.deposits.within(series, ms, _OPEN_MS), _OPEN, _CLOSED)
        lid[jammed] = _JAMMED
        rng = site.rng("sensors", day.date)
        temp = ambient_c(day, ms) + 2.5 + 0.4 * rng.normal(size=len(ms)) + np.where(smoke, _FIRE_C, 0.0)
        fill = np.round(np.minimum(held / self._room_units[series], 1.0), 3)
        return site.telemetry(samples, {
            "fill": fill, "weight_kg": held * _GRAMS / 1000, "temp_c": np.round(temp, 1),
            "battery": self._battery(samples.device, ms), "smoke": smoke, "tilt": tilt, "lid": lid,
        })  # fmt: skip

    def _battery(self, device: NDArray[np.int64], ms: Times) -> NDArray[np.float64]:
        rng = self._site.rng("battery")
        period = rng.uniform(*_BATTERY_DAYS, len(self._site.devices)) * 86_400_000
        age = (ms - rng.uniform(0, period)[device]) % period[device] / period[device]
        return np.round(1 - (1 - _BATTERY_LEFT) * age, 3)

    def _deposits(self, day: Day, filling: _Filling) -> Batch:
        rows = np.flatnonzero(day.covers(filling.ms))
        bin_, stream = np.divmod(filling.series[rows], _STREAMS)
        weights = {"weight_kg": filling.units[rows] * _GRAMS / 1000}
        return self._site.batch("deposit", bin_, filling.ms[rows], stream, weights)

    def _collections(self, plan: _Plan, filling: _Filling) -> Batch:
        order = Instants(plan.collected_series, plan.collected_ms).order
        series, ms = plan.collected_series[order], plan.collected_ms[order]
        weights = {"weight_kg": _held_at(filling, series, ms - 1) * _GRAMS / 1000}
        bin_, stream = np.divmod(series, _STREAMS)
        return self._site.batch("collected", bin_, ms, stream, weights)

    def _plan(self, day: Day) -> _Plan:
        site = self._site
        rng = site.rng("waste", day.date)
        bins = len(site.devices)
        served = site.compound.residents / bins
        rate = _DEPOSITS_PER_RESIDENT * served * (_WEEKEND_FACTOR if day.is_weekend else 1.0)
        counts = rng.poisson(np.tile(rate, bins))
        series = np.repeat(np.arange(bins * _STREAMS), counts)
        stream = series % _STREAMS
        shares, hours, deviations = np.array(_PEAKS).T
        peak = rng.choice(len(_PEAKS), len(series), p=shares)
        ms = day.at(np.clip(rng.normal(hours[peak], deviations[peak]), 4.5, 22.95))
        kg = _DEPOSIT_KG[stream] * np.exp(_DEPOSIT_SPREAD[stream] * rng.normal(size=len(series)))
        units = np.rint(np.clip(kg, 0.02, 40) * 1000 / _GRAMS).astype(np.int64)
        jammed = Intervals.drawn(rng, bins * _STREAMS, rate=0.01, between=day.at([6, 17]), minutes=40, most_minutes=300)
        order = Instants(series, ms).order
        series, ms, units = series[order], ms[order], units[order]
        free = ~jammed.cover(series, ms)  # nobody can open a jammed lid
        smoke = _of_bins(Intervals.drawn(rng, bins, rate=0.002, between=day.at([8, 22]), minutes=12, most_minutes=60))
        tilt = _of_bins(Intervals.drawn(rng, bins, rate=0.002, between=day.at([6, 22]), minutes=30, most_minutes=600))
        return _Plan(series[free], ms[free], units[free], *self._rounds(rng, day), jammed, smoke, tilt)

    def _rounds(self, rng: np.random.Generator, day: Day) -> tuple[NDArray[np.int64], Times]:
        bins = np.arange(len(self._site.devices))
        # The lorry reaches each bin some minutes after the one before.
        place = self._site.rng("round").permutation(bins) * min(0.1, 3 / len(bins))
        series, hours = [], []
        for stream, (times, weekdays) in enumerate(_ROUNDS):
            if day.date.weekday() not in weekdays:
                continue
            for hour in times:
                series.append(bins * _STREAMS + stream)
                hours.append(hour + place + rng.uniform(0, 0.08, len(bins)))
        return np.concatenate(series), day.at(np.concatenate(hours))


def _running(units: NDArray[np.int64], cycle: NDArray[np.int64]) -> NDArray[np.int64]:
    """The running sum of `units` within each run of equal `cycle`."""
    total = np.cumsum(units)
    first = np.flatnonzero(np.diff(cycle, prepend=-1))
    before = np.repeat(total[first] - units[first], np.diff(first, append=len(units)))
    return total - before


def _held_at(filling: _Filling, series: NDArray[np.int64], ms: Times) -> NDArray[np.int64]:
    """What the compartment of each (series, ms) holds, in units; int64[n]."""
    if not len(filling.ms):
        return np.zeros(len(ms), np.int64)
    latest = filling.deposits.until(series, ms) - 1
    cycle = filling.collections.until(series, ms) + series
    same = (latest >= 0) & (filling.series[latest] == series) & (filling.cycle[latest] == cycle)
    return np.where(same, filling.held[latest], 0)


def _of_bins(intervals: Intervals) -> Intervals:
    """The same intervals of a bin for each of its streams."""
    count = len(intervals.series)
    series = (intervals.series[:, None] * _STREAMS + np.arange(_STREAMS)).ravel()
    rows = np.repeat(np.arange(count), _STREAMS)
    return Intervals(series, intervals.begin_ms[rows], intervals.end_ms[rows])


BEHAVIOUR = Behaviour(kind="bin", model=Bins)
